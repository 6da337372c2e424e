"""One run: the connection, and what all readers are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from ..clock import Clock, reckon, to_micros
from ..errors import AccessDenied, EndpointNotFound, PostHogError, RequestRefused
from ..http.answers import Project
from ..http.client import PostHogClient
from ..http.unsupported import Lacking
from ..pages.spool import Spool
from ..settings import Requests, Settings
from ..sql.capabilities import probe
from ..sql.dialect import Dialect
from ..tables import Table
from .version_manifest import KnownVersions

if TYPE_CHECKING:
    from .insights.results import Insights
    from .own_query.schema import Abilities, Described


class Progress:
    """Hears of everything a reader does. This one keeps quiet; a program shows what it likes.

    `expect` may come more than once for a table (each call adds), and calls come from several threads.
    """

    def expect(self, table: str, rows: int) -> None:
        """`rows` more rows of `table` are planned."""

    def fetched(self, table: str, rows: int) -> None:
        """`rows` rows of `table` have arrived."""

    def split(self, table: str, pieces: int) -> None:
        """A request of `table` was too large and was cut into `pieces`."""


KnownKeys = Callable[[Table, int, int], Iterable[pa.Table]]
"""Reads the keys, as text in the first column, of the rows that the warehouse holds with a `timestamp` in a half-open
span (microseconds UTC), in chunks."""


@dataclass
class Run:
    """What an engine gets."""

    client: PostHogClient
    project: Project
    settings: Settings = field(default_factory=Settings)
    progress: Progress = field(default_factory=Progress)
    known: KnownVersions | None = None
    since: int | None = None
    """Oldest `timestamp` wanted, microseconds UTC; None: no bound."""
    until: int | None = None
    """The first `timestamp` not wanted any more; None: no bound."""
    requests: Requests = field(default_factory=Requests)
    spool: Spool | None = None
    """Where pages of events wait for their load package; None: in memory."""
    known_keys: KnownKeys | None = None
    """None in a plain dlt script, which cannot look into its destination."""
    lacking: Lacking = field(default_factory=Lacking)
    """What this server lacks, as far as it was found out."""
    _probed: tuple[Dialect, Clock] | PostHogError | None = None

    # What several tables share: found out by the first that needs it.
    insights: Insights | None = None
    chosen_recordings: list[str] | None = None
    """Ids of the recordings that are wanted."""
    own_queries: dict[str, Described] = field(default_factory=dict)
    """What users' queries answer, by their names."""
    slow_queries: set[str] = field(default_factory=set)
    """Those of them that take longer than PostHog gives a query at once."""
    abilities: Abilities | None = None
    """What this server's grammar knows of users' queries."""

    @property
    def dialect(self) -> Dialect:
        """The HogQL of this server, found out when it is first needed.

        Raises:
            PostHogError: the key may not query, or the server has no HogQL.
        """
        return self._probe()[0]

    @property
    def now(self) -> int:
        """The server's clock at the start of the run, microseconds UTC: see `posthog.clock`.

        Raises:
            PostHogError: as `dialect`.
        """
        return self.reckoned.now

    @property
    def reckoned(self) -> Clock:
        """The clock behind `now`, with doubts and remarks. Raises as `dialect`."""
        return self._probe()[1]

    @property
    def clock(self) -> Clock:
        """The clock to go by where whole seconds are enough: no HogQL is asked for it."""
        return self._probed[1] if isinstance(self._probed, tuple) else self._reckon(None)

    def _reckon(self, asked: int | None) -> Clock:
        told = self.client.server_time()
        return reckon(asked, None if told is None else to_micros(told), to_micros(datetime.now(timezone.utc)))

    @cached_property
    def closed(self) -> PostHogError | None:
        """What PostHog says to a first query, if it lets this key make none; None: it may query."""
        try:
            _ = self.dialect
        except (AccessDenied, EndpointNotFound) as error:
            return error
        return None

    def _probe(self) -> tuple[Dialect, Clock]:
        if self._probed is None:
            try:
                dialect, asked = probe(self.client, self.lacking)
            except RequestRefused as refused:
                # Whoever asks next would be refused likewise.
                self._probed = refused
            else:
                self._probed = dialect, self._reckon(asked)
        if isinstance(self._probed, PostHogError):
            raise self._probed
        return self._probed
