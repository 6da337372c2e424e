"""Endpoints that the server at hand does not have, in all the ways in which servers say so.

A newer endpoint below a list (`persons/deletion_status`) is to an older server the id of a thing in that list: it
answers 400, for no id looks like that, or 404, for there is no such thing (PostHog's server code of 4 August 2025: 400
"The ID provided does not look like a personID, distinct_id or UUID"). An endpoint that does not take GET answers 405.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sources.posthog.errors import EndpointNotFound, NotFound, PostHogError, RequestRefused
from sources.posthog.lacking import Lacking, refused_as

_NO_ID = re.compile(
    r"does not look like an? [\w ,]*\b(id|uuid)\b|not a valid (id|uuid)|invalid (id|uuid|pk)\b", re.IGNORECASE
)


def endpoint_missing(error: PostHogError) -> NotFound | None:
    """The error that says that the endpoint is missing, where `error` means that; None: the endpoint is there.

    Only for paths without the id of a thing.
    """
    if isinstance(error, NotFound):
        return error
    if not isinstance(error, RequestRefused):
        return None
    is_taken_for_id = error.status == 400 and _NO_ID.search(error.message)
    return refused_as(EndpointNotFound, error) if is_taken_for_id or error.status == 405 else None


@contextmanager
def asked_once(lacking: Lacking, path: str, *, names_thing: bool = False) -> Iterator[None]:
    """Inside, the endpoint at `path` is asked, unless an earlier answer was that the server does not have it.

    `names_thing`: the path holds the id of a thing, which may be gone without the endpoint being missing.

    Raises NotFound where the endpoint is missing, and what is raised inside.
    """
    if names_thing:
        yield
        return
    if (missing := lacking.error(path)) is not None:
        raise missing
    try:
        yield
    except PostHogError as error:
        found = endpoint_missing(error)
        if found is None:
            raise
        lacking.add(path, found)
        raise found from None
