"""What rows of configuration refer to: the organization's members, and what the project's ClickHouse holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from posthog_warehouse.sandbox.cohorts import members
from posthog_warehouse.sandbox.store import Store

#: About so many events are read to find the names of properties.
SAMPLE_EVENTS = 20_000

_PEOPLE = (
    ("Sandbox", "Owner", "owner@hedgebox.example", "engineering"),
    ("Zoë", "Müller", "zoe@hedgebox.example", "product"),
    ("Łukasz", "O'Brien", "lukasz@hedgebox.example", "data"),
    ("太郎", "山田", "taro@hedgebox.example", None),
)

#: ClickHouse's JSON types and what PostHog's property definitions call them (PropertyType of
#: posthog/models/property_definition.py, autumn 2026). Others have no type.
_PROPERTY_TYPES = {"Int64": "Numeric", "UInt64": "Numeric", "Double": "Numeric", "Bool": "Boolean", "String": "String"}


@dataclass(frozen=True)
class SeenEvent:
    """An event name that is in ClickHouse. Times are UTC."""

    name: str
    count: int
    first: str
    last: str


@dataclass(frozen=True)
class SeenProperty:
    """A property that events or persons in ClickHouse have, and what PostHog takes its type for."""

    name: str
    property_type: str | None


@dataclass(frozen=True)
class World:
    """The surroundings of a project's configuration.

    Attributes:
        store: ClickHouse.
        seed: equal seeds on equal data give equal rows.
        until: the start of the sandbox (UTC): rows that are there at the start are not younger.
        project_id: the project.
        organization_id: its organization.
    """

    store: Store
    seed: int
    until: datetime
    project_id: int
    organization_id: str

    def user(self, draw: int) -> dict[str, Any]:
        """A member of the organization, in the fields of UserBasicSerializer (posthog/api/shared.py, autumn 2026)."""
        place = draw % len(_PEOPLE)
        first, last, email, role = _PEOPLE[place]
        return {
            "id": 1 + place,
            "uuid": f"018d8e5a-7f3c-0002-7d3c-1c5e76f3000{3 + place}",
            "distinct_id": "sandbox-owner" if place == 0 else f"sandbox-member-{place}",
            "first_name": first,
            "last_name": last,
            "email": email,
            "is_email_verified": place != 3,
            "hedgehog_config": None if place else {"color": "green", "enabled": True},
            "role_at_organization": role,
        }

    @cached_property
    def events(self) -> list[SeenEvent]:
        """The event names in ClickHouse, the most frequent first."""
        rows = self.store.rows(
            "SELECT event, uniqExact(uuid), min(created_at), max(timestamp) FROM events "
            f"WHERE team_id = {self.store.team_id} GROUP BY event ORDER BY uniqExact(uuid) DESC, event"
        )
        return [SeenEvent(*row) for row in rows]

    @cached_property
    def event_properties(self) -> list[SeenProperty]:
        """Properties of events, from a sample of about `SAMPLE_EVENTS` events."""
        events = int(self.store.scalar(f"SELECT count() FROM events WHERE team_id = {self.store.team_id}") or 0)
        return self._properties("events", f"cityHash64(uuid) % {max(1, events // SAMPLE_EVENTS)} = 0")

    @cached_property
    def person_properties(self) -> list[SeenProperty]:
        """Properties of persons."""
        return self._properties("person", "1")

    @cached_property
    def _numbers(self) -> list[int]:
        rows = self.store.rows(
            f"SELECT DISTINCT toString(id) FROM person WHERE team_id = {self.store.team_id} ORDER BY 1"
        )
        return [int(row[0][-7:], 16) for row in rows]

    def someone(self, draw: int) -> int:
        """The integer id of a person that is or was there: the last seven digits of its UUID."""
        return self._numbers[draw % len(self._numbers)]

    @cached_property
    def deleted_persons(self) -> list[str]:
        """The ids of persons whose newest version says deleted."""
        rows = self.store.rows(
            f"SELECT toString(id) FROM person WHERE team_id = {self.store.team_id} "
            "GROUP BY id HAVING argMax(is_deleted, version) = 1 ORDER BY 1"
        )
        return [row[0] for row in rows]

    @cached_property
    def cohort_counts(self) -> dict[int, int]:
        """How many persons each cohort holds, as last calculated, by the cohort's id."""
        return members(self.store)

    def _properties(self, table: str, where: str) -> list[SeenProperty]:
        # What most values are decides, as the first ones that PostHog sees do.
        rows = self.store.rows(
            "SELECT pair.1 AS name, topK(1)(JSONType(pair.2))[1] FROM "
            f"(SELECT arrayJoin(JSONExtractKeysAndValuesRaw(properties)) AS pair FROM {table} "
            f"WHERE team_id = {self.store.team_id} AND {where}) GROUP BY name ORDER BY name"
        )
        return [SeenProperty(name, _PROPERTY_TYPES.get(type_)) for name, type_ in rows]
