"""What a funnel shows: its steps, its conversion over time, or how long conversions take.

Source: posthog/hogql_queries/insights/funnels/base.py, funnel_trends.py and funnel_time_to_convert.py, autumn 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import funnels
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.funnels import Funnel

Results = list[Any] | dict[str, Any]


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[Results, dict[str, Any]]:
    """The results of a FunnelsQuery, as its ``funnelVizType`` wants them."""
    funnel = funnels.read(node)
    if not 0 <= funnel.first_step < funnel.last_step < len(funnel.steps):
        raise invalid("Funnel step range is invalid. funnelToStep should be greater than funnelFromStep.")
    if funnel.viz == "trends":
        return _trends(work, funnel), {}
    if funnel.viz == "time_to_convert":
        return _durations(work, funnel), {}
    if funnel.viz != "steps":
        raise invalid(f"This local PostHog does not know the funnel {funnel.viz!r}.")
    return _steps(work, funnel), {}


def _steps(work: Calculation, funnel: Funnel) -> list[Any]:
    """A list of steps, or one such list per breakdown value."""
    count = len(funnel.steps)
    columns = [f"countIf(steps >= {place + 1})" for place in range(count)]
    for place in range(1, count):
        # Only who got further than this step has a time for it.
        seconds = f"(times[{place + 1}] - times[{place}]) / 1000000"
        columns += [f"avgIf({seconds}, steps > {place})", f"quantileIf(0.5)({seconds}, steps > {place})"]
    rows = work.rows(
        f"SELECT prop, {', '.join(columns)} FROM ({funnels.best(work, funnel)}) GROUP BY prop "
        f"ORDER BY {columns[-2 * count + 1]} DESC, countIf(steps >= 1) DESC, prop"
    )
    found = [(row[0], _serialized(funnel, row[1 : count + 1], row[count + 1 :])) for row in rows]
    if funnel.breakdown is None:
        return found[0][1] if found else []
    for prop, steps in found:
        for step in steps:
            step |= {"breakdown": prop, "breakdown_value": prop}
    return [steps for _, steps in found[: funnel.breakdown.limit]]


def _serialized(funnel: Funnel, counts: Sequence[int], times: Sequence[float | None]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for place, step in enumerate(funnel.steps):
        named = funnel.order != "unordered"
        steps.append(
            {
                "action_id": step.event if named else None,
                "name": step.event if named else f"Completed {place + 1} step{'s' if place else ''}",
                "custom_name": step.custom_name if named else None,
                "order": place,
                "people": [],
                "count": counts[place],
                "type": "events",
                "average_conversion_time": times[2 * place - 2] if place else None,
                "median_conversion_time": times[2 * place - 1] if place else None,
            }
        )
    return steps


def _trends(work: Calculation, funnel: Funnel) -> list[dict[str, Any]]:
    """The rate in percent, by the interval in which a person began."""
    period = funnel.period(work)
    zone = work.state.behaviour.project_timezone
    began = f"toTimeZone(fromUnixTimestamp64Micro(a[1]), '{zone}')"
    # Within an interval a person counts once, with its furthest attempt.
    by_person = (
        f"SELECT actor_id, prop, {period.bucket(began)} AS bucket, max(length(a)) AS steps "
        f"FROM ({funnels.attempts(work, funnel)}) ARRAY JOIN attempts AS a GROUP BY actor_id, prop, bucket"
    )
    entered, converted = f"countIf(steps > {funnel.first_step})", f"countIf(steps > {funnel.last_step})"
    rows = work.rows(
        f"SELECT prop, bucket, if({entered} = 0, 0, round({converted} / {entered} * 100, 2)) "
        f"FROM ({by_person}) GROUP BY prop, bucket ORDER BY prop"
    )
    rates: dict[tuple[str, ...], dict[str, float]] = {} if funnel.breakdown else {(): {}}
    for prop, bucket, rate in rows:
        rates.setdefault(tuple(prop), {})[bucket] = rate
    starts = period.starts()
    results = []
    for prop, by_day in rates.items():
        result: dict[str, Any] = {
            "count": len(starts),
            "data": [by_day.get(period.day(start), 0) for start in starts],
            "days": [period.day(start) for start in starts],
            "labels": [f"{start.day}-{start.strftime('%b-%Y')}" for start in starts],
        }
        if funnel.breakdown is not None:
            result["breakdown_value"] = list(prop)
        results.append(result)
    return results


def _durations(work: Calculation, funnel: Funnel) -> dict[str, Any]:
    """A histogram: bins of [from seconds, persons], as many as the cube root of the number of persons."""
    seconds = f"(times[{funnel.last_step + 1}] - times[{funnel.first_step + 1}]) / 1000000"
    taken = f"SELECT {seconds} AS s FROM ({funnels.best(work, funnel)}) WHERE steps > {funnel.last_step}"
    low, high, average, count = work.rows(
        f"SELECT floor(min(s)), ceil(max(s)), round(avg(s), 2), count() FROM ({taken})"
    )[0]
    if not count:
        return {"bins": [], "average_conversion_time": None}
    given = (funnel.node.get("funnelsFilter") or {}).get("binCount")
    bins = max(1, min(90, int(given))) if given else max(1, min(60, _ceil(count ** (1 / 3))))
    width = _ceil((high - low) / bins) or 60
    rows = dict(
        work.rows(f"SELECT intDiv(toInt64(floor(s - {low})), {width}) AS bin, count() FROM ({taken}) GROUP BY bin")
    )
    return {
        "bins": [[low + place * width, rows.get(place, 0)] for place in range(bins + 1)],
        "average_conversion_time": average,
    }


def _ceil(value: float) -> int:
    # The cube root of 27 is 3.0000000000000004 for a machine.
    return -int(-round(value, 9) // 1)
