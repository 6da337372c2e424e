"""What chosen recordings show, as rows: one for each rrweb event.

Blocks are read some twenty at a time, so memory holds no more of a recording than that, and each once: a recording that
grew since gives its new blocks only.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from sources.posthog.arrow import UTC_MICROS, empty_table
from sources.posthog.errors import EndpointNotFound, NotFound
from sources.posthog.http.decoding import decode
from sources.posthog.json_text import json_text, parsable
from sources.posthog.listing.blobs import Blobs, Stored
from sources.posthog.listing.chosen import chosen_recordings
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.recordings import RECORDING_SNAPSHOTS

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
    reading.held = sum(done[2] for done in mirror["read"].values())
    yield empty_table(RECORDING_SNAPSHOTS), lambda _: None


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
    types = [
        pa.string(),
        pa.int64(),
        pa.int64(),
        pa.string(),
        UTC_MICROS,
        pa.int64(),
        pa.string(),
        pa.string(),
        pa.string(),
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [
        pa.array(values, pa.int64()).cast(UTC_MICROS) if kind == UTC_MICROS else pa.array(values, kind)
        for values, kind in zip(columns, types, strict=True)
    ]
    fields = [
        pa.field(column.name, kind, nullable=column.nullable)
        for column, kind in zip(RECORDING_SNAPSHOTS.columns, types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
