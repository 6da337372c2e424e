"""Serves made pages as PostHog's query API: one process, plain asyncio, next to no CPU time.

It knows the queries of events that the extractor asks (probe, histogram, count, rows) by their text and answers them
from the index of the pages, so that planning, reading and checking agree. For other tools it has the newest events as a
list and for a query that pages through time (`lists`). Anything else is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from replay.lists import Lists
from replay.pages import COLUMNS, USUAL, WILD, Made, make
from replay.texts import wild_definitions

API_KEY = "phx_" + "replay0" * 6
_BOUND = re.compile(
    r"\b(timestamp|created_at)(?:, 'UTC'\))? (>=|<) (?:toDateTime64\()?'([0-9-]+ [0-9:.]+)'"  # as a time or as text
)
_PROBE_TIME = "2000-01-01 00:00:00.000001"
_PROJECT = {"id": 1, "uuid": None, "name": "Replay", "timezone": "UTC", "organization": None}


class Replay:
    """The server in a process of its own: `with Replay(made) as replay: ... replay.host`."""

    api_key = API_KEY

    def __init__(
        self,
        folder: Path,
        *,
        events: int,
        page_rows: int = 40_000,
        seed: int = 7,
        properties: str = USUAL,
        has_zstd: bool = False,
        listed: int = 0,
    ) -> None:
        self.made = make(folder, events=events, page_rows=page_rows, seed=seed, properties=properties)
        self._command = [sys.executable, str(Path(__file__).resolve()), str(folder)]
        self._command += ["--events", str(events), "--page-rows", str(page_rows), "--seed", str(seed)]
        self._command += ["--properties", properties, "--listed", str(listed)]
        self._command += ["--zstd"] if has_zstd else []
        self.host = ""

    def __enter__(self) -> Replay:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for
        self.host = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()


class _Answers:
    def __init__(self, made: Made, *, definitions: dict[str, str], has_zstd: bool, listed: int) -> None:
        self._made = made
        self._definitions = definitions
        self._has_zstd = has_zstd
        self._days = made.starts
        self._lists = Lists(made, listed)

    def to(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Status, content encoding and body of the answer."""
        if method == "GET" and path.startswith("/api/projects"):
            return 200, "", self._read(path, headers.get("host", ""))
        if method != "POST" or not path.endswith("/query/"):
            return 404, "", orjson.dumps({"type": "invalid_request", "code": "not_found", "detail": "Not found."})
        sql = str(orjson.loads(body)["query"]["query"])
        listed = self._lists.query(sql, headers.get("accept-encoding", ""))
        if listed is not None:
            return listed
        if sql.startswith("SELECT toString(uuid)"):
            return self._page(sql, headers.get("accept-encoding", ""))
        return self._counted(sql)

    def _read(self, path: str, host: str) -> bytes:
        resource = urlsplit(path).path.rstrip("/")
        if resource == "/api/projects":
            return orjson.dumps({"count": 1, "next": None, "previous": None, "results": [_PROJECT]})
        if resource == f"/api/projects/{_PROJECT['id']}/events":
            return self._lists.events(path, f"http://{host}")
        if resource == f"/api/projects/{_PROJECT['id']}/property_definitions":
            rows = [{"name": name, "property_type": kind} for name, kind in self._definitions.items()]
            return orjson.dumps({"count": len(rows), "next": None, "previous": None, "results": rows})
        return orjson.dumps(_PROJECT)

    def _page(self, sql: str, accepted: str) -> tuple[int, str, bytes]:
        encoding = "zstd" if self._has_zstd and "zstd" in accepted else "gzip"
        days = self._asked(sql)
        if len(days) > 1:
            return 400, "", _refused("one day is one page")
        return (200, encoding, self._made.packed(days[0], encoding)) if days else (200, "", _answer([], COLUMNS))

    def _counted(self, sql: str) -> tuple[int, str, bytes]:
        rows = self._small(sql)
        if rows is None:
            return 400, "", _refused(f"nothing to replay for {sql[:300]}")
        return 200, "", _answer(rows, tuple(f"column_{place}" for place in range(len(rows[0]) if rows else 3)))

    def _small(self, sql: str) -> list[list[object]] | None:
        made = self._made
        if "arrayJoin(range(50000))" in sql:
            return [[number] for number in range(50_000)]
        if sql.startswith("SELECT toString(now()"):
            now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
            return [[now, now, _PROBE_TIME, 1]]
        if "GROUP BY" in sql and ", event," in sql:
            return [[made.days[d], name, rows] for d in self._asked(sql) for name, rows in made.names[d].items()]
        if sql.startswith(("SELECT count()", "SELECT uniqExact(uuid)")):
            return [[sum(made.rows[day] for day in self._asked(sql))]]
        return None

    def _asked(self, sql: str) -> list[int]:
        """The days that lie within the bounds of a query, which are those of whole days."""
        return sorted({day for part in sql.split(") OR (") for day in self._within(part)})

    def _within(self, sql: str) -> list[int]:
        days = []
        for number, start in enumerate(self._days):
            # Rows are created within seconds after they happen, and none at the end of a day.
            end = start + timedelta(days=1)
            inside = True
            for _, sign, text in _BOUND.findall(sql):
                bound = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
                inside = inside and (start >= bound if sign == ">=" else end <= bound)
            if inside:
                days.append(number)
        return days


def _answer(rows: list[list[object]], columns: tuple[str, ...]) -> bytes:
    types = [[name, "String"] for name in columns]
    return orjson.dumps({"results": rows, "columns": columns, "types": types, "is_cached": False, "error": None})


def _refused(detail: str) -> bytes:
    return orjson.dumps({"type": "validation_error", "code": "invalid_input", "detail": detail, "attr": None})


async def _serve(answers: _Answers) -> None:

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                method, path, _ = first.split(" ", 2)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, encoding, answer = answers.to(method, path, body, headers)
                said = [
                    f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}",
                    f"Date: {formatdate(usegmt=True)}",
                    "Content-Type: application/json",
                    f"Content-Length: {len(answer)}",
                    *([f"Content-Encoding: {encoding}"] if encoding else []),
                ]
                writer.write("\r\n".join([*said, "", ""]).encode() + answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 20)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    # It ends with whoever started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serves until its standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--properties", default=USUAL)
    parser.add_argument("--listed", type=int, default=0, help="so many of the newest events as a list, too")
    parser.add_argument(
        "--zstd", action="store_true", help="answer with zstd who accepts it; else gzip, as Django does"
    )
    arguments = parser.parse_args()
    made = make(
        arguments.folder,
        events=arguments.events,
        page_rows=arguments.page_rows,
        seed=arguments.seed,
        properties=arguments.properties,
    )
    definitions = wild_definitions() if arguments.properties == WILD else {}
    asyncio.run(_serve(_Answers(made, definitions=definitions, has_zstd=arguments.zstd, listed=arguments.listed)))


if __name__ == "__main__":
    main()
