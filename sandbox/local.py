"""Start a sandbox in a child process and work on it: for tests, the demo and benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import posthog_warehouse

_ROOT = Path(posthog_warehouse.__file__).resolve().parent.parent

#: A control call may wait for ClickHouse to finish a query or a change.
_TIMEOUT_SECONDS = 120.0


class SandboxError(Exception):
    """The sandbox did not start, or refused what was asked of its control API."""


class Sandbox:
    """A running local PostHog. Leave it with ``stop()``, or use it in a ``with`` statement.

        with Sandbox.start(events=20_000, persons=500, seed=7) as posthog:
            sync(host=posthog.host, project_id=posthog.project_id, api_key=posthog.api_key)
            posthog.merge_persons(5)

    It ends by itself when the process that started it is gone.
    """

    def __init__(self, facts: Mapping[str, Any], process: subprocess.Popen[str] | None = None) -> None:
        self.host: str = facts["host"]
        self.project_id: int = facts["project_id"]
        self.api_key: str = facts["api_key"]
        self.port: int = facts["port"]
        self._process = process

    @classmethod
    def start(
        cls,
        *,
        events: int = 20_000,
        persons: int = 500,
        seed: int = 7,
        profile: str = "cloud",
        days: int = 20,
        behaviour: Mapping[str, Any] | None = None,
        now: str | None = None,
        data: Path | None = None,
        port: int = 0,
    ) -> Sandbox:
        """Start one and wait until it answers.

        Args:
            events: how many events to make.
            persons: how many persons to make.
            seed: same seed (and ``now``), same data.
            profile: ``cloud``, ``selfhosted-2025`` or ``selfhosted-2023``.
            days: how many days the data spans.
            behaviour: fields of ``sandbox.behaviour.Behaviour`` that differ from the profile.
            now: the server's time at the start (ISO with a zone); the real time if not given.
            data: a folder for the data, kept afterwards; a temporary one if not given.
            port: 0 takes a free one.

        Raises:
            SandboxError: it did not start; the text holds what it said.
        """
        command = [sys.executable, "-m", "posthog_warehouse.sandbox", "--format", "json", "--exit-with-parent"]
        command += ["--port", str(port), "--events", str(events), "--persons", str(persons)]
        command += ["--seed", str(seed), "--days", str(days), "--profile", profile]
        command += ["--behaviour", json.dumps(_jsonable(behaviour or {}))]
        command += [] if now is None else ["--now", now]
        command += [] if data is None else ["--data", str(data)]
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with tempfile.TemporaryFile(mode="w+") as said:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
            line = _pipe(process.stdout).readline()
            if not line:
                code = process.wait()
                said.seek(0)
                raise SandboxError(f"The sandbox did not start (exit code {code}): {said.read()[-4000:].strip()}")
        return cls(json.loads(line), process)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and remove its data if that is temporary. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()

    @property
    def pid(self) -> int:
        """The process that serves.

        Raises:
            SandboxError: it is stopped.
        """
        if self._process is None:
            raise SandboxError("The sandbox is stopped.")
        return self._process.pid

    # The control API, verb by verb. All raise SandboxError when it refuses.

    def counts(self) -> dict[str, int]:
        """Events (distinct uuids), persons (not deleted), person_distinct_ids, recordings, sessions, groups,
        cohort_people (members of all cohorts), log_entries (lines of recordings' consoles)."""
        found: dict[str, int] = self._call("GET", "counts")
        return found

    def sql(self, statement: str) -> list[list[Any]]:
        """Rows of a ClickHouse SELECT."""
        rows: list[list[Any]] = self._call("POST", "sql", {"sql": statement})["rows"]
        return rows

    def add_events(
        self,
        count: int,
        *,
        days_back: float = 20,
        days_back_min: float = 0,
        seed: int = 0,
        timestamp: str | None = None,
        distinct_id: str | None = None,
        event: str | None = None,
        spread_seconds: float = 0,
        created_at: str | None = None,
        properties: str | None = None,
    ) -> list[str]:
        """Events that arrive now (``created_at``) with older timestamps, or all with one. Returns their uuids.

        ``spread_seconds`` spreads those with a ``timestamp`` evenly over so long from there on; their ``created_at``
        and the text of their ``properties`` may be given.
        """
        body: dict[str, Any] = {"count": count, "seed": seed}
        if timestamp is None:
            body |= {"days_back": days_back, "days_back_min": days_back_min}
        else:
            body |= {"timestamp": timestamp, "spread_seconds": spread_seconds}
            body |= {} if created_at is None else {"created_at": created_at}
            body |= {} if properties is None else {"properties": properties}
        body |= {} if distinct_id is None else {"distinct_id": distinct_id}
        body |= {} if event is None else {"event": event}
        uuids: list[str] = self._call("POST", "events", body)["uuids"]
        return uuids

    def delete_events(self, count: int | None = None, *, uuids: Sequence[str] = ()) -> list[str]:
        """Events vanish. Returns their uuids."""
        body = {"uuids": list(uuids)} if count is None else {"count": count}
        deleted: list[str] = self._call("POST", "events/delete", body)["uuids"]
        return deleted

    def merge_persons(self, count: int, *, seed: int = 0) -> list[Any]:
        """Merge pairs of persons. Returns the ids touched."""
        return self._ids("persons/merge", {"count": count, "seed": seed})

    def update_persons(self, count: int) -> list[Any]:
        """Change properties of persons. Returns their ids."""
        return self._ids("persons/update", {"count": count})

    def delete_persons(self, count: int) -> list[Any]:
        """Delete persons. Returns their ids."""
        return self._ids("persons/delete", {"count": count})

    def grow_recordings(self, count: int) -> list[Any]:
        """More data for recordings. Returns their session ids."""
        return self._ids("recordings/grow", {"count": count})

    def delete_recordings(self, count: int) -> list[Any]:
        """Recordings are deleted. Returns their session ids."""
        return self._ids("recordings/delete", {"count": count})

    def update_groups(self, count: int) -> list[Any]:
        """Change properties of groups, and add a group for every ten. Returns index and key, as `0/company-7`."""
        return self._ids("groups/update", {"count": count})

    def recalculate_cohorts(self, count: int) -> list[Any]:
        """Work dynamic cohorts out anew. Returns their ids."""
        return self._ids("cohorts/recalculate", {"count": count})

    def list_counts(self, *names: str) -> dict[str, int]:
        """How many rows a client finds in each list of configuration, or in these: ``list_counts("cohorts")``.

        Rows that a list shows on demand only are counted too: archived ones, other types, the logs of each plugin.
        """
        found: dict[str, int] = self._call("POST", "lists", {"only": list(names)})
        return found

    def list_rows(self, name: str) -> list[dict[str, Any]]:
        """The rows that a client finds in a list, with all fields that its items have.

        Fields that start with ``_`` are shown nowhere: only filters and orders know them.
        """
        rows: list[dict[str, Any]] = self._call("POST", "lists/rows", {"list": name})["rows"]
        return rows

    def list_keys(self, name: str) -> list[str]:
        """Their keys, as text."""
        found = self._call("POST", "lists/rows", {"list": name})
        return [str(row[found["key"]]) for row in found["rows"]]

    def change_list(
        self,
        name: str,
        *,
        insert: int = 0,
        update: int = 0,
        delete: int = 0,
        seed: int = 0,
        after_pages: int | None = None,
    ) -> dict[str, list[str]]:
        """Rows of a list come, change and go: ``change_list("annotations", insert=50, delete=20)``.

        Args:
            name: the list.
            insert: rows that are created now.
            update: rows whose title and time of the last change become others.
            delete: rows that go, softly where PostHog deletes softly.
            seed: which rows.
            after_pages: wait until so many more pages of the list were answered: a change in the middle of a read.

        Returns:
            The keys that were touched, as text: ``inserted``, ``updated``, ``deleted``; empty for a later change.
        """
        body = {"list": name, "insert": insert, "update": update, "delete": delete, "seed": seed}
        body |= {} if after_pages is None else {"after_pages": after_pages}
        keys: dict[str, list[str]] = self._call("POST", "lists/change", body)
        return keys

    def now(self) -> str:
        """The sandbox's time, ISO in UTC."""
        return str(self._call("GET", "clock")["now"])

    def advance_clock(self, seconds: float) -> str:
        """Move the time on and return it."""
        return str(self._call("POST", "clock", {"advance_seconds": seconds})["now"])

    def requests(self) -> list[dict[str, Any]]:
        """The request log since the last reset."""
        entries: list[dict[str, Any]] = self._call("GET", "requests")
        return entries

    def counters(self) -> dict[str, Any]:
        """Requests, queries, rows, rows and bytes read since the last reset."""
        sums: dict[str, Any] = self._call("GET", "counters")
        return sums

    def reset_counters(self) -> None:
        """Forget the log; throttles and the byte budget start anew."""
        self._call("POST", "counters/reset")

    def behaviour(self) -> dict[str, Any]:
        """How it behaves."""
        fields: dict[str, Any] = self._call("GET", "behaviour")
        return fields

    def set_behaviour(self, **fields: Any) -> dict[str, Any]:
        """Switch fields of ``sandbox.behaviour.Behaviour``; returns all of them."""
        changed: dict[str, Any] = self._call("PATCH", "behaviour", _jsonable(fields))
        return changed

    def add_fault(self, fault: str, **spec: Any) -> int:
        """Switch a fault on: ``add_fault("drop", path="/query/", at=[3])``. Returns its id."""
        return int(self._call("POST", "faults", {"fault": fault, **spec})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, and how often each struck."""
        found: list[dict[str, Any]] = self._call("GET", "faults")
        return found

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._call("DELETE", "faults")

    def create_key(self, scopes: Sequence[str] | None = ("*",), kind: str = "phx", **limits: Any) -> str:
        """Make a key: ``phx``, ``pha``, ``phs`` or ``legacy``; limits are scoped_teams, scoped_organizations."""
        body = {"scopes": None if scopes is None else list(scopes), "kind": kind, **limits}
        return str(self._call("POST", "keys", body)["key"])

    def _ids(self, verb: str, body: Mapping[str, Any]) -> list[Any]:
        ids: list[Any] = self._call("POST", verb, body)["ids"]
        return ids

    def _call(self, method: str, verb: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - always http on the loopback interface
            f"{self.host}/_sandbox/{verb}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            # A proxy configured for this machine must not see loopback traffic.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(f"{method} {verb}: {error.read().decode(errors='replace')}") from None


def _jsonable(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sorted(value) if isinstance(value, (set, frozenset)) else value for name, value in fields.items()}


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise SandboxError("The sandbox's process has no pipe.")
    return pipe
