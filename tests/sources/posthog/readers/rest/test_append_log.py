"""Lists to which rows are added: each row once, and little of what was read before again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from posthog_warehouse.sources.posthog.tables.rest import EachRow, growing
from posthog_warehouse.sources.posthog.tables.schema import bigint, text, time
from tests.sources.posthog.httpserver import Answer, Request, envelope
from tests.sources.posthog.readers.rest.lists import ServedList
from tests.sources.posthog.readers.rest.loading import Warehouse

BEGIN = datetime(2026, 6, 1, tzinfo=timezone.utc)
LOG = growing(
    "log",
    "log",
    text("id", "The key.", nullable=False),
    time("created_at", "When, UTC."),
    about="One row per entry.",
    scope="log:read",
    oldest_first={"ordering": "created_at"},
    counted_with={"page": 1, "page_size": 1},
    page_size=10,
    size_param="page_size",
)


def entries(count: int, start: int = 0, minutes: float = 20) -> list[dict[str, Any]]:
    """Entries, so many minutes apart, three of them at a time."""
    return [
        {"id": f"{i:05}", "created_at": (BEGIN + timedelta(minutes=minutes * (i - i % 3))).isoformat()}
        for i in range(start, start + count)
    ]


class Log:
    """As PostHog's activity log pages: by cursor on the time, newest first unless asked otherwise, or by number."""

    def __init__(self, rows: list[dict[str, Any]], *, knows_order: bool = True) -> None:
        self.rows = rows
        self.knows_order = knows_order

    def __call__(self, request: Request) -> Answer:
        size = int(request.params.get("page_size", 10))
        if "page" in request.params:
            return Answer(body={"count": len(self.rows), "next": None, "results": self.rows[:size]})
        is_ascending = self.knows_order and request.params.get("ordering") == "created_at"
        ordered = sorted(self.rows, key=lambda row: (row["created_at"], row["id"]), reverse=not is_ascending)
        after = request.params.get("cursor")
        if after:
            if after == "stale":
                return envelope(404, "not_found", "Invalid cursor", "invalid_request")
            mark = tuple(after.split("|"))
            ordered = [
                row
                for row in ordered
                if ((row["created_at"], row["id"]) > mark if is_ascending else (row["created_at"], row["id"]) < mark)
            ]
        page = ordered[:size]
        following = None
        if len(ordered) > size:
            own = f"http://{request.headers['Host']}{request.path}?page_size={size}"
            order = "&ordering=created_at" if is_ascending else ""
            cursor = f"{page[-1]['created_at']}|{page[-1]['id']}".replace("+", "%2B")
            following = f"{own}{order}&cursor={cursor}"
        return Answer(body={"next": following, "previous": None, "results": page})


def loaded(warehouse: Warehouse, table: str = "log") -> list[str]:
    return [row[0] for row in warehouse.rows(f"SELECT id FROM {table} ORDER BY id")]


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_each_entry_comes_once_and_later_runs_read_only_the_end(warehouse: Warehouse, order: str) -> None:
    log = Log(entries(95), knows_order=order == "oldest first")
    warehouse.paths["log"] = log
    reading = warehouse.load(LOG)["log"]
    assert loaded(warehouse) == [row["id"] for row in log.rows]
    assert (reading.evidence.held, reading.rows, len(warehouse.asked("log"))) == (95, 95, 11)

    log.rows += entries(12, start=95)
    reading = warehouse.load(LOG)["log"]
    assert loaded(warehouse) == [row["id"] for row in log.rows]
    assert reading.evidence.held == 107
    # The entries of the last hour before, and the new ones.
    assert reading.rows <= 12 + 6
    assert len(warehouse.asked("log")) <= 4

    reading = warehouse.load(LOG)["log"]
    assert len(warehouse.asked("log")) <= 3
    assert reading.rows <= 6
    assert loaded(warehouse) == [row["id"] for row in log.rows]


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_entries_that_become_visible_within_the_hour_are_found(warehouse: Warehouse, order: str) -> None:
    rows = entries(40, minutes=2)
    late = [rows.pop(30), rows.pop(31)]
    log = Log(rows, knows_order=order == "oldest first")
    warehouse.paths["log"] = log
    warehouse.load(LOG)
    log.rows += late
    warehouse.load(LOG)
    assert loaded(warehouse) == sorted(row["id"] for row in log.rows)


def test_what_posthog_drops_stays(warehouse: Warehouse) -> None:
    log = Log(entries(30))
    warehouse.paths["log"] = log
    warehouse.load(LOG)
    del log.rows[:20]
    reading = warehouse.load(LOG)["log"]
    assert (len(loaded(warehouse)), reading.evidence.held) == (30, 10)


def test_a_cursor_that_the_server_forgot_is_no_obstacle(warehouse: Warehouse) -> None:
    log = Log(entries(60))
    warehouse.paths["log"] = log
    warehouse.load(LOG)
    log.rows += entries(5, start=60)

    def forgetful(request: Request) -> Answer:
        # The cursor that was noted is asked first, and only then the list from its start.
        is_first = len(warehouse.asked("log")) == 2
        return envelope(404, "not_found", "Invalid cursor", "invalid_request") if is_first else log(request)

    warehouse.paths["log"] = forgetful
    warehouse.load(LOG)
    assert loaded(warehouse) == [row["id"] for row in log.rows]


def test_a_list_in_no_order_is_read_whole_each_time(warehouse: Warehouse) -> None:
    rows = entries(30)
    served = ServedList(rows[::2] + rows[1::2], page_size=10)
    warehouse.paths["log"] = served
    warehouse.load(LOG)
    served.rows.insert(5, entries(1, start=2_000)[0])
    served.rows.append({"id": "undated", "created_at": None})
    warehouse.load(LOG)
    assert loaded(warehouse) == sorted(row["id"] for row in served.rows)


LINES = growing(
    "lines",
    "plugins/{plugin_id}/logs",
    text("id", "The key.", nullable=False),
    bigint("plugin_id", "Whose."),
    time("created_at", "When, UTC."),
    about="One row per line.",
    scope="plugin:read",
    each=(EachRow("plugins", {"plugin_id": "id"}),),
    before="before",
    counted_with={},
    page_size=10,
)


class CutLog:
    """As PostHog reads the logs of plugins: `limit` cuts the newest rows out, and only those are paged."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __call__(self, request: Request) -> Answer:
        rows = sorted(self.rows, key=lambda row: str(row["created_at"]), reverse=True)
        before = request.params.get("before")
        if before:
            rows = [row for row in rows if datetime.fromisoformat(row["created_at"]) < datetime.fromisoformat(before)]
        if "limit" in request.params:
            rows = rows[: int(request.params["limit"])]
        size, start = int(request.params.get("limit", 10)), int(request.params.get("offset", 0))
        more = start + size < len(rows)
        own = f"http://{request.headers['Host']}{request.path}?limit={size}&offset={start + size}"
        body = {"count": len(rows), "next": own if more else None, "results": rows[start : start + size]}
        return Answer(body=body)


def test_logs_that_are_cut_at_the_page_are_read_backwards_in_time(warehouse: Warehouse) -> None:
    first, second = CutLog(entries(47)), CutLog(entries(3, start=500))
    warehouse.paths |= {
        "plugins": ServedList([{"id": 1}, {"id": 2}, {"id": 3}]),
        "plugins/1/logs": first,
        "plugins/2/logs": second,
        "plugins/3/logs": CutLog([]),
    }
    reading = warehouse.load(LINES)["lines"]
    assert (reading.evidence.held, len(loaded(warehouse, "lines"))) == (50, 50)
    assert warehouse.rows("SELECT plugin_id, count(*) FROM lines GROUP BY 1 ORDER BY 1") == [(1, 47), (2, 3)]

    first.rows += entries(25, start=47)
    reading = warehouse.load(LINES)["lines"]
    assert reading.evidence.held == 75
    assert len(loaded(warehouse, "lines")) == 75
    assert reading.rows <= 25 + 6 + 3
    assert len(warehouse.asked("plugins/1/logs")) <= 5


def test_a_log_that_is_gone_is_told_and_the_others_are_read(warehouse: Warehouse) -> None:
    warehouse.paths |= {
        "plugins": ServedList([{"id": 1}, {"id": 2}]),
        "plugins/1/logs": lambda _: envelope(404, "not_found", "Not found.", "invalid_request"),
        "plugins/2/logs": CutLog(entries(3)),
    }
    reading = warehouse.load(LINES)["lines"]
    assert (reading.evidence.held, reading.notes) == (3, ["PostHog has nothing at plugins/1/logs"])
    assert len(loaded(warehouse, "lines")) == 3


def test_a_server_that_does_not_know_before_is_not_asked_for_ever(warehouse: Warehouse) -> None:
    served = ServedList(entries(45)[::-1], page_size=10)
    warehouse.paths |= {"plugins": ServedList([{"id": 1}]), "plugins/1/logs": served}
    warehouse.load(LINES)
    assert len(loaded(warehouse, "lines")) == 45
    assert len(warehouse.asked("plugins/1/logs")) <= 12
