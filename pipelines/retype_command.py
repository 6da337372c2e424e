"""`posthog-warehouse retype`: property columns made anew from the JSON that is there."""

from __future__ import annotations

from collections.abc import Iterable

from posthog_warehouse.destinations.destination import Destination, unusable_tables
from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.pipelines.config import Config, ConfigError, load
from posthog_warehouse.pipelines.defaults import Flags
from posthog_warehouse.pipelines.dlt_pipeline import fresh_pipeline, told, working_folder
from posthog_warehouse.pipelines.error_report import problem_of
from posthog_warehouse.pipelines.exit_codes import ExitCode
from posthog_warehouse.pipelines.retype import MakesColumns, retype
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.sources.posthog import TABLES, WITH_PROPERTIES


def run_retype(run: CommandRun, flags: Flags, names: tuple[str, ...]) -> int:
    """Makes the columns of the tables anew that are not what the JSON of all their rows says; tells which."""
    config = load(flags)
    for name in names:
        if name not in WITH_PROPERTIES:
            raise ConfigError(
                f"{name} has no property columns.", f"Tables that have them: {', '.join(WITH_PROPERTIES)}."
            )
    with config.destination() as destination:
        destination.check()
        if not isinstance(destination, MakesColumns):
            raise ConfigError(
                f"Columns at a {destination.name} destination cannot be made anew yet.",
                "Load into a new dataset (--dataset NAME): its columns have the types of all values from the start.",
            )
        with destination.reading() as reading:
            wanted = names or WITH_PROPERTIES
            unusable = [error for error in unusable_tables(destination) if error.table in wanted]
            left = {error.table for error in unusable}
            there = [name for name in wanted if name in reading.tables and name not in left]
        if not there and not unusable:
            raise DestinationUnusable(
                f"There is no table with properties in {destination.location}.", "Run `posthog-warehouse sync` first."
            )
        with working_folder(destination):
            _make_anew(run, config, destination, there)
    for error in unusable:
        run.reporter.problem(problem_of(error))
    return int(ExitCode.DESTINATION if unusable else ExitCode.COMPLETE)


def _make_anew(run: CommandRun, config: Config, destination: Destination, tables: Iterable[str]) -> None:
    pipeline = fresh_pipeline(destination)
    for name in tables:
        with told(destination):
            done = retype(pipeline, destination, TABLES[name], config.properties, is_whole=True)
        rows = [{"table": name, "column": each.column, "before": each.before, "now": each.after} for each in done]
        run.reporter.records("column", rows)
        count = f"{len(done):,} columns made anew" if done else "every column is what the JSON of its rows says"
        run.reporter.summary({"type": "retyped", "table": name, "columns": len(done)}, f"{name}: {count}.")
    destination.finish({})
