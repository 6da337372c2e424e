"""PostHog as a dlt source: every table that its API has, incrementally and complete.

    import dlt
    from posthog_warehouse.sources.posthog import posthog

    pipeline = dlt.pipeline("posthog", destination="duckdb", dataset_name="posthog")
    pipeline.run(posthog(api_key="phx_...", host="eu"))

Tables, keys and columns are declared in `tables`; what was loaded is in dlt's state, so each run reads what is new. dlt
merges, but for tables that are read whole; with `write_disposition="replace"` each run reads everything, and no key
comes twice in a run whatever dlt does with the rows.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

import dlt
from dlt.sources import DltResource

from .clock import DAY, HOUR, to_micros
from .dlt_internals import COLUMN_WARNING, DltException
from .errors import PostHogError
from .http.client import PostHogClient
from .http.rate_limiter import Budget
from .properties.settings import PropertySettings
from .readers.base import TableReading
from .readers.extraction import Extraction
from .readers.run import Progress, Run
from .resources import resources_of
from .settings import Requests, Settings
from .tables import CHILDREN, CORE, DEFAULT, TABLES, Column, Table
from .tables.own_query import queries_of, query_table

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
        if COLUMN_WARNING not in str(record.msg):
            return True
        try:
            return dlt.current.source_schema().name != "posthog"
        except DltException:
            return True


logging.getLogger("dlt").addFilter(_ExpectedHints())


# The section too, which dlt takes from the module's name: where the source is copied to, its folder may have another.
@dlt.source(name="posthog", section="posthog", max_table_nesting=0)
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
        sweep_days: Days that the daily sweep looks at, for late events (by `timestamp`) and recordings that grew.
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
            of each are those of `posthog.tables.own_query.Query`.

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
