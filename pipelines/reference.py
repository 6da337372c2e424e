"""The reference of all tables, out of their declarations: docs/tables.md, and what `tables` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from posthog_warehouse.destinations.duckdb_sql import TYPES
from posthog_warehouse.destinations.views import VIEWS
from posthog_warehouse.pipelines.records import RECORD_TABLES, RecordTable
from posthog_warehouse.sources.posthog import CHILDREN, TABLES, Column, Table
from posthog_warehouse.sources.posthog.tables.on_request import ENDPOINTS

_TYPES = {**TYPES, "timestamp": "TIMESTAMPTZ", "decimal": "DECIMAL", "binary": "BLOB"}
"""dlt's types in DuckDB, in short."""

_OFTEN = {"lists_every": "half-hourly", "insights_every": "daily"}
"""The defaults of the settings that `Table.every` names."""

_HEAD = """\
# Tables

<!-- Generated from the declarations by `posthog-warehouse tables --markdown`; a test holds them together. -->

Times are UTC with microseconds. Keys are real: one row for each, whatever happened on the way. A column that PostHog
adds to a list later comes by itself; lists inside of a row become tables of their own (`cohorts__...`), joined by
`_dlt_parent_id`. A table that the server, the plan or the key does not have is skipped, with a word.
"""


def overview(tables: Mapping[str, Table] = TABLES) -> list[dict[str, Any]]:
    """One record for each table."""
    return [
        {
            "table": table.name,
            "key": ", ".join(table.keys),
            "kept up to date by": table.reads.kept_up_to_date(),
            "scope": table.scope,
            "engine": table.reads.engine,
            "loaded": _when(table),
        }
        for table in tables.values()
    ]


def summary(tables: Mapping[str, Table] = TABLES) -> list[dict[str, Any]]:
    """One record for each table, of what fits into a line."""
    return [
        {
            "table": table.name,
            "holds": table.description.split(". ")[0].rstrip("."),
            "scope": table.scope,
            "loaded": _when(table),
        }
        for table in tables.values()
    ]


def columns_of(table: Table | RecordTable) -> list[dict[str, Any]]:
    """One record for each column of a table."""
    return [
        {
            "column": column.name,
            "type": _type(column),
            "in PostHog": column.hogql,
            "description": column.description,
        }
        for column in table.columns
    ]


def facts(table: Table) -> dict[str, Any]:
    """A table and its columns, for programs."""
    [record] = overview({table.name: table})
    columns = [{**asdict(column), "type": _type(column)} for column in table.columns]
    record = {name.replace(" ", "_"): value for name, value in record.items()}
    return {**record, "description": table.description, "columns": columns}


def markdown() -> str:
    """The whole of docs/tables.md."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from _table(
        [
            {**record, "table": f"[{record['table']}](#{record['table']})", "key": f"`{record['key']}`"}
            for record in overview({**TABLES, **CHILDREN})
        ]
    )
    for table in (*TABLES.values(), *CHILDREN.values()):
        yield f"\n## {table.name}\n"
        yield f"{table.description}\n"
        yield f"Key `{', '.join(table.keys)}`; {table.reads.kept_up_to_date()}; scope `{table.scope}`; {_when(table)}."
        yield ""
        yield from _table(columns_of(table))
    yield "\n## Views\n"
    yield from _table([{"view": f"`{view.name}`", "what it is": view.description} for view in VIEWS])
    yield from _endpoints()
    yield "\n## What each run leaves behind"
    for record in RECORD_TABLES:
        yield f"\n### {record.name}\n"
        yield f"{record.description} Key `{record.primary_key}`.\n"
        yield from _table([{k: v for k, v in each.items() if k != "in PostHog"} for each in columns_of(record)])


def _endpoints() -> Iterator[str]:
    yield "\n## Endpoints\n"
    yield "Everything in PostHog's API reference of persons, events, recordings, insights, queries, exports, files and"
    yield "plugins that can be read, and where it is.\n"
    yield from _table(
        [
            {
                "endpoint": f"{endpoint.method} {endpoint.path}",
                "table": f"[{endpoint.table}](#{endpoint.table})" if endpoint.table else "none",
                "why": endpoint.reason,
            }
            for endpoint in ENDPOINTS
        ]
    )


def _when(table: Table) -> str:
    if table.name in CHILDREN:
        return "by setting"
    if table.is_on_request:
        return "on request"
    return _OFTEN.get(table.every or "", "by every sync")


def _type(column: Column) -> str:
    return "UUID" if column.is_uuid else _TYPES[column.data_type]


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(rows[0])} |"
    yield f"| {' | '.join('---' for _ in rows[0])} |"
    for row in rows:
        yield f"| {' | '.join(str(value).replace('|', chr(92) + '|') for value in row.values())} |"
