"""Tables that are made of the pages of another table, and loaded with them: for dlt, pages under another name."""

from __future__ import annotations

from typing import Any

import dlt
import pyarrow as pa

from sources.posthog.tables import Table


class ChildPages:
    """Hands pages of `table` to dlt while the resource of another table is read."""

    def __init__(self, table: Table, *, is_unique: bool, disposition: str = "merge") -> None:
        """To be made while that resource is read. `is_unique`: no key comes twice in a load package."""
        self._name = table.name
        columns: Any = table.column_hints()
        merge: Any = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": is_unique}
        loads: Any = merge if disposition == "merge" else disposition
        # `dlt.mark.with_hints` would add the columns of the other table, which it starts from. `_hints_variants` is
        # where dlt 1.31 keeps what it makes of them, by table (not documented; pinned by the tests of elements).
        dlt.current.resource()._hints_variants[table.name] = dlt.mark.make_hints(
            table_name=table.name,
            write_disposition=loads,
            columns=columns,
            primary_key=table.keys,
            merge_key=table.merge_key,
            file_format="parquet",
        )

    def __call__(self, rows: pa.Table) -> Any:
        """`rows`, with the hints of their table."""
        return dlt.mark.with_table_name(rows, self._name)
