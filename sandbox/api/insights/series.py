"""The series of an insight: which events it looks at, and what it counts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid, parse_error
from posthog_warehouse.sandbox.api.insights import filters
from posthog_warehouse.sandbox.store import quoted


@dataclass(frozen=True)
class Series:
    """One series, step or entity.

    Attributes:
        event: the event's name, None for all events.
        order: its place, from 0.
    """

    event: str | None
    order: int
    properties: object = None
    custom_name: str | None = None
    math: str | None = None
    math_property: str | None = None
    math_hogql: str | None = None
    math_group_type_index: int | None = None
    conditions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def label(self) -> str:
        """What it is called where it has no name of its own."""
        return "All events" if self.event is None else self.event

    @property
    def condition(self) -> str:
        """The HogQL that keeps its events."""
        return f"({' AND '.join(self.conditions)})" if self.conditions else "true"

    def action(self, days: Sequence[str] | None = None) -> dict[str, Any]:
        """The series as PostHog describes it within a result."""
        return {
            "days": None if days is None else list(days),
            "id": self.event,
            "type": "events",
            "order": self.order,
            "name": self.label,
            "custom_name": self.custom_name,
            "math": self.math,
            "math_property": self.math_property,
            "math_hogql": self.math_hogql,
            "math_group_type_index": self.math_group_type_index,
            "properties": {},
        }


def parse(node: Mapping[str, Any], *, least: int = 1) -> list[Series]:
    """The series of a query.

    Args:
        node: the query; ``series`` holds nodes of kind EventsNode.
        least: how many it must have.

    Raises:
        ApiError: 400, there are too few, or one is of another kind.
    """
    kind = node.get("kind")
    series = node.get("series")
    if not isinstance(series, list):
        raise parse_error(f"1 validation error for QueryRequest\nquery.{kind}.series\n  Field required [type=missing]")
    if len(series) < least:
        raise invalid(f"{kind} needs at least {least} series.")
    return [_series(item, order) for order, item in enumerate(series)]


def entity(item: Mapping[str, Any] | None) -> Series:
    """The entity of a retention query: ``{id, type, properties}``; a page view if none is named.

    Raises:
        ApiError: 400, it is an action.
    """
    if not item:
        return _made("$pageview", 0, {})
    if item.get("type") not in (None, "events"):
        raise invalid("This local PostHog has no actions in insights.")
    name = item.get("id")
    return _made(None if name is None else str(name), 0, item)


def _series(item: object, order: int) -> Series:
    if not isinstance(item, Mapping):
        raise parse_error("1 validation error for QueryRequest\nquery.series\n  Input should be an object")
    if item.get("kind") != "EventsNode":
        raise invalid(f"This local PostHog knows series of kind EventsNode only, not {item.get('kind')}.")
    event = item.get("event")
    return _made(None if event is None else str(event), order, item)


def _made(event: str | None, order: int, item: Mapping[str, Any]) -> Series:
    conditions = [] if event is None else [f"event = {quoted(event)}"]
    conditions += filters.conditions(item.get("properties"))
    conditions += filters.conditions(item.get("fixedProperties"))
    group = item.get("math_group_type_index")
    return Series(
        event=event,
        order=order,
        properties=item.get("properties"),
        custom_name=item.get("custom_name"),
        math=item.get("math"),
        math_property=item.get("math_property"),
        math_hogql=item.get("math_hogql"),
        math_group_type_index=None if group is None else int(group),
        conditions=tuple(conditions),
    )
