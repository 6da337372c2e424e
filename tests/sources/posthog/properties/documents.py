"""Wild JSON objects, and what Python's json module makes of them."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

KEYS = (
    *("Plan", "plan", "PLAN", "a.b", "a_b", "a__b", "A.B", "$browser", "_browser", "browser", "", " ", "1", "12"),
    *(
        "uuid",
        "event",
        "properties",
        "select",
        "order",
        "_dlt_id",
        "_dlt_load_id",
        "😀",
        "ключ",
        'qu"ote',
        "back\\slash",
    ),
    *("'", "new\nline", "\u0000", "x" * 300, "x" * 299 + "y", "$", "_", "plan_xfa8ed0bd", "é", "property", "/", "$.a"),
)
TEXTS = (
    *("", "true", "false", "null", "1e5", "1.10", "5", "-0", "NaN", "2026-11-20", "2026-02-30", "2024-02-29"),
    *("2026-11-20T10:11:12Z", "2026-11-20T10:11:12.123456Z", "2026-11-20T10:11:12.1234567Z", "2026-02-30T10:11:12Z"),
    *("2026-11-20 10:11:12+02:00", "2026-11-20T10:11:12-0330", "2026-11-20T10:11:12", "2026-11-20T10:11Z", "12:30"),
    *("1700000000", "1700000000123", "17000000001", '"quoted"', "\\", "a\\b", "tab\t", "\u2028", "😀", "{}", "[1]"),
)
NUMBERS = (
    *("0", "-0", "1", "-1", "1.0", "1.10", "1.5", "1e5", "1E-7", "-0.0", "1e400", "-1e400", "0.1", "5e-324", "1" * 60),
    *(str(sign * (power + step)) for power in (2**53, 2**63, 2**64, 10**38) for step in (-1, 0, 1) for sign in (1, -1)),
    *("NaN", "Infinity", "-Infinity", "9007199254740993.0", "1e22", "1700000000", "1700000000123", "1700000000.25"),
)


def raw_values() -> st.SearchStrategy[str]:
    """JSON texts of values."""
    scalars = st.one_of(
        st.sampled_from(NUMBERS),
        st.sampled_from(["true", "false", "null"]),
        st.sampled_from(TEXTS).map(json.dumps),
        st.integers().map(str),
        st.floats().map(json.dumps),
        st.text(max_size=8).map(json.dumps),
        st.text(max_size=8).map(lambda text: json.dumps(text, ensure_ascii=False)),
    )
    nested = st.one_of(
        st.lists(scalars, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
        st.dictionaries(st.sampled_from(KEYS), scalars, max_size=3).map(
            lambda values: "{" + ",".join(f"{json.dumps(key)}: {value}" for key, value in values.items()) + "}"
        ),
    )
    return st.one_of(scalars, scalars, nested)


def uniform_values() -> st.SearchStrategy[st.SearchStrategy[str]]:
    """Strategies whose values are mostly of one kind, so that columns get other types than text."""
    return st.sampled_from(
        [
            st.sampled_from(["true", "false", "null"]),
            st.integers(-(2**53), 2**53).map(str),
            st.integers(-(2**63), 2**63 - 1).map(str),
            st.integers(-(10**38) + 1, 10**38 - 1).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
            st.sampled_from([json.dumps(text) for text in TEXTS if text.startswith("2026")]),
            st.sampled_from(["[]", "{}", '{"a": 1.50}']),
            raw_values(),
        ]
    )


@st.composite
def pages(draw: st.DrawFn, max_rows: int = 6) -> list[str | None]:
    """A page of texts: objects of wild keys and values, some keys twice, spaces here and there; some no objects."""
    kinds = {key: draw(uniform_values()) for key in draw(st.lists(st.sampled_from(KEYS), max_size=6, unique=True))}
    more = draw(st.lists(st.text(max_size=4), max_size=2))
    kinds |= {key: raw_values() for key in more if key not in kinds}

    def document() -> str | None:
        form = draw(st.integers(0, 19))
        if form == 0:
            return draw(st.sampled_from([None, "5", "[1]", '"text"', "null", "{}"]))
        keys = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=8)) if kinds else []
        comma, colon = (", ", " : ") if form == 1 else (",", ":")
        return "{" + comma.join(f"{json.dumps(key)}{colon}{draw(kinds[key])}" for key in keys) + "}"

    return [document() for _ in range(draw(st.integers(0, max_rows)))]


def parsed(text: str | None) -> dict[str, Any]:
    """The properties of a text, as Python reads them."""
    value = json.loads(text) if text is not None else None
    return value if isinstance(value, dict) else {}


def same(left: object, right: object) -> bool:
    """Whether two JSON values are equal, kind by kind; NaN is itself."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, str) or isinstance(right, str):
        return type(left) is type(right) and left == right
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


def is_exactly(typed: object, value: object) -> bool:
    """Whether what a column holds is what Python's json found: nothing lost, nothing taken for something else."""
    if isinstance(typed, str):
        return typed == value if isinstance(value, str) else same(json.loads(typed), value)
    if isinstance(typed, bool):
        return typed is value
    if isinstance(typed, datetime):
        return isinstance(value, str) and typed == moment(value)
    if isinstance(typed, date):
        return isinstance(value, str) and typed.isoformat() == value
    assert isinstance(typed, (int, float, Decimal))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and typed == value


def moment(text: str) -> datetime:
    """An ISO text as Python 3.10 reads it, too; a day is its midnight, UTC."""
    if len(text) == 10:
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.replace("Z", "+00:00")))


def fits(kind: str, value: object) -> bool:
    """Whether a column of this type must hold `value`: written apart from the code, to hold it to account."""
    if isinstance(value, bool):
        return kind in {"bool", "text"}
    if isinstance(value, int):
        bounds = {"bigint": 2**63 - 1, "decimal": 10**38 - 1, "double": 2**53 - 1}
        return kind == "text" or abs(value) <= bounds.get(kind, -1) or (kind == "bigint" and value == -(2**63))
    if isinstance(value, float):
        return kind == "text" or (kind == "double" and math.isfinite(value))
    if isinstance(value, (dict, list)):
        return kind in {"json", "text"}
    return kind == "text"  # of texts, those that look like moments are told by their own tests
