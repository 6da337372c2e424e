"""dlt's types as columns of Parquet files, each of which DuckDB, PyArrow, Polars and Spark read as the same thing.

UUIDs are text: Spark refuses the Parquet type for them. JSON is text too. A moment is in microseconds, UTC. Whole
numbers below 2^64 are decimals, because Spark and DuckDB disagree about unsigned ones.
"""

from __future__ import annotations

from typing import Any

from dlt.common.schema import TColumnSchema

from ..duckdb_sql import TYPES

_TYPES = {
    **TYPES,
    "json": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "time": "VARCHAR",
    "binary": "BLOB",
    "wei": "DECIMAL(38,0)",
}


def type_of(data_type: str) -> str:
    """The type in a Parquet file of a column of dlt's type `data_type`, by DuckDB's name."""
    return "DECIMAL(38,9)" if data_type == "decimal" else _TYPES[data_type]


def lake_type(column: TColumnSchema) -> str:
    """The type of a column in a Parquet file, by DuckDB's name."""
    given: dict[str, Any] = dict(column)
    if given.get("x-unsigned"):
        return "DECIMAL(20,0)"
    if given["data_type"] == "decimal":
        return f"DECIMAL({given.get('precision') or 38},{given.get('scale') if given.get('scale') is not None else 9})"
    return _TYPES[given["data_type"]]
