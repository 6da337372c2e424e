"""`tables`: what there is to load, out of the declarations. Asks nothing of anybody.

JSON objects a line: {"type": "table", "table", "key", "kept_up_to_date_by", "scope", "engine", "loaded", "description",
"columns"}.
"""

from __future__ import annotations

from collections.abc import Sequence

from posthog_warehouse.pipelines import reference
from posthog_warehouse.pipelines.config import known_tables
from posthog_warehouse.pipelines.defaults import Format
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.sources.posthog import TABLES


def run_tables(run: CommandRun, names: Sequence[str], output: Format, *, markdown: bool) -> int:
    """Prints all tables, or the columns of those that are named. Raises ConfigError for a name that is none."""
    if markdown:
        text = reference.markdown()
        run.reporter.summary({"type": "reference", "markdown": text}, text)
        return 0
    chosen = known_tables(tuple(names)) if names else ()
    if output is Format.JSON:
        run.reporter.records("table", [reference.facts(table) for table in chosen or TABLES.values()])
        return 0
    if not chosen:
        run.reporter.records("table", reference.summary())
    for table in chosen:
        [record] = reference.overview({table.name: table})
        run.reporter.records("table", [record], table.description)
        run.reporter.records("column", reference.columns_of(table))
    return 0
