"""What a run has done so far, told to whoever shows it."""

from __future__ import annotations


class Progress:
    """Hears of everything a reader does. This one keeps quiet; a program shows what it likes.

    `expect` may come more than once for a table (each call adds), and calls come from several threads.
    """

    def expect(self, table: str, rows: int) -> None:
        """`rows` more rows of `table` are planned."""

    def fetched(self, table: str, rows: int) -> None:
        """`rows` rows of `table` have arrived."""

    def split(self, table: str, pieces: int) -> None:
        """A request of `table` was too large and was cut into `pieces`."""
