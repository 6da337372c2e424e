"""``/api/projects/:id/exports/:id/content/``: the bytes of an export. Source: posthog/api/exports.py, autumn 2026."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from typing import Any

from .dispatch import Action, Call
from .envelope import Reply, not_found
from .lists.endpoints import item_of
from .lists.registry import BY_NAME

#: Pixels of an image's side.
_SIDE = 24


async def content(call: Call) -> Reply:
    """GET /exports/:id/content/: an image or a table, as ``export_format`` says; 404 while there is none."""
    row = await item_of(call, BY_NAME["exports"])
    if not row["has_content"]:
        raise not_found("Not found.")
    body = _png(row["id"]) if row["export_format"] == "image/png" else _csv(row)
    headers = {
        "Content-Disposition": f'attachment; filename="{row["filename"]}"',
        "Cache-Control": "max-age=86400",
    }
    return Reply([body], headers=headers, media_type=row["export_format"])


def _csv(row: dict[str, Any]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["series", "day", "value"])
    for place in range(7):
        lines.writerow([f'Export "{row["id"]}", 🦔', place + 1, (row["id"] * (place + 7)) % 101])
    return text.getvalue().encode()


def _png(seed: int) -> bytes:
    """A small image of stripes: 24 by 24 pixels, 8 bits grey."""
    lines = b"".join(b"\0" + bytes((x * seed + y * 9) % 256 for x in range(_SIDE)) for y in range(_SIDE))
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


CONTENT = {"GET": Action(content, ("export:read",))}
