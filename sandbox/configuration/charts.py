"""Annotations: notes on a day of the charts."""

from __future__ import annotations

from datetime import timedelta

from .making import Making, Row, iso

_CONTENTS = (
    "Released 4.{}",
    "Incident {}: uploads were slow",
    "Newsletter no. {} went out",
    'Price test "{}" began; see the notebook\nand the experiment',
    "Kampagne {} gestartet 🦔",
    "公開 {}",
    "",
)


def make_annotation(making: Making) -> Row:
    """An annotation in the fields of AnnotationSerializer (posthog/api/annotation.py, autumn 2026)."""
    # Many are put on a whole day: the list's order has ties.
    marker = (making.created - timedelta(days=making.random.randrange(3))).replace(microsecond=0)
    scope = making.pick(("project", "project", "organization", "dashboard", "dashboard_item"))
    return {
        "id": making.id,
        "content": making.pick(_CONTENTS).format(making.number) or None,
        "date_marker": iso(marker.replace(hour=0, minute=0, second=0) if making.chance(0.4) else marker),
        "creation_type": "GIT" if making.chance(0.3) else "USR",
        "dashboard_item": None,
        "dashboard_id": None,
        "dashboard_name": None,
        "insight_short_id": None,
        "insight_name": None,
        "insight_derived_name": None,
        "created_by": making.user(),
        "created_at": iso(making.created),
        "updated_at": iso(making.modified),
        "deleted": making.number % 25 == 24 and making.added is None,
        "scope": scope,
    }
