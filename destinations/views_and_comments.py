"""What comes with the tables of a SQL destination: views, and comments on tables, columns and views."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from .destination import Descriptions
from .dlt_internals.tables import TTableSchemaColumns
from .duckdb_sql import literal
from .kinds import Kind
from .sql_session import SqlSession
from .views import VIEWS, View


def furnish(
    session: SqlSession, kind: Kind, dataset: str, descriptions: Descriptions, unusable: Collection[str] = ()
) -> None:
    """Makes the views whose tables are there, and the comments that are not, as far as it has such things.

    Views over `unusable` tables stay as they are: what they show may be missing.
    """
    present = session.columns({*descriptions, *(table for view in VIEWS for table in view.needs)})
    views = [view for view in VIEWS if set(view.needs) <= present.keys() - set(unusable)]
    if kind.create_view:
        session.run([f"{kind.create_view} {_view(session, view, present)}" for view in views])
    if kind.comments:
        there = {(table, column): text for table, column, text in session.ask(kind.comments, dataset)}
        session.run([*_comments(session, _wanted(descriptions, views, present), there)])


def views_over(session: SqlSession, kind: Kind, table: str) -> dict[str, str]:
    """The statement that makes each view which shows `table`, by the view's name in SQL."""
    present = session.columns(table for view in VIEWS for table in view.needs)
    return {
        session.table(view.name): f"{kind.create_view} {_view(session, view, present)}"
        for view in VIEWS
        if kind.create_view and table in view.needs and set(view.needs) <= set(present)
    }


def _view(session: SqlSession, view: View, present: Mapping[str, TTableSchemaColumns]) -> str:
    columns = [(name, session.column(name)) for name in present[view.needs[0]]]
    sql = view.portable_sql({table: session.table(table) for table in view.needs}, columns, session.false())
    return f"{session.table(view.name)} AS {sql}"


def _wanted(
    descriptions: Descriptions, views: Iterable[View], present: Mapping[str, TTableSchemaColumns]
) -> dict[tuple[str, str | None], str]:
    """The comments that belong on tables and columns that are there, and on views."""
    wanted: dict[tuple[str, str | None], str] = {}
    for table, (description, columns) in descriptions.items():
        if table in present:
            wanted[table, None] = description
            wanted |= {(table, column): text for column, text in columns.items() if column in present[table]}
    return wanted | {(view.name, None): view.description for view in views}


def _comments(
    session: SqlSession, wanted: Mapping[tuple[str, str | None], str], there: Mapping[tuple[str, str | None], str]
) -> Iterator[str]:
    views = {view.name for view in VIEWS}
    for (table, column), text in wanted.items():
        if there.get((table, column)) != text:
            name = session.table(table) + ("" if column is None else f".{session.column(column)}")
            what = "COLUMN" if column is not None else "VIEW" if table in views else "TABLE"
            yield f"COMMENT ON {what} {name} IS {literal(text)}"
