"""SQL that shows a lake in DuckDB: a view over the files of each table, and the views that come with the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..destination import Descriptions
from ..duckdb_sql import identifier, literal
from ..views import VIEWS
from .layout import PARTITION, shape_of


def table_source(url: str, table: str) -> str:
    """The rows of a table, by a glob: for `FROM`."""
    dates = f", hive_types = {{{literal(PARTITION)}: DATE}}" if shape_of(table).dated_by else ""
    return (
        f"read_parquet({literal(f'{url}/{table}/**/*.parquet')}, hive_partitioning = true{dates}, union_by_name = true)"
    )


def statements(
    sources: Mapping[str, str], columns: Mapping[str, Iterable[str]], dataset: str, descriptions: Descriptions
) -> Iterator[str]:
    """Statements that make the schema and the views, with what is said of tables and columns.

    `sources`: of each table what stands behind FROM. `columns`: its columns.
    """
    yield f"CREATE SCHEMA IF NOT EXISTS {identifier(dataset)}"
    names = {table: f"{identifier(dataset)}.{identifier(table)}" for table in sources}
    for table, source in sources.items():
        yield f"CREATE OR REPLACE VIEW {names[table]} AS SELECT * FROM {source}"
        description, told = descriptions.get(table, ("", {}))
        if description:
            yield f"COMMENT ON VIEW {names[table]} IS {literal(description)}"
        for column in columns[table]:
            if told.get(column):
                yield f"COMMENT ON COLUMN {names[table]}.{identifier(column)} IS {literal(told[column])}"
    for view in VIEWS:
        if set(view.needs) <= set(sources):
            name = f"{identifier(dataset)}.{identifier(view.name)}"
            yield f"CREATE OR REPLACE VIEW {name} AS {view.sql(names)}"
            yield f"COMMENT ON VIEW {name} IS {literal(view.description)}"
