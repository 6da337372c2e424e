"""JSON texts that every reader can parse.

PostHog keeps `properties` as the text that an SDK sent. JavaScript writes half a surrogate pair (a cut emoji) as
a lone `\\ud83d`, which JSON parsers, DuckDB's too, refuse: one such event would fail a whole load.

`column_of` works on texts with a DuckDB in memory: one for each thread, with one thread of its own.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from typing import Any, TypeVar

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ..http.json_values import READABLE, deep_values

_local = threading.local()


def column_of(sql: str, texts: pa.Array | pa.ChunkedArray, values: Sequence[object] = ()) -> pa.Array:
    """The one column that `sql` makes of the one column `json_text` of `page`; `values` are its parameters."""
    connection = _connection()
    connection.register("page", pa.table({"json_text": texts}))
    try:
        column = connection.execute(sql, list(values)).to_arrow_table().column(0)
    finally:
        connection.unregister("page")
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _connection() -> duckdb.DuckDBPyConnection:
    """This thread's."""
    connection: duckdb.DuckDBPyConnection | None = getattr(_local, "connection", None)
    if connection is None:
        # What its allocator keeps for later is 128 MB a thread by default.
        config: dict[str, Any] = {"threads": 1, "allocator_flush_threshold": "16MB"}
        connection = _local.connection = duckdb.connect(":memory:", config=config)
    return connection


logger = logging.getLogger(__name__)

# A high surrogate without its low one, or a low one without its high one, where the backslash is not itself escaped.
_LONE_SURROGATE = re.compile(
    r"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_Texts = TypeVar("_Texts", pa.Array, pa.ChunkedArray)
_CONTROL = re.compile(r"[\x00-\x1f]")


def parsable(texts: _Texts) -> _Texts:
    """`texts`, with those mended that are no JSON, or nested too deeply for destinations; NULL stays NULL.

    Half a surrogate pair becomes U+FFFD, a bare control character its escape; what is no JSON even then becomes a JSON
    string that holds the whole text, so that nothing is lost. So does a field of an object with more levels than
    destinations take (see `posthog.http.json_values`), and a list with more of them as a whole.
    """
    texts = _readable(texts)
    if column_of("SELECT coalesce(bool_and(json_valid(json_text)), true) FROM page", texts)[0].as_py():
        return texts
    if isinstance(texts, pa.ChunkedArray):
        return pa.chunked_array([parsable(chunk) for chunk in texts.chunks])
    mask = pc.fill_null(column_of("SELECT NOT json_valid(json_text) FROM page", texts), fill_value=False)
    mended = [_mend(text) for text in texts.filter(mask).to_pylist()]
    logger.info("Mended %d JSON texts that no parser takes.", len(mended))
    return pc.replace_with_mask(texts, mask, pa.array(mended, pa.string()))


def _readable(texts: _Texts) -> _Texts:
    """`texts`, with fields that are nested too deeply as JSON strings."""
    if isinstance(texts, pa.ChunkedArray):
        return pa.chunked_array([_readable(chunk) for chunk in texts.chunks], texts.type)
    # Each level takes a byte to open it and one to close it, so nearly all texts are too short to be looked into.
    mask = pc.greater(pc.binary_length(texts), 2 * READABLE)
    if not pc.any(mask).as_py():
        return texts
    long = texts.filter(mask)
    levels = pc.add(pc.count_substring(long, "{"), pc.count_substring(long, "["))
    if not pc.any(pc.greater(levels, READABLE)).as_py():
        return texts
    flat = [
        _flattened(text) if brackets > READABLE else text
        for text, brackets in zip(long.to_pylist(), levels.to_pylist(), strict=True)
    ]
    return pc.replace_with_mask(texts, pc.fill_null(mask, fill_value=False), pa.array(flat, texts.type))


def _flattened(text: str) -> str:
    data = text.encode()
    level = 1 if data.lstrip(b" \t\r\n").startswith(b"{") else 0
    parts, end = [], 0
    for start, stop in deep_values(data, READABLE, level):
        parts += [data[end:start], orjson.dumps(data[start:stop].decode())]
        end = stop
    return b"".join([*parts, data[end:]]).decode()


def _mend(text: str) -> str:
    mended = _LONE_SURROGATE.sub(lambda m: m[1] + (m[2] or "\\ufffd"), text)
    mended = _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", mended)
    try:
        orjson.loads(mended)
    except orjson.JSONDecodeError:
        return orjson.dumps(text).decode()
    return mended
