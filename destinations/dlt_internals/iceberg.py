"""What dlt knows of Iceberg tables. To be imported only where `pyiceberg` and `sqlalchemy` are installed."""

from __future__ import annotations

from dlt.common.configuration.specs.mixins import WithPyicebergConfig
from dlt.common.libs.pyiceberg import ensure_iceberg_compatible_arrow_schema, get_sql_catalog

__all__ = [
    # Credentials that pyiceberg knows a way to use. Asked: `to_pyiceberg_fileio_config()`.
    "WithPyicebergConfig",
    # Types that Iceberg does not have, as those that it has. Asked: that it names and orders columns as they were.
    "ensure_iceberg_compatible_arrow_schema",
    # A catalog for the time of a commit. Asked: one of pyiceberg's, in memory, that reads and writes by these
    # credentials.
    "get_sql_catalog",
]
