"""What a warehouse holds after a run, in a form that can be compared: nothing of when or how it was loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import duckdb

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines.dlt_pipeline import PIPELINE_NAME
from posthog_warehouse.sources.posthog import CORE
from posthog_warehouse.sources.posthog.clock import MAX, MIN
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window

DATASET = "posthog"


@dataclass(frozen=True)
class TableState:
    """One table: its columns with their types, and sums over its rows that do not depend on their order."""

    columns: tuple[tuple[str, str], ...]
    rows: int
    keys: int
    """Distinct values of the primary key."""
    checksum: int
    """The sum of a hash of each whole row: one cell, or one row twice, changes it."""
    counted: tuple[tuple[str, str, float, int], ...]
    """Of events, the type, coverage and conflicts of each property, as `property_columns` has them."""


@dataclass(frozen=True)
class Ledgers:
    """What the destination says is loaded, as the next run would read it."""

    events: Region
    origin: int
    """Below this `created_at` (microseconds UTC) everything is loaded."""
    is_backfilled: bool
    """Whether the covered region holds all times up to `origin`."""
    manifests: dict[str, Any]
    """Keyed tables: the manifest of what is loaded; the same for the same data."""


EndState = dict[str, TableState]


def end_state(path: Path) -> EndState:
    """The state of each table of PostHog's in the file `path`."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {name: _table_state(connection, name, table.key) for name, table in CORE.items()}


def _table_state(connection: duckdb.DuckDBPyConnection, name: str, key: str) -> TableState:
    described = connection.execute(f"DESCRIBE {DATASET}.{name}").fetchall()
    columns = tuple(sorted((column, kind) for column, kind, *_ in described if not column.startswith("_dlt")))
    cells = ", ".join(f'"{column}"' for column, _ in columns)
    counted = connection.execute(
        f"SELECT count(*), count(DISTINCT {key}), coalesce(sum(hash({cells})), 0) FROM {DATASET}.{name}"
    ).fetchone()
    assert counted is not None
    rows, keys, checksum = map(int, counted)
    properties = connection.execute(
        f"SELECT key, type, round(coverage, 9), conflicts FROM {DATASET}.property_columns "
        "WHERE table_name = $name AND $name = 'events' ORDER BY key",
        {"name": name},
    ).fetchall()
    return TableState(columns, rows, keys, checksum, tuple(properties))


def ledgers(path: Path, folder: Path) -> Ledgers:
    """The ledgers in the file `path`, read as a machine without dlt's working folder reads them (into `folder`)."""
    with DuckDbFile(path) as destination:
        pipeline = dlt.pipeline(
            PIPELINE_NAME,
            pipelines_dir=str(folder),
            destination=destination.dlt_destination(),
            dataset_name=DATASET,
        )
        pipeline.sync_destination()
        resources = pipeline.state["sources"]["posthog"]["resources"]
    covered = Region.from_state(resources["events"]["covered"])
    origin = int(resources["events"]["origin"])
    return Ledgers(
        covered,
        origin,
        covered.covers(Window(MIN, MAX, MIN, origin)),
        {name: resources[name].get("done") for name in CORE if name != "events"},
    )
