"""Small answers are what was asked for, or an error that says what came instead."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sources.posthog.errors import AnswerMalformed
from posthog_warehouse.sources.posthog.http.answers import QueryAnswer
from posthog_warehouse.sources.posthog.pages.arrow import COUNT, DAY, FLAG, HASH, INTEGER, TEXT, Kind, cells, cells_from

PATH = "/api/projects/1/query/"


def _answer(*rows: list[Any], columns: tuple[str, ...] = ("day", "event", "count()")) -> QueryAnswer:
    return QueryAnswer(columns=columns, types=(), rows=list(rows), path=PATH)


def test_cells_are_read_by_their_kinds() -> None:
    rows = cells(_answer(["1970-01-02", "sign up", 3], ["2026-11-20", "", 2**62]), [DAY, TEXT, COUNT])
    assert rows == [(86_400_000_000, "sign up", 3), (1_763_596_800_000_000 + 365 * 86_400_000_000, "", 2**62)]


def test_no_rows_are_none_whatever_else_is_missing() -> None:
    assert cells(_answer(columns=()), [DAY, TEXT, COUNT]) == []
    assert cells_from(_answer(columns=()), [COUNT], 2) == []


def test_the_last_columns_alone() -> None:
    assert cells_from(_answer([{"a": 1}, "x", 3]), [TEXT, COUNT], 1) == [("x", 3)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (COUNT, None),
        (COUNT, True),
        (COUNT, "12"),
        (COUNT, -1),
        (COUNT, 1.0),
        (COUNT, 2**63),
        (HASH, 2**64),
        (HASH, -1),
        (INTEGER, 2**64),
        (INTEGER, "1"),
        (TEXT, 5),
        (TEXT, None),
        (TEXT, ["a"]),
        (DAY, "2026-13-45"),
        (DAY, "soon"),
        (DAY, 20_261_120),
        (FLAG, 2),
        (FLAG, "1"),
    ],
)
def test_what_is_not_of_its_kind_is_told_with_what_came(kind: Kind, value: Any) -> None:
    with pytest.raises(AnswerMalformed, match=r"^PostHog answered .* in the column n, where") as caught:
        cells(_answer([value], columns=("n",)), [kind])
    assert kind.name in caught.value.message
    assert caught.value.path == PATH


def test_what_came_is_short_and_harmless_on_a_terminal() -> None:
    with pytest.raises(AnswerMalformed) as caught:
        cells(_answer(["\x1b[2J\u202e phx_secretsecretsecret " + "x" * 500], columns=("\x1b]0;n",)), [COUNT])
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()
    assert "secretsecret" not in caught.value.message


def test_as_many_rows_and_columns_as_were_asked_for() -> None:
    for answer in (_answer(columns=("n",)), _answer([1], [2], columns=("n",))):
        with pytest.raises(AnswerMalformed, match="rows where one was due"):
            cells(answer, [COUNT], is_one=True)
    with pytest.raises(AnswerMalformed, match="2 columns where 1"):
        cells(_answer([1, 2], columns=("n", "m")), [COUNT])
