"""``/api/projects/:id/session_recordings/:id/snapshots/`` and ``.../sharing/``.

Without ``source`` the answer lists what there is; then one asks for blocks (``blob_v2``, by number) or for the whole
file of a recording that is kept for good (``blob_v2_lts``). Source: posthog/session_recordings/session_recording_api.py
and posthog/api/sharing.py, autumn 2026.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from posthog_warehouse.sandbox import snapshots
from posthog_warehouse.sandbox.recipe import constant
from posthog_warehouse.sandbox.snapshots import Block
from posthog_warehouse.sandbox.store import Store, quoted

from .dispatch import Action, Call
from .envelope import ApiError, Reply, invalid, not_found, reply

#: Block numbers of one request may differ by this much, for personal API keys.
MOST_BLOCKS = 20

JSONL = "application/jsonl"


async def blobs(call: Call) -> Reply:
    """GET /session_recordings/:id/snapshots/."""
    session_id = call.params["item"]
    source = call.arguments.get("source")
    if source not in (None, "", "blob_v2", "blob_v2_lts"):
        raise invalid("Invalid source must be one of [blob_v2, blob_v2_ts, None]")
    wanted = _range(call.arguments) if source == "blob_v2" else None
    if source == "blob_v2_lts" and not call.arguments.get("blob_key"):
        raise invalid("Must provide a blob key")
    gone = await call.state.in_thread(_deleted, call.state.store, session_id)
    if gone is not None:
        return gone
    found = await call.state.in_thread(snapshots.blocks, call.state.store, session_id)
    if not found:
        raise not_found("Recording not found")
    if not call.state.behaviour.recordings_blob_v2:
        # Servers before 2025: other sources, by other rules.
        return reply({"sources": [{"source": "blob", "start_timestamp": None, "end_timestamp": None, "blob_key": "0"}]})
    if source == "blob_v2_lts":
        if call.arguments["blob_key"].lstrip("/") != _file(session_id) or not snapshots.is_long_term(session_id):
            raise not_found("Recording not found")
        return _content(call, [b"".join(block.text for block in found)], framed=False)
    if wanted is None:
        return reply({"sources": _sources(session_id, found)})
    return _content(call, _asked(call, found, *wanted), framed=True)


def _range(arguments: Mapping[str, str]) -> tuple[int, int]:
    first, last = arguments.get("start_blob_key"), arguments.get("end_blob_key")
    if not first or not last:
        raise invalid("Must provide both start blob key and end blob key")
    try:
        low, high = int(first), int(last)
    except ValueError:
        raise invalid("Blob keys must be integers") from None
    if high - low > MOST_BLOCKS:
        raise invalid(f"Cannot request more than {MOST_BLOCKS} blob keys at once")
    return low, high


def _asked(call: Call, found: list[Block], low: int, high: int) -> list[bytes]:
    if high >= len(found):
        raise not_found("Block index out of range")
    failing = call.state.behaviour.recordings_failing_blocks
    texts = [found[key].text for key in range(low, high + 1) if str(key) not in failing]
    if not texts and low <= high:
        raise ApiError(
            502,
            "server_error",
            "recording_blocks_unavailable",
            "Couldn't load this recording's data. Try again, and if it keeps happening contact support.",
        )
    return texts


def _content(call: Call, texts: list[bytes], *, framed: bool) -> Reply:
    if call.arguments.get("decompress", "true").lower() in ("false", "0"):
        packed = [snapshots.snappy(text) for text in texts]
        parts = [len(one).to_bytes(4, "big") + one for one in packed] if framed else packed
        return Reply(parts, media_type="application/octet-stream", headers={"Cache-Control": "max-age=3600"})
    return Reply([b"".join(texts).rstrip(b"\n")], media_type=JSONL, headers={"Cache-Control": "max-age=3600"})


def _sources(session_id: str, found: list[Block]) -> list[dict[str, str | None]]:
    if snapshots.is_long_term(session_id):
        return [
            {
                "source": "blob_v2_lts",
                "start_timestamp": None,
                "end_timestamp": None,
                "blob_key": _file(session_id),
            }
        ]
    return [
        {
            "source": "blob_v2",
            "start_timestamp": snapshots.iso(block.start),
            "end_timestamp": snapshots.iso(block.end),
            "blob_key": str(number),
        }
        for number, block in enumerate(found)
    ]


def _file(session_id: str) -> str:
    return f"session_recordings_lts/{session_id}"


def _deleted(store: Store, session_id: str) -> Reply | None:
    """The answer for a recording that a user deleted: not in PostHog's envelope."""
    rows = store.rows(f"SELECT deleted_at, deleted_by FROM session_recording WHERE session_id = {quoted(session_id)}")
    if not rows:
        return None
    (deleted_at, deleted_by), *_ = rows
    body = {
        "error": "recording_deleted",
        "message": "This recording has been permanently deleted",
        "deleted_at": deleted_at,
        "deleted_by": deleted_by,
    }
    return reply(body, status=410)


async def sharing(call: Call) -> Reply:
    """GET /session_recordings/:id/sharing/: made when somebody first looks, so every recording has one."""
    session = quoted(call.params["item"])
    started = await call.state.in_thread(
        call.state.store.scalar,
        "SELECT toString(min(min_first_timestamp)) FROM session_replay_events "
        f"WHERE session_id = {session} AND team_id = {call.state.store.team_id} "
        "AND session_id NOT IN (SELECT session_id FROM session_recording) HAVING count() > 0",
    )
    if not started:
        raise not_found("Recording not found")
    draw = constant("sharing", call.params["item"])
    token = base64.urlsafe_b64encode(draw.to_bytes(8, "big") * 3).decode().rstrip("=")
    return reply(
        {
            "created_at": str(started).replace(" ", "T") + "Z",
            "enabled": draw % 4 == 0,
            "access_token": token,
            "settings": None,
            "password_required": False,
            "share_passwords": [],
        }
    )


SNAPSHOTS = {"GET": Action(blobs, ("session_recording:read",), throttle="snapshots")}
SHARING = {"GET": Action(sharing, ("sharing_configuration:read",))}
