"""A sync by a clock that is wrong loses nothing, and says no more than it has proven."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone, tzinfo

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, TABLES, PostHogClient
from posthog_warehouse.sources.posthog.http.unsupported import Lacking
from posthog_warehouse.sources.posthog.readers import run
from posthog_warehouse.sources.posthog.sql.capabilities import probe
from posthog_warehouse.sources.posthog.sql.dialect import Dialect
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.pipelines.conftest import InProcess
from tests.pipelines.test_sync import Killed, Packages, Warehouse, assert_equal, warehouse  # noqa: F401 - the fixture

_SMALL = {"events": 300, "persons": 20, "seed": 5, "days": 4}


def say(posthog: Sandbox, now: datetime | str) -> None:
    """Has the next query of a run, which is the one that asks for the time, answered with this one."""
    text = now if isinstance(now, str) else f"{now:%Y-%m-%d %H:%M:%S}"
    body = {
        "results": [[text, text, "2000-01-01 00:00:00.000001", "1"]],
        "columns": ["now", "zoned", "time", "hash"],
        "types": [["now", "String"], ["zoned", "String"], ["time", "String"], ["hash", "UInt64"]],
        "is_cached": False,
    }
    posthog.clear_faults()
    posthog.add_fault(
        "status", status=200, body=json.dumps(body), content_type="application/json", path="/query/", at=[1]
    )


def now_of(posthog: Sandbox) -> datetime:
    return datetime.fromisoformat(posthog.now().replace("Z", "+00:00"))


#: With a sandbox in the real present this machine's clock says who is right; in another one nobody can.
PRESENTS = [pytest.param(None, id="two agree"), pytest.param("2026-11-20T12:00:00Z", id="nobody agrees")]


@pytest.mark.parametrize("present", PRESENTS)
def test_one_answer_from_the_future_hides_nothing_of_the_time_until_then(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    start_sandbox: StartSandbox,
    present: str | None,
) -> None:
    posthog = start_sandbox(**_SMALL, now=present)
    say(posthog, now_of(posthog) + timedelta(hours=30))
    first = warehouse.sync(posthog)
    assert first.checks[0].status == ("complete" if present is None else "unknown")
    told = first.notes["events"][0] if present is None else first.checks[0].reason
    assert "30 hours ahead of the Date" in told
    for _ in range(4):
        posthog.advance_clock(7 * 3_600)
        posthog.add_events(5, days_back=0.2)
    posthog.advance_clock(3 * 3_600)
    second = warehouse.sync(posthog)
    assert second.status == "complete"
    assert "events" not in second.notes
    assert_equal(warehouse, posthog)


@pytest.mark.parametrize("present", PRESENTS if LONG else PRESENTS[:1])
def test_a_first_answer_of_1970_leaves_nothing_out(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    start_sandbox: StartSandbox,
    present: str | None,
) -> None:
    posthog = start_sandbox(**_SMALL, now=present)
    posthog.add_events(1, timestamp="1960-01-01T00:00:00Z", created_at="2020-01-01T00:00:00Z")
    say(posthog, "1970-01-01 00:00:00")
    tables = (*CORE.values(), TABLES["sessions"], TABLES["groups"], TABLES["session_recordings"])
    first = warehouse.sync(posthog, tables=tables)
    events = first.checks[0]
    assert warehouse.rows("SELECT count(*) FROM events") == [(301,)], (
        "events are loaded whatever the time is said to be"
    )
    if present is None:
        assert events.status == "complete"
        assert (events.posthog_rows or 0) > 250, "all but what came within the last minutes is counted"
        assert "behind the Date" in first.notes["events"][0]
    else:
        assert first.status == "unknown"
        assert {check.table for check in first.checks if check.status == "unknown"} >= {"events", "sessions"}
        assert "agrees with neither" in events.reason
    posthog.advance_clock(3_600)
    posthog.add_events(3, days_back=0.1)
    posthog.advance_clock(3_600)
    second = warehouse.sync(posthog, tables=tables)
    assert second.status == "complete"
    assert_equal(warehouse, posthog)


def test_a_run_killed_while_all_of_posthog_was_ahead_hides_nothing_of_the_time_until_then(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    start_sandbox: StartSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its clock is noted with what it read, not only at the end of a table."""
    posthog = start_sandbox(**_SMALL, now=None)
    ahead, later = timedelta(hours=30), timedelta()

    class Machine(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one is enough
            return datetime.now(tz) + later

    def asked(client: PostHogClient, lacking: Lacking | None = None) -> tuple[Dialect, int]:
        dialect, now = probe(client, lacking)
        return dialect, now + ahead // timedelta(microseconds=1)

    told = PostHogClient.server_time
    monkeypatch.setattr(run, "datetime", Machine)
    monkeypatch.setattr(run, "probe", asked)
    monkeypatch.setattr(PostHogClient, "server_time", lambda self: (told(self) or now_of(posthog)) + ahead)

    def stop(number: int) -> None:
        del number
        if warehouse.destination and warehouse.destination.totals(["events"]) == {"events": _SMALL["events"]}:
            raise Killed

    events = (TABLES["events"],)
    with pytest.raises(Killed):
        warehouse.sync(posthog, tables=events, listener=Packages(stop), package_rows=1, leaf_rows=100)

    ahead, later = timedelta(), timedelta(hours=5)
    posthog.advance_clock(2 * 3_600)
    posthog.add_events(5, days_back=0.2)
    posthog.advance_clock(3 * 3_600)
    result = warehouse.sync(posthog, tables=events)
    assert result.status == "complete"
    assert warehouse.rows("SELECT count(*) FROM events") == [(_SMALL["events"] + 5,)]


def test_events_that_came_after_the_present_are_loaded_told_and_counted(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    start_sandbox: StartSandbox,
) -> None:
    posthog = start_sandbox(**_SMALL)
    moments = (
        "1901-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2038-01-19T03:14:08Z",
        "2106-02-07T06:28:16Z",
        "2149-07-01T00:00:00.5Z",
        "2262-04-11T23:47:16.854776Z",
        "2299-12-31T23:59:59Z",
    )
    for moment in moments:
        posthog.add_events(1, timestamp=posthog.now(), created_at=moment)
    posthog.advance_clock(3_600)
    first = warehouse.sync(posthog)
    assert first.status == "complete"
    assert first.checks[0].posthog_rows == 308
    assert "5 events came in after" in first.notes["events"][0]
    assert_equal(warehouse, posthog)
    theirs = posthog.sql("SELECT DISTINCT toString(uuid), toString(created_at, 'UTC') FROM events")
    ours = warehouse.rows("SELECT CAST(uuid AS VARCHAR), strftime(created_at, '%Y-%m-%d %H:%M:%S.%f') FROM events")
    assert dict(ours) == {uuid: time for uuid, time in theirs}  # noqa: C416 - lists of two

    posthog.add_events(1, timestamp=posthog.now(), created_at="2150-01-01T00:00:00Z")
    posthog.advance_clock(25 * 3_600)
    assert warehouse.sync(posthog).status == "complete"
    assert_equal(warehouse, posthog)


def test_a_clock_that_cannot_be_read_is_named(quick: InProcess, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**_SMALL)
    say(posthog, "yesterday, I think")
    outcome = quick.pointed_at(posthog)("sync", "events")
    assert outcome.code == 7
    assert "when it was asked for its time" in outcome.err
    assert quick.databases == []


def test_doctor_tells_of_clocks_that_disagree(quick: InProcess, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**_SMALL, now=None)
    say(posthog, datetime.now(timezone.utc) + timedelta(days=4))
    findings = quick.pointed_at(posthog)("doctor", "--format", "json").of("finding")
    clocks = [finding for finding in findings if finding["check"] == "clock"]
    assert [finding["state"] for finding in clocks] == ["ok", "warn"]
    assert "4 days ahead of the Date" in clocks[1]["text"]
