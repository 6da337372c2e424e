"""Cohorts: which there are, and who belongs to them.

Dynamic cohorts are worked out anew from time to time: each calculation writes all members under its version, and only
the newest version counts; older rows stay until ClickHouse gets to them. Static ones are lists of persons.

Source: products/cohorts and posthog/hogql/database/schema/{cohort_people,static_cohort_people}.py of PostHog/posthog,
autumn 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.person_changes import LIVE_PERSONS
from posthog_warehouse.sandbox.recipe import constant, time_of
from posthog_warehouse.sandbox.store import Store


@dataclass(frozen=True)
class Cohort:
    """One cohort.

    Attributes:
        condition: SQL on the columns of `person_changes.LIVE_PERSONS`: who belongs to it.
        filters: the same in PostHog's words (`properties` of the cohort's filters); empty for a static one.
    """

    id: int
    name: str
    condition: str
    filters: tuple[dict[str, Any], ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether it is a list of persons instead of a rule."""
        return not self.filters


def _person(key: str, value: object, operator: str = "exact") -> dict[str, Any]:
    return {"key": key, "type": "person", "value": value, "negation": False, "operator": operator}


COHORTS = (
    Cohort(
        101,
        "Paying customers",
        "JSONExtractString(last_properties, 'plan') NOT IN ('', 'free')",
        (_person("plan", ["free"], "is_not"), _person("plan", "is_set", "is_set")),
    ),
    Cohort(102, "Identified", "identified = 1", (_person("email", "is_set", "is_set"),)),
    Cohort(
        103,
        "Logged in often",
        "JSONExtractInt(last_properties, 'logins') > 30",
        (_person("logins", 30, "gt"),),
    ),
    Cohort(104, "Nobody 🦔", "0", (_person("plan", ["no such plan"]),)),
    Cohort(105, "Beta testers (list)", f"cityHash64(id, {constant('beta testers')}) % 23 = 0"),
    Cohort(106, 'Imported from "CRM.csv"', f"cityHash64(id, {constant('crm')}) % 11 = 0 AND identified = 1"),
)

_NEWEST = f"SELECT cohort_id, max(version) FROM cohortpeople WHERE team_id = {TEAM_ID} GROUP BY cohort_id"

MEMBERS = f"""
SELECT DISTINCT cohort_id, person_id FROM cohortpeople
WHERE team_id = {TEAM_ID} AND (cohort_id, version) IN ({_NEWEST})
UNION DISTINCT
SELECT DISTINCT cohort_id, person_id FROM person_static_cohort WHERE team_id = {TEAM_ID}"""
"""The select of all members now, of dynamic and of static cohorts."""


def fill_cohorts(store: Store, until_us: int) -> None:
    """Write the members of all cohorts: an outdated calculation and the present one."""
    for cohort in COHORTS:
        if cohort.is_static:
            store.execute(
                "INSERT INTO person_static_cohort (id, person_id, cohort_id, team_id, _timestamp) "
                f"SELECT id, id, {cohort.id}, {TEAM_ID}, "
                f"toDateTime({time_of(str(until_us))}) FROM ({LIVE_PERSONS}) WHERE {cohort.condition}"
            )
        else:
            _write(store, cohort, 1, f"({cohort.condition}) OR cityHash64(id) % 5 = 0")
            _write(store, cohort, 2, cohort.condition)


def recalculate_cohorts(store: Store, clock: Clock, count: int, seed: int = 0) -> list[int]:
    """Work `count` dynamic cohorts out anew, from the persons there are now.

    Returns:
        Their ids.
    """
    del clock, seed  # PostHog goes by the number of the calculation, not by its time
    dynamic = [cohort for cohort in COHORTS if not cohort.is_static][:count]
    for cohort in dynamic:
        _write(store, cohort, version_of(store, cohort.id) + 1, cohort.condition)
    return [cohort.id for cohort in dynamic]


def version_of(store: Store, cohort_id: int) -> int:
    """The number of a dynamic cohort's last calculation."""
    found = store.scalar(f"SELECT max(version) FROM cohortpeople WHERE cohort_id = {cohort_id} AND team_id = {TEAM_ID}")
    # A cohort without members leaves no row to tell its version.
    return max(2, int(found or 0))


def members(store: Store) -> dict[int, int]:
    """How many persons each cohort has now, by id; cohorts without any are there too."""
    counts = store.rows(f"SELECT cohort_id, count() FROM ({MEMBERS}) GROUP BY cohort_id")
    found = {int(cohort): int(count) for cohort, count in counts}
    return {cohort.id: found.get(cohort.id, 0) for cohort in COHORTS}


def _write(store: Store, cohort: Cohort, version: int, condition: str) -> None:
    store.execute(
        "INSERT INTO cohortpeople (person_id, cohort_id, team_id, sign, version) "
        f"SELECT id, {cohort.id}, {TEAM_ID}, 1, {version} FROM ({LIVE_PERSONS}) WHERE {condition}"
    )
    ours = f"cohort_id = {cohort.id} AND team_id = {TEAM_ID}"
    if not store.scalar(f"SELECT count() FROM cohortpeople WHERE {ours} AND version = {version}"):
        # Nothing tells the version of a calculation without members, so the one before must not be left either.
        store.execute(f"DELETE FROM cohortpeople WHERE {ours}")
