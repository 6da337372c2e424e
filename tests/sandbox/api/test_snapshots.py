"""Snapshots and sharing of recordings: sources, limits, frames, failures (posthog-api section 5.2)."""

from __future__ import annotations

import json

import httpx
import pyarrow as pa
import pytest

from posthog_warehouse.sandbox import snapshots
from posthog_warehouse.sandbox.local import Sandbox
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of

PATH = "/api/projects/1/session_recordings/{}/snapshots/"


@pytest.fixture
def recording(box: Sandbox) -> str:
    """The recording in blocks with the most to show."""
    rows = box.sql("SELECT session_id FROM session_replay_events GROUP BY 1 ORDER BY sum(event_count) DESC, 1")
    return next(str(row[0]) for row in rows if not snapshots.is_long_term(row[0]))


def blocks(http: httpx.Client, recording: str, low: int, high: int, **more: str) -> httpx.Response:
    """A request for blocks."""
    params = {"source": "blob_v2", "start_blob_key": str(low), "end_blob_key": str(high), **more}
    return http.get(PATH.format(recording), params=params)


def test_sources_are_blocks_in_order(http: httpx.Client, recording: str) -> None:
    sources = http.get(PATH.format(recording)).json()["sources"]
    assert [source["blob_key"] for source in sources] == [str(number) for number in range(len(sources))]
    assert {source["source"] for source in sources} == {"blob_v2"}
    assert len(sources) > snapshots.BLOCK_EVENTS
    for source in sources[:3]:
        answer = blocks(http, recording, int(source["blob_key"]), int(source["blob_key"]))
        assert answer.headers["content-type"].startswith("application/jsonl")
        moments = [json.loads(line)[1]["timestamp"] for line in answer.text.split("\n")]
        assert snapshots.iso(min(moments)) == source["start_timestamp"]
        assert snapshots.iso(max(moments)) == source["end_timestamp"]


def test_blocks_are_the_same_each_time_and_however_they_are_asked_for(http: httpx.Client, recording: str) -> None:
    together = blocks(http, recording, 0, 4)
    assert together.content == blocks(http, recording, 0, 4).content
    alone = [blocks(http, recording, number, number).content for number in range(5)]
    assert b"\n".join(alone) == together.content
    framed = blocks(http, recording, 0, 4, decompress="false").content
    found = []
    while framed:
        size = int.from_bytes(framed[:4], "big")
        found.append(framed[4 : 4 + size])
        framed = framed[4 + size :]
    assert found == [snapshots.snappy(text + b"\n") for text in alone]


def test_snappy_is_what_others_read() -> None:
    for text in (b"", b"a", bytes(range(256)) * 700):
        packed = snapshots.snappy(text)
        assert pa.Codec("snappy").decompress(packed, len(text), asbytes=True) == text


def test_a_request_may_not_be_too_wide_or_out_of_range(http: httpx.Client, recording: str) -> None:
    count = len(http.get(PATH.format(recording)).json()["sources"])
    wide = blocks(http, recording, 0, 21)
    assert (wide.status_code, wide.json()["detail"]) == (400, "Cannot request more than 20 blob keys at once")
    beyond = blocks(http, recording, count - 1, count)
    assert (beyond.status_code, beyond.json()["detail"]) == (404, "Block index out of range")
    for params in ({"source": "blob_v2"}, {"source": "blob"}, {"source": "blob_v2_lts"}):
        assert http.get(PATH.format(recording), params=params).status_code == 400
    assert http.get(PATH.format("nothing")).status_code == 404


def test_failing_blocks_are_left_out_in_silence_unless_all_fail(
    box: Sandbox, http: httpx.Client, recording: str
) -> None:
    whole = blocks(http, recording, 0, 2)
    box.set_behaviour(recordings_failing_blocks=["1"])
    partial = blocks(http, recording, 0, 2)
    assert partial.status_code == 200
    assert len(partial.content) < len(whole.content)
    alone = blocks(http, recording, 1, 1)
    assert (alone.status_code, alone.json()["code"]) == (502, "recording_blocks_unavailable")


def test_some_recordings_are_one_file(box: Sandbox, http: httpx.Client) -> None:
    rows = box.sql("SELECT DISTINCT session_id FROM session_replay_events ORDER BY 1")
    recording = next(str(row[0]) for row in rows if snapshots.is_long_term(row[0]))
    (source,) = http.get(PATH.format(recording)).json()["sources"]
    assert source["source"] == "blob_v2_lts"
    answer = http.get(PATH.format(recording), params={"source": "blob_v2_lts", "blob_key": source["blob_key"]})
    assert all(len(json.loads(line)) == 2 for line in answer.text.split("\n"))
    wrong = http.get(PATH.format(recording), params={"source": "blob_v2_lts", "blob_key": "another"})
    assert wrong.status_code == 404


def test_sharing_needs_a_scope_of_its_own(box: Sandbox, http: httpx.Client, recording: str) -> None:
    path = f"/api/projects/1/session_recordings/{recording}/sharing/"
    settings = http.get(path).json()
    assert set(settings) >= {"created_at", "enabled", "access_token"}
    with client_of(box, box.create_key(["session_recording:read"])) as other:
        refused = other.get(path)
    assert refused.status_code == 403
    assert "sharing_configuration:read" in refused.json()["detail"]


def test_a_deleted_recording_is_gone_everywhere(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=600, persons=20)
    before = sandbox.counts()["recordings"]
    (recording,) = sandbox.delete_recordings(1)
    assert sandbox.counts()["recordings"] == before - 1
    with client_of(sandbox) as http:
        gone = http.get(PATH.format(recording))
        assert (gone.status_code, gone.json()["error"]) == (410, "recording_deleted")
        assert http.get(f"/api/projects/1/session_recordings/{recording}/").status_code == 404
        listed = http.get("/api/projects/1/session_recordings/", params={"date_from": "-90d", "limit": 1000}).json()
        assert recording not in {row["id"] for row in listed["results"]}
        assert len(listed["results"]) == before - 1


def test_the_documented_shape_counts(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(recordings_counted=True)
    page = http.get("/api/projects/1/session_recordings/", params={"date_from": "-90d", "limit": 10}).json()
    assert set(page) == {"count", "next", "previous", "results"}
    assert page["count"] == box.counts()["recordings"]
    found = [row["id"] for row in page["results"]]
    while page["next"]:
        page = http.get(page["next"]).json()
        found += [row["id"] for row in page["results"]]
    assert len(found) == len(set(found)) == page["count"]


def test_recordings_that_are_named_are_shown_whenever_they_were(box: Sandbox, http: httpx.Client) -> None:
    ((oldest,),) = box.sql(
        "SELECT session_id FROM session_replay_events GROUP BY 1 ORDER BY min(min_first_timestamp) LIMIT 1"
    )
    params = {"session_ids": json.dumps([oldest]), "date_from": "-1d", "date_to": box.now()}
    page = http.get("/api/projects/1/session_recordings/", params=params).json()
    assert [row["id"] for row in page["results"]] == [oldest]
    box.set_behaviour(recordings_cursor=False)
    assert http.get("/api/projects/1/session_recordings/", params=params).json()["results"] == []


def test_lists_and_snapshots_have_limits_of_their_own(box: Sandbox, http: httpx.Client, recording: str) -> None:
    box.set_behaviour(rate_limit_enabled=True, recordings_per_minute=2, snapshots_per_minute=3)
    listed = [http.get("/api/projects/1/session_recordings/").status_code for _ in range(3)]
    assert listed == [200, 200, 429]
    shown = [http.get(PATH.format(recording)).status_code for _ in range(4)]
    assert shown == [200, 200, 200, 429]
    # The recording itself counts with all that ClickHouse answers.
    assert http.get(f"/api/projects/1/session_recordings/{recording}/").status_code == 200
