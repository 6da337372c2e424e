"""Answers of few cells, each checked for being what was asked for: counts, hashes, days, texts.

A count that is text or a day that is none says nothing of PostHog's data, so nothing is made of it: it is an
`AnswerMalformed`, which names the column, what came there and what was due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from sources.posthog.answers import QueryAnswer
from sources.posthog.arrow import MISFITS, odd_value
from sources.posthog.errors import AnswerMalformed
from sources.posthog.shown import plain

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Kind:
    """What a cell is to be: `read` gives its value, or raises ValueError or TypeError."""

    name: str
    read: Callable[[Any], Any]


def _whole(cell: Any, bits: int) -> int:
    if type(cell) is not int or not 0 <= cell < 2**bits:
        raise ValueError
    return cell


def _integer(cell: Any) -> int:
    if type(cell) is not int or not -(2**63) <= cell < 2**64:
        raise ValueError
    return cell


def _flag(cell: Any) -> bool | int:
    if type(cell) not in {bool, int} or cell not in {0, 1}:
        raise ValueError
    return cell  # type: ignore[no-any-return]  # looked at above


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise TypeError
    return cell


def _day(cell: Any) -> int:
    moment = datetime.strptime(_text(cell)[:10], "%Y-%m-%d").replace(tzinfo=timezone.utc)
    return (moment - _EPOCH).days * 86_400_000_000


COUNT = Kind("a count", partial(_whole, bits=63))
HASH = Kind("a hash", partial(_whole, bits=64))
INTEGER = Kind("a whole number", _integer)
"""Of 64 bits, signed or not."""
FLAG = Kind("0 or 1", _flag)
TEXT = Kind("a text", _text)
DAY = Kind("a day", _day)
"""A text that begins with `YYYY-MM-DD`; its value is the start of that day, microseconds UTC."""
ANY = Kind("anything", lambda cell: cell)


def cells(answer: QueryAnswer, kinds: Sequence[Kind], *, is_one: bool = False) -> list[tuple[Any, ...]]:
    """The rows of an answer that was asked for columns of these kinds. `is_one`: it must have one row, as of a count.

    Raises AnswerMalformed.
    """
    if is_one and len(answer.rows) != 1:
        raise AnswerMalformed(f"PostHog answered {len(answer.rows):,} rows where one was due", path=answer.path)
    if answer.rows and len(answer.rows[0]) != len(kinds):
        raise AnswerMalformed(
            f"PostHog answered {len(answer.rows[0])} columns where {len(kinds)} were asked for", path=answer.path
        )
    return cells_from(answer, kinds, 0)


def cells_from(answer: QueryAnswer, kinds: Sequence[Kind], first: int) -> list[tuple[Any, ...]]:
    """The same, but only the columns from the place `first` on (0: all), which are of these kinds.

    Raises AnswerMalformed.
    """
    if not answer.rows:
        return []
    columns = [*zip(*answer.rows, strict=True)][first:]
    read = [
        _column(answer, place, values, kind)
        for place, (values, kind) in enumerate(zip(columns, kinds, strict=True), first)
    ]
    return [*zip(*read, strict=True)]


def _column(answer: QueryAnswer, place: int, values: tuple[Any, ...], kind: Kind) -> list[Any]:
    def read(some: Sequence[Any]) -> list[Any]:
        return [*map(kind.read, some)]

    try:
        return read(values)
    except MISFITS:
        odd = odd_value(read, values)
    raise AnswerMalformed(
        f"PostHog answered {odd} in the column {plain(answer.columns[place], 80)}, where {kind.name} was due",
        path=answer.path,
    )
