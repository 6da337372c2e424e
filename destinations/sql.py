"""Any SQL destination of dlt's, by name: configured dlt's way, checked before anything is asked of PostHog, and counted
in its own SQL.

Tables are merged by delete-insert on their keys, the only strategy of dlt's that ends right wherever a run is killed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common import json

from .credentials import secrets_of, without_secrets
from .destination import Bounds, Cell, Condition, Descriptions, Place
from .dlt_internals.loading import Destination as DltDestination
from .dlt_internals.loading import DestinationException, LoadClientJobException, SqlJobClientBase
from .dropped import Present, columns_gone, tables_gone
from .errors import DestinationError, DestinationUnusable, TableUnusable, cause_in, chain_of, first_line
from .kinds import Kind
from .preflight import SCHEMA, bucket, client_of, refuse_unfit
from .sql_session import SqlReading, SqlSession, day_text
from .staging import STAGING_FOLDER, Held, refuse_dataset, refuse_staging, staging_name
from .views_and_comments import furnish

_IDLE_SECONDS = 30.0
"""A connection that was not used for longer is not trusted: servers close those that wait through a long backfill."""

Self = TypeVar("Self", bound="SqlDestination")


class SqlDestination:
    """A dataset of one of dlt's SQL destinations."""

    takes_parquet = False
    """Nobody knows of all of them whether the columns of a file may come in any order."""
    has_staging = True
    """Whether rows are staged in a dataset beside this one."""

    def __init__(self, kind: Kind, place: Place) -> None:
        self.kind = kind
        self.name = kind.name
        self.dataset = place.dataset
        self._place = place
        self._client: SqlJobClientBase | None = None
        self._is_open = False
        self._used_at = 0.0

    @property
    def location(self) -> str:
        """The kind, and the server and database where dlt tells them."""
        try:
            return f"{self.name} ({self.client.config.data_location()})"
        except (DestinationError, DestinationException, ValueError):
            return self.name

    @property
    def identity(self) -> str:
        """The kind, the server and database, and the dataset."""
        return f"{self.location}:{self.dataset}"

    @property
    def idle_seconds(self) -> float:
        """For how long a connection is kept that nobody uses."""
        return _IDLE_SECONDS if self.kind.sees_new_tables else 0.0

    @property
    def client(self) -> SqlJobClientBase:
        """dlt's client. Raises DestinationUnready."""
        if self._client is None:
            self._client = client_of(self.kind, self.factory, self.dlt_destination, self.dataset)
        return self._client

    def check(self) -> None:
        """Whether driver and settings are there, it can do what is needed, and it lets us in."""
        refuse_unfit(self.kind, self.client.capabilities)
        with self.session() as session:
            session.ask("SELECT 1")

    def refuse_foreign(self, tables: Iterable[str]) -> None:
        """Raises DatasetTaken where the dataset, or the one for staging, holds tables of these names that are not
        ours, where the dataset is for staging another one, or where the one for staging is a dataset of its own."""
        names = list(tables)
        with self.session() as session:
            if session.is_there():
                refuse_dataset(self._held_in(session, names), self.location, session.has_rows)
            if self.has_staging:
                with session.staging():
                    if session.is_there():
                        refuse_staging(self._held_in(session, names), self.location, session.has_rows)

    def _held_in(self, session: SqlSession, tables: Iterable[str]) -> Held:
        versions, loads = self.client.schema.version_table_name, self.client.schema.loads_table_name
        present = session.columns([*tables, versions, loads])
        return Held(
            dataset=session.dataset,
            tables=present.keys() - {versions, loads},
            declared=self.stored(session).tables,
            # A run that was killed while it made the dataset leaves the table of versions without rows.
            has_versions=versions in present and session.has_rows(versions),
            has_loads=loads in present,
        )

    def unusable_tables(self) -> list[TableUnusable]:
        """After `check`: tables of which somebody dropped columns."""
        with self.session() as session:
            stored, present = self._stored_and_present(session)
            is_exact = self.client.capabilities.generates_case_sensitive_identifiers()
        return columns_gone(stored, present, self.location, case_sensitive=is_exact)

    def dropped_tables(self) -> list[str]:
        """Tables that were loaded, and that are not there any more."""
        with self.session() as session:
            return tables_gone(*self._stored_and_present(session))

    def _stored_and_present(self, session: SqlSession) -> tuple[dlt.Schema, Present]:
        stored = self.stored(session)
        return stored, session.columns(stored.data_table_names(seen_data_only=True))

    def condition(self) -> Condition:
        """Whether the dataset is there, and what is to be minded."""
        with self.session() as session:
            is_new = not session.is_there()
        precision = self.client.capabilities.max_timestamp_precision
        facts = () if precision >= 6 else (f"times are cut to {precision} digits of a second there",)
        return Condition(is_new, facts=facts)

    def dlt_destination(self) -> DltDestination[Any, Any]:
        """dlt's own, with its own settings. A table that is replaced is never seen empty."""
        layout = f"destination.{self.name}.staging_dataset_name_layout"
        name = dlt.config.get(layout, str) or staging_name(self.dataset)
        return self.factory(replace_strategy="insert-from-staging", staging_dataset_name_layout=name)

    def dlt_staging(self) -> DltDestination[Any, Any] | None:
        """The bucket of `[destination.filesystem]`, where one is set and files reach the destination by it."""
        url = bucket()
        if not self.kind.needs_staging and not url:
            return None
        if not self.factory().capabilities().supported_staging_file_formats:
            return None
        if not url or self.kind.table_format is not None:
            # Where the tables themselves are files in that bucket, they stay where dlt has them.
            return dlt.destinations.filesystem()
        # dlt empties the folders of the tables there, and a lake of the same dataset may lie in that bucket.
        return dlt.destinations.filesystem(bucket_url=f"{url.rstrip('/')}/{STAGING_FOLDER}")

    def factory(self, **settings: Any) -> DltDestination[Any, Any]:
        """dlt's destination with these settings ahead of those that dlt finds itself."""
        if self.kind.table_format == "iceberg":
            settings["force_iceberg"] = True
        made: DltDestination[Any, Any] = getattr(dlt.destinations, self.name)(**settings)
        return made

    def explain(self, error: BaseException) -> DestinationError | None:
        """What the destination, or dlt for it, had against a load."""
        cause = cause_in(error, DestinationError) or self._cause(error)
        if cause is None or isinstance(cause, DestinationError):
            return cause
        return DestinationUnusable(
            f"{self.location} failed: {self._told(cause)}",
            "What was loaded before is kept. Mend that, and run the same command again: it goes on there.",
        )

    def finish(self, descriptions: Descriptions) -> None:
        """Makes the views, and comments on tables, columns and views, where it has them."""
        unusable = {error.table for error in self.unusable_tables()}
        with self.session() as session:
            furnish(session, self.kind, self.dataset, descriptions, unusable)

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there."""
        with self.session() as session:
            present = session.columns(tables)
            return {table: int(session.ask(f"SELECT count(*) FROM {session.table(table)}")[0][0]) for table in present}

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name."""
        with self.session() as session:
            if not session.columns(["events"]):
                return {}
            timestamp, created_at, event = map(session.column, ("timestamp", "created_at", "event"))
            given = bounds.conditions(timestamp, created_at, "%s")
            source = f"FROM {session.table('events')} WHERE {' AND '.join(['1 = 1', *given])}"
            if self.kind.utc_day is None:
                return _counted_here(session.pieces(f"SELECT {timestamp}, {event} {source}", *given.values()))
            day = self.kind.utc_day.format(timestamp)
            rows = session.ask(f"SELECT {day}, {event}, count(*) {source} GROUP BY {day}, {event}", *given.values())
            return {(day_text(day), name): int(count) for day, name, count in rows}

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""
        with self.session() as session:
            if not session.columns([table]):
                return 0
            where = f" WHERE {session.column('is_deleted')} = {session.false()}" if has_tombstones else ""
            return int(session.ask(f"SELECT count(*) FROM {session.table(table)}{where}")[0][0])

    def count_repeated(self, table: str, keys: Sequence[str]) -> int:
        """Rows of a table besides the first of each key."""
        with self.session() as session:
            if not session.columns([table]):
                return 0
            columns = ", ".join(map(session.column, keys))
            repeated = f"SELECT count(*) AS n FROM {session.table(table)} GROUP BY {columns} HAVING count(*) > 1"
            return int(session.ask(f"SELECT coalesce(sum(n - 1), 0) FROM ({repeated}) AS repeated")[0][0])

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key`, `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""
        with self.session() as session:
            if session.columns([table]):
                columns = ", ".join(map(session.column, (key, "version", "is_deleted")))
                yield from session.pieces(f"SELECT {columns} FROM {session.table(table)}")

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterable[pa.Table]:
        """`key` of the rows with `timestamp` from `start` on and before `end`, in pieces."""
        with self.session() as session:
            if session.columns([table]):
                timestamp = session.column("timestamp")
                between = f"{timestamp} >= %s AND {timestamp} < %s"
                sql = f"SELECT {session.column(key)} FROM {session.table(table)} WHERE {between}"
                yield from session.pieces(sql, start, end)

    @contextmanager
    def reading(self) -> Iterator[SqlReading]:
        """To look at what is there. Raises DestinationError."""
        with self.session() as session:
            yield SqlReading(session, self.stored(session))

    def stored(self, session: SqlSession) -> dlt.Schema:
        """dlt's schema of the tables, as it is kept beside them."""
        found = self.client.get_stored_schema(SCHEMA) if session.is_there() else None
        return dlt.Schema(SCHEMA) if found is None else dlt.Schema.from_stored_schema(json.loads(found.schema))

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there, says of the properties of `owner`."""
        with self.session() as session:
            if not session.columns(["property_definitions"]):
                return {}
            name, kind, of = map(session.column, ("name", "property_type", "type"))
            sql = f"SELECT {name}, min({kind}), max({kind}) FROM {session.table('property_definitions')} "
            found = session.ask(f"{sql} WHERE {of} = %s GROUP BY {name}", owner)
        # One type for all types of groups that have the property, or none.
        return {key: least if least == most else None for key, least, most in found}

    def look(self, sql: str) -> str:
        """None: people have their own tools for it."""
        del sql
        return ""

    @contextmanager
    def session(self) -> Iterator[SqlSession]:
        """A connection, which stays open for a while. Raises DestinationError for all that goes wrong with it."""
        client = self.client
        try:
            if self._is_open and time.monotonic() - self._used_at > self.idle_seconds:
                self._disconnect()
            if not self._is_open:
                client.sql_client.open_connection()
                self._is_open = True
            yield SqlSession(client)
            self._used_at = time.monotonic()
            if not self.idle_seconds:
                self._disconnect()
        except Exception as error:
            self._disconnect()
            if self._cause(error) is not None:
                raise self._refusal(error) from error
            raise

    def close(self) -> None:
        """Lets go of it."""
        self._disconnect()

    def _disconnect(self) -> None:
        if self._is_open and self._client is not None:
            self._is_open = False
            self._client.sql_client.close_connection()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cause(self, error: BaseException) -> BaseException | None:
        """What a driver, or dlt, had to say; None: it is none of theirs."""
        if (job := cause_in(error, LoadClientJobException)) is not None:
            # The job's own error is no cause of it in Python's sense.
            return self._cause(job.client_exception)
        if (known := cause_in(error, DestinationException)) is not None:
            inner = getattr(known, "dbapi_exception", None) or getattr(known, "inner_exc", None)
            return (self._cause(inner) or inner) if isinstance(inner, BaseException) else known
        return next((each for each in chain_of(error) if self._is_of_driver(each)), None)

    def _is_of_driver(self, error: BaseException) -> bool:
        return isinstance(error, Exception) and self.client.sql_client.is_dbapi_exception(error)

    def _refusal(self, error: BaseException) -> DestinationError:
        return DestinationUnusable(
            f"{self.location} cannot be used: {self._told(self._cause(error) or error)}",
            "Check that it runs, that it can be reached from here, and that its user may use it and make schemas; see "
            f"[destination.{self.name}] in .dlt/secrets.toml.",
        )

    def _told(self, cause: BaseException) -> str:
        return without_secrets(first_line(cause), secrets_of(self.client.config)).rstrip(".") + "."


def _counted_here(pieces: Iterable[pa.Table]) -> dict[tuple[str, str], int]:
    """Days and names counted on this machine, row by row of the destination."""
    counts: dict[tuple[str, str], int] = {}
    for piece in pieces:
        table = pa.table({"day": _utc_days(piece.column(0)), "event": piece.column(1)})
        for row in table.group_by(["day", "event"]).aggregate([([], "count_all")]).to_pylist():
            cell = (row["day"], row["event"])
            counts[cell] = counts.get(cell, 0) + int(row["count_all"])
    return counts


def _utc_days(times: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(times.type):
        # Without a zone they are UTC: dlt wrote them.
        return pc.strftime(times.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%d")
    # SQLite has no times, but texts.
    return pc.utf8_slice_codeunits(times, 0, 10)
