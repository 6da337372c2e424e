"""Tables that PostHog computes on reading, as ClickHouse selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from posthog_warehouse.sandbox.hogql import literals, session_table
from posthog_warehouse.sandbox.hogql.fields import LazyName

#: The key column of each computed table, as its scan names it: where conditions on the key are put.
SCAN_KEYS: dict[LazyName, str] = {
    "persons": "person.id",
    "person_distinct_ids": "person_distinct_id2.distinct_id",
    "overrides": "person_distinct_id_overrides.distinct_id",
    "session_replay_events": "session_replay_events.session_id",
    "sessions": "raw_sessions.session_id",
    "groups": "groups.group_key",
    "cohort_people": "cohortpeople.cohort_id",
    "console_logs_log_entries": "log_entries.log_source_id",
    "batch_export_log_entries": "log_entries.log_source_id",
}


@dataclass(frozen=True)
class Scan:
    """What is known of the rows wanted from a computed table.

    Attributes:
        team_id: whose rows.
        now: the server's time.
        condition: SQL on the key column, or empty.
        tail: ORDER BY and LIMIT on the key column, or empty.
    """

    team_id: int
    now: datetime
    condition: str = ""
    tail: str = ""

    def where(self, table: str) -> str:
        """The WHERE of the scan of a ClickHouse table."""
        team = f"equals({table}.team_id, {self.team_id})"
        return f"and({team}, {self.condition})" if self.condition else team


def select_of(name: LazyName, scan: Scan) -> str:
    """The select that computes a table."""
    return _BUILDERS[name](scan)


def _persons(scan: Scan) -> str:
    # The newest version of each person is found by the narrow columns, then its row is fetched by the sort key:
    # `properties` of other versions and other persons are never read.
    tomorrow = literals.string((scan.now.astimezone(timezone.utc) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S"))
    newest = (
        "SELECT person.id, max(person.version) FROM person"
        f" WHERE {scan.where('person')} GROUP BY person.id"
        " HAVING and(equals(argMax(person.is_deleted, person.version), 0),"
        f" less(argMax(person.created_at, person.version), toDateTime64({tomorrow}, 3, 'UTC')))"
        f"{scan.tail}"
    )
    return (
        "SELECT person.id AS id, person.created_at AS created_at, person.properties AS properties,"
        " person.is_identified AS is_identified, person.last_seen_at AS last_seen_at FROM person"
        f" WHERE and(equals(person.team_id, {scan.team_id}), in(tuple(person.id, person.version), ({newest})))"
    )


def _distinct_ids(table: str) -> Callable[[Scan], str]:
    def build(scan: Scan) -> str:
        return (
            f"SELECT {table}.distinct_id AS distinct_id, argMax({table}.person_id, {table}.version) AS person_id"
            f" FROM {table} WHERE {scan.where(table)} GROUP BY {table}.distinct_id"
            f" HAVING equals(argMax({table}.is_deleted, {table}.version), 0){scan.tail}"
        )

    return build


def _session_replay_events(scan: Scan) -> str:
    table = "session_replay_events"
    sums = ", ".join(
        f"sum({table}.{name}) AS {name}"
        for name in (
            "click_count",
            "keypress_count",
            "mouse_activity_count",
            "active_milliseconds",
            "console_log_count",
            "console_warn_count",
            "console_error_count",
            "size",
            "event_count",
            "message_count",
        )
    )
    return (
        f"SELECT {table}.session_id AS session_id, any({table}.distinct_id) AS distinct_id,"
        f" min({table}.min_first_timestamp) AS min_first_timestamp,"
        f" max({table}.max_last_timestamp) AS max_last_timestamp,"
        f" min({table}.min_first_timestamp) AS start_time, max({table}.max_last_timestamp) AS end_time,"
        f" argMin({table}.first_url, {table}.min_first_timestamp) AS first_url,"
        f" groupUniqArrayArray({table}.all_urls) AS all_urls, {sums},"
        f" argMin({table}.snapshot_source, {table}.min_first_timestamp) AS snapshot_source,"
        f" max({table}.retention_period_days) AS retention_period_days"
        f" FROM {table} WHERE {scan.where(table)} GROUP BY {table}.session_id{scan.tail}"
    )


def _sessions(scan: Scan) -> str:
    return session_table.select(scan.where("raw_sessions"), scan.tail)


def _groups(scan: Scan) -> str:
    # A tail would count rows before those of one group are folded: `key` alone is not what they are grouped by.
    newest = ", ".join(
        f"argMax(groups.{name}, groups._timestamp) AS {name}" for name in ("created_at", "group_properties")
    )
    return (
        "SELECT group_type_index, group_key, created_at, group_properties, updated AS _timestamp FROM "
        f"(SELECT groups.group_type_index AS group_type_index, groups.group_key AS group_key, {newest},"
        f" max(groups._timestamp) AS updated FROM groups WHERE {scan.where('groups')}"
        " GROUP BY groups.group_type_index, groups.group_key)"
    )


def _cohort_people(scan: Scan) -> str:
    # PostHog has the version that counts in Postgres; here it is the newest one.
    newest = (
        "SELECT cohortpeople.cohort_id, max(cohortpeople.version) FROM cohortpeople "
        f"WHERE equals(cohortpeople.team_id, {scan.team_id}) GROUP BY cohortpeople.cohort_id"
    )
    return (
        "SELECT DISTINCT cohortpeople.person_id AS person_id, cohortpeople.cohort_id AS cohort_id FROM cohortpeople"
        f" WHERE and({scan.where('cohortpeople')}, in(tuple(cohortpeople.cohort_id, cohortpeople.version), ({newest})))"
    )


def _logs_of(source: str) -> Callable[[Scan], str]:
    def build(scan: Scan) -> str:
        return f"SELECT * FROM log_entries WHERE and({scan.where('log_entries')}, equals(log_source, '{source}'))"

    return build


_BUILDERS: dict[LazyName, Callable[[Scan], str]] = {
    "persons": _persons,
    "person_distinct_ids": _distinct_ids("person_distinct_id2"),
    "overrides": _distinct_ids("person_distinct_id_overrides"),
    "session_replay_events": _session_replay_events,
    "sessions": _sessions,
    "groups": _groups,
    "cohort_people": _cohort_people,
    "console_logs_log_entries": _logs_of("session_replay"),
    "batch_export_log_entries": _logs_of("batch_export"),
}
