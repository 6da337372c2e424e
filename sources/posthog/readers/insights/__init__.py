"""Insights are computed by PostHog and taken apart into rows, one per point."""
