"""Correlation: what persons who convert do, or are, more often than others. Source:
posthog/hogql_queries/insights/funnels/funnel_correlation_query_runner.py, autumn 2026."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import filters, funnels
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.funnels import Funnel
from posthog_warehouse.sandbox.store import quoted

#: Rarer things say nothing: fewer persons than this, or than this part of all.
_LEAST_PERSONS = 25
_LEAST_PART = 0.02

#: Added to each count, so that nothing is divided by zero.
_PRIOR = 1

#: So many with a positive and so many with a negative correlation are shown.
_SHOWN = 10


@dataclass(frozen=True)
class _Correlation:
    node: Mapping[str, Any]
    funnel: Funnel
    kind: str


def read(node: Mapping[str, Any]) -> _Correlation:
    """A FunnelCorrelationQuery. Raises ApiError (400)."""
    source = (node.get("source") or {}).get("source")
    if not isinstance(source, Mapping) or source.get("kind") != "FunnelsQuery":
        raise invalid("A FunnelCorrelationQuery needs a FunnelsActorsQuery with a FunnelsQuery as its source.")
    kind = str(node.get("funnelCorrelationType") or "events")
    needed = {"properties": "funnelCorrelationNames", "event_with_properties": "funnelCorrelationEventNames"}
    if kind not in ("events", *needed):
        raise invalid(f"There is no correlation type {kind!r}.")
    if kind in needed and not node.get(needed[kind]):
        raise invalid("Property Correlation expects at least one Property to run correlation on")
    return _Correlation(node, funnels.read(source), kind)


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of a FunnelCorrelationQuery: ``{events, skewed}``."""
    correlation = read(node)
    all_steps = len(correlation.funnel.steps)
    persons = f"SELECT * FROM ({funnels.best(work, correlation.funnel)})"
    successes, failures = work.rows(
        f"SELECT countIf(steps = {all_steps}), countIf(steps < {all_steps}) FROM ({persons})"
    )[0]
    if not successes or not failures:
        return {"events": [], "skewed": True}, {}
    rows = work.rows(
        f"SELECT name, uniqExactIf(actor_id, steps = {all_steps}), uniqExactIf(actor_id, steps < {all_steps}) "
        f"FROM ({_named(work, correlation, persons)}) GROUP BY name ORDER BY name"
    )
    least = min(_LEAST_PERSONS, _LEAST_PART * (successes + failures))
    odds = [_odds(name, did, failed, successes, failures) for name, did, failed in rows if did + failed >= least]
    positive = sorted((one for one in odds if one["odds_ratio"] > 1), key=lambda one: -one["odds_ratio"])
    negative = sorted((one for one in odds if one["odds_ratio"] <= 1), key=lambda one: one["odds_ratio"])
    skewed = successes / failures > 10 or failures / successes > 10
    return {"events": positive[:_SHOWN] + negative[:_SHOWN], "skewed": skewed}, {}


def _odds(name: str, did: int, failed: int, successes: int, failures: int) -> dict[str, Any]:
    ratio = ((did + _PRIOR) * (failures - failed + _PRIOR)) / ((successes - did + _PRIOR) * (failed + _PRIOR))
    return {
        "success_count": did,
        "failure_count": failed,
        "odds_ratio": ratio,
        "correlation_type": "success" if ratio > 1 else "failure",
        "event": {"event": name, "properties": {}, "elements": []},
    }


def _named(work: Calculation, correlation: _Correlation, persons: str) -> str:
    """ClickHouse SQL: name (an event, or `property::value`), actor_id, steps."""
    node = correlation.node
    if correlation.kind == "properties":
        names = [str(name) for name in node["funnelCorrelationNames"]]
        if "$all" in names:
            pairs = "arrayJoin(JSONExtractKeysAndValuesRaw(properties))"
            name = f"concat({pairs}.1 AS its_key, '::', trim(BOTH '\"' FROM {pairs}.2))"
        else:
            keys = ", ".join(quoted(name) for name in names)
            name = (
                f"concat(arrayJoin([{keys}]) AS its_key, '::', "
                "trim(BOTH '\"' FROM JSONExtractRaw(properties, its_key)))"
            )
        known = work.sql("SELECT id AS person, properties AS properties FROM persons")
        without = _list(node.get("funnelCorrelationExcludeNames"))
        return (
            f"SELECT {name} AS name, actor_id, steps FROM ({persons}) AS reached "
            f"INNER JOIN ({known}) AS known ON known.person = reached.actor_id WHERE its_key NOT IN ({without})"
        )
    return _events(work, correlation, persons)


def _events(work: Calculation, correlation: _Correlation, persons: str) -> str:
    """What persons did between their first step and their last one, or the end of the window."""
    node, funnel = correlation.node, correlation.funnel
    steps = [step.event for step in funnel.steps if step.event is not None]
    conditions = [*filters.conditions(funnel.node.get("properties")), funnel.period(work).condition()]
    columns = {"who": "person_id", "at": "timestamp", "name": "event", "its": "properties"}
    events = work.events(columns, conditions)
    end = f"if(steps = {len(funnel.steps)}, times[-1], times[1] + {funnel.window_us})"
    name = "name"
    if correlation.kind == "event_with_properties":
        among = f"name IN ({_list(node['funnelCorrelationEventNames'])})"
        pair = "(arrayJoin(JSONExtractKeysAndValues(its, 'String')) AS pair)"
        name = f"concat(name, '::', {pair}.1, '::', pair.2)"
    else:
        left_out = _list([*steps, *(node.get("funnelCorrelationExcludeEventNames") or [])])
        among = f"name NOT IN ({left_out})"
    return (
        f"SELECT {name} AS name, actor_id, steps FROM ({events}) AS done "
        f"INNER JOIN ({persons}) AS reached ON done.who = reached.actor_id "
        f"WHERE at > times[1] AND at < {end} AND {among}"
    )


def _list(names: Sequence[object] | None) -> str:
    # ClickHouse takes no empty list.
    return ", ".join(quoted(str(name)) for name in names or []) or "''"


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who did an event (``funnelCorrelationPersonEntity``) and converted, or did not."""
    correlation = read(source)
    entity = chosen.get("funnelCorrelationPersonEntity") or {}
    if correlation.kind != "events" or not entity.get("event"):
        raise invalid("This local PostHog knows the persons behind correlated events only.")
    steps = len(correlation.funnel.steps)
    converted = chosen.get("funnelCorrelationPersonConverted")
    reached = "1" if converted is None else f"steps {'=' if converted else '<'} {steps}"
    persons = f"SELECT * FROM ({funnels.best(work, correlation.funnel)})"
    return (
        f"SELECT actor_id, count() AS event_count FROM ({_named(work, correlation, persons)}) "
        f"WHERE name = {quoted(str(entity['event']))} AND {reached} GROUP BY actor_id"
    )
