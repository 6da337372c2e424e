"""How chosen recordings are shared: one small object each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from sources.posthog.errors import AnswerMalformed, EndpointNotFound, NotFound
from sources.posthog.listing.chosen import chosen_recordings
from sources.posthog.listing.rows import Shape
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run


def read_sharing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: the settings of each chosen recording that PostHog has."""
    shape = Shape(reading.table, dict(state.get("types", {})))
    rows: list[dict[str, Any]] = []
    gone = 0
    for recording_id in chosen_recordings(run):
        path = f"session_recordings/{quote(recording_id, safe='')}/sharing"
        try:
            answer = run.client.get(path)
        except EndpointNotFound:
            raise
        except NotFound:
            gone += 1
            continue
        # PostHog's reference calls it a list, and shows one object.
        settings = answer[0] if isinstance(answer, list) and answer else answer
        if not isinstance(settings, dict):
            raise AnswerMalformed("PostHog's answer does not say how a recording is shared", path=path)
        rows.append(shape.row(settings, {"recording_id": recording_id}))
        run.progress.fetched(reading.table.name, 1)
    if gone:
        reading.notes.append(f"PostHog does not have {gone:,} of the chosen recordings")
    reading.columns = shape.more_columns
    reading.held = len(rows)

    def noted(state: State) -> None:
        if shape.types:
            state["types"] = shape.types

    yield rows, noted
