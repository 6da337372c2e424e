"""How dlt finds settings, and what it says where they are missing."""

from __future__ import annotations

from importlib import import_module

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException, LookupTraces
from dlt.common.configuration.providers.provider import EXPLICIT_VALUES_PROVIDER_NAME, ConfigProvider
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.exceptions import MissingDependencyException

__all__ = [
    "ENVIRONMENT_NAME",
    # The `provider` in the trace of a setting that is not looked for anywhere. Asked: the name alone.
    "EXPLICIT_VALUES_PROVIDER_NAME",
    # Settings that are nowhere. Asked: `traces`, by field where each was looked for.
    "ConfigFieldMissingException",
    # What dlt reads settings from. Asked: `get_value(key, hint, None, *sections)`, `supports_secrets`, `name`, and of
    # files `present_locations`.
    "ConfigProvider",
    # Settings that cannot be right. Asked: that dlt raises it, and nothing else, for those.
    "ConfigurationException",
    # The traces of settings in others. Asked: `traces`, and that it is not one of dlt's traces of a single setting,
    # which has `provider`.
    "LookupTraces",
    # A package that is not installed. Asked: that dlt raises it for one.
    "MissingDependencyException",
    "config_providers",
    "import_library",
    # Settings of a file system without a pipeline. Asked: that it fills a specification from given sections.
    "resolve_configuration",
]

ENVIRONMENT_NAME = "Environment Variables"
"""The `name` of what reads the environment."""


def config_providers() -> list[ConfigProvider]:
    """What dlt reads settings from, the first that has one first. Asked: `config_providers` of `dlt.config`."""
    return [*dlt.config.config_providers]


def import_library(package: str) -> None:
    """Raises ImportError where dlt cannot work with a package. Asked: a module for each in `dlt.common.libs`."""
    import_module(f"dlt.common.libs.{package}")
