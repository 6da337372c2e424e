"""What the consoles of chosen recordings said, by HogQL: PostHog finds the lines of a recording by its id."""

from __future__ import annotations

from collections.abc import Iterator

from sources.posthog.arrow import empty_table
from sources.posthog.hogql.dialect import text_literal
from sources.posthog.hogql.rows import Rows
from sources.posthog.listing.chosen import chosen_recordings
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.recordings import ConsoleLines

_RECORDINGS_A_QUERY = 200


def read_console(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: all lines of the chosen recordings, each once."""
    del state  # lines come as long as a recording goes on, and are few: all are read again
    table = reading.table
    if not isinstance(table.reads, ConsoleLines):
        raise TypeError(f"{table.name} does not hold lines of consoles")
    rows = Rows(run, table, table.reads.table)
    ids = chosen_recordings(run)
    columns = ", ".join(column.hogql for column in table.columns)
    total = 0
    for start in range(0, len(ids), _RECORDINGS_A_QUERY):
        some = ", ".join(map(text_literal, ids[start : start + _RECORDINGS_A_QUERY]))
        conditions = ["log_source = 'session_replay'", f"log_source_id IN ({some})"]
        # A line that was sent twice is there twice until ClickHouse merges it.
        for page in rows.by_key(conditions, group_by=columns):
            run.progress.fetched(table.name, page.num_rows)
            total += page.num_rows
            yield page, lambda _: None
    reading.held = total
    yield empty_table(table), lambda _: None
