"""What recordings show, against what the sandbox makes for them; and how they are shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sandbox.snapshots import is_long_term
from posthog_warehouse.sources.posthog.errors import NothingRequested
from posthog_warehouse.sources.posthog.pages.json_text import parsable
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.rest import snapshots
from posthog_warehouse.sources.posthog.readers.rest.snapshots import Blobs
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables.recordings import RECORDING_SHARING, RECORDING_SNAPSHOTS
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of
from tests.sandboxes import started
from tests.sources.posthog.reading import connected
from tests.sources.posthog.table_reading import Reader

PATH = "/api/projects/1/session_recordings/{}/snapshots/"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """A sandbox whose data stays as it is."""
    with started(events=6_000, persons=100, seed=5, days=10) as sandbox:
        yield sandbox


@pytest.fixture
def posthog(shared: Sandbox) -> Iterator[Sandbox]:
    """The same; its behaviour and faults are put back."""
    before = shared.behaviour()
    yield shared
    shared.clear_faults()
    shared.set_behaviour(**before)


def longest(sandbox: Sandbox, count: int) -> list[str]:
    """The recordings with the most to show, those that are kept as one file among them."""
    rows = sandbox.sql(
        "SELECT session_id FROM session_replay_events GROUP BY session_id ORDER BY sum(event_count) DESC, session_id"
    )
    ids = [row[0] for row in rows]
    files = [name for name in ids if is_long_term(name)][:2]
    return [*[name for name in ids if not is_long_term(name)][: count - len(files)], *files]


def shown(sandbox: Sandbox, recording_id: str) -> list[tuple[Any, ...]]:
    """What the server gives when it is asked plainly: window, type, time in milliseconds, data; in order."""
    found: list[tuple[Any, ...]] = []
    with client_of(sandbox) as http:
        sources = http.get(PATH.format(recording_id)).json()["sources"]
        for source in sources:
            key = source["blob_key"]
            asked: dict[str, Any] = {"source": "blob_v2_lts", "blob_key": key}
            if source["source"] == "blob_v2":
                asked = {"source": "blob_v2", "start_blob_key": key, "end_blob_key": key}
            lines = http.get(PATH.format(recording_id), params=asked).content.split(b"\n")
            for text in parsable(pa.array([line.decode() for line in lines])).to_pylist():
                window, event = orjson.loads(text)
                found.append((window, event["type"], event["timestamp"], event["data"], event.get("cv")))
    return found


def read_shown(reader: Reader, recording_id: str) -> list[tuple[Any, ...]]:
    """The same of the rows that were read."""
    rows = sorted((key, row) for key, row in reader.rows.items() if key[0] == recording_id)
    return [
        (
            row["window_id"],
            row["type"],
            round(row["timestamp"].timestamp() * 1000),
            orjson.loads(row["data"]),
            row["cv"],
        )
        for _, row in rows
    ]


def test_rows_are_what_the_server_shows(posthog: Sandbox) -> None:
    ids = longest(posthog, 6)
    reader = Reader(posthog, RECORDING_SNAPSHOTS)
    held: list[int | None] = []
    rows = reader.run(
        requests=Requests(recording_ids=tuple(ids)), check=lambda reading: held.append(reading.evidence.held)
    )
    assert len(rows) == len(reader.rows) == held[0]
    for recording_id in ids:
        assert read_shown(reader, recording_id) == shown(posthog, recording_id)
    assert max(row["part"] for row in rows) > 20
    assert {row["cv"] for row in rows} == {None, "2024-10"}
    # What was read is not fetched again: one request for the project, one for each recording's parts.
    assert reader.run(requests=Requests(recording_ids=tuple(ids))) == []
    assert posthog.counters()["requests"] == 1 + len(ids)


def test_requests_stay_within_the_limits(posthog: Sandbox) -> None:
    (recording_id,) = longest(posthog, 3)[:1]
    with client_of(posthog) as http:
        blocks = len(http.get(PATH.format(recording_id)).json()["sources"])
    assert blocks > 21
    Reader(posthog, RECORDING_SNAPSHOTS).run(requests=Requests(recording_ids=(recording_id,)))
    asked = [entry for entry in posthog.requests() if "snapshots" in entry["path"]]
    assert {entry["status"] for entry in asked} == {200}
    assert len(asked) == 1 + -(-blocks // 21)


def test_blocks_that_are_left_out_in_silence_are_noticed(posthog: Sandbox) -> None:
    (recording_id,) = longest(posthog, 3)[:1]
    wanted = Requests(recording_ids=(recording_id,))
    posthog.set_behaviour(recordings_failing_blocks=["2", "5"])
    reader = Reader(posthog, RECORDING_SNAPSHOTS)
    readings: list[TableReading] = []
    reader.run(requests=wanted, check=readings.append)
    assert {2, 5}.isdisjoint(row["part"] for row in reader.rows.values())
    assert f"part 2, 5 of {recording_id}" in readings[0].notes[0]
    posthog.set_behaviour(recordings_failing_blocks=[])
    reader.run(requests=wanted, check=readings.append)
    assert read_shown(reader, recording_id) == shown(posthog, recording_id)
    assert readings[1].notes == []
    assert readings[1].evidence.held == len(reader.rows)


def test_a_server_without_frames_gives_the_same(posthog: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (recording_id,) = longest(posthog, 3)[:1]
    with connected(posthog) as client:
        blobs = Blobs(client, recording_id)
        ends = blobs.stored().blocks
        framed = [block for some in blobs.blocks(0, len(ends)) for block in some]
        plain = client.get_bytes
        # An older server does not know of `decompress`, and leaves it unread.
        monkeypatch.setattr(
            client,
            "get_bytes",
            lambda path, params: plain(path, {k: v for k, v in params.items() if k != "decompress"}),
        )
        single = [block for some in Blobs(client, recording_id).blocks(0, len(ends)) for block in some]
    assert [(block.number, (block.text or b"").rstrip(b"\n")) for block in framed] == [
        (block.number, block.text) for block in single
    ]


def test_a_recording_that_grew_gives_its_new_parts(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=1_000, persons=30)
    sandbox.advance_clock(30)
    (recording_id,) = [name for name in sandbox.grow_recordings(8) if not is_long_term(name)][:1]
    wanted = Requests(recording_ids=(recording_id,))
    reader = Reader(sandbox, RECORDING_SNAPSHOTS)
    before = len(reader.run(requests=wanted))
    sandbox.advance_clock(120)
    sandbox.grow_recordings(8)
    rows = reader.run(requests=wanted)
    assert before > 0
    assert len(rows) > 0
    assert len(reader.rows) == before + len(rows)
    assert read_shown(reader, recording_id) == shown(sandbox, recording_id)


def test_a_recording_that_became_one_file_is_not_read_twice(posthog: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (recording_id,) = [name for name in longest(posthog, 9) if is_long_term(name)][:1]
    wanted = Requests(recording_ids=(recording_id,))
    whole = Reader(posthog, RECORDING_SNAPSHOTS)
    monkeypatch.setattr(snapshots, "_LINES_A_PAGE", 7)
    lines = len(whole.run(requests=wanted))
    assert read_shown(whole, recording_id) == shown(posthog, recording_id)
    assert lines > 7
    # An earlier run had its first blocks, of five lines: the file has those at its head.
    later = Reader(posthog, RECORDING_SNAPSHOTS, state={"read": {recording_id: [2, "2026-11-01T00:00:00Z", 5]}})
    rows = later.run(requests=wanted)
    assert [(row["part"], row["position"]) for row in rows] == [(2, place) for place in range(lines - 5)]
    assert read_shown(later, recording_id) == shown(posthog, recording_id)[5:]
    assert later.run(requests=wanted) == []


def test_recordings_that_are_gone_are_said(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=1_000, persons=30)
    gone = sandbox.delete_recordings(2)
    (there,) = longest(sandbox, 9)[:1] if longest(sandbox, 9)[0] not in gone else longest(sandbox, 9)[4:5]
    wanted = Requests(recording_ids=(*gone, "no-such-recording", there))
    readings: list[TableReading] = []
    rows = Reader(sandbox, RECORDING_SNAPSHOTS).run(requests=wanted, check=readings.append)
    assert {row["recording_id"] for row in rows} == {there}
    assert "does not have 3 of the chosen recordings" in readings[0].notes[0]
    assert "permanently deleted" in readings[0].notes[0]
    shared = Reader(sandbox, RECORDING_SHARING)
    assert [row["recording_id"] for row in shared.run(requests=wanted, check=readings.append)] == [there]
    assert "does not have 3" in readings[1].notes[0]


def test_an_old_server_keeps_them_otherwise_which_is_said(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=1_000, persons=30, profile="selfhosted-2023")
    readings: list[TableReading] = []
    rows = Reader(sandbox, RECORDING_SNAPSHOTS).run(requests=Requests(recording_limit=3), check=readings.append)
    assert rows == []
    assert readings[0].notes == ["3 recordings are kept as blob, which is not read"]


def test_a_filter_and_a_limit_choose_the_newest(posthog: Sandbox) -> None:
    ((busiest,),) = posthog.sql(
        "SELECT distinct_id FROM session_replay_events GROUP BY distinct_id ORDER BY uniqExact(session_id) DESC LIMIT 1"
    )
    wanted = Requests(recording_filter={"distinct_ids": [busiest]}, recording_limit=2)
    newest = posthog.sql(
        "SELECT session_id FROM session_replay_events "
        f"WHERE cityHash64(distinct_id) = cityHash64(unhex('{busiest.encode().hex()}')) "
        "GROUP BY session_id ORDER BY min(min_first_timestamp) DESC LIMIT 2"
    )
    rows = Reader(posthog, RECORDING_SHARING).run(requests=wanted)
    assert [row["recording_id"] for row in rows] == [row[0] for row in newest]
    assert all(len(row["access_token"]) > 10 and row["created_at"] for row in rows)


def test_a_filter_cannot_page(posthog: Sandbox) -> None:
    with pytest.raises(NothingRequested, match="offset"):
        Reader(posthog, RECORDING_SHARING).run(requests=Requests(recording_filter={"offset": 3}))


@pytest.mark.parametrize("levels", [300, 1_500])
def test_a_page_whose_elements_are_nested_deeply_is_shown_whole(levels: int) -> None:
    tree = '{"childNodes": [' * (levels // 2) + "]}" * (levels // 2)
    event = f'["window", {{"type": 2, "timestamp": 1, "data": {tree}, "extra": 1}}]'
    ((_, _, _, window, micros, kind, data, _, rest),) = snapshots._rows("recording", 0, [event.encode()])
    assert (window, micros, kind, rest) == ("window", 1_000, 2, '{"extra":1}')
    # What Python's readers do not take is there as a text that holds it.
    expected = tree if levels < 1_000 else orjson.dumps(tree).decode()
    assert str(data).replace(" ", "") == expected.replace(" ", "")
