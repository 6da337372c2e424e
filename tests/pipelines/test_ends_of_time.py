"""Events at the ends of what clocks, dates and databases can hold are loaded and counted like any others."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import to_micros
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG, long_only
from tests.pipelines.elsewhere import Elsewhere
from tests.pipelines.test_sync import Warehouse, keys_of, warehouse  # noqa: F401 - the fixture

_PAST = (
    "1900-01-01T00:00:00",  # the first of ClickHouse's DateTime64
    "1901-12-13T20:45:51.999999",  # before 32 bits of seconds with a sign
    "1969-12-31T23:59:59.999999",
    "1970-01-01T00:00:00",
    "1970-01-01T00:00:00.000001",
    "1970-01-02T03:04:05.6",
    "2001-09-09T01:46:40",  # a second more than nine digits
)
_AHEAD = (
    "2038-01-19T03:14:07.999999",
    "2038-01-19T03:14:08",  # 32 bits of seconds with a sign
    "2106-02-07T06:28:15.999999",
    "2106-02-07T06:28:16",  # the same without one: ClickHouse's DateTime
    "2149-06-05T23:59:59.999999",
    "2149-06-06T00:00:00",
    "2149-06-06T23:59:59.999999",
    "2149-06-07T00:00:00",  # 16 bits of days: ClickHouse's Date
    "2149-07-01T12:00:00.5",
    "2262-04-11T23:47:16.854775",
    "2262-04-11T23:47:16.854776",  # 64 bits of nanoseconds
    "2283-11-12T00:00:00",  # the last of Date32 and DateTime64 once
    "2299-12-31T23:59:59.999999",  # and today
)
_SMALL: dict[str, Any] = {"events": 60, "persons": 8, "seed": 5, "days": 4}


def _events_at(posthog: Sandbox, moments: tuple[str, ...], name: str) -> set[str]:
    added: set[str] = set()
    for moment in moments:
        added.update(posthog.add_events(2, timestamp=f"{moment}Z", event=f"{name} {moment}"))
    return added


def _assert_same(destination: Warehouse, posthog: Sandbox) -> None:
    events = "events" if destination.path.exists() else "{events}"
    here = {str(uuid): to_micros(at) for uuid, at in destination.rows(f'SELECT uuid, "timestamp" AS at FROM {events}')}
    there = posthog.sql("SELECT DISTINCT toString(uuid), toString(toUnixTimestamp64Micro(timestamp)) FROM events")
    assert here == {uuid: int(at) for uuid, at in there}


def _sync_twice(destination: Warehouse, posthog: Sandbox, **options: Any) -> None:
    _events_at(posthog, (*_PAST, *_AHEAD), "first")
    posthog.advance_clock(3_600)
    first = destination.sync(posthog, **options)
    events = first.checks[0]
    assert (events.status, events.extra, events.reason) == ("complete", 0, "")
    assert first.totals["events"] == posthog.counts()["events"] == 60 + 2 * len(_PAST + _AHEAD)
    _assert_same(destination, posthog)

    late = _events_at(posthog, _AHEAD, "late")
    posthog.advance_clock(3_600)
    second = destination.sync(posthog, **options)
    events = second.checks[0]
    assert late <= destination.keys("events")
    assert (events.status, events.extra, events.reason) == ("complete", 0, "")
    _assert_same(destination, posthog)

    # What goes is missed in each cell, and nothing is called gone that is there.
    gone = posthog.delete_events(uuids=sorted(late))
    third = destination.sync(posthog, **options)
    events = third.checks[0]
    assert (events.status, events.extra) == ("complete", len(gone)), "rows that PostHog has no more are told"


@pytest.mark.parametrize("profile", ["cloud", *(["selfhosted-2023"] if LONG else [])])
def test_every_moment_is_loaded_and_counted(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    start_sandbox: StartSandbox,
    profile: str,
) -> None:
    _sync_twice(warehouse, start_sandbox(**_SMALL, profile=profile))


@long_only
@pytest.mark.parametrize("elsewhere", ["parquet", "postgres"], indirect=True)
def test_every_moment_is_loaded_and_counted_elsewhere(elsewhere: Elsewhere, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**_SMALL)
    posthog.set_behaviour(project_timezone="Pacific/Kiritimati")
    _sync_twice(elsewhere, posthog)


@pytest.mark.parametrize("profile", ["selfhosted-2023", *(["cloud"] if LONG else [])])
def test_small_leaves_part_them_all(warehouse: Warehouse, start_sandbox: StartSandbox, profile: str) -> None:  # noqa: F811 - the fixture
    posthog = start_sandbox(**_SMALL, profile=profile)
    _events_at(posthog, (*_PAST, *_AHEAD), "one")
    posthog.advance_clock(3_600)
    result = warehouse.sync(posthog, leaf_rows=1)
    assert (result.stopped, [check.status for check in result.checks]) == (None, ["complete"] * 3)
    assert warehouse.keys("events") == keys_of(posthog, "events")
