"""One value of one answer is not what it should be: told as PostHog's, never as a bug, never `complete` with less.

Each run changes one answer of a real server in one place: a value becomes one of another type, a key is dropped, a row
gets longer or shorter, or the whole is no JSON. In half of the runs it stays so however often it is asked.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from posthog_warehouse.pipelines.error_report import problem_of
from posthog_warehouse.pipelines.exit_codes import ExitCode, code_of_error, code_of_result
from posthog_warehouse.pipelines.sync import SyncResult
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT
from posthog_warehouse.sources.posthog.tables import Table
from tests.faults.syncing import LONG, sync_here
from tests.mutating import Mutating, asked
from tests.sandboxes import started

pytestmark = pytest.mark.slow

_ODD: tuple[Any, ...] = (None, True, -1, 0.5, 2**70, "odd \x1b[31m", [], [1], {}, {"odd": 1}, float("nan"))
_SHORT = ("events", "persons", "sessions", "groups", "cohorts", "cohort_people", "session_recordings", "feature_flags")
_TABLES: tuple[Table, ...] = tuple(DEFAULT[name] for name in (DEFAULT if LONG else _SHORT))
_RUNS = 400 if LONG else 4


@dataclass
class OneChange:
    """Changes one place of the answers to one question, the `number`th of a run."""

    random: random.Random
    number: int
    stays: bool
    asked: int = 0
    question: tuple[str, str] | None = None
    what: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request, answer: Any) -> Any:
        self.asked += 1
        question = (asked(request), str(request.url.query))
        if self.question is None and self.asked >= self.number:
            self.question = question
        elif self.question != question or not self.stays:
            return answer
        state = self.random.getstate()
        changed = self._changed(request, answer)
        self.random.setstate(state)  # the same change each time
        return changed

    def _changed(self, request: httpx.Request, answer: Any) -> Any:
        places = [*_places(answer)]
        holder, key = self.random.choice(places) if places else (None, None)
        how = self.random.choice(["value", "value", "value", "drop", "row", "text", "whole"])
        if how == "text":
            self._note(request, "no JSON")
            return self.random.choice([b"", b"{", b"null", b"[]", b"<html>", b"\xff\xfe", b'"text"', b"1e999"])
        if how == "whole" or holder is None:
            self._note(request, "another kind of answer")
            return {"odd": 1} if isinstance(answer, list) else [1]
        before = holder[key]
        if how == "row" and isinstance(before, list) and before:
            before.append(before[0])
        elif how == "drop" and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = self.random.choice([odd for odd in _ODD if _is_other(odd, before)])
        self._note(request, f"{key}: {str(before)[:40]!r} became {str(_get(holder, key))[:40]!r}")
        return answer

    def _note(self, request: httpx.Request, what: str) -> None:
        self.what = [asked(request)[:150], what]


def _get(holder: Any, key: Any) -> Any:
    return holder[key] if isinstance(holder, list) or key in holder else "nothing"


def _places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Whatever stands in an answer, as its holder and its key."""
    if depth > 4 or not isinstance(value, (dict, list)):
        return
    for key, inner in [*(value.items() if isinstance(value, dict) else enumerate(value))][:40]:
        yield value, key
        yield from _places(inner, depth + 1)


def _is_other(odd: Any, before: Any) -> bool:
    """Whether the change can be told at all: another number of the same kind, or fewer rows, may be the truth."""
    return type(odd) is not type(before) or odd == 2**70


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with started(events=300, persons=30, seed=11, days=3) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def whole(small: Sandbox) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        return sync_here(small, Path(folder) / "a.duckdb", tables=_TABLES, leaf_rows=20_000).result.totals


@pytest.mark.parametrize("seed", range(_RUNS))
def test_a_changed_answer_is_told_as_what_it_is(
    seed: int, small: Sandbox, whole: dict[str, int], tmp_path: Path
) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    change = OneChange(rng, rng.randint(1, 12 + 4 * len(_TABLES)), rng.random() < 0.5)
    path = tmp_path / "a.duckdb"
    result, error = _synced(small, path, Mutating(change))
    if error is not None:
        text = "\n".join(problem_of(error).lines)
        assert code_of_error(error) != ExitCode.OUR_FAULT, f"{change.what}\n{text}"
        assert text.replace("\n", "").isprintable(), change.what
        assert not path.exists(), change.what
    if result is not None:
        assert code_of_result(result) != ExitCode.OUR_FAULT, f"{change.what}\n{result.stopped}"
        for check in result.checks:
            assert check.reason.isprintable(), change.what
        if result.status == "complete":
            assert result.totals == whole, change.what


def _synced(posthog: Sandbox, path: Path, transport: Mutating) -> tuple[SyncResult | None, Exception | None]:
    try:
        return sync_here(posthog, path, tables=_TABLES, transport=transport, attempts=2, leaf_rows=20_000).result, None
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not be a fault of ours
        return None, error
