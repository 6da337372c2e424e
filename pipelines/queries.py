"""`[queries.NAME]` in the configuration: HogQL queries of one's own, each a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from posthog_warehouse.destinations.dlt_internals.settings import ConfigProvider
from posthog_warehouse.destinations.views import VIEWS
from posthog_warehouse.pipelines.records import RECORD_TABLES
from posthog_warehouse.sources.posthog import CHILDREN, TABLES
from posthog_warehouse.sources.posthog.tables.own_query import BadQuery, Query, queries_of

SECTION = "queries"

TAKEN = frozenset({*TABLES, *CHILDREN, *(table.name for table in RECORD_TABLES), *(view.name for view in VIEWS)})
"""Names that a query's table cannot have."""


def configured(providers: Iterable[ConfigProvider]) -> tuple[Query, ...]:
    """The queries of the configuration; where two files have one of the same name, the first counts.

    Raises:
        BadQuery: one of them cannot be right.
    """
    found: dict[str, Any] = {}
    for provider in providers:
        given, _ = provider.get_value(SECTION, dict, None)
        for name, settings in given.items() if isinstance(given, Mapping) else ():
            found.setdefault(name, with_text(name, settings) if isinstance(settings, Mapping) else settings)
    return tuple(queries_of(found, TAKEN))


def with_text(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a query with the text of its `file`, a path from the folder that the program runs in, as `sql`.

    Raises:
        BadQuery: the file cannot be read, or there is `sql` as well.
    """
    rest = {key: value for key, value in settings.items() if key != "file"}
    file = settings.get("file")
    if file is None:
        return rest
    if rest.get("sql"):
        raise BadQuery(f"The query {name} has both sql and file.", "Leave one of them out.")
    try:
        return {**rest, "sql": Path(str(file)).expanduser().read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadQuery(f"The file {file} of the query {name} cannot be read: {reason}.", "Give its path.") from None
