"""What of a destination's settings may be shown, and what is missing of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dlt.common.configuration.specs import BaseConfiguration

from .dlt_internals.settings import EXPLICIT_VALUES_PROVIDER_NAME, ConfigFieldMissingException, LookupTraces

_SECRET = re.compile(r"password|passphrase|secret|token|private_key|access_key|account_key|connection_string")
_LOGIN_IN_URL = re.compile(r"(\w://)[^/@\s]*@")
_SHORTEST = 3
"""Texts that are shorter would be taken out of the middle of words."""


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """`text` without passwords: those given, and any login in an address."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "…")
    return _LOGIN_IN_URL.sub(r"\1…@", text)


def secrets_of(configuration: BaseConfiguration) -> Iterator[str]:
    """Passwords, tokens and keys of a configuration and of those in it."""
    for name, value in configuration.items():
        if isinstance(value, BaseConfiguration):
            yield from secrets_of(value)
        elif isinstance(value, str) and _SECRET.search(name):
            yield value
        elif isinstance(value, Mapping):
            yield from (str(each) for key, each in value.items() if _SECRET.search(str(key)))


def missing_of(error: ConfigFieldMissingException) -> list[str]:
    """The settings that dlt looked for in vain, as `credentials.host`."""
    return list(dict.fromkeys(_missing("", error.traces)))


def _missing(section: str, traces: Mapping[str, Any]) -> Iterator[str]:
    for field, found in traces.items():
        nested = [each for each in found if isinstance(each, LookupTraces)]
        if nested:
            # Of several ways to give them the first one is named.
            yield from _missing(f"{section}{field}.", nested[0].traces)
        elif any(each.provider != EXPLICIT_VALUES_PROVIDER_NAME for each in found):
            yield section + field


def how_to_set(name: str, settings: Iterable[str]) -> str:
    """Where settings of a destination are written, with dlt's names, in one sentence."""
    sections: dict[str, list[str]] = {}
    for setting in settings:
        *parents, field = setting.split(".")
        sections.setdefault(".".join(["destination", name, *parents]), []).append(field)
    places = "; ".join(f"[{section}] {', '.join(fields)}" for section, fields in sections.items())
    first = next(iter(sections), f"destination.{name}.credentials")
    variable = "__".join([*first.split("."), sections[first][0]]).upper() if sections else first.upper()
    return f"Set them in .dlt/secrets.toml: {places}; or in the environment: {variable} and so on."
