"""Whether a SQL destination is ready to be opened: its driver, its settings, and what it must be able to do.

All of it is known without a connection, and told in one message, before anything is asked of PostHog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dlt
from dlt.common.destination.capabilities import DestinationCapabilitiesContext

from .credentials import how_to_set, missing_of, without_secrets
from .dlt_internals.loading import Destination as DltDestination
from .dlt_internals.loading import SqlJobClientBase, job_client_of
from .dlt_internals.settings import ConfigFieldMissingException, ConfigurationException, MissingDependencyException
from .errors import DestinationUnready, first_line
from .kinds import Kind

MERGE = "delete-insert"
SCHEMA = "posthog"
"""What dlt calls the schema of our source, whatever the dataset is called."""

_Made = Callable[[], DltDestination[Any, Any]]


def client_of(kind: Kind, bare: _Made, destination: _Made, dataset: str) -> SqlJobClientBase:
    """dlt's client for a dataset; nothing is connected. `bare` makes dlt's destination without any settings of ours.

    Raises:
        DestinationUnready: a driver or settings are missing, or cannot be right.
    """
    missing: list[str] = []
    install = ""
    try:
        # dlt looks at settings before it imports a driver, or never: both are told at once.
        _ = bare().client_class
    except (ImportError, MissingDependencyException):
        install = f"Install its driver: {kind.install}."
    try:
        client = job_client_of(destination(), dataset, dlt.Schema(SCHEMA))
    except ConfigFieldMissingException as error:
        missing = _unset(kind, missing_of(error))
    except (ImportError, MissingDependencyException):
        missing = _unset(kind, [])
    except (ConfigurationException, ValueError) as error:
        raise DestinationUnready(
            f"The settings of {kind.name} cannot be right: {without_secrets(first_line(error), [])}.",
            how_to_set(kind.name, kind.settings),
        ) from None
    if install or missing:
        what = {
            (True, True): "its driver and settings are",
            (True, False): "its driver is",
            (False, True): "settings are",
        }
        settings = how_to_set(kind.name, missing) if missing else ""
        raise DestinationUnready(
            f"The destination {kind.name} is not ready: {what[bool(install), bool(missing)]} missing.",
            " ".join(filter(None, [install, settings, "Nothing was asked of PostHog yet."])),
        )
    assert isinstance(client, SqlJobClientBase)  # noqa: S101 - the table of kinds has SQL destinations alone
    return client


def refuse_unfit(kind: Kind, capabilities: DestinationCapabilitiesContext) -> None:
    """Raises DestinationUnready where the tables cannot be kept as they have to be."""
    strategies = list(capabilities.supported_merge_strategies or ())
    if capabilities.merge_strategies_selector is not None:
        table: Any = {"name": "events", "columns": {}, "table_format": kind.table_format}
        strategies = list(capabilities.merge_strategies_selector(strategies, table_schema=table))
    if MERGE not in strategies:
        raise DestinationUnready(
            f"{kind.name} cannot merge rows by {MERGE}, which most tables need to hold each key once.",
            f"It can: {', '.join(strategies) or 'nothing of the kind'}. Choose another --destination.",
        )
    if kind.needs_staging and not bucket():
        raise DestinationUnready(
            f"{kind.name} reads files from a bucket only, and none is set.",
            how_to_set("filesystem", ["bucket_url", "credentials.aws_access_key_id"]),
        )


def bucket() -> str | None:
    """The bucket that dlt's staging uses."""
    return dlt.secrets.get("destination.filesystem.bucket_url", str)


def _unset(kind: Kind, missing: list[str]) -> list[str]:
    """What dlt misses, and what is usual besides: dlt does not know how one logs in."""
    usual = [name for name in kind.settings if dlt.secrets.get(f"destination.{kind.name}.{name}") is None]
    return [*usual, *(name for name in missing if name not in usual)]
