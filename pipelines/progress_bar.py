"""Progress on a terminal: a bar for each table, and below them requests, bytes and waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from posthog_warehouse.pipelines.report import PHASES, TextReporter, size_text
from posthog_warehouse.sources.posthog import PostHogClient
from posthog_warehouse.sources.posthog.http.rate_limiter import Wait


class TerminalReporter(TextReporter):
    """Bars that live while a sync runs, then the same tables as everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._tasks: dict[str, TaskID] = {}
        self._expected: dict[str, int] = {}
        self.phase_text = ""
        self.client: PostHogClient | None = None
        self.wait_until = 0.0
        self.wait_reason = ""
        self._bars = _Bars(self)  # last: it asks for all of the above

    def start(self) -> None:
        """Bars appear."""
        self._bars.start()

    def stop(self) -> None:
        """Bars vanish: what follows says it all."""
        self._bars.stop()

    def connected(self, client: PostHogClient) -> None:
        """From here on `client` has figures to show."""
        self.client = client

    def phase(self, what: str) -> None:
        """The sync begins to do `what`."""
        self.phase_text = PHASES.get(what, what)

    def loaded(self, rows: dict[str, int]) -> None:
        """Bars show rows as they arrive, so packages are no news here."""

    def expect(self, table: str, rows: int) -> None:
        """`rows` more rows of `table` are planned."""
        with self._lock:
            self._expected[table] = self._expected.get(table, 0) + rows
            self._bars.update(self._task(table), total=self._expected[table])

    def fetched(self, table: str, rows: int) -> None:
        """`rows` rows of `table` have arrived."""
        with self._lock:
            task = self._task(table)
            self._bars.advance(task, rows)
            completed = self._bars.completed(task)
            if table in self._expected and completed > self._expected[table]:
                self._bars.update(task, total=completed)  # rows that came in meanwhile

    def waiting(self, wait: Wait) -> None:
        """A wait for PostHog begins: it is counted down."""
        self.wait_until, self.wait_reason = time.monotonic() + wait.seconds, wait.reason

    def _task(self, table: str) -> TaskID:
        if table not in self._tasks:
            self._tasks[table] = self._bars.add_task(table, total=None)
        return self._tasks[table]


class _Bars(Progress):
    def __init__(self, shown: TerminalReporter) -> None:
        self._shown = shown
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            _RowsColumn(),
            TimeRemainingColumn(compact=True),
            console=shown.err,
            transient=True,
            refresh_per_second=4,
            speed_estimate_period=10,
        )

    def completed(self, task: TaskID) -> float:
        with self._lock:
            return self._tasks[task].completed

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then what the run has used so far, or what it waits for."""
        if self.tasks:
            yield self.make_tasks_table(self.tasks)
        shown = self._shown
        facts = [f"{escape(shown.phase_text)} ..."] if shown.phase_text else []
        if shown.client is not None:
            usage = shown.client.usage
            facts.append(f"{usage.requests:,} requests")
            facts.append(f"{size_text(usage.bytes_read)} read" if usage.bytes_read else "")
            facts.append(f"waited {usage.waited_seconds:,.0f} s" if usage.waited_seconds >= 1 else "")
        left = shown.wait_until - time.monotonic()
        if left > 0:
            facts.append(f"[yellow]waiting {left:,.0f} s for {escape(shown.wait_reason)}[/]")
        yield Text.from_markup(", ".join(filter(None, facts)))


class _RowsColumn(ProgressColumn):
    """12,000 / 100,000 rows, 9,500 rows/s."""

    def render(self, task: Task) -> Text:
        total = f" / {task.total:,.0f}" if task.total else ""
        speed = task.finished_speed or task.speed
        rate = f", {speed:,.0f} rows/s" if speed else ""
        return Text(f"{task.completed:,.0f}{total} rows{rate}")
