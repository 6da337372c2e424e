"""ClickHouse itself, in process (chdb): the one place of the sandbox that runs SQL."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from chdb import ChdbError
from chdb.session import Session

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import DATABASE, TABLES, TEAM_ID
from posthog_warehouse.sandbox.render import JSON_SETTINGS, Rendering, render

# The message may hold capitals in brackets itself: the last ones are the error's name.
_ERROR = re.compile(
    r"Code: (?P<code>\d+)\. (?:DB::\w*Exception: )?(?P<message>.*)\((?P<name>[A-Z][A-Z0-9_]+)\)", re.DOTALL
)
_SETTING_NAME = re.compile(r"^[a-z][a-z0-9_]*$")

_SESSION_SETTINGS: dict[str, object] = {
    # Datetimes without a zone are UTC whatever the machine is set to.
    "session_timezone": "UTC",
    # It remembers which granules a filter matched: the second of two equal queries would be metered at less.
    "use_query_condition_cache": 0,
    # ClickHouse in process would take any text for the columns of a SELECT: `foo` for `SELECT foo`.
    "implicit_select": 0,
    # Types on one line, as PostHog's driver gets them.
    "print_pretty_type_names": 0,
    # A statement may name 100,000 uuids. How much text PostHog itself takes is decided in front of this.
    "max_query_size": 64 << 20,
    "max_ast_elements": 4_000_000,
    "max_expanded_ast_elements": 4_000_000,
    # Deletions are to be visible when the call returns.
    "mutations_sync": 2,
    "lightweight_deletes_sync": 2,
}


class ClickHouseError(Exception):
    """ClickHouse refused or stopped a statement: its code (`307`), name (`TOO_MANY_BYTES`) and message."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"Code: {code}. {message} ({name})")
        self.code = code
        self.name = name
        self.message = message

    @classmethod
    def from_text(cls, text: str) -> ClickHouseError:
        """Take apart what ClickHouse writes: `Code: 46. DB::Exception: Function ... (UNKNOWN_FUNCTION)`."""
        match = _ERROR.search(text)
        if match is None:
            return cls(1001, "STD_EXCEPTION", text)
        return cls(int(match["code"]), match["name"], match["message"].strip())


@dataclass(frozen=True)
class Selection:
    """The answer to a select.

    Attributes:
        meta: (column name, ClickHouse type) as the query itself has them.
        data: the rows as a JSON array of arrays, UTF-8, written as PostHog's renderer writes values.
        rows: how many rows `data` holds.
        rows_read: rows read from tables.
        bytes_read: uncompressed bytes read from tables: `read_bytes` of ClickHouse's query log.
        elapsed: seconds in ClickHouse, waiting for the queries before it not included.
    """

    meta: tuple[tuple[str, str], ...]
    data: bytes
    rows: int
    rows_read: int
    bytes_read: int
    elapsed: float


class _Engine:
    """The ClickHouse of this process: chdb takes one folder at a time and any number of sessions on it."""

    def __init__(self) -> None:
        # chdb runs one statement at a time whatever the number of sessions (measured with chdb 4.4).
        self.lock = threading.RLock()
        self.folder: Path | None = None
        self._temporary = False
        self._users = 0
        self.databases = itertools.count(1)

    def connect(self, folder: Path | None) -> tuple[Any, str]:
        """Return a session and the name of its database; without a folder, a database of its own."""
        with self.lock:
            if folder is not None and self.folder is not None:
                raise ClickHouseError(
                    36,
                    "BAD_ARGUMENTS",
                    f"This process has its ClickHouse in {self.folder} and cannot open {folder} as well: "
                    "close the other store first, or use another process.",
                )
            home = self.folder or folder or Path(tempfile.mkdtemp(prefix="posthog-sandbox-"))
            home.mkdir(parents=True, exist_ok=True)
            connect: Callable[[str], Any] = Session
            try:
                session = connect(str(home))
            except (ChdbError, RuntimeError) as error:
                raise ClickHouseError.from_text(str(error)) from None
            if self.folder is None:
                self.folder, self._temporary = home, folder is None
            self._users += 1
            return session, DATABASE if folder is not None else f"{DATABASE}_{next(self.databases)}"

    def leave(self, session: Any) -> None:
        """Close a session, and after the last one remove a temporary folder."""
        with self.lock:
            session.close()
            self._users -= 1
            if self._users:
                return
            if self._temporary and self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


_engine = _Engine()


class Store:
    """The tables of one sandbox. Safe to use from several threads; one statement runs at a time.

    Args:
        clock: the server's time, for whoever writes rows through this store.
        folder: where the tables live; kept on close. A process can have one such store at a time. Without a folder
            the tables are temporary, and a process can have any number of such stores.

    Attributes:
        database: the name of the ClickHouse database that holds the tables.
    """

    team_id: int = TEAM_ID

    def __init__(self, clock: Clock, folder: Path | None = None) -> None:
        self.clock = clock
        self._temporary = folder is None
        self._lock = _engine.lock
        self._session, self.database = _engine.connect(folder)
        # A session still open when the interpreter goes down can take the process with it.
        atexit.register(self.close)
        self.execute(f"CREATE DATABASE IF NOT EXISTS {self.database} ENGINE = Atomic")
        self.execute(f"USE {self.database}")
        for name, value in _SESSION_SETTINGS.items():
            self.execute(f"SET {name} = {_literal(value)}")
        for statement in TABLES.values():
            self.execute(statement)

    def execute(self, sql: str, *, settings: Mapping[str, object] | None = None) -> None:
        """Run a statement that returns nothing (DDL, INSERT, DELETE). Raises ClickHouseError."""
        with self._lock:
            self._query(sql + _settings_clause(settings or {}), "Null")

    def select(
        self,
        sql: str,
        *,
        settings: Mapping[str, object] | None = None,
        timezone: str = "UTC",
        milliseconds_only: bool = False,
    ) -> Selection:
        """Run one SELECT (or UNION) without FORMAT, and give its rows as PostHog's JSON.

        Args:
            sql: the query; a SETTINGS clause of its own is respected.
            settings: ClickHouse settings on top, such as `max_execution_time` (seconds), `max_memory_usage`,
                `max_bytes_to_read`.
            timezone: the zone of datetimes whose type names none.
            milliseconds_only: cut datetimes to milliseconds, as older servers do.

        Raises:
            ClickHouseError: the query is wrong, or a limit stopped it.
        """
        rendering = Rendering(timezone=timezone, milliseconds_only=milliseconds_only)
        with self._lock:
            started = time.perf_counter()
            meta = self.describe(sql)
            # Positional names: a query may name two columns alike.
            names = [f"column_{number}" for number in range(len(meta))]
            columns = ", ".join(render(name, type_, rendering) for name, (_, type_) in zip(names, meta, strict=True))
            result = self._query(
                f"SELECT {columns} FROM (\n{sql}\n) AS answer({', '.join(names)})"
                + _settings_clause({**(settings or {}), **JSON_SETTINGS}),
                "CustomSeparated",
            )
            return Selection(
                meta=meta,
                data=result.bytes(),
                rows=result.rows_read(),
                rows_read=result.storage_rows_read(),
                bytes_read=result.storage_bytes_read(),
                elapsed=time.perf_counter() - started,
            )

    def describe(self, sql: str) -> tuple[tuple[str, str], ...]:
        """Return (name, ClickHouse type) of each column of a SELECT, without running it.

        Raises:
            ClickHouseError: the query is wrong.
        """
        with self._lock:
            text = self._query(f"DESCRIBE (\n{sql}\n)", "JSONCompactEachRow").bytes()
        return tuple((row[0], row[1]) for row in map(orjson.loads, text.splitlines()))

    def rows(self, sql: str) -> list[list[Any]]:
        """Return the rows of a small SELECT as Python values. Raises ClickHouseError."""
        answer: list[list[Any]] = orjson.loads(self.select(sql).data)
        return answer

    def scalar(self, sql: str) -> int | str | None:
        """Return the first column of the first row, or None when there is no row. Raises ClickHouseError."""
        rows = self.rows(sql)
        value: int | str | None = rows[0][0] if rows else None
        return value

    def close(self) -> None:
        """Close; temporary tables are gone then. May be called twice."""
        with self._lock:
            if self._session is None:
                return
            if self._temporary:
                self.execute(f"DROP DATABASE {self.database} SYNC")
            session, self._session = self._session, None
            _engine.leave(session)
            atexit.unregister(self.close)

    def _query(self, sql: str, output: str) -> Any:
        if self._session is None:
            raise ClickHouseError(1001, "STD_EXCEPTION", "The store is closed.")
        try:
            return self._session.query(sql, output)
        except (ChdbError, RuntimeError) as error:
            # What a statement had written before it failed stands at the head of the next one's answer (seen
            # with chdb 4.4, after an error while reading): have it taken away by an answer nobody looks at.
            with contextlib.suppress(Exception):
                self._session.query("SELECT 1", "CSV")
            # Which of the two it is has changed over chdb's versions; both carry ClickHouse's text.
            raise ClickHouseError.from_text(str(error)) from None


def quoted(text: str) -> str:
    """Return `text` as an SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, float)):
        return repr(value)
    return quoted(str(value))


def _settings_clause(settings: Mapping[str, object]) -> str:
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise ValueError(f"{name!r} is not the name of a ClickHouse setting")
    if not settings:
        return ""
    return " SETTINGS " + ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
