"""Tables that PostHog computes on reading, as ClickHouse selects: persons, their ids, recordings, sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sandbox.hogql import literals
from sandbox.hogql.schema import LazyName

#: The key column of each computed table, as its scan names it: where conditions on the key are put.
SCAN_KEYS: dict[LazyName, str] = {
    "persons": "person.id",
    "person_distinct_ids": "person_distinct_id2.distinct_id",
    "overrides": "person_distinct_id_overrides.distinct_id",
    "session_replay_events": "session_replay_events.session_id",
    "sessions": "events.`$session_id`",
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
    # PostHog keeps sessions in a table of aggregate states; here they are aggregated from the events on reading.
    url = "JSONExtractString(events.properties, '$current_url')"
    urls = f"groupUniqArrayIf({url}, notEmpty({url}))"
    duration = "dateDiff('second', min(events.timestamp), max(events.timestamp))"
    pageviews, autocaptures, screens = (
        f"uniqExactIf(events.uuid, equals(events.event, '{event}'))"
        for event in ("$pageview", "$autocapture", "$screen")
    )
    return (
        "SELECT events.`$session_id` AS session_id, argMin(events.distinct_id, events.timestamp) AS distinct_id,"
        " min(events.timestamp) AS `$start_timestamp`, max(events.timestamp) AS `$end_timestamp`,"
        f" max(events.inserted_at) AS max_inserted_at, {urls} AS `$urls`, length({urls}) AS `$num_uniq_urls`,"
        f" argMinIf({url}, events.timestamp, notEmpty({url})) AS `$entry_current_url`,"
        f" argMaxIf({url}, events.timestamp, notEmpty({url})) AS `$end_current_url`,"
        f" {pageviews} AS `$pageview_count`, {autocaptures} AS `$autocapture_count`,"
        f" {screens} AS `$screen_count`, {duration} AS `$session_duration`,"
        # One page or screen, no click, under ten seconds: PostHog's default for a bounce.
        f" toBool(and(lessOrEquals(plus({pageviews}, {screens}), 1), equals({autocaptures}, 0),"
        f" less({duration}, 10))) AS `$is_bounce`"
        f" FROM events WHERE and({scan.where('events')}, notEmpty(events.`$session_id`))"
        f" GROUP BY events.`$session_id`{scan.tail}"
    )


_BUILDERS: dict[LazyName, Callable[[Scan], str]] = {
    "persons": _persons,
    "person_distinct_ids": _distinct_ids("person_distinct_id2"),
    "overrides": _distinct_ids("person_distinct_id_overrides"),
    "session_replay_events": _session_replay_events,
    "sessions": _sessions,
}
