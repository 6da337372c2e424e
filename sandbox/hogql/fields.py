"""What a table of HogQL is made of: columns, joins, and fields that stand for others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from posthog_warehouse.sandbox.hogql.values import ValueType

#: Tables that PostHog computes on reading, by name of the builder in `lazy.py`.
LazyName = Literal[
    "persons",
    "person_distinct_ids",
    "overrides",
    "session_replay_events",
    "sessions",
    "groups",
    "cohort_people",
    "console_logs_log_entries",
    "batch_export_log_entries",
]


@dataclass(frozen=True)
class Column:
    """A column: its type, what it is called in ClickHouse, and whether `*` shows it."""

    type: ValueType
    physical: str | None = None
    starred: bool = True


@dataclass(frozen=True)
class Computed:
    """A field that stands for other fields of the same table, such as `person_id` for `pdi.person_id`."""

    chain: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """A field that joins another table when it is used: ON this table's `on` = that table's `to`."""

    table: str
    on: tuple[str, ...]
    to: str
    kind: Literal["LEFT JOIN", "INNER JOIN"] = "LEFT JOIN"


@dataclass(frozen=True)
class Virtual:
    """A group of fields kept in the table itself, such as `poe` in events."""

    columns: Mapping[str, Column]


Field = Column | Computed | Join | Virtual


@dataclass(frozen=True)
class Table:
    """A table: its fields, and either a table in ClickHouse or a select made on reading.

    Attributes:
        physical: the ClickHouse table, or None for a computed one.
        lazy: how a computed one is made.
        key: the column of a computed table by which it is grouped; conditions on it reach the scan.
    """

    name: str
    fields: Mapping[str, Field]
    physical: str | None = None
    lazy: LazyName | None = None
    key: str | None = None
