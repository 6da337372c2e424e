"""NaN and Infinity as servers of 2023 wrote them: bare, which is not JSON.

ClickHouse's JSON writer has no such form, so numbers that nobody computes stand for them until the rows are text.
"""

from __future__ import annotations

import re

from posthog_warehouse.sandbox.store import Store

_NAN = "1.7234567e-301"
_INFINITY = "1.8234567e-301"

_CELL = re.compile(rf"(?<=[\[,])-?(?:{re.escape(_NAN)}|{re.escape(_INFINITY)})(?=[,\]])".encode())
_WORDS = {_NAN.encode(): b"NaN", _INFINITY.encode(): b"Infinity", b"-" + _INFINITY.encode(): b"-Infinity"}


def mark(store: Store, sql: str) -> str:
    """The query with stand-ins for NaN and Infinity; the names of its columns are lost, the types are not.

    Raises:
        ClickHouseError: the query is wrong.
    """
    types = [type_ for _, type_ in store.describe(sql)]
    if not any("Float64" in type_ for type_ in types):
        return sql
    names = [f"c{number}" for number in range(len(types))]
    columns = ", ".join(
        f"multiIf(isNaN({name}), {_NAN}, {name} = inf, {_INFINITY}, {name} = -inf, -{_INFINITY}, {name}) AS {name}"
        if type_ in ("Float64", "Nullable(Float64)")
        else name
        for name, type_ in zip(names, types, strict=True)
    )
    return f"SELECT {columns} FROM (\n{sql}\n) AS marked({', '.join(names)})"


def reveal(data: bytes) -> bytes:
    """The rows with bare words in place of the stand-ins."""
    return _CELL.sub(lambda cell: _WORDS[cell.group()], data)
