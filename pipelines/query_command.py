"""`query`: a HogQL query of one's own, shown or loaded as a table.

JSON objects a line, besides those of `pipelines.report`: {"type": "row", "row": {column: value}} for each row that is
shown, {"type": "query", "rows", "has_more", "columns"} after them, and after a load {"type": "column", "column",
"type", "hogql"} for each column. Numbers that JSON readers would round or refuse (decimals, NaN) are texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

from posthog_warehouse.pipelines import queries
from posthog_warehouse.pipelines.config import Config, ConfigError, load
from posthog_warehouse.pipelines.defaults import Flags, Format
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.pipelines.sync_command import sync_with
from posthog_warehouse.sources.posthog import Extraction, Settings
from posthog_warehouse.sources.posthog.http.response_body import decode
from posthog_warehouse.sources.posthog.readers.own_query.paging import Pager
from posthog_warehouse.sources.posthog.readers.own_query.schema import Described, describe
from posthog_warehouse.sources.posthog.tables.own_query import BadQuery, Query, query_table

_SHOWN = "query"
"""What a query is called that fills no table."""
_WIDEST = 60
"""Characters of a value that people are shown."""


@dataclass(frozen=True)
class Question:
    """What the command line said of the query."""

    sql: str | None = None
    file: str | None = None
    table: str | None = None
    key: str | None = None
    cursor: str | None = None
    write: str | None = None
    variables: Sequence[str] = field(default_factory=tuple)
    rows: int = 100

    def query(self) -> Query:
        """The query. Raises ConfigError."""
        if self.sql is None and self.file is None:
            raise ConfigError("There is no query.", 'Give one: query "SELECT ...", or --file FILE.')
        how = {"--key": self.key, "--cursor": self.cursor, "--write": self.write}
        useless = [flag for flag, value in how.items() if value is not None]
        if self.table is None and useless:
            raise ConfigError(f"{useless[0]} says how a table is loaded.", "Name the table too: --table NAME.")
        settings: dict[str, Any] = {
            "sql": self.sql,
            "file": self.file,
            "key": [name.strip() for name in self.key.split(",")] if self.key else None,
            "cursor": self.cursor,
            "write": self.write,
            "variables": dict(map(_variable, self.variables)),
        }
        name = self.table or _SHOWN
        if name in queries.TAKEN:
            raise ConfigError(f"There is a table {name} already.", "Give another --table.")
        try:
            return Query.of(name, queries.with_text(name, settings))
        except BadQuery as error:
            raise ConfigError(error.message, error.advice) from None


def run_query(run: CommandRun, flags: Flags, question: Question, output: Format) -> int:
    """Shows what a query answers, or loads it as a table; the exit code."""
    query = question.query()
    config = load(flags)
    run.key = config.api_key()
    if question.table is None:
        run.is_resumable = False
        return _show(run, config, query, question.rows, output)
    for each in config.queries:
        if each.name == query.name:
            run.reporter.note(f"[queries.{each.name}] in the configuration fills the same table with each sync")
    options = replace(config.sync_options(), tables=(query_table(query),), named=frozenset({query.name}))
    code = sync_with(run, config, options)
    if code == 0:
        _columns(run, config, query.name)
    return code


def _show(run: CommandRun, config: Config, query: Query, rows: int, output: Format) -> int:
    client = config.connect(run.reporter.waiting)
    if client.host.advice:
        run.reporter.note(client.host.advice)
    settings = replace(config.sync_options().settings, leaf_rows=Settings().leaf_rows)
    extraction = Extraction(lambda: client, settings=settings, tables=())
    try:
        with run.stopping(client.cancel_all):
            asked = extraction.open()
            about = describe(asked, query)
            found, has_more = Pager(asked, about).first(rows)
    finally:
        extraction.close()
    shown = list(_rows(about, found))
    columns = [{"column": each.hogql, "type": each.clickhouse_type} for each in about.columns]
    if output is Format.JSON:
        run.reporter.records("row", [{"row": row} for row in shown])
    else:
        run.reporter.records("row", [{name: _text(value) for name, value in row.items()} for row in shown])
    number = f"{len(shown):,} row" + ("" if len(shown) == 1 else "s")
    more = "; there are more: --rows shows more of them, --table NAME loads all" if has_more else ""
    facts = {"type": _SHOWN, "rows": len(shown), "has_more": has_more, "columns": columns}
    run.reporter.summary(facts, f"{number}{more}")
    return 0


def _columns(run: CommandRun, config: Config, table: str) -> None:
    """The columns of a table that was loaded, as they are in the warehouse."""
    with config.destination().reading() as reading:
        found = [column for column in reading.tables.get(table, ()) if not column.name.startswith("_dlt")]
    records = [{"column": column.name, "type": column.type, "hogql": column.comment} for column in found]
    run.reporter.records("column", records, f"The columns of {config.sync.dataset}.{table}")


def _rows(about: Described, found: pa.Table) -> Iterator[Mapping[str, Any]]:
    """The rows under PostHog's names, or, where two are the same, those of the warehouse."""
    hogql = [column.hogql for column in about.columns]
    names = hogql if len(set(hogql)) == len(hogql) else [column.name for column in about.columns]
    kinds = [column.form.data_type for column in about.columns]
    for row in found.to_pylist():
        yield {name: _value(value, kind) for name, value, kind in zip(names, row.values(), kinds, strict=True)}


def _value(value: Any, kind: str) -> Any:
    """A value as JSON has it, losing nothing."""
    if kind == "json" and value is not None:
        return decode(value.encode(), "query")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value


def _text(value: Any) -> str:
    """A value for people; a long one is cut."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _variable(text: str) -> tuple[str, Any]:
    """`name=value`: a number, true, false or null is one, anything else a text. Raises ConfigError."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"--variable {text} has no value.", "Write it as --variable name=value.")
    try:
        read = orjson.loads(value)
    except orjson.JSONDecodeError:
        read = value
    return name.strip(), read
