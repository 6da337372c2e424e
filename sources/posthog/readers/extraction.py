"""One run's reading of a project: the connection, and all the tables that are wanted of it.

`definitions_of` is what PostHog declares of properties: their types, out of its list of property definitions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..clock import TOLERANCE, to_datetime
from ..errors import AccessDenied, ListUnreadable, NotFound, PaymentRequired, PostHogError, RequestRefused
from ..http.answers import Project
from ..http.client import PostHogClient
from ..http.unsupported import asked_once
from ..pages.spool import Spool
from ..properties.infer import PropertyType
from ..properties.shred import PropertyColumns
from ..settings import Requests, Settings
from ..tables import CORE, Table
from .base import Given, HasRoom, Noted, Page, State, TableReading
from .registry import engine_of
from .rest.pages import pages
from .run import KnownKeys, Progress, Run
from .skipped_tables import Withheld
from .version_manifest import KnownVersions

logger = logging.getLogger(__name__)

_PAGE_SIZE = 1_000


def definitions_of(run: Run, table: Table) -> Mapping[str, str | None]:
    """Name -> type (None: PostHog does not say) of the properties that `table` may have.

    The list says for one owner at a time, and of groups for one type of group (posthog/api/property_definition.py,
    autumn 2026). A name whose types differ among types of groups has none. Nothing where the key may not read it.
    """
    found: dict[str, str | None] = {}
    try:
        for params in _owners(run, table):
            for page in pages(run.client, "property_definitions", {**params, "limit": _PAGE_SIZE}):
                for row in page.rows:
                    name, kind = str(row["name"]), row.get("property_type")
                    if kind is None and row.get("is_numerical"):
                        kind = "Numeric"  # all that servers said before they knew types
                    found[name] = kind if found.get(name, kind) == kind else None
    except (AccessDenied, NotFound, PaymentRequired, RequestRefused, ListUnreadable, KeyError, TypeError) as error:
        logger.info("Types of properties are told by their values alone: %s", error)
        return {}
    return found


def _owners(run: Run, table: Table) -> Iterator[dict[str, Any]]:
    """The parameters that together ask for all properties of `table`."""
    if table.property_owner != "group":
        yield {"type": table.property_owner}
        return
    with asked_once(run.lacking, "groups_types"):
        rows = [row for page in pages(run.client, "groups_types") for row in page.rows]
    for row in rows:
        yield {"type": "group", "group_type_index": row["group_type_index"]}


SPOOLED = ("uuid", "created_at", "elements_chain")
"""Columns of events that are wanted before they are loaded: by `Deduplicator`, and for their elements."""


CLAIM = "x-posthog-project"
"""A hint of each table, in dlt's schema: whose rows are in it, as PostHog's address of the project.

dlt keeps schemas at the destination, and stores a new one ahead of the rows that need it; the state, where it is noted
as well, comes behind all rows of a package."""


class OtherProject(PostHogError):
    """The tables hold another project's data."""

    meaning = "Rows of two projects in one table cannot be told apart."
    advice = (
        "Load each project into a dataset of its own: --dataset NAME. If what is there was loaded by mistake, with a "
        "wrong project or host, drop that dataset (its schema, its folder or the file), and run the same command again."
    )

    @classmethod
    def of(cls, theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> OtherProject:
        """Whose the rows are, and for whom this run is: `host` and `project_id` of each."""
        return cls(
            f"These tables hold project {theirs['project_id']} of {theirs['host']}, "
            f"and this run is for project {mine['project_id']} of {mine['host']}"
        )


class ProjectUnknown(AccessDenied):
    """Nobody knows whose rows would be loaded."""

    meaning = (
        "Without project:read or query:read PostHog does not say which project is the key's current one, and that "
        "changes whenever its owner looks at another project."
    )
    advice = (
        "Set the project's number (POSTHOG_PROJECT_ID, --project-id): PostHog shows it in its address, behind "
        "/project/. Or add project:read to the key in PostHog under Settings, Personal API keys."
    )

    def __init__(self, message: str = "The key does not tell which project it reads") -> None:
        super().__init__(message)


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
        known_keys: KnownKeys | None = None,
        tables: Iterable[Table] = tuple(CORE.values()),
        named: Iterable[str] = (),
        requests: Requests | None = None,
        keeps_partial: bool = False,
        spool: Path | None = None,
    ) -> None:
        """`spool` is a folder in which pages of events may wait: for destinations that take Parquet files."""
        self._connect = connect
        self.settings = settings or Settings()
        self._since = since
        self._until = until
        self._progress = progress or Progress()
        self._known = known
        self._known_keys = known_keys
        self._requests = requests or Requests()
        self._tables = list(tables)
        self._named = frozenset(named)
        self._keeps_partial = keeps_partial
        self._spool = Spool(spool, SPOOLED) if spool is not None else None
        self.withheld: Mapping[str, Withheld] = {}
        self._run: Run | None = None
        self._is_recalled = False
        self.columns: dict[str, PropertyColumns] = {}
        """Of the tables with properties that are being read."""
        self.readings = self._readings()

    def _readings(self) -> dict[str, TableReading]:
        return {
            table.name: TableReading(table, keeps_partial=self._keeps_partial, withheld=self.withheld.get(table.name))
            for table in self._tables
        }

    def withhold(self, tables: Mapping[str, Withheld]) -> None:
        """Has nothing read of these tables, or of what comes with others'. To be told before the first page."""
        self.withheld = tables
        self.readings = self._readings()

    def open(self) -> Run:
        """The run: the client, the project, and what the engines are told.

        Raises:
            PostHogError: the host, key or project is refused.
        """
        if self._run is None:
            client = self._connect()
            self._run = Run(
                client,
                _project(client),
                self.settings,
                self._progress,
                self._known,
                self._since,
                self._until,
                self._requests,
                self._spool,
                self._known_keys,
            )
        return self._run

    def property_columns(self, name: str, state: State, held: Mapping[str, PropertyType]) -> PropertyColumns | None:
        """What makes the property columns of a table, from its pages on; None for a table without properties.

        `state` is what dlt keeps for the table, `held` the types of the columns that the destination has.
        """
        reading = self.readings[name]
        if reading.table.property_owner is None:
            return None
        if name not in self.columns:
            self.columns[name] = PropertyColumns(
                reading.table,
                self.settings.properties,
                definitions=lambda: definitions_of(self.open(), reading.table),
                state=state.get("property_columns"),
                held=held,
            )
        return self.columns[name]

    def pages(self, name: str, state: State, has_room: HasRoom) -> Iterator[Page]:
        """The next pages of a table: see `TableReading.pages`."""
        reading = self.readings[name]
        if not reading.is_begun and not reading.is_over and reading.withheld is None:
            due = self._next_due(reading.table, state)
            if due is not None:
                reading.put_off(due)
        return reading.pages(partial(self._start, reading), state, has_room)

    def _start(self, reading: TableReading, state: State) -> Iterator[Noted]:
        run = self.open()
        clock = run.clock
        reading.given = Given(clock.known_until(state), self.columns.get(reading.table.name))
        clock.note_begun(state)
        return self._of_known_project(engine_of(reading.table)(run, reading, state))

    def note_read(self, name: str, state: State) -> None:
        """Notes when a table was read, if all of it was: to be told once its pages have come to an end."""
        reading = self.readings[name]
        if reading.is_done and reading.is_begun and reading.outcome.skipped is None:
            self.open().clock.note(state)
            if reading.table.every:
                state["read_at"] = self.open().clock.now

    def _of_known_project(self, pages: Iterator[Noted]) -> Iterator[Noted]:
        for noted in pages:
            if not self.open().project.id:
                raise ProjectUnknown
            yield noted

    def _next_due(self, table: Table, state: State) -> int | None:
        """When `table` has to be read again, if that is not now: tables that somebody named always are."""
        if table.every is None or table.name in self._named or "read_at" not in state:
            return None
        every: int = getattr(self.settings, table.every)
        if not every:
            # Not left to the clock below: PostHog tells its time in whole seconds, so it may seem to go back.
            return None
        # A daily run that starts a bit earlier than yesterday's is still a daily one.
        clock = self.open().clock
        due = int(state["read_at"]) + every - every // 10
        # A reading that is noted as later than now went by a wrong clock: nobody knows when it was.
        return due if clock.now < due and int(state["read_at"]) <= clock.known_until(state) + TOLERANCE else None

    @property
    def is_done(self) -> bool:
        """Whether every table is read to its end, or as far as it can be."""
        return all(reading.is_over for reading in self.readings.values())

    @property
    def failed(self) -> PostHogError | None:
        """What ended the run early, if anything did."""
        return next((reading.outcome.failed for reading in self.readings.values() if reading.ends_run), None)

    def claim(self, source_state: dict[str, Any], tables: Mapping[str, Mapping[str, Any]] | None = None) -> str:
        """Makes sure that the dataset of `source_state` is this project's, or new. Returns what to note as `CLAIM`.

        `tables`: tables that hold rows, by name, as dlt's schema has them. Their claims count as well: who loaded them
        may have another state, as a pipeline of another name has, or ended before there was one. Nothing is to be noted
        (an empty text) where nobody knows which project is read.

        Raises:
            OtherProject: it is another's.
        """
        run = self.open()
        mine = {"host": run.client.host.url, "project_id": run.project.id}
        if not run.project.id:
            return ""  # no row will come of it
        theirs = [_claimed(table[CLAIM]) for table in (tables or {}).values() if CLAIM in table]
        for other in [*filter(None, [source_state.get("project")]), *theirs]:
            if other != mine:
                raise OtherProject.of(other, mine)
        source_state["project"] = mine
        if not self._is_recalled:
            self._is_recalled = True
            run.lacking.recall(source_state.get("server"), to_datetime(run.clock.now))
            for table in self._tables:
                if table.name in self._named:
                    run.lacking.forget(*table.reads.things())
            run.client.refuse_fields(run.lacking.fields)
        return _claim_of(mine)

    def remember(self, source_state: dict[str, Any]) -> None:
        """Notes in `source_state` what this server lacks, so that the next run need not be refused it again."""
        if self._run is None:
            return
        self._run.lacking.fields = self._run.client.refused_fields
        if state := self._run.lacking.to_state(to_datetime(self._run.clock.now)):
            source_state["server"] = state
        else:
            source_state.pop("server", None)

    def close(self) -> None:
        """Ends all reading and the connection."""
        for reading in self.readings.values():
            reading.close()
        if self._run is not None:
            self._run.client.close()

    def renew(self) -> None:
        """Ends this run and begins another: its pages are what is new since."""
        self.close()
        self._run = None
        self._is_recalled = False
        self.columns = {}
        self.readings = self._readings()


_PROJECT = "/project/"


def _claim_of(project: Mapping[str, Any]) -> str:
    return f"{project['host']}{_PROJECT}{project['project_id']}"


def _claimed(claim: str) -> dict[str, Any]:
    host, _, number = claim.rpartition(_PROJECT)
    return {"host": host, "project_id": int(number)}


def _project(client: PostHogClient) -> Project:
    """The project; for a key without `project:read` its number alone, or 0 where not even that can be known."""
    try:
        return client.project()
    except AccessDenied:
        return Project(client.project_number() or 0, None, client.project_id, "UTC", None, {})
