"""``next`` and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .dispatch import Call


def next_link(call: Call, changes: Mapping[str, object], *, more: bool, first: bool) -> str | None:
    """The ``next`` of a page, as the behaviour has it.

    Args:
        call: the request for the page.
        changes: arguments that differ on the page after it; None takes one out.
        more: there is a page after it.
        first: it is the first page.
    """
    behaviour = call.state.behaviour
    link = call.url(changes) if more else None
    if behaviour.next_link == "repeats" and not first:
        link = call.url({})
    elif behaviour.next_link == "loops" and link is None and not first:
        link = call.url(dict.fromkeys(changes))
    elif behaviour.next_link == "ends_early" and not first:
        link = None
    if link is not None and behaviour.next_host is not None:
        link = re.sub(r"^https?://[^/]+", behaviour.next_host, link)
    return link
