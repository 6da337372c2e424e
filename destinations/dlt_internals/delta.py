"""What dlt knows of Delta tables. To be imported only where `deltalake` is installed."""

from __future__ import annotations

from dlt.common.libs.deltalake import deltalake_storage_options, evolve_delta_table_schema

__all__ = [
    # Credentials as `deltalake` takes them. Asked: that of those given beside them each goes before.
    "deltalake_storage_options",
    # Adds the columns to a table that it does not have. Asked: that it changes the table that it is given.
    "evolve_delta_table_schema",
]
