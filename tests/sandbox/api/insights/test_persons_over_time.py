"""Lifecycle, stickiness and retention against sets of persons made in Python."""

from __future__ import annotations

from collections import Counter

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import DAYS, WEEK, Ask, by_person, day_after, events, series


def active_days(box: Sandbox, event: str) -> dict[str, set[str]]:
    """Each person's days with an event, of all times."""
    found = events(box, f"event = '{event}'", all_time=True)
    return {who: {event.day for event in its} for who, its in by_person(found).items()}


def test_lifecycle(box: Sandbox, ask: Ask) -> None:
    results = ask("LifecycleQuery", series=[series("$pageview")], dateRange=WEEK)
    assert [result["status"] for result in results] == ["new", "returning", "resurrecting", "dormant"]
    figures = {result["status"]: dict(zip(result["days"], result["data"], strict=True)) for result in results}
    active = active_days(box, "$pageview")
    born = dict(
        box.sql("SELECT toString(person_id), toString(toDate(min(person_created_at))) FROM events GROUP BY person_id")
    )
    seen = Counter[str]()
    for day in DAYS:
        today = {who for who, days in active.items() if day in days}
        yesterday = {who for who, days in active.items() if day_after(day, -1) in days}
        assert figures["dormant"][day] == -len(yesterday - today)
        assert figures["returning"][day] == len(today & yesterday)
        new = {who for who in today - yesterday if born.get(who) == day}
        assert figures["new"][day] == len(new)
        assert figures["resurrecting"][day] == len(today - yesterday - new)
        seen += Counter({"new": len(new), "dormant": len(yesterday - today), "returning": len(today & yesterday)})
    assert min(seen.values()) > 0
    assert results[0]["label"] == "$pageview - new"


def test_stickiness(box: Sandbox, ask: Ask) -> None:
    (result,) = ask("StickinessQuery", series=[series("$pageview")], dateRange=WEEK)
    days = Counter(len(days & set(DAYS)) for days in active_days(box, "$pageview").values())
    assert result["days"] == [1, 2, 3, 4, 5, 6, 7]
    assert result["data"] == [days[count] for count in range(1, 8)]
    assert result["labels"][:2] == ["1 day", "2 days"]
    assert result["count"] == sum(result["data"])


def test_stickiness_cumulated_and_compared(box: Sandbox, ask: Ask) -> None:
    current, previous = ask(
        "StickinessQuery",
        series=[series("$pageview")],
        dateRange=WEEK,
        compareFilter={"compare": True},
        stickinessFilter={"computedAs": "cumulative"},
    )
    active = active_days(box, "$pageview").values()
    before = {day_after(day, -7) for day in DAYS}
    assert current["data"] == [sum(len(days & set(DAYS)) >= count for days in active) for count in range(1, 8)]
    assert previous["data"] == [sum(len(days & before) >= count for days in active) for count in range(1, 8)]
    assert [current["compare_label"], previous["compare_label"]] == ["current", "previous"]


def test_retention(box: Sandbox, ask: Ask) -> None:
    entities = {
        "targetEntity": {"id": "$pageview", "type": "events"},
        "returningEntity": {"id": "$autocapture", "type": "events"},
    }
    results = ask("RetentionQuery", dateRange={"date_to": "2026-11-19"}, retentionFilter=entities)
    assert [result["date"][:10] for result in results] == DAYS
    assert [result["label"] for result in results] == [f"Day {place}" for place in range(7)]
    begun, came = active_days(box, "$pageview"), active_days(box, "$autocapture")
    for place, (day, result) in enumerate(zip(DAYS, results, strict=True)):
        cohort = {who for who, days in begun.items() if day in days}
        assert [value["label"] for value in result["values"]] == [f"Day {later}" for later in range(7)]
        assert result["values"][0]["count"] == len(cohort)
        for later in range(1, 7):
            back = {who for who in cohort if day_after(day, later) in came.get(who, set())}
            assert result["values"][later]["count"] == (len(back) if place + later < 7 else 0)


def test_retention_of_the_first_time(box: Sandbox, ask: Ask) -> None:
    kind = {"retentionType": "retention_first_time", "totalIntervals": 4}
    results = ask("RetentionQuery", dateRange={"date_to": "2026-11-19"}, retentionFilter=kind)
    first = {who: min(days) for who, days in active_days(box, "$pageview").items()}
    assert [result["values"][0]["count"] for result in results] == [
        sum(day == one for one in first.values()) for day in DAYS[3:]
    ]
    assert sum(result["values"][0]["count"] for result in results) > 0


def test_retention_broken_down(box: Sandbox, ask: Ask) -> None:
    by = {"breakdown": "$os", "breakdown_type": "event"}
    results = ask("RetentionQuery", dateRange={"date_to": "2026-11-19"}, retentionFilter={}, breakdownFilter=by)
    assert len(results) % 7 == 0
    for os in {result["breakdown_value"] for result in results}:
        of_os = [result for result in results if result["breakdown_value"] == os]
        found = events(box, f"event = '$pageview' AND JSONExtractString(properties, '$os') = '{os}'")
        cohorts = Counter(day for its in by_person(found).values() for day in {event.day for event in its})
        assert [result["values"][0]["count"] for result in of_os] == [cohorts[day] for day in DAYS]
