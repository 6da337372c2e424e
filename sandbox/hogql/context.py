"""What a HogQL text is compiled with, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class HogQLBehaviour(Protocol):
    """The switches of the sandbox that concern HogQL; `sandbox.behaviour.Behaviour` says what each is for."""

    @property
    def max_rows(self) -> int:
        """The most rows of an answer."""
        ...

    @property
    def default_rows(self) -> int:
        """Rows of a SELECT without LIMIT."""
        ...

    @property
    def refuse_offset(self) -> bool:
        """OFFSET is a 400 for personal keys."""
        ...

    @property
    def missing_functions(self) -> frozenset[str]:
        """Functions that this version lacks; `name/2` is one with two arguments or more."""
        ...

    @property
    def missing_tables(self) -> frozenset[str]:
        """Tables that this version lacks; `name.*` is a namespace, `table.column` one column."""
        ...

    @property
    def legacy_error_codes(self) -> bool:
        """Every mistake is `invalid_input`."""
        ...

    @property
    def implicit_aliases(self) -> bool:
        """An alias of a column may come without AS."""
        ...

    @property
    def iso_text_times(self) -> bool:
        """Text such as `2026-11-01T00:00:00Z` can be compared with times."""
        ...

    @property
    def fractions_for_seconds(self) -> bool:
        """Text with a fraction of a second can be compared with a DateTime of whole seconds."""
        ...

    @property
    def column_lists(self) -> bool:
        """`FROM (...) AS t (a, b)` is known."""
        ...


@dataclass(frozen=True)
class HogQLContext:
    """The request around a HogQL text.

    Attributes:
        team_id: rows of other teams are never read.
        timezone: the project's time zone (IANA name).
        now: the server's time, with a zone: what `now()` and `today()` are.
        behaviour: the switches.
        modifiers: as resolved for this request; `convertToProjectTimezone` (true unless False) and
            `personsOnEventsMode` matter here, others are ignored.
        personal_api_key: the request came with a personal API key, for which OFFSET is refused.
        values: what `{name}` stands for.
        variables: what `{variables.code}` stands for.
        filters: what `{filters}` stands for: `dateRange` with `date_from` and `date_to`.
    """

    team_id: int
    timezone: str
    now: datetime
    behaviour: HogQLBehaviour
    modifiers: Mapping[str, object] = field(default_factory=dict)
    personal_api_key: bool = False
    values: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, object] = field(default_factory=dict)
    filters: Mapping[str, object] | None = None

    @property
    def output_timezone(self) -> str:
        """The time zone of the datetimes in this query: the project's, or UTC without conversion."""
        return self.timezone if self.modifiers.get("convertToProjectTimezone", True) is not False else "UTC"

    @property
    def converts_timezone(self) -> bool:
        """Whether datetime columns are shown in the project's time zone."""
        return self.modifiers.get("convertToProjectTimezone", True) is not False


@dataclass(frozen=True)
class CompiledQuery:
    """A HogQL text as ClickHouse SQL.

    Attributes:
        sql: for ClickHouse; no FORMAT, no SETTINGS.
        hogql: the text that was compiled.
        columns: names of the columns on the wire, in order.
        has_own_limit: the text has a LIMIT of its own; then PostHog leaves `limit`, `offset` and `hasMore` null.
        limit: rows that PostHog reports as the limit (the default one), None with an own LIMIT or for a UNION.
        offset: the offset that goes with it.
        default_limit_applied: one row more than `limit` is read: a row `limit + 1` means `hasMore` and must
            not be shown.
    """

    sql: str
    hogql: str
    columns: tuple[str, ...]
    has_own_limit: bool
    limit: int | None
    offset: int | None
    default_limit_applied: bool
