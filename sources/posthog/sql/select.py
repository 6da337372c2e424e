"""The text of a SELECT."""

from __future__ import annotations

from collections.abc import Sequence


def select(
    expressions: Sequence[str],
    table: str,
    conditions: list[str],
    *,
    group_by: str = "",
    having: str = "",
    order_by: str = "",
    limit: int,
) -> str:
    """A SELECT with an explicit LIMIT: without one PostHog answers 100 rows and says nothing.

    It gives no aliases, and answers are read by position: an alias named like a column hides it from the conditions.
    """
    parts = [f"SELECT {', '.join(expressions)}", f"FROM {table}"]
    if conditions:
        parts.append("WHERE " + " AND ".join(conditions))
    if group_by:
        parts.append(f"GROUP BY {group_by}")
    if having:
        parts.append(f"HAVING {having}")
    if order_by:
        parts.append(f"ORDER BY {order_by}")
    parts.append(f"LIMIT {limit}")
    return " ".join(parts)
