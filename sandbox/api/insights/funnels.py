"""How far each person gets in a funnel, as ClickHouse SQL.

An *attempt* begins with an event of the first step and takes the earliest event of each further step within the
conversion window. What counts for a person is the attempt that gets furthest, and of those the one that gets there
first. Source: posthog/hogql_queries/insights/funnels and funnel-udf, autumn 2026; a window of a month is 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import breakdowns, filters, series
from posthog_warehouse.sandbox.api.insights.breakdowns import Breakdown
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period
from posthog_warehouse.sandbox.api.insights.series import Series
from posthog_warehouse.sandbox.store import quoted

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000}

#: Two weeks, as PostHog has it.
_DEFAULT_WINDOW = 14

_ORDERS = ("ordered", "strict", "unordered")

_KNOWN_ATTRIBUTIONS = (None, "first_touch", "last_touch")


@dataclass(frozen=True)
class Funnel:
    """A funnel query, read.

    Attributes:
        steps: what has to be done.
        window_us: how long it may take, in microseconds.
        order: ordered, strict (nothing in between) or unordered.
        breakdown: what persons are told apart by, and whether their first or last value counts.
        first_step, last_step: which steps a rate or a duration is between, from 0.
    """

    node: Mapping[str, Any]
    steps: Sequence[Series]
    window_us: int
    order: str
    breakdown: Breakdown | None
    attribution: str
    first_step: int
    last_step: int
    viz: str

    def period(self, work: Calculation) -> Period:
        """What it looks at."""
        return work.period(self.node.get("dateRange"), self.node.get("interval"))


def read(node: Mapping[str, Any]) -> Funnel:
    """A FunnelsQuery. Raises ApiError (400)."""
    given = node.get("funnelsFilter") or {}
    steps = series.parse(node, least=2)
    order = str(given.get("funnelOrderType") or "ordered")
    unit = str(given.get("funnelWindowIntervalUnit") or "day")
    if order not in _ORDERS or unit not in _UNITS:
        raise invalid(f"This local PostHog does not know the funnel order {order!r} or the unit {unit!r}.")
    if given.get("exclusions"):
        raise invalid("This local PostHog does not know exclusions in funnels.")
    if given.get("funnelAggregateByHogQL"):
        raise invalid("This local PostHog aggregates funnels by person only.")
    if given.get("breakdownAttributionType") not in _KNOWN_ATTRIBUTIONS:
        raise invalid("This local PostHog attributes breakdowns to the first or the last touch only.")
    last = given.get("funnelToStep")
    return Funnel(
        node=node,
        steps=steps,
        window_us=int(given.get("funnelWindowInterval") or _DEFAULT_WINDOW) * _UNITS[unit] * 1_000_000,
        order=order,
        breakdown=breakdowns.parse(node),
        attribution=str(given.get("breakdownAttributionType") or "first_touch"),
        first_step=int(given.get("funnelFromStep") or 0),
        last_step=len(steps) - 1 if last is None else int(last),
        viz=str(given.get("funnelVizType") or "steps"),
    )


def attempts(work: Calculation, funnel: Funnel) -> str:
    """ClickHouse SQL: actor_id, prop (texts of the breakdown), and `attempts`: arrays of microseconds, one per step."""
    conditions = [*filters.conditions(funnel.node.get("properties")), funnel.period(work).condition()]
    any_step = " OR ".join(step.condition for step in funnel.steps)
    if funnel.order != "strict":
        conditions.append(f"({any_step})")
    columns = {
        "actor_id": "person_id",
        "at": "timestamp",
        "tie": "toString(uuid)",
        "prop": "[]" if funnel.breakdown is None else funnel.breakdown.texts(missing=""),
        **{f"step_{place}": f"if({step.condition}, 1, 0)" for place, step in enumerate(funnel.steps)},
    }
    times = ", ".join(
        f"arraySort(groupArrayIf(at, step_{place} = 1)) AS times_{place}" for place in range(len(funnel.steps))
    )
    prop = _person_value(funnel) if funnel.breakdown else "emptyArrayString()"
    flags = ", ".join(f"step_{place}" for place in range(len(funnel.steps)))
    events = f"arraySort(groupArray((at, tie, [{flags}]))) AS happened"
    per_person = (
        f"SELECT actor_id, {prop} AS its_prop, {times}{', ' + events if funnel.order == 'strict' else ''} "
        f"FROM ({work.events(columns, conditions)}) GROUP BY actor_id"
    )
    build = {"ordered": _ordered, "strict": _strict, "unordered": _unordered}[funnel.order]
    return f"SELECT actor_id, its_prop AS prop, {build(funnel)} AS attempts FROM ({per_person})"


def _person_value(funnel: Funnel) -> str:
    """SQL for a person's value of the breakdown: an event without the property says nothing of it."""
    count = 0 if funnel.breakdown is None else len(funnel.breakdown.expressions)
    known = "notEmpty(arrayFilter(text -> text != '', prop))"
    unknown = ", ".join(["''"] * count)
    pick = "argMaxIf" if funnel.attribution == "last_touch" else "argMinIf"
    return f"if(countIf({known}) = 0, [{unknown}], {pick}(prop, (at, tie), {known}))"


def _ordered(funnel: Funnel) -> str:
    tried = "arrayMap(t -> [t], times_0)"
    for place in range(1, len(funnel.steps)):
        # A second event of the same kind has to be later; of another kind it may be at the same moment.
        same = funnel.steps[place].event == funnel.steps[place - 1].event
        after = f"x {'>' if same else '>='} a[-1] AND x <= a[1] + {funnel.window_us}"
        tried = (
            f"arrayMap(a -> if(length(a) = {place}, "
            f"arrayConcat(a, arraySlice(arrayFilter(x -> {after}, times_{place}), 1, 1)), a), {tried})"
        )
    return tried


def _strict(funnel: Funnel) -> str:
    """Each step is the very next event."""
    tried = "arrayMap(i -> [i], arrayFilter(i -> happened[i].3[1] = 1, arrayEnumerate(happened)))"
    for place in range(1, len(funnel.steps)):
        next_one = "happened[a[-1] + 1]"
        fits = f"{next_one}.3[{place + 1}] = 1 AND {next_one}.1 <= happened[a[1]].1 + {funnel.window_us}"
        tried = (
            f"arrayMap(a -> if(length(a) = {place} AND a[-1] < length(happened) AND {fits}, "
            f"arrayPushBack(a, a[-1] + 1), a), {tried})"
        )
    return f"arrayMap(a -> arrayMap(i -> happened[i].1, a), {tried})"


def _unordered(funnel: Funnel) -> str:
    """From any step's event on: when each of the steps was done first, in whatever order."""
    every = ", ".join(f"times_{place}" for place in range(len(funnel.steps)))
    firsts = ", ".join(
        f"arraySlice(arrayFilter(x -> x >= t AND x <= t + {funnel.window_us}, times_{place}), 1, 1)"
        for place in range(len(funnel.steps))
    )
    return f"arrayMap(t -> arraySort(arrayConcat({firsts})), arrayDistinct(arrayConcat({every})))"


def best(work: Calculation, funnel: Funnel) -> str:
    """ClickHouse SQL: actor_id, prop, steps (how many, from 1), times (microseconds, one per step reached)."""
    chosen = "arraySort(a -> (-toInt64(length(a)), a[-1], -a[1]), attempts)[1]"
    return (
        f"SELECT actor_id, prop, {chosen} AS times, length(times) AS steps "
        f"FROM ({attempts(work, funnel)}) WHERE notEmpty(attempts)"
    )


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who reached a step, or dropped off before it.

    Args:
        source: the FunnelsQuery.
        chosen: ``funnelStep`` (from 1; -n is who did step n - 1 but not step n), ``funnelStepBreakdown``.
    """
    funnel = read(source)
    step = chosen.get("funnelStep")
    step = 1 if step is None else int(step)
    if step in (0, -1) or abs(step) > len(funnel.steps):
        raise invalid(f"There is no funnel step {step}.")
    conditions = [f"steps >= {step}" if step > 0 else f"steps = {-step - 1}"]
    wanted = chosen.get("funnelStepBreakdown")
    if wanted is not None and funnel.breakdown is not None:
        texts = wanted if isinstance(wanted, list) else [wanted]
        conditions.append(f"prop = [{', '.join(quoted(str(text)) for text in texts)}]")
    return f"SELECT actor_id, 1 AS event_count FROM ({best(work, funnel)}) WHERE {' AND '.join(conditions)}"
