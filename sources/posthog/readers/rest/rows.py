"""Rows of REST lists as rows of tables: declared columns typed, everything else kept as it comes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from ...dlt_internals import coerce_value, is_iso_timestamp, py_type_to_sc_type
from ...errors import ListUnreadable
from ...http.json_values import NestedText, canonical, shown
from ...tables.rest import Listing
from ...tables.schema import Column, Table, json

_WHOLE = re.compile(r"-?\d{1,18}")

Types = dict[str, str]
"""Fields that are not declared (of children: `steps__url`), and the dlt type that each had when it was first seen."""


class Shape:
    """What becomes of one table's rows.

    Declared columns come first, by their path in the row (`created_by.email`); an object of which a part is declared
    gives that part only. Lists in `Listing.children` are left to dlt, which makes child tables of them. Every other
    field is kept under its own name: a scalar as it is, a list or an object as JSON, or as a JSON string that holds its
    text where it is nested too deeply.

    A value that its column cannot take lands beside it: dlt adds a column `<name>__v_<type>`. `notes` says so.
    """

    def __init__(self, table: Table, types: Types) -> None:
        self._table = table
        self._children = table.reads.children if isinstance(table.reads, Listing) else ()
        self._row_id = table.reads.row_id if isinstance(table.reads, Listing) else None
        self._declared = [(column, column.hogql.split(".")) for column in table.columns]
        self._keys = [(column, path) for column, path in self._declared if column.name in table.keys]
        self.types = types
        self._misfits: Counter[tuple[str, str, str]] = Counter()

    @property
    def more_columns(self) -> tuple[Column, ...]:
        """Fields that are not declared and hold lists or objects: dlt has to be told not to take them apart."""
        return tuple(
            json(name, "JSON, as PostHog's API has it.")
            for name, data_type in sorted(self.types.items())
            if data_type == "json" and name.split("__")[0] not in self._children
        )

    @property
    def notes(self) -> list[str]:
        """What people should know of values that did not fit, a sentence for each field."""
        return [
            f"{name} was {was}, and came as {now} in {count:,} rows"
            + (": kept as JSON text" if now == "json" and was == "text" else f": see {name}__v_{_variant(now)}")
            for (name, was, now), count in sorted(self._misfits.items())
        ]

    def row(self, raw: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The row of the table. `values` are those with which the list was asked: columns of their name hold them."""
        row: dict[str, Any] = {}
        taken = set()
        raw = self._named(raw, values)
        for column, path in self._declared:
            value = _value(raw, values, column.name, path)
            taken |= {path[0], column.name}
            if value is not None and path[0] not in self._children:
                row.update(self._fitted(column.name, column.name, column.data_type, value))
        for name, value in raw.items():
            if value is None or (name in taken and name not in self._children) or not name.strip():
                continue
            if name in self._children and isinstance(value, list):
                row[name] = [self._item(name, item) for item in value]
            else:
                row.update(self._undeclared(name, name, value))
        return row

    def key(self, raw: Any, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The key of the row, as text.

        Raises ListUnreadable for what is no object, and for a row without a key or with what cannot be one.
        """
        key = []
        if not isinstance(raw, dict):
            names = " or ".join(column.name for column, _ in self._keys)
            raise ListUnreadable(f"A row of {self._table.name} is {shown(raw)}: it has no {names}, which is its key")
        raw = self._named(raw, values)
        for column, path in self._keys:
            value = _value(raw, values, column.name, path)
            if value is None:
                raise ListUnreadable(f"A row of {self._table.name} has no {column.name}, which is its key")
            if not _is_key(value, column.data_type):
                raise ListUnreadable(f"A row of {self._table.name} has {shown(value)} as its {column.name}, its key")
            key.append(str(value))
        return tuple(key)

    def _item(self, child: str, item: Any) -> Any:
        """A row of a child table without what is NULL: of that dlt could not tell a type, and would warn."""
        if not isinstance(item, dict):
            return None if item is None else next(iter(self._undeclared(f"{child}__value", "value", item).values()))
        fields: dict[str, Any] = {}
        for name, value in item.items():
            if value is not None:
                fields.update(self._undeclared(f"{child}__{name}", name, value))
        return fields

    def _named(self, raw: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The row with a name, if it is to be given one."""
        if self._row_id is None:
            return raw
        digest = hashlib.sha256(canonical(raw) + canonical(dict(values))).hexdigest()
        return {**raw, self._row_id: digest[:32]}

    def _undeclared(self, name: str, field: str, value: Any) -> dict[str, Any]:
        known = self.types.setdefault(name, _type_of(value))
        return self._fitted(name, field, known, value)

    def _fitted(self, name: str, field: str, data_type: str, value: Any) -> dict[str, Any]:
        """The value of `field` as dlt takes it into the column `name` of this type, or beside it, by field.

        Values that cannot be made what the column is dlt puts into a column beside it by itself. A whole number that no
        BIGINT holds would end its run, so that is put beside here, under the name that dlt gives such columns.
        """
        is_nested = isinstance(value, (dict, list))
        if data_type == "json":
            # dlt reads text that is meant for a JSON column as JSON, and writes what it found there as it is: so that
            # must be JSON text as well.
            return {field: _writable(value) if is_nested else canonical(canonical(value).decode()).decode()}
        if is_nested or isinstance(value, NestedText):
            self._misfits[name, data_type, "json"] += 1
            return {field: canonical(value).decode() if is_nested else str(value)}
        if _is_long(value):
            value = str(value)
            if data_type != "text":
                self._misfits[name, data_type, "text"] += 1
                return {f"{field}__v_text": value}
        found = py_type_to_sc_type(type(value))
        if found != data_type:
            try:
                fitted = coerce_value(data_type, found, value)  # type: ignore[arg-type]  # its types are plain texts here
            except (ValueError, TypeError):
                self._misfits[name, data_type, found] += 1
            else:
                if _is_long(fitted):
                    self._misfits[name, data_type, found] += 1
                    return {f"{field}__v_{found}": value}
        return {field: value}


def _value(raw: dict[str, Any], values: Mapping[str, Any], name: str, path: list[str]) -> Any:
    value = _dig(raw, path)
    if value is None:
        value = raw.get(name)
        value = values.get(name) if value is None or isinstance(value, (dict, list)) else value
    return value


def _dig(raw: Any, path: list[str]) -> Any:
    value = raw
    for step, name in enumerate(path):
        if not isinstance(value, dict):
            # Where one version has an object another may have just its id.
            return value if step and name == "id" and not isinstance(value, list) else None
        value = value.get(name)
    return value


def _is_long(value: Any) -> bool:
    """Whether it is a whole number that no BIGINT holds."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _is_key(value: Any, data_type: str) -> bool:
    """Whether a value can be (part of) a key of this type."""
    if isinstance(value, (bool, float, dict, list, NestedText)) or _is_long(value):
        return False
    if data_type == "bigint":
        return isinstance(value, int) or bool(_WHOLE.fullmatch(value))
    return data_type == "text" or isinstance(value, str)


def _writable(value: Any) -> Any:
    """A list or an object with whole numbers of more than 64 bits as texts: dlt writes no others as JSON."""
    try:
        orjson.dumps(value)
    except TypeError:
        return _with_texts(value)
    return value


def _with_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_texts(each) for each in value]
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _type_of(value: Any) -> str:
    if _is_long(value):
        return "text"
    if isinstance(value, (dict, list, NestedText)):
        return "json"
    if isinstance(value, str):
        return is_iso_timestamp(str, value) or "text"  # dlt makes timestamps of these by itself
    return str(py_type_to_sc_type(type(value)))


def _variant(data_type: str) -> str:
    return "text" if data_type == "json" else data_type  # it is handed over as JSON text
