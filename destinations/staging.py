"""Whose a dataset is, and the staging dataset next to it: what is not ours is never emptied.

dlt calls the staging dataset of `posthog` `posthog_staging` and truncates tables of it, whoever made them. People have
datasets of such names themselves (a staging project's, dbt's). Ours has a name that nobody picks, and that is refused
as a --dataset; what it holds is looked at before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from .errors import DatasetTaken

SUFFIX = "_posthog_warehouse_staging"
STAGING_FOLDER = SUFFIX.lstrip("_")
"""The folder in a staging bucket in which files wait for the destination."""
_LONGEST = 63
"""Bytes of a name in PostgreSQL: of all destinations with a limit in dlt's capabilities it has the lowest."""
_SHOWN = 3


def staging_name(dataset: str) -> str:
    """The name of the staging dataset of `dataset`."""
    if len(f"{dataset}{SUFFIX}".encode()) <= _LONGEST:
        return f"{dataset}{SUFFIX}"
    tag = hashlib.sha256(dataset.encode()).hexdigest()[:10]
    room = _LONGEST - len(f"_{tag}{SUFFIX}")
    # dlt makes one underscore of two.
    return f"{dataset.encode()[:room].decode(errors='ignore').rstrip('_')}_{tag}{SUFFIX}"


@dataclass(frozen=True)
class Held:
    """What a dataset holds of what a run would use there."""

    dataset: str
    tables: Collection[str]
    """Tables that a run would load, as far as they are there."""
    declared: Collection[str]
    """Tables that dlt's schema of our source, which is kept beside them, declares."""
    has_versions: bool
    """Whether dlt's schemas are kept there, as in each dataset that dlt made, staging or not."""
    has_loads: bool
    """Whether loads are noted there, as in each dataset that dlt made but for staging."""


def refuse_dataset(held: Held, location: str, has_rows: Callable[[str], bool]) -> None:
    """Raises DatasetTaken where the tables are not to be loaded into this dataset."""
    if held.has_versions and not held.has_loads:
        raise DatasetTaken(
            f"{held.dataset} in {location} is a staging dataset: dlt empties its tables whenever it loads the dataset "
            "that it belongs to.",
            "Give another --dataset. If nothing loads by way of it any more, drop it. Nothing was changed.",
        )
    _refuse_tables(held, location, has_rows, "Give another --dataset, or rename them there. Nothing was changed.")


def refuse_staging(held: Held, location: str, has_rows: Callable[[str], bool]) -> None:
    """Raises DatasetTaken where rows are not to be staged in this dataset."""
    if held.has_loads:
        raise DatasetTaken(
            f"{held.dataset} in {location} is a dataset of its own, and would be the staging dataset of this one: its "
            "tables would be emptied.",
            "Give another --dataset, or another staging_dataset_name_layout in [destination]. Nothing was changed.",
        )
    _refuse_tables(
        held,
        location,
        has_rows,
        "Rows would be staged there, and the tables emptied: rename them, or give another --dataset. Nothing was "
        "changed.",
    )


def _refuse_tables(held: Held, location: str, has_rows: Callable[[str], bool], advice: str) -> None:
    # A table without rows may be what a killed run made ahead of its schema; there is nothing in it to be lost.
    foreign = [table for table in sorted(held.tables) if table not in held.declared and has_rows(table)]
    if foreign:
        shown = ", ".join(foreign[:_SHOWN]) + (f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else "")
        raise DatasetTaken(
            f"{held.dataset} in {location} holds tables that this program did not make: {shown}.", advice
        )
