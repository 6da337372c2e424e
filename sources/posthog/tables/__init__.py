"""The tables, declared as data: a new one costs one declaration."""

from __future__ import annotations

from .analytics import ANALYTICS_TABLES
from .content import TABLES_OF_CONTENT, TABLES_OF_FEATURES
from .core import (
    CORE_TABLES,
    EVENT_ELEMENTS,
    EVENTS,
    PERSON_DISTINCT_IDS,
    PERSONS,
    PROPERTY_COLUMNS,
)
from .data_pipelines import TABLES_OF_MOVEMENT
from .insights import INSIGHT_TABLES
from .on_request import TABLES_ON_REQUEST
from .recordings import RECORDING_TABLES
from .schema import Column, DataType, Probe, Reads, Table
from .workspace import TABLES_OF_DEFINITIONS, TABLES_OF_WORKSPACE

CONFIGURATION_TABLES = (
    *TABLES_OF_WORKSPACE,
    *TABLES_OF_DEFINITIONS,
    *TABLES_OF_CONTENT,
    *TABLES_OF_FEATURES,
    *TABLES_OF_MOVEMENT,
    *TABLES_ON_REQUEST,
)

__all__ = [
    "CHILDREN",
    "CORE",
    "DEFAULT",
    "EVENTS",
    "EVENT_ELEMENTS",
    "PERSONS",
    "PERSON_DISTINCT_IDS",
    "PROPERTY_COLUMNS",
    "TABLES",
    "Column",
    "DataType",
    "Probe",
    "Reads",
    "Table",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *CORE_TABLES,
        *ANALYTICS_TABLES,
        *RECORDING_TABLES,
        *CONFIGURATION_TABLES,
        *INSIGHT_TABLES,
        # One line for each module of tables, in the order in which they are loaded.
    )
}
"""The tables that are known by name, in the order in which they are loaded."""

CORE: dict[str, Table] = {table.name: table for table in CORE_TABLES}
"""Events, persons and distinct_ids: without them a run has failed."""

DEFAULT: dict[str, Table] = {name: table for name, table in TABLES.items() if not table.is_on_request}
"""What is loaded when no table is named."""

CHILDREN: dict[str, Table] = {table.name: table for table in (EVENT_ELEMENTS, PROPERTY_COLUMNS)}
"""What comes with another table's rows, where a setting says so: not to be asked for by name."""
