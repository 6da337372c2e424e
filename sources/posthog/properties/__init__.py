"""Typed columns out of JSON: which properties become columns, and their values, beside the raw text that stays."""

from __future__ import annotations

from sources.posthog.properties.catalogue import Catalogue, Property
from sources.posthog.properties.names import ColumnRules
from sources.posthog.properties.shred import Shredded, Shredder

__all__ = ["Catalogue", "ColumnRules", "Property", "Shredded", "Shredder"]
