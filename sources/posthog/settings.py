"""The figures that decide how PostHog is read. Each can be set; each default has its reason beside it.

`Requests` is what is wanted of the tables that are read on request: which recordings, persons, values, insights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, cast, get_args

from .clock import DAY, HOUR, SECOND
from .properties.settings import PropertySettings

EngineChoice = Literal["auto", "hogql", "listing"]
_EVERY = ("lists_every", "insights_every")


@dataclass(frozen=True)
class Settings:
    """How to read. Spans of time are in microseconds here, in the units of their names in the configuration."""

    engine: EngineChoice = "auto"
    """What reads events, persons and distinct_ids: HogQL queries, PostHog's lists, or the lists only where queries are
    closed to the key (403) or unknown to the server (404)."""
    leaf_rows: int = 40_000
    """Rows planned for one request: room below the cap of 50,000 for what arrives meanwhile and for uneven hashes."""
    queries_in_flight: int = 3
    """PostHog runs three queries of a project at once, the rest waits (docs/api/queries, autumn 2026)."""
    pages_ahead: int = 3
    """Answers fetched but not yet loaded: as many as in flight. More cost 100 MB each, and no time is won by them."""
    safety_lag: int = 600 * SECOND
    """Rows become visible some time after their `created_at`: the last ten minutes are left to the next run."""
    overlap: int = HOUR
    """Asked again by each run, for rows that became visible later still."""
    live_span: int = 2 * DAY
    """Most events arrive within two days of their `timestamp`; only those days are read by every run."""
    sweep_span: int = 30 * DAY
    """Once a day, late events up to this old are looked for."""
    sweep_every: int = DAY
    """How often the sweep is due, by `created_at`."""
    lists_every: int = 0
    """How often tables that have to be read whole are due (`Table.every`); 0: in every run."""
    insights_every: int = 0
    """How often insights are calculated anew: each is a query of its own at PostHog; 0: in every run."""
    elements: bool = False
    """Whether events bring their elements along, as the table event_elements."""
    properties: PropertySettings = field(default_factory=PropertySettings)
    """Which properties become columns, and what is kept from leaving PostHog."""

    @classmethod
    def of(
        cls,
        *,
        engine: str = "auto",
        leaf_rows: int,
        queries_in_flight: int,
        pages_ahead: int,
        safety_lag_minutes: float,
        overlap_minutes: float,
        live_days: float,
        sweep_days: float,
        sweep_every_hours: float,
        lists_every_minutes: float = 0,
        insights_every_hours: float = 0,
        elements: bool = False,
        properties: PropertySettings | None = None,
    ) -> Settings:
        """The figures in the units of the configuration. Raises ValueError that names the one out of range."""
        return cls(
            engine=cast("EngineChoice", engine),
            leaf_rows=leaf_rows,
            queries_in_flight=queries_in_flight,
            pages_ahead=pages_ahead,
            safety_lag=int(safety_lag_minutes * 60 * SECOND),
            overlap=int(overlap_minutes * 60 * SECOND),
            live_span=int(live_days * DAY),
            sweep_span=int(sweep_days * DAY),
            sweep_every=int(sweep_every_hours * HOUR),
            lists_every=int(lists_every_minutes * 60 * SECOND),
            insights_every=int(insights_every_hours * HOUR),
            elements=elements,
            properties=properties or PropertySettings(),
        )

    def __post_init__(self) -> None:
        """Raises ValueError that names the setting."""
        if self.engine not in get_args(EngineChoice):
            raise ValueError(f"engine is {self.engine!r}, and can be {', '.join(get_args(EngineChoice))}.")
        for name in (each.name for each in fields(self)):
            if name in _EVERY and getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below zero, and is {getattr(self, name)}.")
            if name not in {"engine", "elements", "properties", *_EVERY} and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above zero, and is {getattr(self, name)}.")
        if self.leaf_rows > 50_000:
            raise ValueError(f"leaf_rows is {self.leaf_rows}: PostHog answers 50,000 rows at most.")
        if self.sweep_span < self.live_span:
            raise ValueError("sweep_days must not be smaller than live_days: the sweep takes the days before those.")


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
