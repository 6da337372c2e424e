"""Cohorts, as their endpoint shows them; who is in them is decided in `sandbox.cohorts`."""

from __future__ import annotations

from posthog_warehouse.sandbox.cohorts import COHORTS

from .making import Making, Row, iso

#: Further cohorts, which nobody is in: soft-deleted ones, and one that is still being worked out.
_OTHERS = (("An old idea", True), ("Churn risk (being calculated)", False), ("Test import 2024.csv", True))

COUNT = len(COHORTS) + len(_OTHERS)


def make(making: Making) -> Row:
    """A cohort in the fields of CohortSerializer (posthog/api/cohort.py, autumn 2026)."""
    known = COHORTS[making.number] if making.number < len(COHORTS) else None
    others = making.number - len(COHORTS)
    name, deleted = _OTHERS[others] if 0 <= others < len(_OTHERS) else (f"Uploaded list {making.number}", False)
    is_static = known is None or known.is_static
    values = [] if known is None else list(known.filters)
    return {
        "id": known.id if known else 101 + making.number,
        "name": known.name if known else name,
        "description": making.pick(
            ("", "Made for the quarterly review", "Who we write to; ask Zoë before changing it")
        ),
        "groups": [],
        "deleted": known is None and deleted,
        "filters": {"properties": {"type": "OR", "values": [{"type": "AND", "values": values}] if values else []}},
        "query": None,
        "version": None if is_static else making.random.randrange(2, 40),
        "pending_version": None,
        "is_calculating": "being calculated" in name,
        "created_by": making.user(),
        "created_at": iso(making.created),
        "last_calculation": None if is_static else making.ago(minutes=making.random.randrange(5, 1_400)),
        "errors_calculating": 0,
        "last_error_message": None,
        "count": making.world.cohort_counts.get(known.id, 0) if known else None if "being" in name else 0,
        "is_static": is_static,
        "cohort_type": "static" if is_static else "person_property",
        "experiment_set": [],
    }
