"""What the program prints. Text is for people: what happens on standard error, what came out on standard output.

`--format json` prints one JSON object a line on standard output, and nothing else. Fields that are there always:

    {"type": "phase", "phase": "connect" | "load" | "retype" | "check" | ...}
    {"type": "package", "number", "rows": {table: rows}, "seconds"}            a load package is committed
    {"type": "wait", "seconds", "reason"}                                      a wait begins
    {"type": "note", "text"}
    {"type": "table", "table", "rows_read", "rows_total", "check", "missing", "extra", "posthog_rows",
     "warehouse_rows", "reason"}                                               after a sync, one for each table
    {"type": "result", "status", "exit_code", "run_id", "started_at", "finished_at", "seconds", "rows_read",
     "packages", "requests", "bytes_read", "waited_seconds", "database", "dataset"}
    {"type": "error", "error", "message", "meaning", "advice", "exit_code", "status", "code", "path"}

`status` and `doctor` and `demo` add types of their own, named where they are made. Times are ISO in UTC.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.pipelines.error_report import Problem
from posthog_warehouse.pipelines.sync import Listener, SyncResult
from posthog_warehouse.sources.posthog import PostHogClient
from posthog_warehouse.sources.posthog.http.rate_limiter import Wait

PHASES = {
    "sandbox": "Starting a local PostHog",
    "connect": "Connecting to PostHog",
    "load": "Loading",
    "retype": "Making columns wider",
    "check": "Checking against PostHog",
}
_NARROWEST = 120  # columns where the output is no terminal: a table that is cut helps nobody
_COLOURS = {
    **dict.fromkeys(("complete", "ok"), "green"),
    **dict.fromkeys(("warn", "unknown", "stopped"), "yellow"),
    **dict.fromkeys(("skipped", "not due"), "dim"),
}


class Reporter(Listener):
    """Shows a run while it goes on. This one is the base of all: what it shows goes through the methods below."""

    def start(self) -> None:
        """The run begins."""

    def stop(self) -> None:
        """The run is over, or what follows is printed alone. May be called twice."""

    def connected(self, client: PostHogClient) -> None:
        """From here on `client` has figures to show."""

    def waiting(self, wait: Wait) -> None:
        """A wait for PostHog begins."""

    def note(self, text: str) -> None:
        """Something that people should know."""

    def records(
        self, kind: str, rows: Sequence[Mapping[str, Any]], title: str = "", shown: Mapping[str, str] | None = None
    ) -> None:
        """Rows of one kind: a table for people, or one JSON object each.

        `shown`: what people see of them, and what it is called there; all if not given.
        """

    def reasons(self, reasons: Mapping[str, str | None], of: int) -> None:
        """For people: why tables, out of so many, are as their rows say. For programs that is in the rows."""

    def example(self, title: str, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A query and what it found."""

    def finding(self, finding: Mapping[str, Any]) -> None:
        """What one check of `doctor` found."""

    def result(self, result: SyncResult, destination: Destination, exit_code: int) -> None:
        """A sync came to its end."""

    def summary(self, facts: Mapping[str, Any], text: str) -> None:
        """A last word: `facts` for programs (`type` among them), `text` for people."""

    def problem(self, problem: Problem) -> None:
        """The run failed, or a part of it."""


class JsonReporter(Reporter):
    """One JSON object a line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._packages = _Packages()

    def phase(self, what: str) -> None:
        """The sync begins to do `what`."""
        self._packages.begin()
        self._print("phase", {"phase": what})

    def loaded(self, rows: dict[str, int]) -> None:
        """A load package was committed with `rows` of each table."""
        if package := self._packages.add(rows):
            self._print("package", package)

    def waiting(self, wait: Wait) -> None:
        """A wait for PostHog begins."""
        self._print("wait", {"seconds": round(wait.seconds, 3), "reason": wait.reason})

    def note(self, text: str) -> None:
        """Something that people should know."""
        self._print("note", {"text": text})

    def records(
        self,
        kind: str,
        rows: Sequence[Mapping[str, Any]],
        title: str = "",  # noqa: ARG002 - for people
        shown: Mapping[str, str] | None = None,  # noqa: ARG002 - for people
    ) -> None:
        """One object a row."""
        for row in rows:
            self._print(kind, row)

    def example(self, title: str, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A query and what it found."""
        self._print("example", {"title": title, "sql": sql, "rows": rows})

    def finding(self, finding: Mapping[str, Any]) -> None:
        """What one check of `doctor` found."""
        self._print("finding", finding)

    def result(self, result: SyncResult, destination: Destination, exit_code: int) -> None:
        """A sync came to its end."""
        self.records("table", _table_records(result))
        self._print("result", _result_record(result, destination, exit_code))

    def summary(self, facts: Mapping[str, Any], text: str) -> None:  # noqa: ARG002 - for people
        """A last word."""
        self._print(str(facts["type"]), {name: value for name, value in facts.items() if name != "type"})

    def problem(self, problem: Problem) -> None:
        """The run failed, or a part of it."""
        self._print("error", asdict(problem))

    def _print(self, kind: str, fields: Mapping[str, Any]) -> None:
        line = json.dumps({"type": kind, **fields}, default=_plain)  # in ASCII: no reader finds other line ends in it
        with self._lock, contextlib.suppress(BrokenPipeError):  # nobody reads on, which is no reason to stop a sync
            self._out.write(line + "\n")
            self._out.flush()


class TextReporter(Reporter):
    """Plain lines at phases, packages and waits; tables at the end."""

    def __init__(self) -> None:
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr, stderr=True)
        self._packages = _Packages()

    def phase(self, what: str) -> None:
        """The sync begins to do `what`."""
        self._packages.begin()
        self.say(f"{PHASES.get(what, what)} ...")

    def loaded(self, rows: dict[str, int]) -> None:
        """A load package was committed with `rows` of each table."""
        if package := self._packages.add(rows):
            tables = ", ".join(f"{table} {count:,}" for table, count in rows.items() if count)
            rate = sum(rows.values()) / max(package["seconds"], 0.001)
            self.say(f"Package {package['number']} is in: {tables} ({package['seconds']:.1f} s, {rate:,.0f} rows/s)")

    def waiting(self, wait: Wait) -> None:
        """A wait for PostHog begins."""
        self.say(waiting_text(wait))

    def note(self, text: str) -> None:
        """Something that people should know."""
        self.say(f"Note: {text}")

    def records(
        self,
        kind: str,  # noqa: ARG002 - for programs
        rows: Sequence[Mapping[str, Any]],
        title: str = "",
        shown: Mapping[str, str] | None = None,
    ) -> None:
        """A table."""
        if title:
            self.out.print(f"\n{escape(title)}")
        if rows and shown:
            rows = [{called: row[name] for name, called in shown.items()} for row in rows]
        if rows:
            self.out.print(_table(rows))

    def example(self, title: str, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A query and what it found."""
        self.out.print(f"\n[bold]{escape(title)}[/]\n{escape(sql)}", soft_wrap=True)
        self.records("example", rows)

    def finding(self, finding: Mapping[str, Any]) -> None:
        """What one check of `doctor` found: a line, and what to do about it below."""
        state = finding["state"]
        line = f"[{_COLOURS.get(state, 'red')}]{state:<4}[/]  {finding['check']:<12} {escape(finding['text'])}"
        self.out.print(line, highlight=False, soft_wrap=True)
        if finding["advice"]:
            self.out.print(f"{'':<19}{escape(finding['advice'])}", highlight=False, soft_wrap=True)

    def result(self, result: SyncResult, destination: Destination, exit_code: int) -> None:
        """The tables, and whether they are complete."""
        del exit_code
        self.out.print(_table([_row_for_people(record) for record in _table_records(result)]))
        told = (record for record in _table_records(result) if record["check"] not in {"skipped", "not due"})
        self.reasons({record["table"]: record["reason"] for record in told}, len(result.rows))
        self.out.print(_result_line(result), highlight=False, soft_wrap=True)
        if result.totals and result.stopped is None:
            self.out.print(_where(destination, result), highlight=False, soft_wrap=True)

    def reasons(self, reasons: Mapping[str, str | None], of: int) -> None:
        """A line for each reason, with its tables."""
        by_reason: dict[str, list[str]] = {}
        for table, reason in reasons.items():
            if reason:
                by_reason.setdefault(reason, []).append(table)
        for reason, tables in by_reason.items():
            which = "All tables" if 1 < len(tables) == of else ", ".join(tables)
            self.out.print(f" {which}: {escape(reason)}", highlight=False, soft_wrap=True)

    def summary(self, facts: Mapping[str, Any], text: str) -> None:  # noqa: ARG002 - for programs
        """A last word."""
        self.out.print(escape(text), highlight=False, soft_wrap=True)

    def problem(self, problem: Problem) -> None:
        """What failed, what it means, what to do next."""
        first, *rest = problem.lines
        self.say("\n".join([f"Error: {first}", *(f"  {line}" for line in rest)]), style="bold red")

    def say(self, text: str, style: str | None = None) -> None:
        """A line on standard error; with `style` for its first word where there are colours."""
        shown = escape(text)
        if style:
            word, rest = shown.split(" ", 1)
            shown = f"[{style}]{word}[/] {rest}"
        self.err.print(shown, highlight=False, soft_wrap=True)


def waiting_text(wait: Wait) -> str:
    """A wait, in words."""
    seconds = f"{wait.seconds:,.0f}" if wait.seconds >= 0.95 else f"{wait.seconds:.1f}"
    return f"Waiting {seconds} s for {wait.reason}"


def size_text(count: float) -> str:
    """Bytes, for people: 217 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


class _Packages:
    """Numbers packages and takes their time; those without rows, which hold records of our own, do not count."""

    def __init__(self) -> None:
        self._number = 0
        self._since = time.monotonic()

    def begin(self) -> None:
        """A package begins."""
        self._since = time.monotonic()

    def add(self, rows: Mapping[str, int]) -> dict[str, Any] | None:
        since = self._since
        self.begin()
        if not any(rows.values()):
            return None
        self._number += 1
        return {"number": self._number, "rows": dict(rows), "seconds": round(self._since - since, 3)}


def _table_records(result: SyncResult) -> list[dict[str, Any]]:
    checks = {each.table: each for each in result.checks}
    records = []
    for table, rows in result.rows.items():
        check = checks.get(table)
        records.append(
            {
                "table": table,
                "rows_read": rows,
                "rows_total": None if table in result.unusable else result.totals.get(table, 0),
                "check": check.status if check else "unknown",
                "missing": check.missing if check else None,
                "extra": check.extra if check else None,
                "posthog_rows": check.posthog_rows if check else None,
                "warehouse_rows": check.warehouse_rows if check else None,
                "reason": check.reason if check else "The run stopped before the check.",
            }
        )
    return records


def _row_for_people(record: Mapping[str, Any]) -> dict[str, Any]:
    check = f"short by {record['missing']:,}" if record["check"] == "short" else record["check"]
    return {
        "table": record["table"],
        "read in this run": record["rows_read"],
        "rows in the warehouse": record["rows_total"],
        "check": check,
    }


def _result_record(result: SyncResult, destination: Destination, exit_code: int) -> dict[str, Any]:
    return {
        "status": result.status,
        "exit_code": int(exit_code),
        "run_id": result.run_id,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "seconds": round(_seconds(result), 3),
        "rows_read": sum(result.rows.values()),
        "packages": result.packages,
        "requests": result.requests,
        "bytes_read": result.bytes_read,
        "waited_seconds": round(result.waited_seconds, 3),
        "database": destination.location,
        "dataset": destination.dataset,
    }


def _result_line(result: SyncResult) -> str:
    seconds, rows = _seconds(result), sum(result.rows.values())
    facts = [
        f"{rows:,} rows in {seconds:,.1f} s ({rows / max(seconds, 0.001):,.0f} rows/s)",
        f"{result.requests:,} requests",
        f"PostHog read {size_text(result.bytes_read)}" if result.bytes_read else "",
        f"waited {result.waited_seconds:,.0f} s",
    ]
    colour = _COLOURS.get(result.status, "red")
    return f"[bold {colour}]{result.status}[/]: {', '.join(filter(None, facts))}"


def _where(destination: Destination, result: SyncResult) -> str:
    if "events" in result.totals:
        table = f"{destination.dataset}.events"
        sql = f"SELECT event, count(*) AS events FROM {table} GROUP BY event ORDER BY events DESC LIMIT 10"
    else:
        sql = f"SELECT * FROM {destination.dataset}.{next(iter(result.totals))} LIMIT 10"
    look = destination.look(sql)
    where = f"The data is in {destination.location}, schema {destination.dataset}."
    return escape(f"{where} To look at it:\n  {look}" if look else where)


def _seconds(result: SyncResult) -> float:
    return (result.finished_at - result.started_at).total_seconds()


def _table(rows: Sequence[Mapping[str, Any]]) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, highlight=False)
    for name in rows[0]:
        is_number = all(_is_number(row[name]) for row in rows if row[name] is not None)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    if _is_number(value):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = escape(str(value))
    return f"[{_COLOURS[text]}]{text}[/]" if text in _COLOURS else text


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (UUID, Path)):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _console(file: TextIO, *, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not file.isatty():
        console = Console(stderr=stderr, highlight=False, width=max(_NARROWEST, console.width))
    return console
