"""dlt's destination `ducklake`."""

from __future__ import annotations

from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient

__all__ = [
    # The client behind `dlt.destinations.ducklake`. Asked: that it is DuckDB's, and differs in nothing that
    # `destinations.read_in_place` overrides; `config.credentials` with `ducklake_name`, `catalog` and `global_config`.
    "DuckLakeClient",
    # Its SQL client. Asked: that it is made of what DuckDB's is made of, `override_data_path` and
    # `automatic_migration`.
    "DuckLakeSqlClient",
]
