"""Views that come with the tables, declared as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class View:
    """A view: made as soon as the tables that it needs are there. `{name}` stands for the table of that name."""

    name: str
    needs: tuple[str, ...]
    """The first one is the table whose rows it shows."""
    description: str
    replaces: Mapping[str, str] = field(default_factory=dict)
    """Columns of that table that are something else here."""
    adds: Mapping[str, str] = field(default_factory=dict)
    """Columns that it has besides."""
    joins: str = ""
    where: str = ""

    def sql(self, tables: Mapping[str, str], false: str = "false") -> str:
        """The view's SELECT in DuckDB's SQL, with the tables under these names: it follows columns that come later."""
        base = self.needs[0]
        replaced = ", ".join(f"{sql} AS {column}" for column, sql in self.replaces.items())
        columns = [f"{base}.*" + (f" REPLACE ({replaced})" if replaced else "")]
        return self._select([*columns, *self._added()], tables, false)

    def portable_sql(self, tables: Mapping[str, str], columns: Sequence[tuple[str, str]], false: str) -> str:
        """The same in any SQL, with the columns of its table (name, and how it is quoted) written out.

        What it adds comes first, so that columns which come later are behind all others: PostgreSQL lets a view grow at
        its end alone.
        """
        base = self.needs[0]
        shown = [
            f"{self.replaces[name]} AS {quoted}" if name in self.replaces else f"{base}.{quoted}"
            for name, quoted in columns
        ]
        return self._select([*self._added(), *shown], tables, false)

    def _added(self) -> list[str]:
        return [f"{sql} AS {column}" for column, sql in self.adds.items()]

    def _select(self, columns: Sequence[str], tables: Mapping[str, str], false: str) -> str:
        base = self.needs[0]
        joins = f" {self.joins.format(**tables)}" if self.joins else ""
        where = f" WHERE {self.where.format(false=false)}" if self.where else ""
        return f"SELECT {', '.join(columns)} FROM {tables[base]} AS {base}{joins}{where}"


VIEWS = (
    View(
        name="events_resolved",
        needs=("events", "person_distinct_ids"),
        description="Events with the person to whom their distinct_id belongs now, person merges followed.",
        replaces={"person_id": "coalesce(ids.person_id, events.person_id)"},
        adds={"person_id_at_ingestion": "events.person_id"},
        joins="LEFT JOIN {person_distinct_ids} AS ids ON ids.distinct_id = events.distinct_id",
    ),
    View(
        name="persons_current",
        needs=("persons",),
        description="Persons that PostHog still has.",
        where="is_deleted = {false}",
    ),
)
