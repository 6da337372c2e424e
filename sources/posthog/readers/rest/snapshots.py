"""What chosen recordings show, as rows: one for each rrweb event.

Blocks are read some twenty at a time, so memory holds no more of a recording than that, and each once: a recording that
grew since gives its new blocks only.

The stored parts of one recording, within PostHog's limits, told apart exactly.

A request may ask for blocks whose numbers differ by 20 at most, and blocks that PostHog cannot fetch are left out of
its answer without a word, unless all are (posthog/session_recordings/session_recording_api.py, autumn 2026). So blocks
are asked for as they are stored (`decompress=false`): each comes in a frame of its own, and they can be counted. If
some are missing, each is asked for alone. A server that does not know of frames is asked for one block at a time.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
import pyarrow as pa

from ...errors import AnswerMalformed, EndpointNotFound, NotFound, Unreachable
from ...http.client import PostHogClient
from ...http.json_values import json_text
from ...http.response_body import decode
from ...pages.arrow import arrow_schema, empty_table
from ...pages.json_text import parsable
from ...tables.recordings import RECORDING_SNAPSHOTS
from ..base import Noted, State, TableReading, nothing
from ..chosen_recordings import chosen_recordings
from ..run import Run

MOST_APART = 20
"""Of the numbers of the first and the last block of a request, for personal API keys."""

_UNAVAILABLE = "recording_blocks_unavailable"
_FRAME_BYTES = 4


@dataclass(frozen=True)
class Stored:
    """How PostHog keeps a recording: in `blocks` (the end of each as PostHog writes it), or in one `file`, or neither
    way (`other`: the words for it).
    """

    blocks: tuple[str, ...] = ()
    file: str | None = None
    other: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """One block: its number, and its lines; None where PostHog cannot fetch it."""

    number: int
    text: bytes | None


class Blobs:
    """Reads what one recording shows. Raises NotFound for a recording that is gone, and what the client raises."""

    def __init__(self, client: PostHogClient, recording_id: str) -> None:
        self._client = client
        self._path = f"session_recordings/{quote(recording_id, safe='')}/snapshots"
        self._at_once = MOST_APART + 1

    def stored(self) -> Stored:
        """How the recording is kept."""
        answer = self._client.get(self._path)
        sources = answer.get("sources") if isinstance(answer, dict) else None
        if not isinstance(sources, list) or not all(isinstance(source, dict) for source in sources):
            raise AnswerMalformed("PostHog does not say how a recording is kept", path=self._path)
        files = [str(source.get("blob_key")) for source in sources if source.get("source") == "blob_v2_lts"]
        if files:
            return Stored(file=files[0])
        blocks = {int(s["blob_key"]): str(s.get("end_timestamp")) for s in sources if s.get("source") == "blob_v2"}
        if sorted(blocks) != list(range(len(blocks))):
            raise AnswerMalformed("PostHog's blocks of a recording are not numbered from 0 on", path=self._path)
        other = () if blocks else tuple(sorted({str(source.get("source")) for source in sources}))
        return Stored(tuple(blocks[number] for number in sorted(blocks)), other=other)

    def blocks(self, first: int, end: int) -> Iterator[list[Block]]:
        """The blocks from `first` to before `end`, as many together as one request brings."""
        while first < end:
            last = min(first + self._at_once, end) - 1
            texts = self._frames(first, last)
            if texts is None:
                self._at_once = 1
                continue
            if len(texts) == last - first + 1:
                yield [Block(number, text) for number, text in enumerate(texts, first)]
            else:
                yield [self._alone(number) for number in range(first, last + 1)]
            first = last + 1

    def whole(self, file: str) -> bytes:
        """All lines of a recording that is kept in one file."""
        params = {"source": "blob_v2_lts", "blob_key": file, "decompress": "false"}
        kind, data = self._client.get_bytes(self._path, params)
        return data if "jsonl" in kind else self._unpacked(data)

    def _frames(self, first: int, last: int) -> list[bytes] | None:
        """The blocks that came; None where they came run together, and were more than one."""
        params: dict[str, Any] = {"source": "blob_v2", "start_blob_key": first, "end_blob_key": last}
        try:
            kind, data = self._client.get_bytes(self._path, {**params, "decompress": "false"})
        except Unreachable as error:
            if getattr(error.last, "code", None) != _UNAVAILABLE:
                raise
            return []
        except NotFound:
            if first == last:
                return []
            return None
        if "jsonl" in kind:
            return [data] if first == last else None
        return [self._unpacked(frame) for frame in self._framed(data)]

    def _alone(self, number: int) -> Block:
        texts = self._frames(number, number)
        return Block(number, texts[0] if texts else None)

    def _framed(self, data: bytes) -> Iterator[bytes]:
        """What stands behind each length (4 bytes, big-endian)."""
        start = 0
        while start < len(data):
            size = int.from_bytes(data[start : start + _FRAME_BYTES], "big")
            start += _FRAME_BYTES
            if start + size > len(data):
                raise AnswerMalformed("A block of a recording breaks off", path=self._path)
            yield data[start : start + size]
            start += size

    def _unpacked(self, packed: bytes) -> bytes:
        """The text of a block in Snappy's raw format, which begins with its length: 7 bits a byte, the lowest first."""
        size = shift = 0
        for byte in packed[:5]:
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        try:
            return bytes(pa.Codec("snappy").decompress(packed, size, asbytes=True))
        except (OSError, pa.ArrowInvalid, MemoryError) as error:
            raise AnswerMalformed(f"A block of a recording cannot be unpacked: {error}", path=self._path) from None


_OWN = frozenset({"type", "timestamp", "data", "cv"})
_MOST_WORDS = 3

_LINES_A_PAGE = 2_000

_Done = tuple[pa.Table, list[Any] | None]
"""Rows, and how far the recording is read with them; None: no further than before."""

Row = tuple[str, int, int, str | None, int | None, int | None, str | None, str | None, str | None]


def read_snapshots(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: of each chosen recording the blocks that were not read yet.

    State: `read`, by recording: how many blocks, the end of the last one, and how many lines.
    """
    mirror: State = copy.deepcopy({"read": state.get("read", {})})
    wanted = chosen_recordings(run)
    gone: list[str] = []
    others: Counter[str] = Counter()
    for recording_id in wanted:
        known = mirror["read"].get(recording_id)
        for table, done in _or_gone(_recording(run, recording_id, known, reading, others), gone):
            run.progress.fetched(reading.table.name, table.num_rows)
            if done is not None:
                mirror["read"][recording_id] = done
            yield table, partial(_note, recording_id, done)
    if gone:
        words = "; ".join(sorted(set(gone))[:_MOST_WORDS])
        reading.notes.append(f"PostHog does not have {len(gone):,} of the chosen recordings: {words}")
    reading.notes += [f"{count:,} recordings are kept as {kind}, which is not read" for kind, count in others.items()]
    reading.evidence.held = sum(done[2] for done in mirror["read"].values())
    yield empty_table(RECORDING_SNAPSHOTS), nothing


def _or_gone(pages: Iterator[_Done], gone: list[str]) -> Iterator[_Done]:
    """The pages of a recording, none where PostHog does not have it: `gone` is told its words for that."""
    try:
        yield from pages
    except EndpointNotFound:
        raise
    except NotFound as error:
        gone.append(error.message)


def _note(recording_id: str, done: list[Any] | None, state: State) -> None:
    if done is not None:
        state["read"] = {**state.get("read", {}), recording_id: done}


def _recording(
    run: Run, recording_id: str, done: Sequence[Any] | None, reading: TableReading, others: Counter[str]
) -> Iterator[_Done]:
    blobs = Blobs(run.client, recording_id)
    stored = blobs.stored()
    if stored.other:
        others.update([", ".join(stored.other)])
    elif stored.file is not None:
        if done is None or done[1] != stored.file:
            yield from _file(blobs, stored.file, recording_id, done)
    else:
        yield from _blocks(blobs, stored, recording_id, done, reading)


def _file(blobs: Blobs, file: str, recording_id: str, done: Sequence[Any] | None) -> Iterator[_Done]:
    """A recording that is one file now; what was read of it as blocks is at its head, and not read again."""
    number, _, had = done or (0, "", 0)
    lines = _lines(blobs.whole(file))[had:]
    total = 0
    for start in range(0, max(1, len(lines)), _LINES_A_PAGE):
        rows = _rows(recording_id, number, lines[start : start + _LINES_A_PAGE], total)
        total += len(rows)
        is_last = start + _LINES_A_PAGE >= len(lines)
        yield _table(rows), [number + 1, file, had + total] if is_last else None


def _blocks(
    blobs: Blobs, stored: Stored, recording_id: str, done: Sequence[Any] | None, reading: TableReading
) -> Iterator[_Done]:
    first, end, lines = done or (0, "", 0)
    if first > len(stored.blocks) or (first and stored.blocks[first - 1] != end):
        # Blocks were put in between: their numbers are others now.
        first, lines = 0, 0
    missing: list[int] = []
    for some in blobs.blocks(first, len(stored.blocks)):
        rows = [row for block in some for row in _rows(recording_id, block.number, _lines(block.text or b""))]
        missing += [block.number for block in some if block.text is None]
        if not missing:
            lines += len(rows)
            first, end = some[-1].number + 1, stored.blocks[some[-1].number]
        # What is missing is asked for again by the next run, with all behind it.
        yield _table(rows), [first, end, lines]
    if missing:
        numbers = ", ".join(map(str, missing))
        reading.notes.append(f"PostHog cannot fetch part {numbers} of {recording_id}; the next run asks for it again")


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line.strip()]


def _rows(recording_id: str, part: int, lines: Sequence[bytes], position: int = 0) -> list[Row]:
    """The rows of some lines of a part, of which the first is at `position`."""
    texts = parsable(pa.array([line.decode("utf-8", errors="replace") for line in lines], pa.string())).to_pylist()
    events = [event for text in texts for event in _events(text)]
    return [_row(recording_id, part, place, *event) for place, event in enumerate(events, position)]


def _events(text: str) -> Iterator[tuple[str | None, Any]]:
    """The events of a line, with their window: today one in `[window_id, event]`, once many in an object."""
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:  # for its levels: all else was mended
        line = decode(text.encode(), "snapshots")
    if isinstance(line, list) and len(line) == 2:
        yield (None if line[0] is None else str(line[0])), line[1]
    elif isinstance(line, dict) and isinstance(line.get("data"), list) and "window_id" in line:
        for event in line["data"]:
            yield str(line["window_id"]), event
    else:
        yield None, line


def _row(recording_id: str, part: int, position: int, window_id: str | None, event: Any) -> Row:
    if not isinstance(event, dict):
        return (recording_id, part, position, window_id, None, None, json_text(event), None, None)
    moment, kind, packed = event.get("timestamp"), event.get("type"), event.get("cv")
    micros = int(moment * 1000) if isinstance(moment, (int, float)) and not isinstance(moment, bool) else None
    rest = {name: value for name, value in event.items() if name not in _OWN}
    return (
        recording_id,
        part,
        position,
        window_id,
        micros,
        kind if isinstance(kind, int) else None,
        json_text(event["data"]) if "data" in event else None,
        None if packed is None else str(packed),
        json_text(rest) if rest else None,
    )


def _table(rows: Sequence[Row]) -> pa.Table:
    schema = arrow_schema(RECORDING_SNAPSHOTS)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    # Whole numbers are microseconds, in a column of times.
    arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
