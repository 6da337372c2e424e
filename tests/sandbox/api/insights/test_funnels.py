"""Funnels, correlation and paths against attempts walked through in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import (
    DAY,
    DAYS,
    MINUTE,
    WEEK,
    WHO,
    Ask,
    Event,
    by_person,
    events,
    series,
)

STEPS = ["$pageview", "$autocapture", "uploaded_file"]
FUNNEL = {"series": [series(step) for step in STEPS], "dateRange": WEEK}
ANY_STEP = "event IN ('$pageview', '$autocapture', 'uploaded_file')"


def attempts(its: Sequence[Event], window: int) -> list[list[int]]:
    """For each first step the earliest next steps within the window, in microseconds."""
    walked = []
    for start in its:
        if start.event != STEPS[0]:
            continue
        times = [start.at]
        for step in STEPS[1:]:
            after = [one.at for one in its if one.event == step and times[-1] <= one.at <= start.at + window]
            if not after:
                break
            times.append(after[0])
        walked.append(times)
    return walked


def furthest(its: Sequence[Event], window: int) -> list[int]:
    """The attempt that gets furthest, and there first; empty for who never began."""
    return min(attempts(its, window), key=lambda times: (-len(times), times[-1], -times[0]), default=[])


def test_steps(box: Sandbox, ask: Ask) -> None:
    steps = ask("FunnelsQuery", **FUNNEL)
    reached = [furthest(its, 14 * DAY) for its in by_person(events(box, ANY_STEP)).values()]
    assert [step["count"] for step in steps] == [sum(len(times) > place for times in reached) for place in range(3)]
    assert [step["name"] for step in steps] == STEPS
    assert [step["order"] for step in steps] == [0, 1, 2]
    assert steps[0]["average_conversion_time"] is None
    for place in (1, 2):
        seconds = [(times[place] - times[place - 1]) / 1e6 for times in reached if len(times) > place]
        assert steps[place]["average_conversion_time"] == pytest.approx(mean(seconds))
        assert steps[place]["median_conversion_time"] == pytest.approx(median(seconds), rel=0.2)
    assert steps[2]["count"] > 5


def test_steps_are_those_of_clickhouse_itself(box: Sandbox, ask: Ask) -> None:
    filters = {"funnelWindowInterval": 30, "funnelWindowIntervalUnit": "minute"}
    steps = ask("FunnelsQuery", **FUNNEL, funnelsFilter=filters)
    conditions = ", ".join(f"event = '{step}'" for step in STEPS)
    ((one, two, three),) = box.sql(
        "SELECT countIf(level >= 1), countIf(level >= 2), countIf(level >= 3) FROM ("
        f"SELECT who, windowFunnel({30 * MINUTE})(toUInt64(toUnixTimestamp64Micro(timestamp)), {conditions}) AS level "
        f"FROM {WHO} WHERE toDate(timestamp) BETWEEN '{DAYS[0]}' AND '{DAYS[-1]}' GROUP BY who)"
    )
    assert [step["count"] for step in steps] == [one, two, three]
    assert three < two < one


def test_nothing_happens_between_strict_steps(box: Sandbox, ask: Ask) -> None:
    steps = ask("FunnelsQuery", **FUNNEL, funnelsFilter={"funnelOrderType": "strict"})
    counts = Counter[int]()
    for its in by_person(events(box)).values():
        names = [one.event for one in its]
        most = max(
            (next((d for d in range(3) if names[i + d : i + d + 1] != [STEPS[d]]), 3) for i in range(len(names))),
            default=0,
        )
        counts[most] += 1
    assert [step["count"] for step in steps] == [sum(counts[n] for n in range(d, 4)) for d in (1, 2, 3)]
    assert steps[2]["count"] > 0


def test_unordered_steps(box: Sandbox, ask: Ask) -> None:
    filters = {"funnelOrderType": "unordered", "funnelWindowInterval": 10, "funnelWindowIntervalUnit": "minute"}
    steps = ask("FunnelsQuery", **FUNNEL, funnelsFilter=filters)
    most = [
        max(len({b.event for b in its if 0 <= b.at - a.at <= 10 * MINUTE}) for a in its)
        for its in by_person(events(box, ANY_STEP)).values()
    ]
    assert [step["count"] for step in steps] == [sum(n >= d for n in most) for d in (1, 2, 3)]
    assert steps[1]["name"] == "Completed 2 steps"


def test_a_breakdown_is_the_persons_first_value(box: Sandbox, ask: Ask) -> None:
    funnels = ask("FunnelsQuery", **FUNNEL, breakdownFilter={"breakdown": "$os"})
    first = dict(
        box.sql(
            "SELECT toString(who), argMinIf(os, (timestamp, toString(uuid)), os != '') FROM ("
            f"SELECT *, JSONExtractString(properties, '$os') AS os FROM {WHO} WHERE {ANY_STEP} "
            f"AND toDate(timestamp) BETWEEN '{DAYS[0]}' AND '{DAYS[-1]}') GROUP BY who"
        )
    )
    reached = {who: furthest(its, 14 * DAY) for who, its in by_person(events(box, ANY_STEP)).items()}
    for steps in funnels:
        (os,) = steps[0]["breakdown_value"]
        its = [times for who, times in reached.items() if first[who] == os]
        assert [step["count"] for step in steps] == [sum(len(times) > place for times in its) for place in range(3)]
    assert sum(steps[0]["count"] for steps in funnels) == sum(bool(times) for times in reached.values())


def test_conversion_over_time(box: Sandbox, ask: Ask) -> None:
    (result,) = ask("FunnelsQuery", **FUNNEL, funnelsFilter={"funnelVizType": "trends"})
    assert result["days"] == DAYS
    entered, converted = Counter[str](), Counter[str]()
    for its in by_person(events(box, ANY_STEP)).values():
        furthest_of_day: dict[str, int] = {}
        for times in attempts(its, 14 * DAY):
            day = Event("", "", times[0], "", "", "").day
            furthest_of_day[day] = max(furthest_of_day.get(day, 0), len(times))
        entered.update(furthest_of_day)
        entered.subtract(furthest_of_day)
        entered.update(furthest_of_day.keys())
        converted.update(day for day, steps in furthest_of_day.items() if steps == 3)
    rates = [round(converted[day] / entered[day] * 100, 2) if entered[day] else 0 for day in DAYS]
    assert result["data"] == pytest.approx(rates, abs=0.01)


def test_how_long_conversions_take(box: Sandbox, ask: Ask) -> None:
    result = ask("FunnelsQuery", **FUNNEL, funnelsFilter={"funnelVizType": "time_to_convert", "binCount": 4})
    reached = [furthest(its, 14 * DAY) for its in by_person(events(box, ANY_STEP)).values()]
    seconds = [(times[2] - times[0]) / 1e6 for times in reached if len(times) == 3]
    assert result["average_conversion_time"] == pytest.approx(mean(seconds), abs=0.01)
    starts = [start for start, _ in result["bins"]]
    assert len(starts) == 5
    expected = [sum(start <= one < after for one in seconds) for start, after in pairwise([*starts, starts[-1] + 1e12])]
    assert [count for _, count in result["bins"]] == expected


def test_correlation(box: Sandbox, ask: Ask) -> None:
    source = {"kind": "FunnelsActorsQuery", "source": {"kind": "FunnelsQuery", **FUNNEL}, "funnelStep": 1}
    result = ask("FunnelCorrelationQuery", source=source, funnelCorrelationType="events")
    all_events = by_person(events(box))
    reached = {who: furthest(its, 14 * DAY) for who, its in by_person(events(box, ANY_STEP)).items()}
    won = {who for who, times in reached.items() if len(times) == 3}
    lost = {who for who, times in reached.items() if 0 < len(times) < 3}
    did: dict[str, set[str]] = {}
    for who in won | lost:
        end = reached[who][-1] if who in won else reached[who][0] + 14 * DAY
        for one in all_events[who]:
            if reached[who][0] < one.at < end and one.event not in STEPS:
                did.setdefault(one.event, set()).add(who)
    assert result["events"]
    for item in result["events"]:
        doers = did[item["event"]["event"]]
        success, failure = len(doers & won), len(doers & lost)
        assert (item["success_count"], item["failure_count"]) == (success, failure)
        odds = ((success + 1) * (len(lost) - failure + 1)) / ((len(won) - success + 1) * (failure + 1))
        assert item["odds_ratio"] == pytest.approx(odds)
        assert item["correlation_type"] == ("success" if odds > 1 else "failure")


def test_correlation_of_person_properties(box: Sandbox, ask: Ask) -> None:
    source = {"kind": "FunnelsActorsQuery", "source": {"kind": "FunnelsQuery", **FUNNEL}}
    result = ask(
        "FunnelCorrelationQuery",
        source=source,
        funnelCorrelationType="properties",
        funnelCorrelationNames=["plan"],
    )
    plans = dict(
        box.sql(
            "SELECT toString(id), JSONExtractString(argMax(properties, version), 'plan') FROM person "
            "GROUP BY id HAVING argMax(is_deleted, version) = 0"
        )
    )
    reached = {who: furthest(its, 14 * DAY) for who, its in by_person(events(box, ANY_STEP)).items()}
    assert {item["event"]["event"].partition("::")[0] for item in result["events"]} == {"plan"}
    for item in result["events"]:
        plan = item["event"]["event"].partition("::")[2]
        its = [times for who, times in reached.items() if times and plans.get(who) == plan]
        assert item["success_count"] == sum(len(times) == 3 for times in its)
        assert item["failure_count"] == sum(len(times) < 3 for times in its)


def walks(found: Sequence[Event]) -> list[list[tuple[str, int]]]:
    """Each session's items: cut where half an hour passes, repetitions taken together (the last one stays)."""
    sessions = []
    for its in by_person(found).values():
        session: list[Event] = []
        for one in its:
            if session and one.at - session[-1].at >= 30 * MINUTE:
                sessions.append(session)
                session = []
            session.append(one)
        sessions.append(session)
    paths = []
    for session in sessions:
        items = [(_item(one), one.at) for one in session]
        paths.append([item for item, after in zip(items, [*items[1:], ("", 0)], strict=True) if item[0] != after[0]])
    return paths


def _item(one: Event) -> str:
    if one.event == "$pageview":
        return one.url[:-1] if len(one.url) > 1 and one.url.endswith("/") else one.url
    return one.screen if one.event == "$screen" else one.event


@pytest.mark.parametrize(
    ("filters", "start", "end"),
    [
        ({"includeEventTypes": ["custom_event"], "edgeLimit": 1000}, None, None),
        ({"includeEventTypes": ["$pageview"], "edgeLimit": 1000, "stepLimit": 3}, None, None),
        ({"edgeLimit": 1000, "startPoint": "$autocapture"}, "$autocapture", None),
        ({"edgeLimit": 1000, "endPoint": "uploaded_file"}, None, "uploaded_file"),
    ],
    ids=["custom events", "pages", "from", "to"],
)
def test_paths(box: Sandbox, ask: Ask, filters: dict[str, object], start: str | None, end: str | None) -> None:
    results = ask("PathsQuery", pathsFilter=filters, dateRange=WEEK)
    kinds = {"custom_event": "NOT startsWith(event, '$')", "$pageview": "event = '$pageview'"}
    wanted = filters.get("includeEventTypes")
    found = events(box, kinds[wanted[0]] if isinstance(wanted, list) else "1")
    steps = int(str(filters.get("stepLimit", 5)))
    edges = Counter[tuple[str, str]]()
    seconds: dict[tuple[str, str], float] = {}
    for path in walks(found):
        names = [name for name, _ in path]
        if start or end:
            if (start or end) not in names:
                continue
            place = names.index(str(start or end))
            path = path[place:][:steps] if start else path[: place + 1][-steps:]  # noqa: PLW2901 - its part
        for at, (before, after) in enumerate(pairwise(path[:steps]), 1):
            edge = (f"{at}_{before[0]}", f"{at + 1}_{after[0]}")
            edges[edge] += 1
            seconds[edge] = seconds.get(edge, 0.0) + (after[1] - before[1]) / 1e6
    assert {(edge["source"], edge["target"]): edge["value"] for edge in results} == dict(edges)
    assert edges
    for edge in results:
        key = edge["source"], edge["target"]
        assert edge["average_conversion_time"] == pytest.approx(seconds[key] / edges[key] * 1000)


def test_paths_are_cut_to_the_most_frequent_edges(ask: Ask) -> None:
    most = ask("PathsQuery", pathsFilter={"edgeLimit": 20}, dateRange=WEEK)
    weights = [edge["value"] for edge in most]
    assert weights == sorted(weights, reverse=True)
    assert 0 < len(most) <= 20
    reachable = {edge["target"] for edge in most}
    assert all(edge["source"].startswith("1_") or edge["source"] in reachable for edge in most)
