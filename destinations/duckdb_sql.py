"""How SQL for DuckDB is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TYPES: Mapping[str, str] = {
    "text": "VARCHAR",
    "json": "JSON",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "bigint": "BIGINT",
    "bool": "BOOLEAN",
    "double": "DOUBLE",
    "decimal": "DECIMAL(38,0)",
    "date": "DATE",
}
"""dlt's types of property columns, as DuckDB itself calls them."""


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def names(columns: Iterable[str]) -> str:
    """A list of names, quoted."""
    return ", ".join(map(identifier, columns))


def literal(text: str) -> str:
    """A text, quoted."""
    return "'" + text.replace("'", "''") + "'"


def uncut_literal(text: str) -> str:
    """The same without `;` or line breaks, at which dlt cuts SQL into statements."""
    cut = {character: f"' || chr({ord(character)}) || '" for character in ";\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"}
    return "".join(cut.get(character, character) for character in literal(text))


def count_repeated(source: str, keys: Iterable[str]) -> str:
    """A query of how many rows of a table, or of what else can be queried, there are besides one of each key."""
    repeated = f"SELECT count(*) AS n FROM {source} GROUP BY {names(keys)} HAVING count(*) > 1"
    return f"SELECT coalesce(sum(n - 1), 0) FROM ({repeated})"


def utc_day(moment: str) -> str:
    """The DATE of a TIMESTAMPTZ in UTC.

    `AT TIME ZONE 'UTC'` and a cast by the session's time zone ask ICU about each row, which takes 13 times as long
    (DuckDB 1.5).
    """
    return f"CAST(make_timestamp(epoch_us({moment})) AS DATE)"
