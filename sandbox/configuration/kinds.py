"""Every list of configuration, by the name that the control API uses."""

from __future__ import annotations

from collections.abc import Mapping

from . import charts, definitions
from .rows import Kind

_KINDS = (
    Kind("annotations", charts.make_annotation, 230, title="content", modified="updated_at", deleted="deleted"),
    Kind(
        "event_definitions",
        definitions.make_event,
        definitions.count_events,
        title="description",
        modified="updated_at",
    ),
    Kind(
        "property_definitions",
        definitions.make_property,
        definitions.count_properties,
        title="description",
        modified="updated_at",
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
