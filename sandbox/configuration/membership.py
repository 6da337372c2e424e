"""Cohorts: which there are, and which persons are in them. The only place that decides both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sandbox.person_changes import LIVE_PERSONS

_PLAN = "JSONExtractString(last_properties, 'plan')"
_PAYING = f"{_PLAN} IN ('pro', 'enterprise')"


@dataclass(frozen=True)
class Cohort:
    """A cohort that is there from the start.

    Attributes:
        id: its id.
        name: its name.
        kind: ``cohort_type`` of its endpoint.
        members: a ClickHouse condition on a live person: `id`, `identified`, `first_seen` and `last_properties`
            (JSON text); empty means nobody.
        values: the leaves of ``filters``: the same condition in PostHog's words.
        deleted: softly deleted: not listed, and nobody is in it.
    """

    id: int
    name: str
    kind: str
    members: str
    values: tuple[dict[str, Any], ...] = ()
    deleted: bool = False

    @property
    def is_static(self) -> bool:
        """Its members were uploaded, not calculated."""
        return self.kind == "static"


def _person(key: str, value: object, operator: str = "exact") -> dict[str, Any]:
    return {"key": key, "type": "person", "value": value, "operator": operator, "negation": False}


COHORTS = (
    Cohort(101, "Paying customers", "person_property", _PAYING, (
        _person("plan", ["pro", "enterprise"]),
    )),
    Cohort(102, "Free plan", "person_property", f"{_PLAN} = 'free'", (_person("plan", ["free"]),)),
    Cohort(103, "Identified", "person_property", "identified = 1", (_person("email", "is_set", "is_set"),)),
    Cohort(104, "Everybody who was ever here", "behavioral", "1", ({
        "key": "$pageview", "type": "behavioral", "value": "performed_event", "negation": False,
        "event_type": "events", "time_value": "365", "time_interval": "day",
    },)),
    Cohort(105, "Beta testers (uploaded)", "static", "cityHash64(id) % 11 = 3"),
    Cohort(106, "Paying, not in the beta", "analytical", f"{_PAYING} AND cityHash64(id) % 11 != 3", (
        {"key": "id", "type": "cohort", "value": 101, "negation": False},
        {"key": "id", "type": "cohort", "value": 105, "negation": True},
    )),
    Cohort(107, "Nobody yet", "person_property", "", (_person("plan", ["platinum"]),)),
    Cohort(108, "用户 🦔 \"quoted\"", "person_property", "position(last_properties, '山田') > 0", (
        _person("name", "山田", "icontains"),
    )),
    Cohort(109, "Many logins", "realtime", "JSONExtractInt(last_properties, 'logins') >= 30", (
        _person("logins", "30", "gte"),
    )),
    Cohort(110, "An old idea", "person_property", "", (_person("plan", ["legacy"]),), deleted=True),
)  # fmt: skip


def cohort_ids(*, static: bool | None = None) -> tuple[int, ...]:
    """The ids of the cohorts that are there from the start, deleted ones not included: 101 to 109.

    Args:
        static: only the static ones (105), whose members are uploaded, or only the calculated ones.
    """
    return tuple(cohort.id for cohort in COHORTS if not cohort.deleted and static in (None, cohort.is_static))


def members_sql(among: Collection[int] | None = None) -> str:
    """A ClickHouse SELECT giving (cohort_id Int64, person_id UUID): who is in which cohort now.

    Asked of the live persons at that moment, one row a pair, in no order. It is what fills PostHog's tables
    `cohortpeople` and `person_static_cohort`, and what the field ``count`` of a cohort's endpoint counts.

    Args:
        among: the ids of the cohorts wanted; all if not given.
    """
    wanted = cohort_ids() if among is None else among
    parts = [
        f"SELECT toInt64({cohort.id}) AS cohort_id, id AS person_id FROM ({LIVE_PERSONS}) WHERE {cohort.members}"
        for cohort in COHORTS
        if cohort.members and cohort.id in wanted
    ]
    return " UNION ALL ".join(parts)
