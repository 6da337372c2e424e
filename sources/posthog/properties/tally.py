"""How many values some rows have, and how many of them their columns do not hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Of some rows, each counted once."""

    rows: int = 0
    values: Counter[str] = field(default_factory=Counter)
    """Key -> rows with a value, NULL not counted."""
    conflicts: Counter[str] = field(default_factory=Counter)
    """Key -> those of them whose value its column does not hold."""

    def add(self, other: Tally) -> None:
        """Adds other rows."""
        self.rows += other.rows
        self.values.update(other.values)
        self.conflicts.update(other.conflicts)
