"""Tables of HogQL beside events and persons: sessions, groups, who is in which cohort, and what consoles said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .schema import (
    Column,
    EngineName,
    Probe,
    Reads,
    Table,
    bigint,
    double,
    flag,
    json,
    text,
    time,
)


@dataclass(frozen=True)
class Changing(Reads):
    """Rows that tell when they began and when they last changed (`posthog.readers.updated_at`)."""

    table: str
    """Its name in HogQL."""
    started: str
    """The column that says when a row began: PostHog finds rows by it. It does not change, or hardly."""
    changed: str
    """The column that says when a row last changed. Without it rows are read by day (`readers.checksums`)."""
    hidden: str = ""
    """A condition in HogQL on the rows that bounds on `started` may not find; empty where they find all."""

    engine: ClassVar[EngineName] = "hogql"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return f"windows of {self.changed}, an overlap, a daily sweep for late changes"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql=f"SELECT 1 FROM {self.table} WHERE 1 = 2 LIMIT 1")

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from."""
        return (self.table,)


@dataclass(frozen=True)
class Stamped(Reads):
    """Rows that tell when they last changed (`posthog.readers.updated_at`)."""

    table: str
    """Its name in HogQL."""
    changed: str
    """The column that says when a row last changed, perhaps to the second only."""

    engine: ClassVar[EngineName] = "hogql"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return f"{self.changed}: only what changed is read, with an overlap"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql=f"SELECT 1 FROM {self.table} WHERE 1 = 2 LIMIT 1")

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from."""
        return (self.table,)


@dataclass(frozen=True)
class Memberships(Reads):
    """Who is in which cohort, of both kinds of cohorts (`posthog.readers.checksums`)."""

    tables: tuple[str, ...]
    """Their names in HogQL: the dynamic cohorts' first."""

    engine: ClassVar[EngineName] = "hogql"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "read whole, and replaced when anything has changed"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql=f"SELECT 1 FROM {self.tables[0]} WHERE 1 = 2 LIMIT 1")

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from."""
        return self.tables


_MADE = "substring(replaceAll(session_id, '-', ''), 1, 12)"
"""When a session's id was made: milliseconds since 1970 in hex, the head of a UUIDv7."""


def _started(shift: str) -> str:
    return f"lower(hex(toUnixTimestamp64Milli($start_timestamp) {shift}))"


# A bound on $start_timestamp is also put on the time in the id, three days wider (hogql/database/schema/util/
# where_clause_extractor.py, autumn 2026). One event with a clock of years ago moves the start, and not the id.
_HIDDEN_SESSIONS = f"({_MADE} < {_started('- 172800000')} OR {_MADE} > {_started('+ 172800000')})"

_START = "PostHog's first event of the session"


def _entry(name: str, what: str) -> Column:
    return text(f"entry_{name.lstrip('_')}", f"{_START}: {what}.", hogql=f"$entry_{name}")


SESSIONS = Table(
    name="sessions",
    primary_key="session_id",
    reads=Changing(table="sessions", started="$start_timestamp", changed="max_inserted_at", hidden=_HIDDEN_SESSIONS),
    newest_by="max_inserted_at",
    is_optional=True,
    description=(
        "One row per session, as PostHog sums its events up. A session that goes on is loaded again. "
        "Join with events on session_id."
    ),
    columns=(
        text("session_id", "PostHog sessions.session_id: the key; events carry it as $session_id.", nullable=False),
        text("distinct_id", "PostHog sessions.distinct_id: who it was, by the sender's id."),
        time(
            "start_timestamp",
            "PostHog sessions.$start_timestamp: the first event, by the sender's clock, UTC, microseconds.",
            hogql="$start_timestamp",
        ),
        time(
            "end_timestamp",
            "PostHog sessions.$end_timestamp: the last event so far, by the sender's clock, UTC, microseconds.",
            hogql="$end_timestamp",
        ),
        time(
            "max_inserted_at",
            "PostHog sessions.max_inserted_at: when its last event landed at PostHog, UTC, microseconds.",
        ),
        json("urls", "PostHog sessions.$urls: the addresses seen, each once, as a JSON list.", hogql="$urls"),
        bigint("num_uniq_urls", "PostHog sessions.$num_uniq_urls: how many addresses.", hogql="$num_uniq_urls"),
        _entry("current_url", "the address"),
        _entry("pathname", "the path of the address"),
        _entry("hostname", "the host of the address"),
        text("end_current_url", "PostHog sessions.$end_current_url: the last address.", hogql="$end_current_url"),
        text("end_pathname", "PostHog sessions.$end_pathname: the path of the last address.", hogql="$end_pathname"),
        text("end_hostname", "PostHog sessions.$end_hostname: the host of the last address.", hogql="$end_hostname"),
        _entry("referring_domain", "the host that led here, $direct for none"),
        _entry("referrer", "the address that led here"),
        *(
            _entry(f"utm_{name}", f"the address's utm_{name}")
            for name in ("source", "campaign", "medium", "term", "content")
        ),
        *(
            _entry(name, f"the advertisement's {name}")
            for name in (
                "gclid",
                "gad_source",
                "gclsrc",
                "dclid",
                "gbraid",
                "wbraid",
                "fbclid",
                "msclkid",
                "twclid",
                "li_fat_id",
                "mc_cid",
                "igshid",
                "ttclid",
                "_kx",
                "irclid",
            )
        ),
        bigint(
            "pageview_count", "PostHog sessions.$pageview_count: distinct $pageview events.", hogql="$pageview_count"
        ),
        bigint(
            "autocapture_count",
            "PostHog sessions.$autocapture_count: distinct $autocapture events.",
            hogql="$autocapture_count",
        ),
        bigint("screen_count", "PostHog sessions.$screen_count: distinct $screen events.", hogql="$screen_count"),
        text(
            "channel_type",
            "PostHog sessions.$channel_type: where it came from, by the project's rules of today.",
            hogql="$channel_type",
        ),
        bigint(
            "session_duration",
            "PostHog sessions.$session_duration: seconds from the first to the last event.",
            hogql="$session_duration",
        ),
        flag(
            "is_bounce",
            "PostHog sessions.$is_bounce: one page, no click, and short; NULL without a page.",
            hogql="$is_bounce",
        ),
        text(
            "last_external_click_url",
            "PostHog sessions.$last_external_click_url: the last link followed to another site.",
            hogql="$last_external_click_url",
        ),
        bigint(
            "page_screen_autocapture_count_up_to",
            "PostHog sessions.$page_screen_autocapture_count_up_to: pages, screens and clicks, counted up to 2.",
            hogql="$page_screen_autocapture_count_up_to",
        ),
        double(
            "vitals_lcp",
            "PostHog sessions.$vitals_lcp: milliseconds to the largest contentful paint of the first page.",
            hogql="$vitals_lcp",
        ),
    ),
)

GROUPS = Table(
    name="groups",
    primary_key=("group_type_index", "group_key"),
    reads=Stamped(table="groups", changed="updated_at"),
    newest_by="updated_at",
    property_owner="group",
    is_optional=True,
    description=(
        "One row per group (a company, a project, ...), with its newest properties. Events name their group of type N "
        "in properties.$group_N; group_types says what the types are called."
    ),
    columns=(
        bigint("group_type_index", "PostHog groups.index: the type, 0 to 4; the key.", nullable=False, hogql="index"),
        text("group_key", "PostHog groups.key: which group of that type; the key.", nullable=False, hogql="key"),
        time("created_at", "PostHog groups.created_at: when PostHog first heard of it, UTC."),
        time("updated_at", "PostHog groups.updated_at: when its newest properties landed, UTC, whole seconds."),
        json("properties", "PostHog groups.properties: the newest, whole, as JSON."),
    ),
)

COHORT_PEOPLE = Table(
    name="cohort_people",
    primary_key=("cohort_id", "person_id"),
    reads=Memberships(tables=("cohort_people", "static_cohort_people")),
    loads="replace",
    every="lists_every",
    is_optional=True,
    description=(
        "One row per member of a cohort: of dynamic cohorts as PostHog last calculated them, and of static lists. "
        "Join with cohorts on cohort_id and with persons on person_id."
    ),
    columns=(
        bigint("cohort_id", "PostHog cohort_people.cohort_id: the cohort; the key.", nullable=False),
        text("person_id", "PostHog cohort_people.person_id: the member; the key.", nullable=False, is_uuid=True),
    ),
)

ANALYTICS_TABLES = (SESSIONS, GROUPS, COHORT_PEOPLE)
