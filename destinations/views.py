"""Views that come with the tables, declared as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A view: made as soon as the tables that it needs are there. `{dataset}` stands for the quoted schema."""

    name: str
    needs: tuple[str, ...]
    sql: str
    description: str


VIEWS = (
    View(
        name="events_resolved",
        needs=("events", "person_distinct_ids"),
        sql=(
            "SELECT events.* REPLACE (coalesce(ids.person_id, events.person_id) AS person_id), "
            "events.person_id AS person_id_at_ingestion "
            "FROM {dataset}.events AS events LEFT JOIN {dataset}.person_distinct_ids AS ids "
            "ON ids.distinct_id = events.distinct_id"
        ),
        description="Events with the person to whom their distinct_id belongs now, person merges followed.",
    ),
    View(
        name="persons_current",
        needs=("persons",),
        sql="SELECT * FROM {dataset}.persons WHERE NOT is_deleted",
        description="Persons that PostHog still has.",
    ),
)
