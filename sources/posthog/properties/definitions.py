"""What PostHog declares of properties: their types, out of its list of property definitions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sources.posthog.errors import AccessDenied, ListUnreadable, NotFound, PaymentRequired, RequestRefused
from sources.posthog.listing.missing import asked_once
from sources.posthog.listing.pages import pages
from sources.posthog.run import Run
from sources.posthog.tables import Table

logger = logging.getLogger(__name__)

_PAGE_SIZE = 1_000


def definitions_of(run: Run, table: Table) -> Mapping[str, str | None]:
    """Name -> type (None: PostHog does not say) of the properties that `table` may have.

    The list says for one owner at a time, and of groups for one type of group (posthog/api/property_definition.py,
    autumn 2026). A name whose types differ among types of groups has none. Nothing where the key may not read it.
    """
    found: dict[str, str | None] = {}
    try:
        for params in _owners(run, table):
            for page in pages(run.client, "property_definitions", {**params, "limit": _PAGE_SIZE}):
                for row in page.rows:
                    name, kind = str(row["name"]), row.get("property_type")
                    if kind is None and row.get("is_numerical"):
                        kind = "Numeric"  # all that servers said before they knew types
                    found[name] = kind if found.get(name, kind) == kind else None
    except (AccessDenied, NotFound, PaymentRequired, RequestRefused, ListUnreadable, KeyError, TypeError) as error:
        logger.info("Types of properties are told by their values alone: %s", error)
        return {}
    return found


def _owners(run: Run, table: Table) -> Iterator[dict[str, Any]]:
    """The parameters that together ask for all properties of `table`."""
    if table.property_owner != "group":
        yield {"type": table.property_owner}
        return
    with asked_once(run.lacking, "groups_types"):
        rows = [row for page in pages(run.client, "groups_types") for row in page.rows]
    for row in rows:
        yield {"type": "group", "group_type_index": row["group_type_index"]}
