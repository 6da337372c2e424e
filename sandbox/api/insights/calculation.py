"""What an insight is calculated with: HogQL compiled and run, and what that cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import orjson

from posthog_warehouse.sandbox.api import query_errors
from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import periods
from posthog_warehouse.sandbox.api.insights.periods import Period
from posthog_warehouse.sandbox.api.state import State
from posthog_warehouse.sandbox.hogql import HogQLContext, HogQLError, compile_query
from posthog_warehouse.sandbox.store import ClickHouseError

#: No default and no cap for the queries inside of an insight.
_UNLIMITED = 10**12

#: Events before this are devices' clocks gone wrong; ``all`` starts later (posthog/queries/util.py, autumn 2026).
_EARLIEST = datetime(2015, 1, 1, tzinfo=timezone.utc)


class Calculation:
    """One insight being calculated. Used by one worker thread.

    Args:
        state: the server.
        modifiers: as resolved for the request.
        seconds: time that each of its queries may take.

    Attributes:
        texts: the HogQL that was run.
        rows_read, bytes_read, elapsed: what it cost so far; seconds.
    """

    def __init__(self, state: State, modifiers: Mapping[str, Any], seconds: float) -> None:
        self.state = state
        self.seconds = seconds
        self.now = state.clock.now()
        self.texts: list[str] = []
        self.rows_read = 0
        self.bytes_read = 0
        self.elapsed = 0.0
        # What keys may not ask for, and what servers of old did not know, PostHog itself uses freely.
        behaviour = dataclasses.replace(
            state.behaviour,
            default_rows=_UNLIMITED,
            max_rows=_UNLIMITED,
            missing_functions=frozenset(),
            missing_tables=frozenset(),
        )
        self._context = HogQLContext(
            team_id=state.project.id,
            timezone=state.behaviour.project_timezone,
            now=self.now,
            behaviour=behaviour,
            modifiers={**modifiers, "convertToProjectTimezone": True},
        )

    def period(self, dates: object, interval: object = None) -> Period:
        """The period of a ``dateRange``. Raises ApiError (400)."""
        if dates is not None and not isinstance(dates, Mapping):
            raise invalid("dateRange must be an object.")
        name = None if interval is None else str(interval)
        return periods.parse(dates, name, self.now, self._context.timezone, self._earliest)

    def sql(self, text: str) -> str:
        """HogQL as ClickHouse SQL. Raises ApiError (400) for a text that PostHog refuses."""
        try:
            compiled = compile_query(text, self._context)
        except HogQLError as error:
            raise invalid(error.detail, code=error.code) from error
        self.texts.append(text)
        return compiled.sql

    def hogql(self, text: str) -> list[list[Any]]:
        """The rows of a HogQL query. Raises ApiError."""
        return self.rows(self.sql(text))

    def events(self, columns: Mapping[str, str], conditions: Sequence[str]) -> str:
        """ClickHouse SQL for the events that meet all conditions (HogQL).

        Args:
            columns: names and what they are (HogQL). A time named `at` comes as microseconds since 1970.
            conditions: all must hold.
        """
        selected = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
        sql = self.sql(f"SELECT {selected} FROM events WHERE {' AND '.join(conditions) or 'true'}")
        return f"SELECT * REPLACE (toUnixTimestamp64Micro(at) AS at) FROM ({sql})" if "at" in columns else sql

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of ClickHouse SQL. Raises ApiError, as a HogQL query would."""
        behaviour = self.state.behaviour
        settings: dict[str, object] = {"max_execution_time": self.seconds}
        if behaviour.max_bytes_to_read is not None:
            settings["max_bytes_to_read"] = behaviour.max_bytes_to_read
        if behaviour.max_memory_usage is not None:
            settings["max_memory_usage"] = behaviour.max_memory_usage
        try:
            selection = self.state.store.select(sql, settings=settings)
        except ClickHouseError as error:
            raise query_errors.from_clickhouse(error, behaviour) from error
        self.rows_read += selection.rows_read
        self.bytes_read += selection.bytes_read
        self.elapsed += selection.elapsed
        rows: list[list[Any]] = orjson.loads(selection.data)
        return rows

    def _earliest(self) -> datetime | None:
        after = periods.literal(_EARLIEST)
        found = self.hogql(f"SELECT toUnixTimestamp(min(timestamp)) FROM events WHERE timestamp > {after}")[0][0]
        return datetime.fromtimestamp(found, timezone.utc) if found else None
