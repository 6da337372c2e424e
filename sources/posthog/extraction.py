"""One run's reading of a project: the connection, and for each table its pages and what they prove.

A run may be loaded in several load packages. The pages go on where the last package stopped, and what is noted in the
state of a package is true of the rows that are in it or in those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from sources.posthog.answers import Project
from sources.posthog.client import PostHogClient
from sources.posthog.errors import AccessDenied, PostHogError
from sources.posthog.hogql.capabilities import probe
from sources.posthog.hogql.dialect import Dialect
from sources.posthog.hogql.events import Batch, EventsReader
from sources.posthog.hogql.keyed import KeyedReader
from sources.posthog.hogql.ledger import Ledger, Plan
from sources.posthog.hogql.manifest import KnownVersions
from sources.posthog.hogql.windows import Window
from sources.posthog.progress import Progress
from sources.posthog.settings import Settings
from sources.posthog.tables import EVENTS, TABLES, Table

State = dict[str, Any]
_Noted = tuple[pa.Table, Callable[[State], None]]


class OtherProject(PostHogError):
    """The tables hold another project's data."""

    meaning = "Rows of two projects in one table cannot be told apart."
    advice = "Load each project into a dataset of its own: --dataset NAME."


@dataclass
class TableReading:
    """One table of one run."""

    table: Table
    start: Callable[[TableReading, State], Iterator[_Noted]]
    rows: int = 0
    """Rows read so far in this run."""
    plan: Plan | None = None
    """Events only: what this run asks for."""
    completed: list[Batch] = field(default_factory=list)
    """Events only: windows completed so far in this run."""
    held: int | None = None
    """Keyed tables only: keys that PostHog held at the start of the run, deleted ones left out."""
    is_done: bool = False
    blocked: PostHogError | None = None
    """Why the key may not read it."""
    keeps_partial: bool = False
    """Whether a refusal or a failure ends the pages (see `blocked`, `failed`), so that what came before and the other
    tables are loaded. Else it is raised: who does not look there must not take the table for whole."""
    failed: PostHogError | None = None
    """What ended the reading early."""
    _pages: Iterator[_Noted] | None = None

    def pages(self, state: State, has_room: Callable[[int], bool]) -> Iterator[pa.Table]:
        """Goes on reading until the table is done or `has_room` (told the rows of each page) says that it is enough.

        A page is noted in `state` only when the next one is asked for: by then the page itself is in the package.
        """
        if self.is_done or self.failed is not None or not has_room(0):
            return
        if self._pages is None:
            self._pages = self.start(self, state)
        try:
            for table, note in self._pages:
                self.rows += table.num_rows
                yield table
                note(state)
                if not has_room(table.num_rows):
                    return
        except PostHogError as error:
            if not self.keeps_partial:
                raise
            if not isinstance(error, AccessDenied):
                self.failed = error
                return
            self.blocked = error
        except GeneratorExit:
            # dlt has what it wanted (`add_limit`), or failed: nothing will ask for the rest.
            self.close()
            raise
        self.is_done = True

    @property
    def is_begun(self) -> bool:
        """Whether anything was asked for."""
        return self._pages is not None

    def close(self) -> None:
        """Ends the reading; requests under way are waited for."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()


class Extraction:
    """Reads one project. Nothing is asked of PostHog before the first page is."""

    def __init__(
        self,
        connect: Callable[[], PostHogClient],
        *,
        settings: Settings | None = None,
        since: int | None = None,
        until: int | None = None,
        progress: Progress | None = None,
        known: KnownVersions | None = None,
        tables: Iterable[str] = tuple(TABLES),
        keeps_partial: bool = False,
    ) -> None:
        self._connect = connect
        self.settings = settings or Settings()
        self._since = since
        self._until = until
        self._progress = progress or Progress()
        self._known = known
        self._opened: tuple[PostHogClient, Dialect, int, Project] | None = None
        self._tables = [table for name, table in TABLES.items() if name in set(tables)]
        self._keeps_partial = keeps_partial
        self.readings = self._readings()

    def _readings(self) -> dict[str, TableReading]:
        return {
            table.name: TableReading(
                table,
                self._read_events if table is EVENTS else partial(self._read_keyed, table),
                keeps_partial=self._keeps_partial,
            )
            for table in self._tables
        }

    def open(self) -> tuple[PostHogClient, Dialect, int, Project]:
        """The client, the server's dialect, its clock at the start of the run (microseconds UTC), and the project.

        Raises:
            PostHogError: the host, key or project is refused.
        """
        if self._opened is None:
            client = self._connect()
            project = _project(client)
            self._opened = (client, *probe(client), project)
        return self._opened

    @property
    def is_done(self) -> bool:
        """Whether every table is read to its end."""
        return all(reading.is_done for reading in self.readings.values())

    @property
    def failed(self) -> PostHogError | None:
        """What ended the reading of a table early, if anything did."""
        return next((reading.failed for reading in self.readings.values() if reading.failed is not None), None)

    def claim(self, source_state: State) -> None:
        """Makes sure that what `source_state` belongs to is this project's, or new.

        Raises:
            OtherProject: it is another's.
        """
        client, _, _, project = self.open()
        mine = {"host": client.host.url, "project_id": project.id}
        theirs = source_state.setdefault("project", mine)
        if theirs != mine:
            raise OtherProject(
                f"These tables hold project {theirs['project_id']} of {theirs['host']}, "
                f"and this run is for project {mine['project_id']} of {mine['host']}"
            )

    def close(self) -> None:
        """Ends all reading and the connection."""
        for reading in self.readings.values():
            reading.close()
        if self._opened is not None:
            self._opened[0].close()

    def renew(self) -> None:
        """Ends this run and begins another: its pages are what is new since."""
        self.close()
        self._opened = None
        self.readings = self._readings()

    def _read_events(self, reading: TableReading, state: State) -> Iterator[_Noted]:
        client, dialect, now, _ = self.open()
        plan = reading.plan = Ledger(state).plan(now, self._since, self._until, self.settings)
        reader = EventsReader(client, dialect, self.settings, self._progress)
        for page in reader.pages(plan.windows):
            reading.completed += page.completes
            yield page.table, partial(_cover, plan, [batch.window for batch in page.completes])
        # An empty page: it carries the last note, and makes the table where there are no events at all.
        yield reader.empty(), partial(_finish, plan)

    def _read_keyed(self, table: Table, reading: TableReading, state: State) -> Iterator[_Noted]:
        client, dialect, _, _ = self.open()
        reader = KeyedReader(client, dialect, self.settings, table, self._progress)
        for page in reader.pages(state, self._known):
            reading.held = reader.held
            yield page.table, partial(_note, page.state)


def _project(client: PostHogClient) -> Project:
    """The project; for a key without `project:read` just what the client was told."""
    try:
        return client.project()
    except AccessDenied:
        number = int(client.project_id) if client.project_id.isdigit() else 0
        return Project(number, None, client.project_id, "UTC", None, {})


def _cover(plan: Plan, windows: list[Window], state: State) -> None:
    Ledger(state).cover(plan, windows)


def _finish(plan: Plan, state: State) -> None:
    Ledger(state).finish(plan)


def _note(changes: State, state: State) -> None:
    for name, value in changes.items():
        if value is None:
            state.pop(name, None)
        else:
            state[name] = value
