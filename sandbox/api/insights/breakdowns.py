"""Breakdowns: an insight told apart by a property's value.

Source: posthog/hogql_queries/insights/trends/breakdown.py, autumn 2026: the most frequent values, the rest together as
"other", and events without the property as "null".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import filters
from posthog_warehouse.sandbox.store import quoted

OTHER = "$$_posthog_breakdown_other_$$"
NULL = "$$_posthog_breakdown_null_$$"

DEFAULT_LIMIT = 25

#: Settings of a breakdown that would change its values: refused, since they are not here.
_UNKNOWN = ("breakdown_histogram_bin_count", "breakdown_normalize_url", "breakdown_group_type_index")


@dataclass(frozen=True)
class Breakdown:
    """What an insight is broken down by.

    Attributes:
        expressions: HogQL for each property, null where an event lacks it.
        is_list: its values are lists (``breakdowns``), else single texts.
        limit: how many values are told apart.
        hide_other: the rest is left out.
    """

    expressions: tuple[str, ...]
    is_list: bool
    limit: int
    hide_other: bool

    def texts(self, missing: str = NULL) -> str:
        """HogQL for the values as an array of texts."""
        values = [f"ifNull(nullIf(toString({one}), ''), {quoted(missing)})" for one in self.expressions]
        return f"[{', '.join(values)}]"

    def value(self, texts: Sequence[str]) -> str | list[str]:
        """The value as a result shows it."""
        return list(texts) if self.is_list else texts[0]

    def label(self, texts: Sequence[str]) -> str:
        """The value for people."""
        return "::".join(texts)

    @property
    def other(self) -> tuple[str, ...]:
        """What stands for the values beyond the limit."""
        return (OTHER,) * len(self.expressions)

    def condition(self, value: object) -> str:
        """HogQL that keeps the events of one value, as a result showed it."""
        texts = value if isinstance(value, list) else [value]
        return f"({self.texts()} = [{', '.join(quoted(str(text)) for text in texts)}])"


def parse(node: Mapping[str, Any]) -> Breakdown | None:
    """The ``breakdownFilter`` of a query, None without one.

    Raises:
        ApiError: 400, a breakdown that this server does not know.
    """
    given = node.get("breakdownFilter") or {}
    for name in _UNKNOWN:
        if given.get(name):
            raise invalid(f"This local PostHog does not know {name}.")
    limit = int(given.get("breakdown_limit") or DEFAULT_LIMIT)
    hide = bool(given.get("breakdown_hide_other_aggregation"))
    if given.get("breakdowns"):
        several = [_expression(item.get("type"), item.get("property")) for item in given["breakdowns"]]
        return Breakdown(tuple(several), is_list=True, limit=limit, hide_other=hide)
    wanted = given.get("breakdown")
    if wanted is None:
        return None
    keys = wanted if isinstance(wanted, list) else [wanted]
    expressions = tuple(_expression(given.get("breakdown_type"), key) for key in keys)
    return Breakdown(expressions, is_list=isinstance(wanted, list), limit=limit, hide_other=hide)


def _expression(kind: object, key: object) -> str:
    return f"({key})" if kind == "hogql" else filters.field(str(kind or "event"), key)
