"""Every way in which a PostHog server can surprise a client, each a field that can be switched.

A field's comment says what it does and why a client has to care. Facts are PostHog's own code and
documentation as of autumn 2026, except the self-hosted profiles: ``selfhosted-2023`` was seen on a running server of
December 2023, ``selfhosted-2025`` on PostHog's own server code of 4 August 2025.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.versions import (
    ENDPOINTS_CLOSED_IN_2025,
    ENDPOINTS_UNKNOWN_IN_2023,
    ENDPOINTS_UNKNOWN_IN_2025,
    FIELDS_UNKNOWN_IN_2023,
    FIELDS_UNKNOWN_IN_2025,
    FUNCTIONS_UNKNOWN_IN_2023,
    FUNCTIONS_UNKNOWN_IN_2025,
    MODIFIERS,
    MODIFIERS_2023,
    PERSONS_ON_EVENTS_MODES,
    PERSONS_ON_EVENTS_MODES_2023,
    TABLES_UNKNOWN_IN_2023,
    TABLES_UNKNOWN_IN_2025,
)


@dataclass(frozen=True)
class Behaviour:
    """How this PostHog behaves. The defaults are PostHog Cloud; throttles are known but off.

    Times are in seconds, sizes in bytes or rows. ``None`` in a limit means that there is none.
    """

    # --- project ---
    #: Query results show times in the project's time zone unless a modifier says otherwise.
    project_timezone: str = "UTC"

    # --- queries: what is answered ---
    #: Rows of a SELECT without LIMIT: a client that forgets LIMIT sees 100 rows and no error.
    default_rows: int = 100
    #: A larger LIMIT is lowered without a word, so "fewer rows than asked" is not the end of the data.
    max_rows: int = 50_000
    #: OFFSET is a 400 for personal keys: paging has to be by key.
    refuse_offset: bool = True
    #: Functions that this version does not know; clients have to probe.
    missing_functions: frozenset[str] = frozenset()
    #: Tables that this version does not have; ``name.*`` hides a namespace.
    missing_tables: frozenset[str] = frozenset()
    #: Older servers said ``invalid_input`` for every mistake in a query.
    legacy_error_codes: bool = False
    #: An alias of a column may come without AS; until 2025 the grammar wanted it.
    implicit_aliases: bool = True
    #: Text such as ``2026-11-01T00:00:00Z`` can be compared with times; ClickHouse until 24.8 refused that.
    iso_text_times: bool = True
    #: Text with a fraction of a second can be compared with a DateTime of whole seconds (``groups.updated_at``);
    #: ClickHouse 24.8 refused that, where today's reads it.
    fractions_for_seconds: bool = True
    #: ``FROM (...) AS t (a, b)``, and a LIMIT behind a query in brackets; not in December 2023.
    column_lists: bool = True
    #: Fields of a query's body that this version does not take (``name``, ...): 400 ``parse_error``.
    refused_query_fields: frozenset[str] = frozenset()
    #: ``refresh`` may be a word, such as ``force_blocking``; at first it was true or false only.
    refresh_words: bool = True
    #: ``refresh`` may be true or false.
    refresh_flags: bool = True
    #: Names allowed in ``modifiers``; another one is 400 ``parse_error``.
    known_modifiers: frozenset[str] = MODIFIERS
    #: Values allowed for ``modifiers.personsOnEventsMode``.
    known_persons_on_events_modes: frozenset[str] = PERSONS_ON_EVENTS_MODES
    #: What a query without that modifier gets (the exact default of a project is not confirmed).
    default_persons_on_events_mode: str = "person_id_override_properties_on_events"
    #: Older servers cut datetimes in results to milliseconds: a keyset on the value read never advances.
    milliseconds_only: bool = False
    #: Older servers wrote NaN and Infinity bare, which is not JSON.
    bare_nan: bool = False
    #: Fields of a query answer that came after 2023 (``warnings``, ``query_metadata``, ...) are left out.
    old_response_shape: bool = False

    #: Insights (TrendsQuery and the like) can be asked for as queries; without it only by the endpoints of old.
    insight_queries: bool = True

    # --- queries: cache ---
    #: An answer is replayed for this long unless the request forces a calculation.
    cache_stale_seconds: float = 6 * 3600
    #: The same for ``lazy_async``.
    cache_lazy_stale_seconds: float = 12 * 3600
    #: A replayed row may spell UTC as ``+00:00`` where a fresh one says ``Z`` (inferred).
    cached_offset_spelling: bool = False

    # --- queries: in the background ---
    #: How long the status of a background query can be asked for; then 404.
    query_status_ttl_seconds: float = 20 * 60
    #: Least time between taking a background query and its answer, so that polling can be seen.
    async_delay_seconds: float = 0.0

    # --- queries: limits on work (ClickHouse's own settings) ---
    #: Time for a query that the client waits for; over it 504.
    query_seconds: float = 10.0
    #: Time for a background query.
    async_query_seconds: float = 600.0
    #: Bytes one query may read; over it 400 ``too_many_bytes``.
    max_bytes_to_read: int | None = None
    #: Memory one query may use; over it ``memory_limit_status``.
    max_memory_usage: int | None = None
    #: Status for the memory limit: 513 now, 504 in older versions.
    memory_limit_status: int = 513
    #: Replay a query's failure without running it (timeout, memory, slow, too many bytes), even when forced.
    failure_breaker: bool = False
    #: Failures of one query text before they are replayed (too many bytes: after the first).
    failure_breaker_threshold: int = 3
    #: First replay period; it doubles with every further failure, up to 4 hours.
    failure_breaker_seconds: float = 120.0

    # --- queries: cost ---
    #: ``X-PostHog-Query-Bytes-Read`` and ``X-PostHog-Query-Budget-Remaining-Bytes`` on answers to keys.
    query_cost_headers: bool = True
    #: Refuse a query with 429 when the project's budget of bytes read is spent (behind a flag at PostHog).
    query_budget_enforced: bool = False
    #: Bytes given back to the budget per hour (launch value of the free tier).
    query_budget_bytes_per_hour: int = 20_000_000_000
    #: Bytes that the budget can hold: a day of refill.
    query_budget_capacity_bytes: int = 480_000_000_000

    # --- throttles ---
    #: RATE_LIMIT_ENABLED at PostHog: count requests at all. Off, so that tests run at full speed.
    rate_limit_enabled: bool = False
    #: How long "a minute" is for the throttles; tests shorten it.
    throttle_minute_seconds: float = 60.0
    #: How long "an hour" is for the throttles and the byte budget.
    throttle_hour_seconds: float = 3600.0
    #: A 429 may come without ``Retry-After``: then only its text tells the seconds.
    retry_after_header: bool = True
    #: Requests for configuration lists.
    crud_per_minute: int | None = 480
    crud_per_hour: int | None = 4800
    #: Requests for events, recordings and persons, together.
    clickhouse_per_minute: int | None = 240
    #: Requests for events and recordings; persons are not counted by the hour.
    clickhouse_per_hour: int | None = 1200
    #: Requests for the list of recordings, on top of those: PostHog's free plan; paying ones have 60 and 300.
    recordings_per_minute: int | None = 12
    recordings_per_hour: int | None = 60
    #: The same for what recordings show.
    snapshots_per_minute: int | None = 12
    snapshots_per_hour: int | None = 60
    #: Requests to ``/query/``: every POST, poll and cancel counts.
    query_per_minute: int | None = 240
    query_per_hour: int | None = 2400
    #: Running queries of a project; another one waits.
    concurrency_limit: int | None = 3
    #: How long it waits before 429 without ``Retry-After``.
    concurrency_wait_seconds: float = 30.0

    # --- persons ---
    #: The ids of a page come from ClickHouse, the bodies from the person store: persons deleted there leave
    #: the page shorter than the limit while ``next`` is still set.
    persons_short_pages: bool = True
    #: Distinct ids shown with a person in lists.
    persons_distinct_ids_cap: int = 1000

    # --- events (the deprecated list) ---
    #: Most rows of a page, whatever ``limit`` says.
    events_page_cap: int = 1000
    #: Newest-first requests try the last minute, 5 minutes, ... first: pages come short, and ``next`` can be
    #: null although older events exist.
    events_window_probing: bool = True
    #: A larger ``offset`` is refused with 400.
    events_max_offset: int | None = 50_000
    #: Every request with ``offset`` is slowed by this much and carries ``X-PostHog-Warn``.
    events_offset_delay_seconds: float = 1.0

    # --- session recordings ---
    #: Pages by cursor (version 4); without it ``{results, has_next, version}`` and offsets only.
    recordings_cursor: bool = True
    #: ``{count, next, previous, results}`` by limit and offset, as the documentation shows it.
    recordings_counted: bool = False
    #: ``version`` in the envelope.
    recordings_version: int = 4
    #: How far back a request without ``date_from`` looks.
    recordings_default_days: int = 3
    #: Recordings that started earlier are never listed.
    recordings_retention_days: int = 90
    #: A recording with data this recent is ``ongoing``: its figures still grow.
    recordings_ongoing_seconds: float = 300.0
    #: Snapshots come as ``blob_v2``; before 2025 they came otherwise.
    recordings_blob_v2: bool = True
    #: Blocks (by number) that cannot be fetched: they are left out of an answer without a word, unless all are.
    recordings_failing_blocks: frozenset[str] = frozenset()

    # --- lists of configuration ---
    #: Endpoints that this version does not have: 404. A name is a path under the project's, and covers what is below.
    missing_endpoints: frozenset[str] = frozenset()
    #: Endpoints that this version takes for the id of a thing of the list above: 400.
    endpoints_taken_for_ids: frozenset[str] = frozenset()
    #: Endpoints that personal keys may not use: 403.
    closed_endpoints: frozenset[str] = frozenset()
    #: Endpoints that the plan does not pay for: 402 ``payment_required``.
    unpaid_endpoints: frozenset[str] = frozenset()
    #: Endpoints that the key's owner may not use, whatever the key's scopes: 403.
    forbidden_endpoints: frozenset[str] = frozenset()
    #: Lists that come as one bare array: neither pages nor ``next``.
    bare_lists: frozenset[str] = frozenset()
    #: Softly deleted rows are neither listed nor found.
    hide_deleted_rows: bool = True
    #: Rows that tie in a list's order come in another order with every request: Postgres promises none.
    unstable_ties: bool = False
    #: Most rows of a page, whatever ``limit`` or ``page_size`` says; ``next`` goes on from there.
    list_page_cap: int | None = None
    #: Pages say how many rows there are: without it only ``next`` shows the end.
    list_count: bool = True
    #: ``next``: ``honest``; ``repeats`` points at the page itself from the second page on; ``loops`` leads from the
    #: last page to the first; ``ends_early`` is null from the second page on although there is more.
    next_link: str = "honest"
    #: ``next`` names this scheme and host instead of the ones that the client asked, as behind a careless proxy.
    next_host: str | None = None
    #: ``list.field`` of fields that this version gives another type: a number as text, an object as JSON text, ...
    changed_types: frozenset[str] = frozenset()
    #: ``list.field`` of fields that this version does not have.
    missing_fields: frozenset[str] = frozenset()
    #: Insights are stored as filters: their ``query`` is null, but for SQL. All were until 2024.
    insights_have_filters: bool = False
    #: How far back the activity log goes: a limit of the plan.
    activity_log_days: float | None = None
    #: Further projects that the key's owner sees. They are listed, but hold nothing here.
    other_projects: int = 0

    # --- transport ---
    #: ``/api/environments/``: ``deprecated`` answers with Deprecation, Sunset and Link headers, ``redirect``
    #: is a 307 to ``/api/projects/`` (mid-2026), ``missing`` is 404 (before the prefix existed).
    environments_prefix: str = "deprecated"
    #: Compress the answers that PostHog compresses, for clients that accept gzip.
    gzip: bool = True
    #: What no scope opens is closed to keys with scopes. Before 2024 keys had none, and could do all.
    closed_actions: bool = True
    #: Project secret keys (``phs_``) work on the query API.
    project_secret_keys: bool = True

    def __post_init__(self) -> None:
        if self.environments_prefix not in ("deprecated", "redirect", "missing"):
            raise ValueError(
                f"environments_prefix is {self.environments_prefix!r}; known: deprecated, redirect, missing"
            )
        if self.next_link not in ("honest", "repeats", "loops", "ends_early"):
            raise ValueError(f"next_link is {self.next_link!r}; known: honest, repeats, loops, ends_early")
        for name in ("throttle_minute_seconds", "throttle_hour_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be above 0")

    def changed(self, changes: Mapping[str, Any]) -> Behaviour:
        """A copy with some fields replaced; lists become sets where the field is a set.

        Raises:
            ValueError: a field that does not exist, or a value of the wrong type.
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in fields:
                raise ValueError(f"There is no behaviour {name!r}. Known: {', '.join(sorted(fields))}")
            values[name] = _checked(name, str(fields[name].type), value)
        return dataclasses.replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values; sets are sorted lists."""
        return {
            field.name: sorted(value) if isinstance(value, frozenset) else value
            for field in dataclasses.fields(self)
            for value in (getattr(self, field.name),)
        }


_ACCEPTED: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "frozenset[str]": (list, tuple, set, frozenset),
}


def _checked(name: str, declared: str, value: object) -> object:
    kind, _, optional = declared.partition(" | ")
    if value is None and optional:
        return None
    accepted = _ACCEPTED[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise ValueError(f"{name} is {value!r}; it must be {declared}")
    if isinstance(value, (list, tuple, set, frozenset)):
        return frozenset(str(item) for item in value)
    return float(value) if kind == "float" and isinstance(value, (int, float)) else value


PROFILES: Mapping[str, Behaviour] = {
    "cloud": Behaviour(),
    "selfhosted-2025": Behaviour(
        refuse_offset=False,
        missing_functions=FUNCTIONS_UNKNOWN_IN_2025,
        missing_tables=TABLES_UNKNOWN_IN_2025,
        legacy_error_codes=True,
        implicit_aliases=False,
        iso_text_times=False,
        fractions_for_seconds=False,
        refused_query_fields=frozenset({"name"}),
        refresh_flags=False,
        query_cost_headers=False,
        recordings_cursor=False,
        recordings_retention_days=21,
        missing_endpoints=ENDPOINTS_UNKNOWN_IN_2025,
        endpoints_taken_for_ids=frozenset({"persons/deletion_status"}),
        closed_endpoints=ENDPOINTS_CLOSED_IN_2025,
        missing_fields=FIELDS_UNKNOWN_IN_2025,
        project_secret_keys=False,
    ),
    "selfhosted-2023": Behaviour(
        max_rows=10_000,
        refuse_offset=False,
        missing_functions=FUNCTIONS_UNKNOWN_IN_2023,
        missing_tables=TABLES_UNKNOWN_IN_2023,
        legacy_error_codes=True,
        implicit_aliases=False,
        iso_text_times=False,
        fractions_for_seconds=False,
        column_lists=False,
        known_modifiers=MODIFIERS_2023,
        known_persons_on_events_modes=PERSONS_ON_EVENTS_MODES_2023,
        default_persons_on_events_mode="disabled",
        milliseconds_only=True,
        bare_nan=True,
        old_response_shape=True,
        insight_queries=False,
        query_status_ttl_seconds=600.0,
        query_seconds=60.0,
        memory_limit_status=504,
        query_cost_headers=False,
        # 120 queries an hour was the only limit on queries; lists had 480 a minute, persons and events 240.
        query_per_minute=None,
        query_per_hour=120,
        clickhouse_per_hour=None,
        recordings_per_minute=None,
        recordings_per_hour=None,
        snapshots_per_minute=None,
        snapshots_per_hour=None,
        concurrency_limit=None,
        events_page_cap=10_000,
        events_window_probing=False,
        events_max_offset=None,
        events_offset_delay_seconds=0.0,
        recordings_cursor=False,
        recordings_blob_v2=False,
        recordings_version=3,
        recordings_default_days=7,
        recordings_retention_days=21,
        missing_endpoints=ENDPOINTS_UNKNOWN_IN_2023,
        missing_fields=FIELDS_UNKNOWN_IN_2023,
        insights_have_filters=True,
        environments_prefix="missing",
        project_secret_keys=False,
        closed_actions=False,
    ),
}
