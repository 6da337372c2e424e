"""Columns of a PostgreSQL table made anew from another column of it, in one transaction: all or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pyarrow as pa

from .dlt_internals.loading import SqlJobClientBase
from .errors import ColumnsInUse

_TYPES = {
    "text": "varchar",
    "json": "json",
    "timestamp": "timestamp with time zone",
    "bigint": "bigint",
    "bool": "boolean",
    "double": "double precision",
    "decimal": "numeric(38, 0)",
    "date": "date",
}
"""dlt's types, as these columns have them (`destinations.postgres.TypeMapper`)."""

_NEW = "_made_anew"
_IN_USE = {"0A000", "2BP01"}
"""What PostgreSQL says of a column, or of one of our views, that somebody's view shows."""
_GRANTS = """\
SELECT format(
    'GRANT %%s ON %%s TO %%s%%s', given.privilege_type, %s,
    CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(given.grantee)) END,
    CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' END
) FROM pg_class, aclexplode(pg_class.relacl) AS given
WHERE pg_class.oid = to_regclass(%s) AND given.grantee != pg_class.relowner"""
"""What others may do with a view, as the statements that let them do it again."""

Copy = Callable[[Any, str, pa.RecordBatch], None]
"""Copies a batch into a table, as `COPY` names it, by a cursor."""


class PostgresColumns:
    """The columns of one table, which nobody else changes meanwhile."""

    def __init__(
        self,
        client: SqlJobClientBase,
        table: str,
        keys: Sequence[str],
        *,
        copy: Copy,
        views: Callable[[], Mapping[str, str]],
    ) -> None:
        """`client`: of a connection for this alone. `keys`: the columns that tell rows apart. `views`: name, as SQL
        has it, and `CREATE VIEW` of each view over the table that may be made anew."""
        self._client = client
        self._sql: Any = client.sql_client
        self._table, self._staging = self._sql.get_qualified_table_names(table)
        self._name = table
        self._keys = list(keys)
        self._copy = copy
        self._views = views
        self._open = ExitStack()

    def __enter__(self) -> PostgresColumns:
        with ExitStack() as opened:
            opened.enter_context(self._sql)
            opened.enter_context(self._sql.begin_transaction())
            self._sql.execute_sql(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE")
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def filled(self) -> dict[str, int]:
        """How many rows have a value in each column."""
        held = self._held()
        counts = ", ".join(f"count({self._sql.escape_column_name(name)})" for name in held)
        [found] = self._sql.execute_sql(f"SELECT {counts} FROM {self._table}")
        return dict(zip(held, map(int, found), strict=True))

    def texts(self, column: str, rows: int) -> Iterator[pa.Table]:
        """`column` as text, of all rows that have it, with the keys, in pieces of `rows` rows."""
        names = [*self._keys, column]
        texts = ", ".join(f"{name}::text" for name in self._escaped(names))
        [only] = self._escaped([column])
        # Of a cursor of the server's: psycopg2 fetches all rows of another one at once.
        with self._sql.native_connection.cursor(name="texts") as cursor:
            cursor.execute(f"SELECT {texts} FROM {self._table} WHERE {only} IS NOT NULL")
            while found := cursor.fetchmany(rows):
                columns = (pa.array(values, pa.string()) for values in zip(*found, strict=True))
                yield pa.table(dict(zip(names, columns, strict=True)))

    def replace(self, types: Mapping[str, str], pages: Iterable[pa.Table]) -> None:
        """Makes columns anew, each of dlt's type `types[name]`, out of `pages`, which have the keys and all of them.

        Rows that no page has are NULL there. Raises ColumnsInUse where a view that is not ours shows one of them.
        """
        keys = self._escaped(self._keys)
        declared = dict(zip(self._escaped(types), (_TYPES[kind] for kind in types.values()), strict=True))
        names = [*keys, *declared]
        self._run(
            f"CREATE TEMP TABLE {_NEW} ON COMMIT DROP AS SELECT {', '.join(keys)} FROM {self._table} LIMIT 0",
            f"ALTER TABLE {_NEW} {', '.join(f'ADD COLUMN {name} {kind}' for name, kind in declared.items())}",
        )
        with self._sql.native_connection.cursor() as cursor:
            for page in pages:
                for batch in page.select([*self._keys, *types]).combine_chunks().to_batches():
                    self._copy(cursor, f"{_NEW} ({', '.join(names)})", batch)
        self._run(f"ANALYZE {_NEW}", *self._changes(declared, keys))

    def _changes(self, declared: Mapping[str, str], keys: Sequence[str]) -> Iterator[str]:
        """The statements that change the table itself: from the first of them on, nobody reads it."""
        views = self._views()
        grants = [grant for name in views for (grant,) in self._sql.execute_sql(_GRANTS, name, name)]
        yield from (f"DROP VIEW IF EXISTS {name}" for name in views)
        yield self._change(self._table, declared)
        with self._sql.with_staging_dataset():
            # dlt loads the rows by way of it.
            if self._held():
                yield self._change(self._staging, declared)
        values = ", ".join(f"{name} = made.{name}" for name in declared)
        same = " AND ".join(f"held.{key} = made.{key}" for key in keys)
        yield f"UPDATE {self._table} AS held SET {values} FROM {_NEW} AS made WHERE {same}"
        yield from views.values()
        yield from grants

    def _change(self, table: str, declared: Mapping[str, str]) -> str:
        # Changed, not dropped and made: a table has room for 1,600 columns, those that were dropped included.
        held = self._escaped(self._held())
        changes = [
            f"ALTER COLUMN {name} TYPE {kind} USING NULL" if name in held else f"ADD COLUMN {name} {kind}"
            for name, kind in declared.items()
        ]
        return f"ALTER TABLE {table} {', '.join(changes)}"

    def _held(self) -> list[str]:
        """The columns of the table, in the dataset or, within `with_staging_dataset`, in that of staging tables."""
        return [*dict(self._client.get_storage_tables([self._name]))[self._name]]

    def _run(self, *statements: str) -> None:
        with self._sql.native_connection.cursor() as cursor:
            try:
                for statement in statements:
                    cursor.execute(statement)
            except self._sql.dbapi.Error as error:
                if getattr(error, "pgcode", None) not in _IN_USE:
                    raise
                raise ColumnsInUse(
                    f"Columns of {self._name} cannot be made anew: {' '.join(str(error).split())}.",
                    "Drop what shows them, run `posthog-warehouse retype`, and make it again.",
                ) from error

    def _escaped(self, names: Iterable[str]) -> list[str]:
        return [str(self._sql.escape_column_name(name)) for name in names]
