"""What people want of properties: which become columns, and which are not to leave PostHog as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from .names import ColumnRules
from .privacy import Privacy, PrivacyRule

_SECTION = "[sources.posthog.properties]"
_PRIVACY_SECTION = "[sources.posthog.privacy]"
_RULES = ("columns", "include", "exclude", "max_columns", "depth")


@dataclass(frozen=True)
class PropertySettings:
    """`[sources.posthog.properties]` and `[sources.posthog.privacy]`."""

    rules: ColumnRules = field(default_factory=ColumnRules)
    """Of all tables with properties that have none of their own."""
    by_table: Mapping[str, ColumnRules] = field(default_factory=dict)
    privacy: tuple[PrivacyRule, ...] = ()
    privacy_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError: the rules of privacy lack what they need."""
        Privacy(self.privacy, self.privacy_key)

    def of_table(self, name: str) -> ColumnRules:
        """The rules of one table."""
        return self.by_table.get(name, self.rules)

    @classmethod
    def of(
        cls,
        properties: Mapping[str, Any] | None = None,
        privacy: Mapping[str, Any] | None = None,
        privacy_key: str | None = None,
        *,
        tables: tuple[str, ...] = (),
    ) -> PropertySettings:
        """From sections of a configuration file; `tables` may have sections of their own.

        Raises:
            ValueError: a setting is unknown, or not of its kind.
        """
        given = dict(properties or {})
        own = {name: given.pop(name) for name in tables if name in given}
        rules = _rules(given, ColumnRules(), _SECTION, (*_RULES, *tables))
        by_table = {}
        for name, section in own.items():
            where = f"{_SECTION[:-1]}.{name}]"
            if not isinstance(section, Mapping):
                raise ValueError(f"{where} is {section!r}, and must be a table of settings.")  # noqa: TRY004 - one kind of error for all settings
            by_table[name] = _rules(section, rules, where, _RULES)
        return cls(rules, by_table, _privacy(privacy or {}), str(privacy_key or ""))


def _rules(given: Mapping[str, Any], otherwise: ColumnRules, where: str, known: tuple[str, ...]) -> ColumnRules:
    _refuse_unknown(given, known, where)
    changes: dict[str, Any] = {}
    if "columns" in given:
        wanted = given["columns"]
        changes["properties"] = wanted if wanted in ("auto", "none") else _texts("columns", wanted, where)
    for name in ("include", "exclude"):
        if name in given:
            changes[name] = _texts(name, given[name], where)
    for name in ("max_columns", "depth"):
        if name in given:
            number = given[name]
            if isinstance(number, bool) or not isinstance(number, int):
                raise ValueError(f"{name} is {number!r} in {where}, and must be a whole number.")
            changes[name] = number
    return replace(otherwise, **changes)


def _privacy(given: Mapping[str, Any]) -> tuple[PrivacyRule, ...]:
    _refuse_unknown(given, ("drop", "hash", "rename"), _PRIVACY_SECTION)
    rules = [PrivacyRule(pattern, "drop") for pattern in _texts("drop", given.get("drop", ()), _PRIVACY_SECTION)]
    rules += [PrivacyRule(pattern, "hash") for pattern in _texts("hash", given.get("hash", ()), _PRIVACY_SECTION)]
    renamed = given.get("rename", {})
    if not isinstance(renamed, Mapping) or not all(isinstance(name, str) for name in renamed.values()):
        raise ValueError(f"rename is {renamed!r} in {_PRIVACY_SECTION}, and must say the new name of each property.")
    return (*rules, *(PrivacyRule(str(pattern), "rename", name) for pattern, name in renamed.items()))


def _texts(name: str, value: Any, where: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) and item for item in items):
        raise ValueError(f"{name} is {value!r} in {where}, and must be a list of property names or patterns.")
    return tuple(items)


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            raise ValueError(f"There is no setting {name} in {where}. {advice}")
