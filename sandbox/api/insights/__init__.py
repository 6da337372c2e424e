"""Insights: trends, funnels, retention, paths, lifecycle, stickiness, correlation, and the persons behind a point.

Calculated from the events that are there, by ClickHouse: filters, persons and breakdowns are written in HogQL and
compiled like any query; what is counted on top follows posthog/hogql_queries/insights (autumn 2026). What is not
supported here is refused with 400, never ignored.
"""
