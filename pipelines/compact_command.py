"""`compact`: few large files of many small ones, in tables that are files. Asks nothing of PostHog.

JSON objects a line: {"type": "folder", "folder", "files_before", "files_after", "bytes_before", "bytes_after",
"removed"} for each folder that has fewer files now, then {"type": "result", "database", "dataset", "files_before",
"files_after", "removed"}. What was removed are files that were no part of a table with a log any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Protocol, runtime_checkable

from posthog_warehouse.destinations.destination import unusable_tables
from posthog_warehouse.destinations.lake.compacting import Compacted
from posthog_warehouse.pipelines.config import ConfigError, load
from posthog_warehouse.pipelines.defaults import Flags
from posthog_warehouse.pipelines.error_report import problem_of
from posthog_warehouse.pipelines.exit_codes import ExitCode
from posthog_warehouse.pipelines.runner import CommandRun


@runtime_checkable
class Compacts(Protocol):
    """A destination whose files are ours to put together."""

    @property
    def tables(self) -> list[str]:
        """The tables that are there."""

    def compact(self, tables: Iterable[str] = ()) -> Iterator[Compacted]:
        """Makes few files of many, in these tables or all."""


def run_compact(run: CommandRun, flags: Flags, tables: Sequence[str]) -> int:
    """Compacts these tables, or all. Raises ConfigError and DestinationError."""
    with load(flags).destination() as lake:
        if not isinstance(lake, Compacts):
            raise ConfigError(
                f"The destination {lake.name} has no files of ours to compact.",
                "This is for --destination parquet; others look after their files themselves.",
            )
        lake.check()
        there = lake.tables
        if unknown := [table for table in tables if table not in there]:
            raise ConfigError(
                f"There is no table {', '.join(unknown)} in {lake.location}.",
                f"It has: {', '.join(there) or 'none; run `posthog-warehouse sync` first'}.",
            )
        done = [asdict(each) for each in lake.compact(tables)]
        left = [error for error in unusable_tables(lake) if not tables or error.table in tables]
    run.reporter.records("folder", done, "Folders with fewer files now")
    before, after, removed = (sum(each[name] for each in done) for name in ("files_before", "files_after", "removed"))
    facts = {"type": "result", "database": lake.location, "dataset": lake.dataset}
    said = f"{before:,} files became {after:,}." if done else "Nothing to do: there are no small files side by side."
    said += f" {removed:,} more, which no reader needs any more, were removed." if removed else ""
    run.reporter.summary(facts | {"files_before": before, "files_after": after, "removed": removed}, said)
    for error in left:
        run.reporter.problem(problem_of(error))
    return int(ExitCode.DESTINATION if left else ExitCode.COMPLETE)
