"""What is wrong with a HogQL text, asked without running it: the query kind HogQLMetadata, which PostHog's editor uses.

PostHog answers it with 200 whatever is wrong, and names one fault at a time with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sources.posthog.client import PostHogClient
from sources.posthog.errors import RequestRefused, ServerFault, Unreachable


def faults(client: PostHogClient, sql: str) -> list[Mapping[str, Any]] | None:
    """The faults of `sql`, each with `message` and perhaps `start` and `end`; None where the server does not tell.

    Servers of December 2023 want other fields in this kind of query and refuse it.
    """
    question = {"kind": "HogQLMetadata", "language": "hogQL", "query": sql}
    try:
        document = client.query_node(question)
    except (RequestRefused, ServerFault):
        return None
    except Unreachable as error:
        if isinstance(error.last, ServerFault):
            return None
        raise
    found = document.get("errors") if isinstance(document, Mapping) else None
    return [fault for fault in found if isinstance(fault, Mapping)] if isinstance(found, list) else None
