"""Every setting of the program with its default, and what the command line can say.

`.dlt/config.toml` holds the same settings with a reason each. Without imports of weight: help shows defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class SourceSettings:
    """`[sources.posthog]`: what `sources.posthog.posthog` takes, but for the key, which is kept apart."""

    host: str = "us"
    project_id: str = "@current"
    since: str | None = None
    until: str | None = None
    engine: str = "auto"
    allow_http: bool = False
    requests_per_minute: int = 240
    requests_per_hour: int = 2_400
    queries_in_flight: int = 3
    max_wait_seconds: float = 900
    leaf_rows: int = 40_000
    pages_ahead: int = 3
    safety_lag_minutes: float = 10
    overlap_minutes: float = 60
    live_days: float = 2
    sweep_days: float = 30
    sweep_every_hours: float = 24
    lists_every_minutes: float = 30
    insights_every_hours: float = 24
    elements: bool = False


@dataclass(frozen=True)
class SyncSettings:
    """`[sync]`: where the tables go, and how they are loaded."""

    destination: str = "duckdb"
    database: str = "posthog_warehouse.duckdb"
    bucket_url: str = "./lake"
    table_format: str | None = None
    dataset: str = "posthog"
    package_rows: int = 240_000
    memory_limit: str = "300MB"


class Format(str, Enum):
    """What is printed: for people, or one JSON object a line."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class Flags:
    """What the command line said; None where it said nothing."""

    destination: str | None = None
    database: str | None = None
    bucket_url: str | None = None
    table_format: str | None = None
    dataset: str | None = None
    since: str | None = None
    until: str | None = None
    host: str | None = None
    project_id: str | None = None
    allow_http: bool | None = None
    max_wait_seconds: float | None = None
