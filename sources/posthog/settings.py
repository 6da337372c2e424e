"""The figures that decide how PostHog is read. Each can be set; each default has its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, cast, get_args

from sources.posthog.hogql.windows import DAY, HOUR, SECOND
from sources.posthog.properties.settings import PropertySettings

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
