"""A project's configuration, as the rows that the lists of PostHog's API show: cohorts, flags, insights and the rest.

Kept in memory, made on first use from a seed and from what is really in ClickHouse, and changed while the sandbox
runs. Events, persons, recordings and groups are not here: those live in ClickHouse.
"""
