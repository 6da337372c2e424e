"""What a recording shows: rrweb events in the blocks that the recorder wrote, one JSON line each.

A line is `[window_id, {type, timestamp, data}]`; `timestamp` is in milliseconds. Some full snapshots are packed, with
a mark in `cv`, as posthog-js does with large ones. Source: posthog/session_recordings and the replay recorder of
PostHog/posthog, autumn 2026; types of events are rrweb's.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from posthog_warehouse.sandbox.recipe import constant
from posthog_warehouse.sandbox.store import Store, quoted

#: Events that the recorder puts into one block, at most.
BLOCK_EVENTS = 6

_META, _FULL, _INCREMENTAL, _CUSTOM, _PLUGIN = 4, 2, 3, 5, 6

#: Recordings kept for good are one file. One in so many is.
_LONG_TERM_EVERY = 9


@dataclass(frozen=True)
class Block:
    """One block: its lines in their order, and the first and last time in them (milliseconds since 1970)."""

    start: int
    end: int
    lines: tuple[str, ...]

    @property
    def text(self) -> bytes:
        """The block as it is stored, each line with its end."""
        return "".join(f"{line}\n" for line in self.lines).encode()


def is_long_term(session_id: str) -> bool:
    """Whether the recording is kept as one file."""
    return constant("long term", session_id) % _LONG_TERM_EVERY == 0


def blocks(store: Store, session_id: str) -> list[Block]:
    """The blocks of a recording. What it grows by comes in further ones; those before stay as they are."""
    rows = store.rows(
        "SELECT toUnixTimestamp64Milli(min_first_timestamp), toUnixTimestamp64Milli(max_last_timestamp), "
        "event_count, first_url FROM session_replay_events "
        f"WHERE team_id = {store.team_id} AND session_id = {quoted(session_id)} "
        "ORDER BY min_first_timestamp, max_last_timestamp, size"
    )
    found: list[Block] = []
    for number, (first, last, count, url) in enumerate(rows):
        # Not the system's randomness: a recording is the same each time.
        draw = random.Random(constant("snapshots", session_id, number))  # noqa: S311
        events = [
            (first + (last - first) * place // count, _event(draw, number, place, str(url))) for place in range(count)
        ]
        for start in range(0, count, BLOCK_EVENTS):
            part = events[start : start + BLOCK_EVENTS]
            lines = tuple(_line(draw, session_id, moment, event) for moment, event in part)
            found.append(Block(part[0][0], part[-1][0], lines))
    return found


def iso(milliseconds: int) -> str:
    """A time as PostHog's serializers write it."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat().replace("+00:00", "Z")


def snappy(data: bytes) -> bytes:
    """The bytes in Snappy's raw format, as literals only: legal, and no smaller than they were."""
    length, header = len(data), bytearray()
    while length >= 0x80:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    packed = bytes(header)
    for start in range(0, len(data), 0x10000):
        piece = data[start : start + 0x10000]
        packed += bytes([61 << 2]) + (len(piece) - 1).to_bytes(2, "little") + piece
    return packed


def _line(draw: random.Random, session_id: str, moment: int, event: dict[str, Any]) -> str:
    window = constant("window", session_id, draw.random() < 0.1)
    window_id = f"{window >> 32:08x}-0000-7000-8000-{window & 0xFFFFFFFFFFFF:012x}"
    line = json.dumps([window_id, {**event, "timestamp": moment}], ensure_ascii=False, separators=(",", ":"))
    # What JavaScript makes of half an emoji: legal JSON that many parsers refuse.
    return line.replace("🦔🦔", "\\ud83e")


def _event(draw: random.Random, piece: int, place: int, url: str) -> dict[str, Any]:
    if place == 0 and piece == 0:
        return {"type": _META, "data": {"href": url, "width": 1280 + draw.randrange(900), "height": 720}}
    if place == 1:
        return _full_snapshot(packed=draw.random() < 0.3)
    kind = draw.random()
    if kind < 0.05:
        text = draw.choice(["Loaded", "🦔🦔", "größer als 5 GB", "\u0000"])
        payload = {"level": "log", "payload": [text], "trace": []}
        return {"type": _PLUGIN, "data": {"plugin": "rrweb/console@1", "payload": payload}}
    if kind < 0.1:
        return {"type": _CUSTOM, "data": {"tag": "$pageview", "payload": {"href": url}}}
    if kind < 0.6:
        positions = [{"x": draw.randrange(1280), "y": draw.randrange(720), "id": 2, "timeOffset": -place}]
        return {"type": _INCREMENTAL, "data": {"source": 1, "positions": positions}}
    text = base64.b64encode(draw.randbytes(60)).decode()
    return {"type": _INCREMENTAL, "data": {"source": 0, "texts": [{"id": 2, "value": text}], "adds": [], "removes": []}}


def _full_snapshot(*, packed: bool) -> dict[str, Any]:
    html = {"type": 2, "tagName": "html", "attributes": {"lang": "ja"}, "id": 2}
    data = {"node": {"type": 0, "childNodes": [html], "id": 1}, "initialOffset": {"top": 0, "left": 0}}
    if not packed:
        return {"type": _FULL, "data": data}
    return {"type": _FULL, "data": gzip.compress(json.dumps(data).encode(), mtime=0).decode("latin-1"), "cv": "2024-10"}
