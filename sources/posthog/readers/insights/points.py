"""What an insight shows, as rows: one per point, with the columns of its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...errors import AnswerMalformed
from ...http.json_values import json_text
from ...tables.insights import POINTS, Shape
from .definitions import Definition

Row = dict[str, Any]


def points(definition: Definition, results: Any, zone: str) -> list[Row]:
    """The rows of an insight, for the table of its shape; no two with the same key.

    Args:
        definition: the insight.
        results: as PostHog gave them.
        zone: the project's time zone, in which PostHog writes days.

    Raises:
        AnswerMalformed: they are not what such an insight gives.
    """
    shape = definition.shape
    if shape is None:
        raise AnswerMalformed(f"A {definition.kind} has no points")
    try:
        rows = list(_SHAPES[shape](results, _zone(zone)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise AnswerMalformed(f"The results are not those of a {definition.kind} ({type(error).__name__})") from error
    if len({tuple(row[name] for name in _NO_POINT[shape]) for row in rows}) < len(rows):
        raise AnswerMalformed(f"The results of this {definition.kind} have points that cannot be told apart")
    return [{"insight_id": definition.insight_id, **row, "is_gone": False} for row in rows]


def gone(insight_id: str, shape: Shape) -> Row:
    """A row that takes all points of an insight out of its table."""
    return {"insight_id": insight_id, **_NO_POINT[shape], "is_gone": True}


# What tells the points of an insight apart, as no point has it.
_NO_POINT: Mapping[Shape, Row] = {
    "trends": {"series": -1, "status": "", "breakdown": "", "compare": "", "point": -1},
    "funnel_steps": {"breakdown": "", "step": -1},
    "retention": {"breakdown": "", "cohort": -1, "interval_number": -1},
    "paths": {"source": "", "target": ""},
    "correlation": {"event": ""},
}


def _trends(results: Any, zone: tzinfo) -> Iterator[Row]:
    if isinstance(results, Mapping):
        yield from _bins(results)
        return
    taken: set[tuple[Any, ...]] = set()
    for result in results:
        action = result.get("action") or {}
        told = _breakdown(result)
        compare, status = str(result.get("compare_label") or ""), str(result.get("status") or "")
        series = action.get("order")
        series = series if isinstance(series, int) else 0
        while (series, status, told["breakdown"], compare) in taken:
            # Formulas have no order, and results of one query may be told apart by their place alone.
            series += 1
        taken.add((series, status, told["breakdown"], compare))
        shared = {
            "series": series,
            "status": status,
            **told,
            "compare": compare,
            "series_name": None if action.get("name") is None else str(action["name"]),
            "custom_name": action.get("custom_name"),
            "math": action.get("math"),
            "label": _text(result.get("label")),
        }
        if "aggregated_value" in result and not result.get("data"):
            yield {**shared, "point": 0, "value": _number(result["aggregated_value"])}
            continue
        days = result.get("days") or action.get("days") or []
        labels = result.get("labels") or []
        for point, value in enumerate(result["data"] or []):
            yield {
                **shared,
                "point": point,
                **_place(days[point] if point < len(days) else None, zone),
                "point_label": _text(labels[point]) if point < len(labels) else None,
                "value": _number(value),
            }


def _bins(results: Mapping[str, Any]) -> Iterator[Row]:
    """How long conversions take: bins of [from seconds, persons]."""
    for point, (seconds, persons) in enumerate(results["bins"] or []):
        yield {
            "series": 0,
            "status": "",
            "breakdown": "",
            "compare": "",
            "point": point,
            "label": "Time to convert",
            "point_label": f"from {seconds} s",
            "value": _number(persons),
        }


def _funnel_steps(results: Any, _: tzinfo) -> Iterator[Row]:
    # With a breakdown there is a list of steps for each value.
    for steps in results if results and isinstance(results[0], list) else [results]:
        for step in steps:
            yield {
                **_breakdown(step),
                "step": int(step["order"]) + 1,
                "action_id": _text(step.get("action_id")),
                "name": _text(step.get("name")),
                "custom_name": step.get("custom_name"),
                "persons": int(step["count"]),
                "average_conversion_time": _number(step.get("average_conversion_time")),
                "median_conversion_time": _number(step.get("median_conversion_time")),
            }


def _retention(results: Any, zone: tzinfo) -> Iterator[Row]:
    cohorts: dict[str, int] = {}
    for result in results:
        told = _breakdown(result)
        cohort = cohorts.get(told["breakdown"], 0)
        cohorts[told["breakdown"]] = cohort + 1
        for interval, value in enumerate(result["values"]):
            yield {
                **told,
                "cohort": cohort,
                "cohort_label": _text(result.get("label")),
                "cohort_starts_at": _moment(result.get("date"), zone),
                "interval_number": interval,
                "interval_label": value.get("label") or _interval_label(result.get("label"), interval),
                "persons": int(value["count"]),
                "aggregation_value": _number(value.get("aggregation_value")),
            }


def _interval_label(cohort_label: object, interval: int) -> str | None:
    """Servers of 2023 named the cohorts only: Day 3 began a row of Day 0, Day 1, ..."""
    unit = str(cohort_label or "").rpartition(" ")[0]
    return f"{unit} {interval}" if unit else None


def _paths(results: Any, _: tzinfo) -> Iterator[Row]:
    for edge in results:
        step, item = str(edge["source"]).split("_", 1)
        yield {
            "source": str(edge["source"]),
            "target": str(edge["target"]),
            "source_step": int(step) if step.isdigit() else None,
            "source_item": item,
            "target_item": str(edge["target"]).partition("_")[2],
            "value": int(edge["value"]),
            "average_conversion_time": _number(edge.get("average_conversion_time")),
        }


def _correlation(results: Any, _: tzinfo) -> Iterator[Row]:
    for item in results["events"]:
        event = item["event"]
        yield {
            "event": str(event["event"]),
            "properties": event.get("properties") or {},
            "correlation_type": item.get("correlation_type"),
            "odds_ratio": _number(item.get("odds_ratio")),
            "success_count": int(item["success_count"]),
            "failure_count": int(item["failure_count"]),
            "is_skewed": bool(results.get("skewed")),
        }


_SHAPES: Mapping[Shape, Callable[[Any, tzinfo], Iterator[Row]]] = {
    "trends": _trends,
    "funnel_steps": _funnel_steps,
    "retention": _retention,
    "paths": _paths,
    "correlation": _correlation,
}

assert set(_SHAPES) == set(_NO_POINT) == set(POINTS)  # noqa: S101 - one of each


def _breakdown(result: Mapping[str, Any]) -> Row:
    value = result.get("breakdown_value")
    if value is None:
        return {"breakdown": "", "breakdown_values": None}
    values = value if isinstance(value, list) else [value]
    parts = ["" if part is None else str(part) for part in values]
    is_plain = len(parts) == 1 or not any("::" in part for part in parts)
    return {"breakdown": "::".join(parts) if is_plain else json_text(values), "breakdown_values": values}


def _place(day: object, zone: tzinfo) -> Row:
    """Where a point is: on a day, or after so many intervals (stickiness)."""
    if isinstance(day, int):
        return {"intervals": day}
    if day is None:
        return {}
    return {"day": str(day)[:10], "starts_at": _moment(day, zone)}


def _moment(text: object, zone: tzinfo) -> str | None:
    """A time of PostHog's as ISO in UTC; without an offset it is one of the project's time zone."""
    if not text:
        return None
    moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    local = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return local.astimezone(timezone.utc).isoformat()


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError):
        return timezone.utc


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _text(value: object) -> str | None:
    return None if value is None else "::".join(map(str, value)) if isinstance(value, list) else str(value)
