"""Delta and Iceberg tables in a folder or a bucket: a change is one entry of a log, and readers see all of it or none.

dlt says where they lie, with which credentials, and keeps its state beside them; `deltalake` and `pyiceberg` write the
log and the files. `merging` says which rows a package changes, `delta` and `iceberg` how each format is told.
"""

from __future__ import annotations

from .destination import OpenTables
from .pipeline import open_tables

__all__ = ["OpenTables", "open_tables"]
