"""What the server at hand understands, found by asking it once for each run.

Today's servers answer one query about all abilities. Older ones refuse it and name what they lack: it is asked again
without that, until it is answered. What a server lacks is remembered (`Lacking`), so the next run is refused nothing.

`faults` asks what is wrong with a HogQL text without running it: the query kind HogQLMetadata, which PostHog's editor
uses.

PostHog answers it with 200 whatever is wrong, and names one fault at a time with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ..clock import to_micros
from ..errors import AnswerMalformed, QueryRefused, RequestRefused, ServerFault, Unreachable
from ..http.answers import QueryAnswer
from ..http.client import PostHogClient
from ..http.json_values import shown
from ..http.unsupported import Lacking
from .dialect import FEWEST_ROWS, Dialect

MODERN_MODIFIERS: Mapping[str, object] = {
    # Without it datetimes are in the project's zone and filters on them skip less (posthog-api 6.7, autumn 2026).
    "convertToProjectTimezone": False,
    # The person as stored at ingestion: no join on the server, and an answer that a later merge does not change.
    "personsOnEventsMode": "person_id_no_override_properties_on_events",
}
_MODIFIERS_TO_TRY: tuple[Mapping[str, object], ...] = (
    MODERN_MODIFIERS,
    {"personsOnEventsMode": "person_id_no_override_properties_on_events"},
    # The name of the same mode in December 2023.
    {"personsOnEventsMode": "v1_enabled"},
    {},
)
_MODERN = Dialect(modifiers=MODERN_MODIFIERS)
_PROBE_TIME = "2000-01-01 00:00:00.000001"
_OLD_SERVER_ROWS = 10_000
"""The silent cap of December 2023, assumed where it cannot be found out and the hashes are missing."""
_ROW_CAP = "row cap"


@dataclass(frozen=True)
class Ability:
    """Something that not every server's HogQL has; without it the `Dialect` says the same in another way."""

    flag: str
    """The field of `Dialect` that says whether the server has it."""
    expression: str
    """What asks for it."""
    named: re.Pattern[str]
    """How a refusal names it."""
    expect: object = None
    """What the expression gives where it works as today; None: anything."""


ABILITIES = (
    Ability("has_zoned_text", "toString(now(), 'UTC')", re.compile(r"\btoString\b")),
    Ability(
        "has_typed_times",
        f"toString(toTimeZone(toDateTime64('{_PROBE_TIME}', 6, 'UTC'), 'UTC'))",
        re.compile(r"\btoDateTime64\b"),
        _PROBE_TIME,
    ),
    Ability("has_hashes", "groupBitXor(cityHash64('a'))", re.compile(r"\b(cityHash64|groupBitXor)\b")),
)
"""Not in December 2023; `toDateTime64` not in August 2025 either."""
_OF_MODIFIERS = re.compile(r"\bmodifiers(?:\.(\w+))?")
"""How a refusal names them: pydantic tells all that it refuses at once."""


def probe(client: PostHogClient, lacking: Lacking | None = None) -> tuple[Dialect, int]:
    """The server's dialect and its clock (microseconds since 1970 UTC).

    `lacking` is what is known of the server; what is found out now is noted there.

    Raises:
        PostHogError: the server cannot be asked at all.
    """
    lacking = lacking or Lacking()
    known = _MODERN if lacking.dialect is None else Dialect.from_state(lacking.dialect)
    found = _ask_whole(client, known)
    if found is None and known != _MODERN:
        # It is another server than it was.
        found = _ask_whole(client, _MODERN)
    dialect, clock = found or _probe_piece_by_piece(client)
    lacking.dialect = None if dialect == _MODERN else dialect.to_state()
    return _with_row_cap(client, dialect, lacking), clock


def _ask_whole(client: PostHogClient, dialect: Dialect) -> tuple[Dialect, int] | None:
    """Asks for all abilities of `dialect` in one query, and again without those that a refusal names.

    Gives the dialect that was answered and the server's clock; None where a refusal names no ability.
    """
    tried = _MODIFIERS_TO_TRY.index(dialect.modifiers) if dialect.modifiers in _MODIFIERS_TO_TRY else 0
    modifiers = list(_MODIFIERS_TO_TRY[tried + 1 :])
    while True:
        abilities = [ability for ability in ABILITIES if getattr(dialect, ability.flag)]
        expressions = [dialect.time_text("now()"), *(ability.expression for ability in abilities)]
        try:
            answer = _ask(client, f"SELECT {', '.join(expressions)} LIMIT 1", dialect.modifiers)
        except (QueryRefused, RequestRefused) as refused:
            if modifiers and (refusals := _OF_MODIFIERS.findall(refused.message)):
                sent = dialect.modifiers
                known = [each for each in modifiers if all(each.get(name, ...) != sent.get(name) for name in refusals)]
                modifiers = known or modifiers
                dialect = replace(dialect, modifiers=modifiers.pop(0))
                continue
            named = [ability.flag for ability in abilities if ability.named.search(refused.message)]
            if not named:
                return None
            dialect = _without(dialect, named)
            continue
        if not answer.rows:
            return None
        values = answer.rows[0][1:]
        if len(values) != len(abilities):
            return None
        wrong = [
            ability.flag
            for ability, value in zip(abilities, values, strict=True)
            if ability.expect not in (None, value)
        ]
        return _without(dialect, wrong), _clock(answer)


def _without(dialect: Dialect, flags: Sequence[str]) -> Dialect:
    """`dialect` without the abilities of these flags."""
    gone: dict[str, Any] = dict.fromkeys(flags, False)
    lesser = replace(dialect, **gone)
    return lesser if lesser.has_hashes else replace(lesser, max_rows=_OLD_SERVER_ROWS)


def _probe_piece_by_piece(client: PostHogClient) -> tuple[Dialect, int]:
    """Asks for one ability after the other: for servers that do not say what they refuse."""
    modifiers = next(
        (candidate for candidate in _MODIFIERS_TO_TRY if _knows(client, "1", candidate)), _MODIFIERS_TO_TRY[-1]
    )
    missing = [
        ability.flag
        for ability in ABILITIES
        if not _knows(client, ability.expression, modifiers, expect=ability.expect)
    ]
    dialect = _without(Dialect(modifiers=modifiers), missing)
    answer = _ask(client, f"SELECT {dialect.time_text('now()')} LIMIT 1", modifiers)
    return dialect, _clock(answer)


def _with_row_cap(client: PostHogClient, dialect: Dialect, lacking: Lacking) -> Dialect:
    """Finds out how many rows one answer may have: a larger LIMIT is lowered in silence, so it asks for that many."""
    most = _MODERN.max_rows
    if lacking.lacks(_ROW_CAP):
        return dialect
    try:
        answer = _ask(client, f"SELECT arrayJoin(range({most})) LIMIT {most}", dialect.modifiers)
    except RequestRefused:
        lacking.add_way(_ROW_CAP)
        return dialect
    except ServerFault:
        return dialect
    rows = len(answer.rows)
    return replace(dialect, max_rows=rows, proven_rows=rows) if rows >= FEWEST_ROWS else dialect


def _knows(client: PostHogClient, expression: str, modifiers: Mapping[str, object], expect: object = None) -> bool:
    try:
        answer = _ask(client, f"SELECT {expression} LIMIT 1", modifiers)
    except (QueryRefused, RequestRefused, ServerFault):
        return False
    return expect is None or (bool(answer.rows) and answer.rows[0][0] == expect)


def _ask(client: PostHogClient, sql: str, modifiers: Mapping[str, object]) -> QueryAnswer:
    return client.query(sql, modifiers=modifiers, name="posthog-warehouse probe")


def _clock(answer: QueryAnswer) -> int:
    """The time that PostHog answered in the first cell, microseconds UTC."""
    text = answer.rows[0][0] if answer.rows and answer.rows[0] else None
    try:
        spaced = str(text)[:19].replace("T", " ")
        return to_micros(datetime.strptime(spaced, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc))
    except ValueError:
        fault = f"PostHog answered {shown(text)} when it was asked for its time"
    raise AnswerMalformed(fault, path=answer.path)


def faults(client: PostHogClient, sql: str) -> list[Mapping[str, Any]] | None:
    """The faults of `sql`, each with `message` and perhaps `start` and `end`; None where the server does not tell.

    Servers of December 2023 want other fields in this kind of query and refuse it.
    """
    question = {"kind": "HogQLMetadata", "language": "hogQL", "query": sql}
    try:
        document = client.query_node(question)
    except (RequestRefused, ServerFault):
        return None
    except Unreachable as error:
        if isinstance(error.last, ServerFault):
            return None
        raise
    found = document.get("errors") if isinstance(document, Mapping) else None
    return [fault for fault in found if isinstance(fault, Mapping)] if isinstance(found, list) else None
