"""PostHog as a dlt source: every table that its API has, incrementally and complete.

    import dlt
    from sources.posthog import posthog

    pipeline = dlt.pipeline("posthog", destination="duckdb", dataset_name="posthog")
    pipeline.run(posthog(api_key="phx_...", host="eu"))

Tables, keys and columns are declared in `tables`; what was loaded is in dlt's state, so each run reads what is new.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, cast, get_args

import dlt
import pyarrow as pa
from dlt.common.exceptions import DltException
from dlt.extract import DltResource

from sources.posthog.budget import Budget
from sources.posthog.children import ChildPages
from sources.posthog.client import PostHogClient
from sources.posthog.dedup import Deduplicator
from sources.posthog.elements.pages import ElementPages
from sources.posthog.errors import PostHogError
from sources.posthog.extraction import Extraction
from sources.posthog.hogql.windows import DAY, HOUR, to_micros
from sources.posthog.progress import Progress
from sources.posthog.properties.columns import PropertyColumns
from sources.posthog.properties.settings import PropertySettings
from sources.posthog.properties.types import PropertyType
from sources.posthog.reading import State, TableReading
from sources.posthog.requests import Requests
from sources.posthog.run import Run
from sources.posthog.settings import Settings
from sources.posthog.tables import CHILDREN, CORE, DEFAULT, EVENTS, PROPERTY_COLUMNS, TABLES, Column, Table
from sources.posthog.tables.queries import queries_of, query_table

__all__ = [
    "CHILDREN",
    "CORE",
    "DEFAULT",
    "TABLES",
    "WITH_PROPERTIES",
    "Column",
    "Extraction",
    "PostHogClient",
    "PostHogError",
    "Progress",
    "PropertySettings",
    "Requests",
    "Run",
    "Settings",
    "Table",
    "TableReading",
    "parse_time",
    "posthog",
    "resources_of",
]


WITH_PROPERTIES = tuple(table.name for table in TABLES.values() if table.property_owner)
"""The tables whose properties become columns."""


class _ExpectedHints(logging.Filter):
    """Keeps back one warning of dlt, which it gives for every page of ours: that JSON arrives as Arrow text.

    Arrow has no type for it that dlt 1.31 knows, and the column is made as declared. Other sources keep theirs.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is to be logged."""
        if "several column hints were different" not in str(record.msg):
            return True
        try:
            return dlt.current.source_schema().name != "posthog"
        except DltException:
            return True


logging.getLogger("dlt").addFilter(_ExpectedHints())


@dlt.source(name="posthog", max_table_nesting=0)
def posthog(
    api_key: str = dlt.secrets.value,
    host: str = "us",
    project_id: str = "@current",
    since: str | None = None,
    until: str | None = None,
    *,
    engine: str = "auto",
    allow_http: bool = False,
    requests_per_minute: int = 240,
    requests_per_hour: int = 2_400,
    queries_in_flight: int = 3,
    max_wait_seconds: float = 900,
    leaf_rows: int = 40_000,
    pages_ahead: int = 3,
    safety_lag_minutes: float = 10,
    overlap_minutes: float = 60,
    live_days: float = 2,
    sweep_days: float = 30,
    sweep_every_hours: float = 24,
    lists_every_minutes: float = 30,
    insights_every_hours: float = 24,
    elements: bool = False,
    properties: dict[str, Any] | None = None,
    privacy: dict[str, Any] | None = None,
    privacy_key: str | None = None,
    requests: dict[str, Any] | None = None,
    queries: dict[str, Any] | None = None,
) -> list[DltResource]:
    """The tables of a PostHog project.

    Args:
        api_key: A personal API key (`phx_...`) with the scope `query:read`; also `pha_...` and `phs_...`.
        host: `us`, `eu`, or the address of a self-hosted PostHog.
        project_id: The project's number; by default the key's current project.
        since: Oldest `timestamp` of events: an ISO date or time (UTC), or `30d`. Default: as far back as any run
            before, at first the first event. It may move back later: only the new part is fetched.
        until: Events with a `timestamp` before this. Default: no bound.
        engine: What reads events, persons and distinct_ids: `hogql` (queries), `listing` (PostHog's lists), or `auto`:
            the lists only where the key or the server has no queries.
        allow_http: Allow plain http to a host that is not this machine.
        requests_per_minute: Share of the limit of all of the project's keys.
        requests_per_hour: Likewise for an hour.
        queries_in_flight: Queries at the same time; PostHog allows 3 for a project.
        max_wait_seconds: A longer wait for a limit ends the run with what is loaded by then.
        leaf_rows: Events planned for one request; PostHog answers 50,000 rows at most.
        pages_ahead: Answers fetched ahead of the loading: memory is bounded by these.
        safety_lag_minutes: How long rows may take to become visible after their `created_at`.
        overlap_minutes: How much `created_at` each run asks for again.
        live_days: Days of `timestamp` that every run looks at.
        sweep_days: Days of `timestamp` that the daily sweep for late events looks at.
        sweep_every_hours: How often that sweep is due.
        lists_every_minutes: How often tables that have to be read whole are read; 0: in every run.
        insights_every_hours: How often insights are calculated anew; 0: in every run.
        elements: Load what was clicked, too: events bring along rows of the table `event_elements`.
        properties: Which properties of events, persons and groups become typed columns: `columns` (`auto`, `none` or a
            list of names and patterns), `include`, `exclude`, `max_columns`; the same for one table under its name.
        privacy: Properties that are not to leave PostHog as they are, in columns and JSON alike: `drop` and `hash`
            (names or patterns), `rename` (name -> new name).
        privacy_key: A secret of 16 characters at least for `hash`.
        requests: What is wanted of the tables that are read on request, by the names of `Requests`.
        queries: HogQL queries of your own, each a table: `{"signups": {"sql": "SELECT ...", "key": "id"}}`. Settings
            of each are those of `sources.posthog.tables.queries.Query`.

    Returns:
        A resource for each table of `TABLES` and each query, in the order of loading. Those that are read on request
        (`recording_snapshots`, ...) are there but not selected: `source.with_resources("recording_snapshots")`.

    Raises:
        PostHogError: the key, host or project is refused (when the resources are read).
        ValueError: a setting is out of range.
    """
    extraction = Extraction(
        lambda: PostHogClient(
            api_key,
            host,
            project_id,
            allow_http=allow_http,
            budget=Budget(
                requests_per_minute=requests_per_minute,
                requests_per_hour=requests_per_hour,
                queries_in_flight=queries_in_flight,
                max_wait=max_wait_seconds,
            ),
        ),
        settings=Settings.of(
            engine=engine,
            leaf_rows=leaf_rows,
            queries_in_flight=queries_in_flight,
            pages_ahead=pages_ahead,
            safety_lag_minutes=safety_lag_minutes,
            overlap_minutes=overlap_minutes,
            live_days=live_days,
            sweep_days=sweep_days,
            sweep_every_hours=sweep_every_hours,
            lists_every_minutes=lists_every_minutes,
            insights_every_hours=insights_every_hours,
            elements=elements,
            properties=PropertySettings.of(properties, privacy, privacy_key, tables=WITH_PROPERTIES),
        ),
        since=parse_time(since),
        until=parse_time(until),
        tables=[*TABLES.values(), *map(query_table, queries_of(queries or {}, {**TABLES, **CHILDREN}))],
        requests=Requests.of(requests),
    )
    return resources_of(extraction)


def resources_of(extraction: Extraction, has_room: Callable[[int], bool] | None = None) -> list[DltResource]:
    """dlt resources that read `extraction` for one load package: until `has_room` says that the package is full.

    Without `has_room` each evaluation of a resource is a run of its own, as with any dlt source that is run twice; and
    tables that are read on request only are there, but not selected.
    """
    readings = extraction.readings.values()
    return [
        _resource(extraction, reading.table, has_room)
        for reading in readings
        if has_room is None or not reading.is_over
    ]


def _resource(extraction: Extraction, table: Table, has_room: Callable[[int], bool] | None) -> DltResource:
    is_unique = has_room is not None and table.reads.copies_come_together
    has_elements = extraction.settings.elements and table.name == EVENTS.name

    def pages() -> Iterator[Any]:
        if has_room is None and extraction.readings[table.name].is_begun:
            extraction.renew()
        extraction.claim(dlt.current.source_state())
        has_pages = False
        state = _state_of(table)
        columns = extraction.property_columns(table.name, state, _held_types(table))
        # A package of the program is never taken up again half loaded, so its keys are known; a script's run has no
        # end in sight for them.
        unique = Deduplicator(table.key) if is_unique else None
        elements = ElementPages(extraction.readings[table.name], is_unique=is_unique) if has_elements else None
        for page in extraction.pages(table.name, state, has_room or (lambda _: True)):
            if not has_pages:
                _tell_columns(extraction.readings[table.name])
            has_pages = True
            if columns is not None:
                _tell_property_columns(columns, state)
            if unique is not None and isinstance(page, pa.Table):
                page = unique(page)  # noqa: PLW2901 - the rest goes on with what is left
            # An empty list alone makes no table, and leaves one that is to be replaced as it is (dlt 1.31).
            yield dlt.mark.materialize_table_schema() if isinstance(page, list) and not page else page
            if elements is not None and isinstance(page, pa.Table):
                yield elements(page)
        if columns is not None and has_pages:
            yield ChildPages(PROPERTY_COLUMNS, is_unique=True)(columns.facts())
        if table.loads == "replace" and not has_pages:
            # dlt would take it for a table that is empty now. This one was not read, or has not changed.
            dlt.current.resource().apply_hints(write_disposition="append")

    hints: dict[str, Any] = {
        "name": table.name,
        "primary_key": table.primary_key,
        "merge_key": table.merge_key,
        "write_disposition": "replace"
        if table.loads == "replace"
        # dlt need not look for duplicates where there are none, which takes it several times the memory.
        else {"disposition": "merge", "strategy": "delete-insert", **({"deduplicated": True} if is_unique else {})},
        "columns": table.column_hints(),
        "max_table_nesting": table.max_nesting,
        "file_format": "parquet" if table.reads.engine == "hogql" else None,
        "selected": has_room is not None or not table.is_on_request,
        **table.hints,
    }
    resource: DltResource = dlt.resource(**hints)(pages)()
    return resource


def _state_of(table: Table) -> State:
    """What dlt keeps for a table from run to run."""
    if table.loads == "replace":
        # dlt empties the state of a resource that is replaced before it is read.
        replaced: State = dlt.current.source_state().setdefault("replaced", {})
        found: State = replaced.setdefault(table.name, {})
        return found
    return dlt.current.resource_state()


def _held_types(table: Table) -> dict[str, PropertyType]:
    """The types of the property columns that the destination has, by name, as dlt knows them."""
    held = dlt.current.source_schema().tables.get(table.name, {}).get("columns", {})
    declared = {column.name for column in table.columns}
    kinds = get_args(PropertyType)
    return {
        name: cast("PropertyType", column["data_type"])
        for name, column in held.items()
        if name not in declared and column.get("data_type") in kinds
    }


def _tell_property_columns(columns: PropertyColumns, state: State) -> None:
    """Tells dlt of new columns, and keeps in `state` what is known of all."""
    if new := columns.new_columns():
        hints: dict[str, Any] = {column.name: column.dlt_hints() for column in new}
        dlt.current.resource().apply_hints(columns=hints)
    state["property_columns"] = columns.catalogue.state()


def _tell_columns(reading: TableReading) -> None:
    """Tells dlt what PostHog's answer told of a table whose columns are not declared."""
    if reading.columns:
        hints: dict[str, Any] = {column.name: column.dlt_hints() for column in reading.columns}
        dlt.current.resource().apply_hints(columns=hints, primary_key=reading.key or None)


def parse_time(text: str | None, now: datetime | None = None) -> int | None:
    """Microseconds UTC of an ISO date or time (UTC unless it says otherwise), or of `30d` / `12h` before now.

    Raises:
        ValueError: `text` is neither.
    """
    if text is None or not str(text).strip():
        return None
    text = str(text).strip()
    now = now or datetime.now(timezone.utc)
    units = {"d": DAY, "h": HOUR}
    if text[-1:].lower() in units and text[:-1].isdigit():
        return to_micros(now) - int(text[:-1]) * units[text[-1].lower()]
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: give a date (2026-11-20), a time (2026-11-20T09:00:00Z) or 30d."
        ) from None
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))
