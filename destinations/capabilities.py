"""What a dlt destination can do, worked out once."""

from __future__ import annotations

from typing import Any

from dlt.common.destination.capabilities import DestinationCapabilitiesContext

from .dlt_internals.loading import Destination as DltDestination
from .dlt_internals.tables import NamingConvention


def worked_out_once(made: DltDestination[Any, Any]) -> DltDestination[Any, Any]:
    """`made`, which gives copies of its capabilities from the second time on.

    dlt 1.31 asks for them two dozen times in a run, and resolves all settings of the destination each time: a fifth of
    the CPU time of a run that finds nothing new. They do not change as long as the settings do not, and a destination
    is made for each run.
    """
    work_out = made.capabilities
    known: dict[type | None, DestinationCapabilitiesContext] = {}

    def capabilities(config: Any = None, naming: NamingConvention | None = None) -> DestinationCapabilitiesContext:
        if config is not None:
            return work_out(config, naming)
        kind = None if naming is None else type(naming)
        if kind not in known:
            known[kind] = work_out(None, naming)
        return known[kind].copy()

    # Of this instance alone: dlt itself calls it by its name. (mypy takes a method for something that nobody sets.)
    made.capabilities = capabilities  # type: ignore[method-assign]
    return made
