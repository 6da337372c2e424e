"""Typed columns out of JSON: which properties become columns, and their values, beside the raw text that stays."""

from __future__ import annotations

from .catalogue import Catalogue, Property
from .names import ColumnRules
from .shred import Shredded, Shredder

__all__ = ["Catalogue", "ColumnRules", "Property", "Shredded", "Shredder"]
