"""Files that PostHog keeps, as rows with their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sources.posthog.errors import EndpointNotFound, NotFound
from sources.posthog.listing.asking import askings
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.listed import Contents


def read_contents(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The files that were not loaded yet, each a page of its own: they may be large."""
    table, reads = reading.table, reading.table.reads
    if not isinstance(reads, Contents):
        raise TypeError(f"{table.name} holds no files")
    loaded = set(state.get("loaded", []))
    chosen = {str(item) for item in getattr(run.requests, reads.chosen)}
    found = {str(asking.values[table.key]): asking for asking in askings(run, reads)}
    for name, asking in found.items():
        if name in loaded or (chosen and name not in chosen):
            continue
        try:
            content_type, content = run.client.get_bytes(asking.path)
        except NotFound as error:
            if isinstance(error, EndpointNotFound):
                raise
            reading.notes.append(f"PostHog has no file at {asking.path}")
            continue
        run.progress.fetched(table.name, 1)
        loaded.add(name)
        row = {
            table.key: asking.values[table.key],
            "content_type": content_type.split(";")[0].strip() or None,
            "size_bytes": len(content),
            "content": content,
        }
        yield [row], _noted(loaded)
    missing = sorted(chosen - found.keys() - loaded)
    if missing:
        reading.notes.append(f"PostHog has no such files: {', '.join(missing)}")
    reading.held = len(loaded)


def _noted(loaded: set[str]) -> Callable[[State], None]:
    now = sorted(loaded)

    def noted(state: State) -> None:
        state["loaded"] = now

    return noted
