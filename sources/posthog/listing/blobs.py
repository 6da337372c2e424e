"""The stored parts of one recording, within PostHog's limits, told apart exactly.

A request may ask for blocks whose numbers differ by 20 at most, and blocks that PostHog cannot fetch are left out of
its answer without a word, unless all are (posthog/session_recordings/session_recording_api.py, autumn 2026). So blocks
are asked for as they are stored (`decompress=false`): each comes in a frame of its own, and they can be counted. If
some are missing, each is asked for alone. A server that does not know of frames is asked for one block at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from sources.posthog.client import PostHogClient
from sources.posthog.errors import AnswerMalformed, NotFound, Unreachable

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
