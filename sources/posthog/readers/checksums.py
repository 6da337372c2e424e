"""Tables whose rows change and, on this server, do not tell when: sessions of servers without `max_inserted_at`.

Rows are compared by the day on which they began: the server makes one checksum of all columns of a day's rows, and a
day is read again when its checksum, or its number of rows, differs from what it was at the last reading. Nothing is
concluded from clocks or from when a row ended, so a row that changed in whatever way, days after its end, is found all
the same: in the days that every run looks at (`live_days`), and once a day in all others.

The checksum is asked for before the rows are: a row that changes in between makes the next run's differ.

Likewise who is in which cohort: all members are read, unless a checksum says that none changed. PostHog keeps no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..clock import DAY, MAX, MIN, day_start, to_text
from ..errors import AnswerMalformed, TableMissing
from ..pages.arrow import ANY, COUNT, FLAG, HASH, INTEGER, TEXT, empty_table
from ..pages.arrow import DAY as A_DAY
from ..planning.intervals import Window
from ..tables.analytics import Memberships
from .base import Noted, State, TableReading, note, nothing
from .keyset import Rows
from .run import Run
from .updated_at import WindowReader, without

Mark = tuple[int, str]
"""How many rows there are, and their checksum; "" where the server has no hashes."""

_LEAVES_A_CHECKSUM = 10
"""How many rows one query of checksums may read, as a multiple of `leaf_rows`: it reads all of their columns."""


@dataclass
class Days:
    """What a table held, by the day of UTC on which rows began (microseconds of its start)."""

    days: dict[int, Mark] = field(default_factory=dict)
    hidden: Mark = (0, "")
    """Rows that bounds on when they began may not find (`Changing.hidden`)."""

    @property
    def rows(self) -> int:
        """All of them."""
        return self.hidden[0] + sum(count for count, _ in self.days.values())

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Days:
        """What `to_state` wrote."""
        days = {int(day) * DAY: (int(count), str(mark)) for day, (count, mark) in state.get("days", {}).items()}
        count, mark = state.get("hidden", (0, ""))
        return cls(days, (int(count), str(mark)))

    def to_state(self) -> dict[str, Any]:
        """For dlt state."""
        days = {str(day // DAY): [count, mark] for day, (count, mark) in sorted(self.days.items())}
        return {"days": days, "hidden": list(self.hidden)}


class DayReader:
    """Asks for the days of one table."""

    def __init__(self, run: Run, reading: TableReading) -> None:
        self._run = run
        self.windows = WindowReader(run, reading.table, knows_changes=False)
        self._rows = self.windows.rows
        self._reads = self.windows.reads
        self._table = reading.table

    def look(self, start: int, end: int, *, with_hidden: bool) -> Days:
        """What there is now of rows that began from `start` to `end` (microseconds UTC)."""
        day = self._run.dialect.day(self._reads.started)
        hidden = f"if({self._reads.hidden}, 1, 0)" if self._reads.hidden else "0"
        conditions = (
            self.bounds(start, end) if with_hidden else self._run.dialect.time_bounds(self._reads.started, start, end)
        )
        counts: dict[int, int] = {}
        hidden_count = 0
        beyond: list[str] = []
        while True:
            rows = self._rows.ask(
                [day, hidden, "count()"],
                [A_DAY, FLAG, COUNT],
                [*conditions, *beyond],
                group_by=f"{day}, {hidden}",
                order_by=f"{day}, {hidden}",
            )
            for at, is_hidden, count in rows:
                if is_hidden:
                    hidden_count += count
                else:
                    counts[at] = count
            if len(rows) < self._rows.max_rows:
                break
            # The last day may have another row; days before it are whole.
            last = rows[-1][0]
            counts.pop(last, None)
            hidden_count -= sum(count for at, is_hidden, count in rows if at == last and is_hidden)
            beyond = [f"{day} >= '{to_text(last)[:10]}'"]
        found = Days({day: (count, "") for day, count in counts.items()}, (hidden_count if with_hidden else 0, ""))
        if self._run.dialect.has_hashes:
            self._add_checksums(found, start, end)
        return found

    def bounds(self, start: int, end: int) -> list[str]:
        """Conditions for `start <= began < end` (microseconds UTC) that find hidden rows too: compared as text."""
        began = self._run.dialect.time_text(self._reads.started)
        return [
            f"{began} {sign} '{to_text(bound)}'" for sign, bound in ((">=", start), ("<", end)) if MIN < bound < MAX
        ]

    def _add_checksums(self, found: Days, start: int, end: int) -> None:
        day = self._run.dialect.day(self._reads.started)
        seen = f"NOT {self._reads.hidden}" if self._reads.hidden else "1 = 1"
        for low, high in self._chunks(found.days):
            conditions = self._run.dialect.time_bounds(self._reads.started, max(low, start), min(high, end))
            rows = self._rows.ask(
                [day, self._checksum()], [A_DAY, ANY], [*conditions, seen], group_by=day, order_by=day
            )
            for at, mark in rows:
                if at in found.days:
                    found.days[at] = (found.days[at][0], str(mark))
        if found.hidden[0]:
            conditions = [self._reads.hidden, *self.bounds(start, end)]
            [(mark,)] = self._rows.ask([self._checksum()], [ANY], conditions, limit=1, is_one=True)
            found.hidden = (found.hidden[0], str(mark))

    def _chunks(self, days: Mapping[int, Mark]) -> Iterator[tuple[int, int]]:
        """Spans of days (microseconds UTC) with as many rows as one query of checksums may read."""
        most = _LEAVES_A_CHECKSUM * self._run.settings.leaf_rows
        low: int | None = None
        rows = 0
        for day in sorted(days):
            if low is not None and rows + days[day][0] > most:
                yield low, day
                low, rows = None, 0
            low = day if low is None else low
            rows += days[day][0]
        if low is not None:
            yield low, max(days) + DAY

    def _checksum(self) -> str:
        """All columns of the rows, in one number that does not depend on their order."""
        lacking = self._run.lacking.columns(self._reads.table)
        cells = [
            self._run.dialect.time_text(column.hogql) if column.data_type == "timestamp" else column.hogql
            for column in self._table.columns
            if column.hogql not in lacking
        ]
        texts = ", '|', ".join(f"ifNull(toString({cell}), '')" for cell in cells)
        return f"toString(groupBitXor(cityHash64(concat({texts}))))"


def read_by_day(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: days that are not what they were.

    State, under `daily`: `days` and `hidden` of what was read (`Days.to_state`); `since`, the oldest start wanted so
    far; `swept`, the server's time of the last look at all days; `until`, the end of what that look asked for (times
    are microseconds UTC).
    """
    known = dict(state.get("daily", {}))
    had = Days.from_state(known)
    settings = run.settings
    is_first = "swept" not in known
    reading.evidence.doubt = run.reckoned.doubt
    if not is_first:
        # A look that is noted as later than now went by a clock that was ahead.
        known["swept"] = min(int(known["swept"]), run.now, reading.given.known_until)
    wanted = run.since if run.since is not None else (MIN if is_first else MAX)
    since = min(wanted, int(known.get("since", MAX)))
    until = MAX if run.until is None else run.until
    slack = settings.sweep_every // 10
    is_sweep = (
        is_first
        or since < int(known["since"])
        or until > int(known["until"])
        or run.now - int(known["swept"]) >= settings.sweep_every - slack
    )
    low = since if is_sweep else max(since, day_start(run.now - settings.live_span))
    reader = DayReader(run, reading)
    now = reader.look(low, until, with_hidden=is_sweep)
    changed = _changed(run, had, now, is_sweep=is_sweep)
    reading.notes.append(
        f"this PostHog does not say when {reading.table.name} changed: days are compared by checksum, those before the "
        f"last {settings.live_span // DAY} once a day"
    )

    keys: list[Any] = []
    if is_sweep and now.hidden != had.hidden:
        conditions = [reader.windows.reads.hidden, *reader.bounds(since, until)]
        for table in reader.windows.rows.by_key(conditions):
            keys += table.column(reading.table.key).to_pylist()
            yield table, nothing
    windows = [Window(max(a, low), min(b, until), MIN, MAX) for a, b in _spans(changed, now.days)]
    for page in reader.windows.pages(windows):
        done = {
            day: mark
            for day, mark in now.days.items()
            if any(window.ts_from < day + DAY and day < window.ts_to for window in page.completes)
        }
        had.days.update(done)
        yield without(page.table, reading.table.key, keys), partial(_note_days, done)
    gone = [day for day in had.days if day not in now.days and low < day + DAY and day < until]
    for day in gone:
        del had.days[day]
    if is_sweep:
        had.hidden = now.hidden
    reading.evidence.held = had.rows
    reading.evidence.recount = partial(reader.windows.rows.count, reader.bounds(since, until))
    reading.notes += reader.windows.rows.notes
    looked = {"swept": run.now, "until": until} if is_sweep else {name: known[name] for name in ("swept", "until")}
    yield empty_table(reading.table), partial(_finish, had, {"since": since, **looked})


def _changed(run: Run, had: Days, now: Days, *, is_sweep: bool) -> list[int]:
    """The days to be read: those with another mark. Without hashes a day that may still change counts as changed."""
    changed = [day for day, mark in now.days.items() if had.days.get(day) != mark]
    if not run.dialect.has_hashes:
        span = run.settings.sweep_span if is_sweep else run.settings.live_span
        changed += [day for day in now.days if day >= day_start(run.now - span)]
    return sorted(set(changed))


def _spans(changed: Sequence[int], days: Mapping[int, Mark]) -> list[tuple[int, int]]:
    """Spans of changed days. Days without rows between two changed ones do not part them: they cost nothing to read."""
    wanted = set(changed)
    spans: list[tuple[int, int]] = []
    joins = False
    for day in sorted(days):
        if day not in wanted:
            joins = False
            continue
        spans.append((spans.pop()[0] if joins else day, day + DAY))
        joins = True
    return spans


def _note_days(done: Mapping[int, Mark], state: State) -> None:
    daily = dict(state.get("daily", {}))
    days = Days.from_state(daily)
    days.days.update(done)
    state["daily"] = {**daily, **days.to_state()}


def _finish(days: Days, looked: Mapping[str, int], state: State) -> None:
    state["daily"] = {**days.to_state(), **looked}


_CHECKSUM = "groupBitXor(cityHash64(concat(toString(cohort_id), ' ', toString(person_id))))"
_MEMBER = "concat(toString(cohort_id), ' ', toString(person_id))"


def read_memberships(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: all members of all cohorts, in as many requests as their numbers need.

    State: `checksums`, by table and cohort, of what was loaded last. Raises TableMissing where neither table is.
    """
    table = reading.table
    if not isinstance(table.reads, Memberships):
        raise TypeError(f"{table.name} does not hold members")
    sources = [Rows(run, table, name) for name in table.reads.tables]
    found = [(rows, cohorts) for rows in sources if (cohorts := _cohorts(run, rows, reading)) is not None]
    if not found:
        raise TableMissing(f"PostHog has none of the tables {', '.join(table.reads.tables)}")
    checksums = [sorted([cohort, count, checksum] for cohort, count, checksum in cohorts) for _, cohorts in found]
    reading.evidence.held = sum(count for _, cohorts in found for _, count, _ in cohorts)
    reading.evidence.recount = partial(_recount, run, sources, reading)
    if run.dialect.has_hashes and state.get("checksums") == checksums:
        reading.evidence.is_unchanged = True
        return
    run.progress.expect(table.name, reading.evidence.held)
    for rows, cohorts in found:
        for chunk in _chunks(cohorts, run.settings.leaf_rows):
            conditions = [f"cohort_id IN ({', '.join(map(str, chunk))})"]
            # A static list may hold a person twice.
            for page in rows.by_key(conditions, group_by="cohort_id, person_id"):
                run.progress.fetched(table.name, page.num_rows)
                yield page, nothing
    yield empty_table(table), partial(note, {"checksums": checksums})


_Cohort = tuple[int, int, str]
"""A cohort's id, how many members it has, and a checksum of them (nothing where the server has no hashes)."""


def _cohorts(run: Run, rows: Rows, reading: TableReading) -> list[_Cohort] | None:
    """What cohorts a table has; None where the server does not have the table."""
    expressions = ["cohort_id", f"uniqExact({_MEMBER})", _CHECKSUM if run.dialect.has_hashes else "''"]
    try:
        kinds = [INTEGER, COUNT, HASH if run.dialect.has_hashes else TEXT]
        found = rows.ask(expressions, kinds, group_by="cohort_id", order_by="cohort_id")
    except TableMissing as missing:
        words = f"this PostHog has not all kinds of cohorts: {missing.message}"
        if words not in reading.notes:
            reading.notes.append(words)
        return None
    if len(found) >= rows.max_rows:
        raise AnswerMalformed(f"PostHog has {rows.max_rows:,} cohorts or more: too many to tell them apart")
    return [(cohort, count, str(checksum)) for cohort, count, checksum in found]


def _recount(run: Run, sources: Sequence[Rows], reading: TableReading) -> int:
    return sum(count for rows in sources for _, count, _ in _cohorts(run, rows, reading) or [])


def _chunks(cohorts: Sequence[_Cohort], most: int) -> Iterator[list[int]]:
    """Cohorts, as many together as fill a request."""
    chunk: list[int] = []
    room = most
    for cohort, count, _ in cohorts:
        if chunk and count > room:
            yield chunk
            chunk, room = [], most
        chunk.append(cohort)
        room -= count
    if chunk:
        yield chunk
