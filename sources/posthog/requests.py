"""What is wanted of the tables that are read on request: which recordings, persons, values, insights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Requests:
    """`[sources.posthog.requests]`. Nothing of it is asked for unless its table is named in the run."""

    recording_ids: tuple[str, ...] = ()
    """For recording_snapshots, recording_sharing and log_entries: these recordings."""
    recording_filter: Mapping[str, Any] = field(default_factory=dict)
    """For the same tables, where no ids are given: fields of PostHog's RecordingsQuery (`date_from`, ...)."""
    recording_limit: int = 20
    """How many recordings a filter may choose."""
    person_ids: tuple[str, ...] = ()
    """For person_activity and person_properties_timeline: these persons."""
    person_properties: tuple[str, ...] = ()
    """For person_property_values: values of these properties; for person_properties_timeline: their changes."""
    event_properties: tuple[str, ...] = ()
    """For event_property_values: `event:property`, values of this property of this event in the last seven days. The
    last `:` parts them."""
    export_ids: tuple[int, ...] = ()
    """For export_contents: the files of these exports; none: of all that have one."""
    insight_ids: tuple[int, ...] = ()
    """For insight_results and its tables: these saved insights; none: all."""
    insights: Mapping[str, Any] = field(default_factory=dict)
    """More insights by name, as PostHog's query nodes (`{"kind": "TrendsQuery", ...}`) or legacy filters."""
    insight_actors: tuple[Mapping[str, Any], ...] = ()
    """For insight_actors: which points of which insights."""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Requests:
        """From a section of a configuration file.

        Raises:
            ValueError: a setting is unknown, or not of its kind.
        """
        known = {each.name: each for each in fields(cls)}
        found: dict[str, Any] = {}
        for name, value in (given or {}).items():
            if name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.5)
                advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
                raise ValueError(f"There is no setting {name} in [sources.posthog.requests]. {advice}")
            found[name] = _typed(name, str(known[name].type), value)
        return cls(**found)


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        items: list[Any] | None = (
            [value] if isinstance(value, (str, int, Mapping)) else list(value) if _is_list(value) else None
        )
        if items is None:
            raise ValueError(f"{name} is {value!r}, and must be a list.")
        if "int" in kind:
            try:
                return tuple(int(item) for item in items)
            except (TypeError, ValueError):
                raise ValueError(f"{name} is {value!r}, and must be a list of numbers.") from None
        if "Mapping" in kind:
            if not all(isinstance(item, Mapping) for item in items):
                raise ValueError(f"{name} is {value!r}, and must be a list of tables.")
            return tuple(dict(item) for item in items)
        return tuple(str(item) for item in items)
    if kind.startswith("Mapping"):
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} is {value!r}, and must be a table.")
        return dict(value)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name} is {value!r}, and must be a whole number above zero.")
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
