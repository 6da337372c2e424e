"""Cached answers of queries: PostHog replays an identical query for hours unless told not to.

Source: posthog/hogql_queries/query_runner.py and posthog/caching/utils.py, autumn 2026.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

from posthog_warehouse.sandbox.clock import Clock

from .envelope import dumps
from .query_answer import Answer

#: The oldest answers go when all together are larger.
MAX_BYTES = 256 * 1024 * 1024


class QueryCache:
    """Answers by cache key. Used on the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> Answer | None:
        """The last answer to this query, however old."""
        return self._answers.get(key)

    def age(self, answer: Answer) -> float:
        """Seconds since an answer was calculated, by the sandbox's clock."""
        return (self._clock.now() - answer.calculated_at).total_seconds()

    def put(self, answer: Answer) -> None:
        """Keep an answer, also one that was calculated by force."""
        old = self._answers.pop(answer.cache_key, None)
        self._bytes += len(answer.data) - (len(old.data) if old else 0)
        self._answers[answer.cache_key] = answer
        while self._bytes > MAX_BYTES:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest.data)

    def clear(self) -> None:
        """Forget all answers."""
        self._answers.clear()
        self._bytes = 0


def cache_key(team_id: int, facts: Mapping[str, object]) -> str:
    """The key under which an answer is kept: it depends on the query, not on who asks."""
    digest = hashlib.md5(dumps(dict(sorted(facts.items()))), usedforsecurity=False).hexdigest()
    return f"cache_{team_id}_{digest}"
