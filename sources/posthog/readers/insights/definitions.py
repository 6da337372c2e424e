"""Which insights there are: those saved in PostHog, and those of the configuration.

PostHog keeps an insight as a query (`{"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", ...}}`), older ones
as flat filters (`{"insight": "TRENDS", "events": [...]}`); posthog/api/insight.py, autumn 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...errors import NothingRequested
from ...http.json_values import canonical
from ...settings import Requests
from ...tables.insights import Shape
from ..rest.consistent_read import read_whole
from ..run import Run

CONFIG_PREFIX = "config:"

_WRAPPERS = frozenset({"InsightVizNode", "DataVisualizationNode", "DataTableNode"})

_SHAPES: Mapping[str, Shape] = {
    "TrendsQuery": "trends",
    "StickinessQuery": "trends",
    "LifecycleQuery": "trends",
    "FunnelsQuery": "funnel_steps",
    "RetentionQuery": "retention",
    "PathsQuery": "paths",
    "FunnelCorrelationQuery": "correlation",
}

_LEGACY_KINDS = {
    "TRENDS": "TrendsQuery",
    "STICKINESS": "StickinessQuery",
    "LIFECYCLE": "LifecycleQuery",
    "FUNNELS": "FunnelsQuery",
    "RETENTION": "RetentionQuery",
    "PATHS": "PathsQuery",
}

# Funnels that show something else than steps.
_OVER_TIME = frozenset({"trends", "time_to_convert"})


@dataclass(frozen=True)
class Definition:
    """One insight: what is to be computed. It has a `node` or `filters`; one of something else has neither."""

    insight_id: str
    name: str
    kind: str
    """The query's kind in PostHog's schema; for filters the kind that they stand for."""
    source: Literal["saved", "config"]
    raw: Mapping[str, Any] = field(repr=False)
    """The query or the filters as they are kept."""
    short_id: str | None = None
    node: Mapping[str, Any] | None = field(default=None, repr=False)
    """The query, without what only says how it is shown."""
    filters: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def shape(self) -> Shape | None:
        """What its points look like; None: it has none."""
        shape = _SHAPES.get(self.kind)
        return "trends" if shape == "funnel_steps" and self.viz in _OVER_TIME else shape

    @property
    def viz(self) -> str:
        """How a funnel is shown: steps, trends or time_to_convert."""
        if self.node is not None:
            return str((self.node.get("funnelsFilter") or {}).get("funnelVizType") or "steps")
        return str((self.filters or {}).get("funnel_viz_type") or "steps")

    @property
    def names(self) -> tuple[str, ...]:
        """What `insight_actors` may call it."""
        own = self.insight_id.removeprefix(CONFIG_PREFIX) if self.source == "config" else self.insight_id
        return tuple(name for name in (self.insight_id, own, self.short_id) if name)


@dataclass(frozen=True)
class Definitions:
    """The insights of a project and of the configuration."""

    known: tuple[Definition, ...]
    """All that there are."""
    wanted: tuple[Definition, ...]
    """Those that are to be computed."""
    is_settled: bool
    """False if the list changed all the time, so that some may be missing."""


def definitions(run: Run) -> Definitions:
    """The saved insights and those of the configuration; of the saved ones those of `insight_ids`, if any, are wanted.

    Raises NothingRequested for a definition in the configuration that is none, and what reading the list raises.
    """
    given = _configured(run.requests)
    # Only what somebody saved: PostHog keeps an insight for every look at a chart as well. The field that it orders by
    # unless asked is empty in nearly all.
    params = {"basic": "true", "saved": "true", "order": "id", "limit": 250}
    whole = read_whole(run.client, "insights", params, key_of=lambda raw: str(raw.get("id")))
    saved = [_saved(raw) for raw in whole.rows.values() if not raw.get("deleted")]
    ids = set(map(str, run.requests.insight_ids))
    wanted = [one for one in saved if not ids or one.insight_id in ids]
    return Definitions((*saved, *given), (*wanted, *given), whole.is_settled)


def _saved(raw: Mapping[str, Any]) -> Definition:
    query, filters = raw.get("query"), raw.get("filters")
    return _definition(
        query if isinstance(query, Mapping) and query else filters if isinstance(filters, Mapping) else {},
        insight_id=str(raw["id"]),
        short_id=raw.get("short_id"),
        name=str(raw.get("name") or raw.get("derived_name") or ""),
        source="saved",
    )


def _configured(requests: Requests) -> list[Definition]:
    found = []
    for name, given in requests.insights.items():
        raw = _parsed(given)
        if not isinstance(raw, Mapping) or not (raw.get("kind") or raw.get("events") or raw.get("insight")):
            raise NothingRequested(
                f"The insight {name} under [sources.posthog.requests.insights] is neither a query nor filters",
                advice='Give it as PostHog has it, as a table or as JSON: {"kind": "TrendsQuery", "series": [...]}.',
            )
        found.append(_definition(raw, insight_id=f"{CONFIG_PREFIX}{name}", name=name, source="config"))
    return found


def _parsed(given: Any) -> Any:
    """A text is JSON, as PostHog shows a query when it is asked for its source; of a TOML date its text is meant."""
    if not isinstance(given, str):
        return json.loads(canonical(given))
    try:
        return json.loads(given)
    except ValueError:
        return None


def _definition(
    raw: Mapping[str, Any],
    *,
    insight_id: str,
    name: str,
    source: Literal["saved", "config"],
    short_id: str | None = None,
) -> Definition:
    if not raw:
        return Definition(insight_id, name, "none", source, raw, short_id)
    if not raw.get("kind"):
        # Lifecycle and stickiness were ways to show trends once.
        shown = str(raw.get("shown_as") or "").upper()
        insight = shown if shown in ("STICKINESS", "LIFECYCLE") else str(raw.get("insight") or "TRENDS")
        kind = _LEGACY_KINDS.get(insight, insight)
        return Definition(insight_id, name, kind, source, raw, short_id, filters=raw)
    node = raw
    while node.get("kind") in _WRAPPERS and isinstance(node.get("source"), Mapping):
        node = node["source"]
    return Definition(insight_id, name, str(node.get("kind")), source, raw, short_id, node=node)
