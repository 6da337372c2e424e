"""Cohorts, as their endpoint shows them; who is in them is decided in `membership`."""

from __future__ import annotations

from .making import Making, Row, iso
from .membership import COHORTS


def make(making: Making) -> Row:
    """A cohort in the fields of CohortSerializer (posthog/api/cohort.py, autumn 2026)."""
    cohort = COHORTS[making.number] if making.number < len(COHORTS) else None
    is_static = cohort is None or cohort.is_static
    count = making.world.cohort_counts.get(cohort.id, 0) if cohort is not None else 0
    properties = {"type": "OR", "values": [{"type": "AND", "values": list(cohort.values)}]} if cohort else {}
    return {
        "id": cohort.id if cohort else 101 + making.number,
        "name": cohort.name if cohort else f"Uploaded list {making.number}",
        "description": making.pick(
            ("", "Made for the quarterly review", "Who we write to; ask Zoë before changing it")
        ),
        "groups": [],
        "deleted": cohort.deleted if cohort else False,
        "filters": None if is_static else {"properties": properties},
        "query": None,
        "version": None if is_static else making.random.randrange(1, 40),
        "pending_version": None,
        "is_calculating": False,
        "created_by": making.user(),
        "created_at": iso(making.created),
        "last_calculation": None if is_static else making.ago(minutes=making.random.randrange(5, 1_400)),
        "errors_calculating": 2 if cohort is not None and not cohort.members else 0,
        "last_error_message": None,
        "count": count,
        "is_static": is_static,
        "cohort_type": cohort.kind if cohort else "static",
        "experiment_set": [],
    }
