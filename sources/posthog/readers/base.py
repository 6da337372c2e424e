"""One table of one run: its pages, and what they prove.

A run may be loaded in several load packages. The pages go on where the last package stopped, and what is noted in the
state of a package is true of the rows that are in it or in those before.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from ..clock import MAX
from ..errors import (
    AccessDenied,
    NotFound,
    PaymentRequired,
    PostHogError,
    RequestRefused,
)
from ..pages.spool import SpooledPage
from ..planning.intervals import Window
from ..planning.ledger import WindowPlan
from ..properties.catalogue import Tally
from ..properties.shred import PropertyColumns, ShapedPage
from ..tables import Column, Table
from .run import Run
from .skipped_tables import Withheld


@dataclass
class Batch:
    """A window of whole days, and how many of its leaves are still to come."""

    window: Window
    leaves_left: int
    rows: int = 0
    tally: Tally = field(default_factory=Tally)
    """What was counted of them, to be noted when the window is complete: until then a run that dies reads it again."""


State = dict[str, Any]
"""What dlt keeps for a table, in the destination, from run to run."""

Page: TypeAlias = "pa.Table | SpooledPage | list[dict[str, Any]]"
"""Rows: typed columns, in memory or in a file, or objects as PostHog's JSON has them."""

Noted: TypeAlias = "tuple[ShapedPage | Page, Callable[[State], None]]"
"""A page, and what is to be noted in the state once the page is in a load package."""


logger = logging.getLogger(__name__)


@dataclass
class EventCount:
    """Events as they were counted while they were read, by a server that cannot be asked for counts."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    """What was counted: half-open spans of `timestamp`, microseconds UTC."""
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Distinct events by UTC day (YYYY-MM-DD) and name."""
    unproven: list[tuple[int, int]] = field(default_factory=list)
    """Spans of which no two readings agreed."""

    def add(self, start: int, end: int, cells: Mapping[tuple[str, str], int], *, is_proven: bool) -> None:
        """Adds what was found in one span."""
        if start < end:
            (self.spans if is_proven else self.unproven).append((start, end))
            self.cells.update(cells if is_proven else {})


@dataclass
class Evidence:
    """What the check goes by, and the record of a run: told by the table's engine, and by nobody else."""

    held: int | None = None
    """Keys that PostHog held when they were read, deleted ones left out; None: not known."""
    recount: Callable[[], int] | None = None
    """Asks PostHog how many keys it holds now; None: it cannot be asked."""
    doubt: str = ""
    """Why what was read, though whole, may not be all there is."""
    is_unchanged: bool = False
    """Of a table that is replaced, and yields nothing then: PostHog holds what was loaded last."""
    plan: WindowPlan | None = None
    """Events by HogQL only: what this run asks for."""
    ahead: Window | None = None
    """Events by HogQL only: those that PostHog holds from beyond its own clock, which are read and not covered."""
    counted: EventCount | None = None
    """Events by listing only: what there was to read, proven by reading it twice."""
    completed: list[Batch] = field(default_factory=list)
    """Events only: windows completed so far in this run."""


@dataclass
class Answered:
    """What PostHog answered with, of a table that does not declare it: told by its engine before the first page."""

    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    """The columns that rows are merged on."""


@dataclass(frozen=True)
class Given:
    """What an engine is given besides the state: set when it is started, by who starts it."""

    known_until: int = MAX
    """What is noted of later times (microseconds UTC) was noted by a wrong clock, and does not count."""
    shape: PropertyColumns | None = None
    """Makes the property columns of a page. An engine may do that by itself and yield a `ShapedPage`, on the threads
    that fetch; of any other page it is done when the page is yielded."""


@dataclass(frozen=True)
class Outcome:
    """How the reading of a table ended, once it has."""

    is_over: bool = False
    """Whether nothing more comes in this run."""
    next_due: int | None = None
    """It is not due in this run, but from this time on (microseconds UTC); None: it is read."""
    skipped: PostHogError | None = None
    """Why it is not read: the key may not, the plan does not have it, or the server does not."""
    failed: PostHogError | None = None
    """What ended the reading early."""


class Notes(list[str]):
    """What people should know of a table, for the run's report."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()
        self._places: dict[str, int] = {}

    def add_to(self, number: int, words: str) -> None:
        """Adds to a note that is a number and these words."""
        self._counts[words] += number
        place = self._places.setdefault(words, len(self))
        self[place : place + 1] = [f"{self._counts[words]:,} {words}"]


class TableReading:
    """One table of one run: drives its engine, and keeps how far it came (`rows`) and how it ended (`outcome`).

    What else is known of it is told by one each: `given` by who starts the engine, `evidence` and `answered` by the
    engine. `notes` takes what anybody has to say.
    """

    def __init__(self, table: Table, *, keeps_partial: bool = False, withheld: Withheld | None = None) -> None:
        """`keeps_partial`: whether a refusal or a failure ends the pages (see `outcome`), so that what came before and
        the other tables are loaded. Else it is raised: who does not look there must not take the table for whole.
        `withheld`: why whoever loads cannot take it in this run, so that nothing is asked for."""
        self.table = table
        self.withheld = withheld
        self.rows = 0
        """Rows read so far in this run."""
        self.is_begun = False
        """Whether anything was asked for."""
        self.outcome = Outcome()
        self.given = Given()
        self.evidence = Evidence()
        self.answered = Answered()
        self.notes = Notes()
        self._keeps_partial = keeps_partial
        self._pages: Iterator[Noted] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that rows are merged on: those that its engine told, else those that the table declares."""
        return self.answered.key or self.table.keys

    def put_off(self, until: int) -> None:
        """Has nothing read: it is due from `until` on (microseconds UTC)."""
        self.outcome = Outcome(is_over=True, next_due=until)

    def pages(self, start: Start, state: State, has_room: HasRoom) -> Iterator[Page]:
        """Goes on reading until the table is done or `has_room` (told the rows of each page) says that it is enough.

        A page is noted in `state` only when the next one is asked for: by then the page itself is in the package.
        `start` is called before the first page, and once.
        """
        if self.is_over:
            return
        if self.withheld is not None:
            # In the first package, so that it is noted whatever ends the run later.
            self.withheld.note(self.table, state)
            self.outcome = Outcome(is_over=True)
        if self.is_over or not has_room(0):
            return
        is_whole = self.table.loads == "replace"
        try:
            if self._pages is None:
                self.is_begun = True
                self._pages = start(state)
            # A table that is replaced goes into one package, and none of it does unless all of it was read.
            for page, note in [*self._pages] if is_whole else self._pages:
                self.rows += len(page)
                yield self._shaped(page)
                note(state)
                if not has_room(len(page)) and not is_whole:
                    return
        except PostHogError as error:
            self.outcome = self._refused(error)
            return
        except GeneratorExit:
            # dlt has what it wanted (`add_limit`), or failed: nothing will ask for the rest.
            self.close()
            raise
        self.outcome = Outcome(is_over=True)

    def _shaped(self, page: ShapedPage | Page) -> Page:
        if isinstance(page, ShapedPage):
            return page.table  # its engine counts it, when it knows that it counts
        if self.given.shape is None or not isinstance(page, pa.Table):
            return page
        shaped = self.given.shape(page)
        self.given.shape.count(shaped.tally)
        return shaped.table

    def _refused(self, error: PostHogError) -> Outcome:
        is_closed = isinstance(error, (AccessDenied, PaymentRequired, NotFound)) and not self.rows
        if is_closed and (self._keeps_partial or self.table.is_optional):
            if not self._keeps_partial:  # else whoever looks at `skipped` says so
                logger.warning("Table %s is skipped: %s", self.table.name, error.message)
            return Outcome(is_over=True, skipped=error)
        if self._keeps_partial:
            return Outcome(is_over=True, failed=error)
        raise error

    @property
    def ends_run(self) -> bool:
        """Whether what failed here leaves no hope for other tables either, or leaves the run without a main table."""
        failed = self.outcome.failed
        if failed is None:
            return False
        # What PostHog has against one table's questions it need not have against the others'.
        is_of_table = self.table.is_optional or isinstance(failed, RequestRefused)
        return failed.is_shared or not is_of_table

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes in this run."""
        return self.outcome.is_over

    @property
    def is_done(self) -> bool:
        """Whether that is for another reason than a failure."""
        return self.outcome.is_over and self.outcome.failed is None

    def close(self) -> None:
        """Ends the reading; requests under way are waited for."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()


Start = Callable[[State], Iterator[Noted]]
"""Starts the engine of a table."""

HasRoom = Callable[[int], bool]
"""Told the rows of a page: whether the load package takes another one."""

Engine = Callable[[Run, TableReading, State], Iterator[Noted]]
"""Reads a table: its pages in their order."""


def nothing(_: State) -> None:
    """Nothing to note: only later pages make it true."""


def note(changes: State, state: State) -> None:
    """Writes `changes` into the state of a table; None takes an entry out."""
    for name, value in changes.items():
        if value is None:
            state.pop(name, None)
        else:
            state[name] = value
