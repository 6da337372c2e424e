"""Where a lake keeps what, as data.

<bucket-url>/<dataset>/events/date=2026-11-20/20261125T160102Z-3f2a.parquet
                      /persons/20261125T160102Z-3f2a.parquet
                      /cohorts/cohorts.parquet                  a table that is replaced is one file
                      /_posthog_warehouse/                      ours: format, intents, staging; no reader globs it
                      /_dlt_loads, _dlt_pipeline_state, ...     dlt's: loads, state, schemas
                      /views.sql, lake.duckdb                   for people
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = 1
"""Counts up when a lake is laid out in a way that older programs would damage."""

SYSTEM = "_posthog_warehouse"
"""The folder of a dataset that holds what is ours alone."""

PARTITION = "date"
"""The column that a reader gets of the folders `date=YYYY-MM-DD`: a UTC day."""

NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""How readers spell the partition of rows without a time."""

MARK = "posthog_warehouse_format"
"""The key in a Parquet file's metadata that tells our files from others."""

ROW_GROUP_ROWS = 32_768
"""Rows that a reader can leave out at once: the events of one name in a day are a few of these."""

SMALL_BYTES = 8 * 1024 * 1024
"""A file below this takes up new rows of its partition instead of leaving a still smaller one beside it."""


@dataclass(frozen=True)
class Shape:
    """How the rows of a table lie."""

    dated_by: str | None = None
    """The column whose UTC day is the partition; None: one folder for all rows."""
    sorted_by: tuple[str, ...] = ()
    """The order of rows within a file; none: the key's."""


SHAPES = {
    "events": Shape(dated_by="timestamp", sorted_by=("event", "timestamp")),
    "sessions": Shape(dated_by="start_timestamp", sorted_by=("start_timestamp",)),
    "session_recordings": Shape(dated_by="start_time", sorted_by=("start_time",)),
}
"""Tables with a natural time. All others lie in one folder, sorted by their key."""


def shape_of(table: str) -> Shape:
    """How the rows of `table` lie."""
    return SHAPES.get(table, Shape())
