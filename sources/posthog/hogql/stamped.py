"""Tables whose rows say when they last changed, and not when they began: groups.

The time of change may have whole seconds only (groups.updated_at), and many rows may share one: it is compared with
an overlap and never paged by. Pages follow the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sources.posthog.arrow import empty_table
from sources.posthog.hogql.engine import note
from sources.posthog.hogql.rows import Rows
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.analytics import Stamped


def read_stamped(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: rows that changed since the last finished run; the first time all of them.

    State: `upto`, the server's time at the start of the last finished run, microseconds UTC.
    """
    table = reading.table
    if not isinstance(table.reads, Stamped):
        raise TypeError(f"{table.name} does not say when its rows changed")
    started = run.now
    rows = Rows(run, table, table.reads.table)
    reading.held = rows.count([])
    reading.recount = partial(rows.count, [])
    changed: list[str] = []
    # Where the column is lacking all rows are read each time.
    is_lacking = table.reads.changed in run.lacking.columns(table.reads.table)
    if (upto := state.get("upto")) is not None and not is_lacking:
        upto = min(int(upto), started, reading.known_until)
        changed = [run.dialect.changed_since(table.reads.changed, upto - run.settings.overlap)]
    run.progress.expect(table.name, rows.count(changed))
    for page in rows.by_key(changed):
        run.progress.fetched(table.name, page.num_rows)
        yield page, partial(note, {})
    reading.notes += rows.notes
    yield empty_table(table), partial(note, {"upto": started})
