"""How many rows PostHog answers to one query, as far as it is known: told by nobody, and lower than it says."""

from __future__ import annotations

import logging
import threading

from ..errors import AnswerMalformed
from ..sql.dialect import FEWEST_ROWS, Dialect

logger = logging.getLogger(__name__)


class ProvenRows:
    """How many rows a server has been seen to answer at once. Safe to use from several threads."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._lock = threading.Lock()

    def is_whole(self, rows: int) -> bool:
        """Whether an answer of so many rows cannot have been cut short: the server has given longer ones."""
        with self._lock:
            is_whole = rows < self.rows
            self.rows = max(self.rows, rows)
            return is_whole


class RowCap(ProvenRows):
    """What is known of a server's cap. Safe to use from several threads."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect.proven_rows)
        self.most = dialect.max_rows
        """Rows that are asked for at most."""

    def lower(self, answered: int) -> None:
        """The server holds more rows than it answered though fewer than asked for: its cap is lower than known.

        Raises AnswerMalformed where that is too low to be one.
        """
        if answered < FEWEST_ROWS:
            raise AnswerMalformed(
                f"PostHog counts more rows in a window than the {answered} that it answers",
                meaning="The answer would leave a gap, so it was not used.",
                advice="Try again later; if it stays so, narrow --since and --until to find the day, and tell PostHog.",
            )
        with self._lock:
            if answered < self.most:
                logger.warning("The server answers %d rows at most; planning for that from here.", answered)
                self.most = answered
