"""What PostHog sent, fit to be shown: short, on one line, and harmless on a terminal."""

from __future__ import annotations

from typing import Any

from sources.posthog.json_text import json_text
from sources.posthog.keys import redact


def shown(value: Any, most: int = 80) -> str:
    """`value` as JSON, at most `most` characters of it, without anything that looks like a key."""
    return plain(json_text(value), most)


def plain(text: str, most: int) -> str:
    """`text` on one line, shortened to `most` characters; what a terminal might obey is spelled out (`\\x1b`)."""
    if len(text) > 4 * most:
        text = text[: 4 * most]  # no need to go through a page of a hundred MB
    line = redact(" ".join(text.split()))
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
    return line if len(line) <= most else line[: most - 1] + "…"
