"""dlt's destination `postgres`."""

from __future__ import annotations

from dlt.destinations.impl.postgres.factory import PostgresTypeMapper
from dlt.destinations.impl.postgres.postgres import PostgresClient

__all__ = [
    # The client behind `dlt.destinations.postgres`. Asked: `create_load_job`, the job for a file;
    # `update_stored_schema`, which tells the tables and columns that it made; and of its SQL client
    # `native_connection`, which is psycopg2's.
    "PostgresClient",
    # Its types. Asked: `to_destination_type(column, table)` and `from_destination_type(db_type, precision, scale)`, and
    # that the capability `type_mapper` takes a class derived from it.
    "PostgresTypeMapper",
]
