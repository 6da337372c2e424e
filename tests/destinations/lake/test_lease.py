"""The lease: never two holders, ages by one clock, a renewal that looks, a store that does not keep to conditions."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.destinations.errors import DestinationHeld
from posthog_warehouse.destinations.lake import lease as leases
from posthog_warehouse.destinations.lake import process
from posthog_warehouse.destinations.lake.conditional import ABSENT, ConditionFailed, Found, Objects, objects_of, tag_in
from posthog_warehouse.destinations.lake.lease import Lease, LeaseLost, Limits
from tests.destinations.lake.conftest import PLACES
from tests.destinations.lake.gcs import GcsServer
from tests.destinations.lake.lakes import LocalPlace, ObjectServer
from tests.destinations.lake.proxy import FailingProxy
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG

ROUNDS = 500 if LONG else 30
NEVER = Limits(stale=10_000.0, renew=10_000.0, margin=30.0)
"""Nothing is renewed, and nothing gets stale, while a test lasts."""


@pytest.fixture(params=PLACES[1:])
def objects(request: pytest.FixtureRequest) -> Callable[[], tuple[Objects, str]]:
    """Makes clients of a new bucket, each with the path of a lease in it."""
    server: ObjectServer = request.getfixturevalue(f"{request.param}_server")
    bucket = server.new_bucket()
    return lambda: (objects_of(server.fs, server.scheme), f"{bucket}/lake/lease.json")


@pytest.fixture
def of_s3(s3_server: S3Server) -> Callable[[], tuple[Objects, str]]:
    bucket = s3_server.new_bucket()
    return lambda: (objects_of(s3_server.fs, "s3"), f"{bucket}/lake/lease.json")


@contextmanager
def limits(given: Limits) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "LIMITS", given)
        yield


def lease_of(made: tuple[Objects, str], given: Limits = NEVER, location: str = "the lake") -> Lease:
    """A lease as of a process of its own."""
    with limits(given):
        return Lease(*made, location, process_id=uuid.uuid4().hex)


def test_conditions_hold(objects: Callable[[], tuple[Objects, str]]) -> None:
    store, path = objects()
    assert store.read(path) is None
    assert store.tag(path) == ABSENT
    first = store.put(path, b"1", ABSENT)
    found = store.read(path)
    assert found is not None
    assert (found.content, found.tag, store.tag(path)) == (b"1", first, first)
    assert found.age is not None
    assert found.age < 100
    second = store.put(path, b"2", first)
    for expected in (ABSENT, first, store.no_version):
        with pytest.raises(ConditionFailed):
            store.put(path, b"3", expected)
    with pytest.raises(ConditionFailed):
        store.put(f"{path}.gone", b"3", second)
    found = store.read(path)
    assert found is not None
    assert found.content == b"2"


@pytest.mark.parametrize("kind", PLACES[1:])
def test_large_files_have_conditions_too(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: ObjectServer = request.getfixturevalue(f"{kind}_server")
    part = 5 * 1024 * 1024
    monkeypatch.setattr("posthog_warehouse.destinations.lake.conditional._PART_BYTES", part)
    store, path = objects_of(server.fs, server.scheme), f"{server.new_bucket()}/large"
    file = tmp_path / "large"
    file.write_bytes(b"x" * (2 * part + 1))
    first = store.put(path, file, ABSENT)
    assert tag_in(server.fs.info(path)) == first == store.tag(path)
    assert server.fs.size(path) == 2 * part + 1
    with pytest.raises(ConditionFailed):
        store.put(path, file, ABSENT)


@pytest.mark.parametrize("state", ["new", "given back", "stale"])
def test_of_two_takers_at_the_same_moment_one_has_it(state: str, objects: Callable[[], tuple[Objects, str]]) -> None:
    """Each round as it is met: no lease yet, one that was given back, one whose run is gone."""
    clients = [objects(), objects()]
    given = replace(NEVER, stale=0.0) if state == "stale" else NEVER
    for nth in range(max(ROUNDS // 3, 1)):
        places = [(store, f"{path}-{nth if state == 'new' else 0}") for store, path in clients]
        if state == "stale":
            lease_of(places[0], given).take()
        takers = [lease_of(place) for place in places]
        if state == "stale":
            # Stale to both, at the same moment, and not what the other one takes then.
            old = places[0][0].read(places[0][1])
            assert old is not None
            for taker, (store, _) in zip(takers, places, strict=True):
                taker._objects = _Aged(store, old.tag)
        barrier = threading.Barrier(2)
        results: list[Any] = []

        def take(taker: Lease, barrier: threading.Barrier = barrier, results: list[Any] = results) -> None:
            barrier.wait()
            try:
                taker.take()
                results.append(taker)
            except DestinationHeld as held:
                results.append(held)

        threads = [threading.Thread(target=take, args=(taker,)) for taker in takers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        holders = [each for each in results if isinstance(each, Lease)]
        assert len(results) == 2
        assert len(holders) == 1, (state, nth, results)
        holders[0].verify()
        holders[0].release()


class _Aged:
    """A store to which one version of the lease is an hour old."""

    def __init__(self, store: Objects, tag: str) -> None:
        self._store, self._tag, self.no_version = store, tag, store.no_version
        self.tag, self.put = store.tag, store.put

    def read(self, path: str) -> Found | None:
        found = self._store.read(path)
        return replace(found, age=100_000.0) if found is not None and found.tag == self._tag else found


_TAKER = """
import sys
from posthog_warehouse.destinations.errors import DestinationHeld
from posthog_warehouse.destinations.lake import Lake
for line in sys.stdin:
    lake = Lake(sys.argv[1])
    try:
        lake.dlt_destination()
        print("held", flush=True)
    except DestinationHeld:
        print("refused", flush=True)
    sys.stdin.readline()
    lake.close()
    print("let go", flush=True)
"""


def test_of_two_takers_of_a_local_lake_one_has_it(local: LocalPlace) -> None:
    command = [sys.executable, "-c", _TAKER, local.url]
    takers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]
    try:
        for nth in range(ROUNDS):
            for taker in takers:
                _say(taker)
            assert sorted(map(_heard, takers)) == ["held", "refused"], nth
            for taker in takers:
                _say(taker)
            assert list(map(_heard, takers)) == ["let go"] * 2
    finally:
        for taker in takers:
            taker.communicate("")


def _say(taker: subprocess.Popen[str]) -> None:
    assert taker.stdin is not None
    taker.stdin.write("\n")
    taker.stdin.flush()


def _heard(taker: subprocess.Popen[str]) -> str:
    assert taker.stdout is not None
    return taker.stdout.readline().strip()


@pytest.mark.parametrize("ahead", [180.0, 3_600.0, -3_600.0])
def test_clocks_of_two_machines_are_not_compared(
    ahead: float, of_s3: Callable[[], tuple[Objects, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live lease counts, whatever time its holder or its taker believes it is; a stale one does not."""
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: 1_800_000_000.0 + ahead)
        holder = lease_of(of_s3())
        holder.take()
    with pytest.raises(DestinationHeld, match=r"last seen [1-5]?\d s ago"):
        lease_of(of_s3(), replace(NEVER, stale=120.0)).take()
    lease_of(of_s3(), replace(NEVER, stale=0.0)).take()
    with pytest.raises(LeaseLost):
        holder.verify()


def test_a_holder_that_lost_it_is_told_by_its_renewal_and_gives_nothing_back(
    objects: Callable[[], tuple[Objects, str]],
) -> None:
    paused = lease_of(objects(), Limits(stale=60.0, renew=0.02, margin=30.0))
    paused.take()
    with limits(replace(NEVER, stale=0.0)):
        taker = lease_of(objects(), replace(NEVER, stale=0.0))
    # The one that is paused renews it all the time: who takes it is one more.
    taker.take()
    assert paused._renewing is not None
    paused._renewing.join(timeout=30)
    assert not paused._renewing.is_alive()
    with pytest.raises(LeaseLost, match=r"has lost the lake the lake: its lease was taken over by a run on .* \(PID"):
        paused.check()
    paused.release()
    taker.verify()


def test_what_it_cannot_renew_it_does_not_believe_in(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the store answers again, and says that nobody has taken it."""
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    now = [0.0]
    monkeypatch.setattr(leases, "_now", lambda: now[0])
    with FailingProxy(s3_server.endpoint) as proxy:
        fs = type(s3_server.fs)(
            **{**s3_server.fs.storage_options, "endpoint_url": proxy.endpoint, "skip_instance_cache": True}
        )
        made = objects_of(fs, "s3"), f"{s3_server.new_bucket()}/lease.json"
        holder = lease_of(made, Limits(stale=120.0, renew=10_000.0, margin=30.0))
        holder.take()
        proxy.fail("503", nth=1, for_good=True)
        now[0] = 89.0
        holder.check()
        now[0] = 91.0
        with pytest.raises(Exception, match=r"503|Service"):
            holder.check()
        proxy.heal()
        holder.check()


def test_a_lease_of_unknown_age_is_watched(of_s3: Callable[[], tuple[Objects, str]]) -> None:
    """A store that tells no time: whoever wants the lease sees for itself that nobody renews it."""
    quick = Limits(stale=0.3, renew=10_000.0, margin=0.1, watch=0.02)

    def made() -> tuple[Objects, str]:
        store, path = of_s3()
        return _Timeless(store), path

    gone = lease_of(made())
    gone.take()
    taker = lease_of(made(), quick)
    taker.take()
    with pytest.raises(LeaseLost):
        gone.verify()
    alive = lease_of(made(), Limits(stale=60.0, renew=0.05, margin=30.0))
    taker.release()
    alive.take()
    with pytest.raises(DestinationHeld):
        lease_of(made(), quick).take()
    alive.release()


class _Timeless:
    def __init__(self, store: Objects) -> None:
        self._store, self.no_version, self.tag, self.put = store, store.no_version, store.tag, store.put

    def read(self, path: str) -> Found | None:
        found = self._store.read(path)
        return None if found is None else replace(found, age=None)


def test_a_store_that_ignores_conditions_is_told_of(gs_server: GcsServer, caplog: pytest.LogCaptureFixture) -> None:
    made = objects_of(gs_server.fs, "gs"), f"{gs_server.new_bucket()}/lease.json"
    quick = replace(NEVER, watch=0.01)
    with gs_server.ignoring_conditions(), caplog.at_level(logging.WARNING, "posthog_warehouse.destinations"):
        holder = lease_of(made, quick, "gs://bucket/lake")
        holder.take()
        assert not holder.has_conditions
        assert "gs://bucket/lake does not keep to conditions of puts" in caplog.text
        with pytest.raises(DestinationHeld):
            lease_of(made, quick).take()
        lease_of(made, replace(quick, stale=0.0)).take()
        with pytest.raises(LeaseLost):
            holder.verify()
    caplog.clear()
    kept = lease_of(made, replace(quick, stale=0.0))
    kept.take()
    assert kept.has_conditions
    assert not caplog.records


def test_an_answer_that_was_lost_is_no_loss(of_s3: Callable[[], tuple[Objects, str]]) -> None:
    """The client asks again, and its own put is in the way then."""
    store, path = of_s3()

    class Twice:
        read, tag, no_version = store.read, store.tag, store.no_version

        def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
            store.put(path, body, only_if)
            return store.put(path, body, only_if)

    holder = lease_of((Twice(), path))
    holder.take()
    holder.verify()
    with pytest.raises(DestinationHeld):
        lease_of((store, path)).look()
    holder.release()
    lease_of((store, path)).look()


def test_who_has_ended_for_certain() -> None:
    say = (
        "import json, sys; from posthog_warehouse.destinations.lake import process; "
        "print(json.dumps(process.described()), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{say}; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        told = json.loads(other.stdout.readline())
        assert not process.has_ended(told)
        # The number was given anew, to a process that started at another time.
        assert process.has_ended({**told, "started": "1"})
        other.kill()
        other.wait()
        assert process.has_ended(told)
    # Of the same name, and with the same numbers, but another boot or another container.
    assert not process.has_ended({**told, "space": "another"})
    # As older versions told it.
    assert not process.has_ended({"host": told["host"], "pid": told["pid"]})
