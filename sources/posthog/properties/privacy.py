"""Personal data that is not to leave PostHog: properties dropped, hashed or renamed in the JSON text itself.

Columns are made of the text that comes out, so that neither holds the value. Rules reach an object's own keys and, one
level below, those of `$set`, `$set_once` and `$group_set`, in which events carry what they set on persons and groups;
not keys deeper than that. An object in which nothing changes stays as it is, to the byte. In one that changes, the
order of keys and all other values stay, but it is written anew: no spaces, numbers as DuckDB spells them (1.10 is 1.1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..pages.json_text import column_of
from .names import matches
from .pairs import PIECE_BYTES, Parser, pieces

SETTERS = ("$set", "$set_once", "$group_set")

_BLOCK = 64
_FEWEST_KEY_BYTES = 16
# HMAC-SHA-256 as RFC 2104 has it. What is hashed is a string's characters, or any other value's JSON.
_HMAC = (
    "SELECT '\"' || sha256(?::BLOB || unhex(sha256(?::BLOB || encode("
    "CASE WHEN starts_with(json_text, '\"') THEN json_text ->> '$' ELSE json_text END)))) || '\"' FROM page"
)


@dataclass(frozen=True)
class PrivacyRule:
    """What happens to properties of some names."""

    pattern: str
    """A key, or a pattern with `*`, `?` and `[...]` as in file names."""
    action: Literal["drop", "hash", "rename"]
    """`hash`: HMAC-SHA-256 with a key of one's own, as 64 hex digits; equal values stay equal, null stays null."""
    to: str = ""
    """The new name. An object that has it already keeps both names as they are."""


class Privacy:
    """Applies rules to JSON texts; of several that match a key, the first. Safe to use from several threads."""

    def __init__(self, rules: Sequence[PrivacyRule], key: str | bytes = b"", *, parser: Parser | None = None) -> None:
        """`key` is for `hash`: who has it can try values, so it belongs among the secrets.

        Raises:
            ValueError: a rule lacks what it needs: a key of 16 bytes, or a name that no other rule gives.
        """
        self._rules = tuple(rules)
        self._parser = parser or Parser()
        secret = key.encode() if isinstance(key, str) else key
        if any(rule.action == "hash" for rule in rules) and len(secret) < _FEWEST_KEY_BYTES:
            raise ValueError("Hashing properties needs a key of 16 bytes at least: set it among the secrets.")
        targets = [rule.to for rule in rules if rule.action == "rename"]
        if "" in targets or len(set(targets)) < len(targets):
            raise ValueError("Each rule that renames a property needs a name of its own for it.")
        padded = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._pads = [bytes(byte ^ pad for byte in padded) for pad in (0x5C, 0x36)]

    def __call__(self, texts: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
        """`texts` by the rules. What is neither an object nor null becomes NULL: no rule could be applied to it."""
        if not self._rules:
            return texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])
        return pa.chunked_array([self._apply(piece, depth=0) for piece in pieces(texts, PIECE_BYTES)], pa.string())

    def _rule(self, key: str) -> PrivacyRule | None:
        return next((rule for rule in self._rules if matches(key, (rule.pattern,))), None)

    def _apply(self, texts: pa.Array, depth: int) -> pa.Array:
        maps = self._parser.maps(texts)
        is_object = maps.is_valid().to_numpy(zero_copy_only=False)
        if not is_object.all():
            is_kept = is_object | pc.fill_null(pc.equal(texts, "null"), fill_value=True).to_numpy(zero_copy_only=False)
            texts = pc.if_else(pa.array(is_kept), texts, pa.scalar(None, pa.string()))
        entries = _Entries(maps)
        found = [self._rule(key) for key in entries.names]
        is_dropped, is_hashed = (
            entries.where([rule is not None and rule.action == action for rule in found]) for action in ("drop", "hash")
        )
        is_hashed &= entries.values.is_valid().to_numpy(zero_copy_only=False)
        is_renamed = np.zeros(len(entries.rows), bool)
        for code, rule in enumerate(found):
            if rule is not None and rule.action == "rename":
                is_renamed |= self._renames(entries, code, rule.to, is_dropped)
        is_setter = np.zeros(len(entries.rows), bool)
        if depth == 0:
            # What a rule changes as a whole is not looked into.
            is_setter = entries.where([name in SETTERS for name in entries.names]) & ~is_dropped & ~is_hashed
            is_setter &= pc.fill_null(pc.starts_with(entries.values, "{"), fill_value=False).to_numpy(
                zero_copy_only=False
            )
        values = entries.values
        if is_setter.any():
            before = values.filter(pa.array(is_setter))
            after = self._apply(before, depth=1)
            values = pc.replace_with_mask(values, pa.array(is_setter), after)
            is_setter[is_setter] = pc.not_equal(before, after).to_numpy(zero_copy_only=False)
        touched = np.zeros(len(texts), bool)
        touched[entries.rows[is_dropped | is_hashed | is_renamed | is_setter]] = True
        if not touched.any():
            return texts
        if is_hashed.any():
            digests = column_of(_HMAC, values.filter(pa.array(is_hashed)), self._pads)
            values = pc.replace_with_mask(values, pa.array(is_hashed), digests)
        new_names = [
            rule.to if rule and rule.action == "rename" else name
            for rule, name in zip(found, entries.names, strict=True)
        ]
        kept = touched[entries.rows] & ~is_dropped
        return pc.replace_with_mask(
            texts, pa.array(touched), entries.written(values, new_names, is_renamed, kept, touched)
        )

    @staticmethod
    def _renames(entries: _Entries, code: int, to: str, is_dropped: np.ndarray) -> np.ndarray:
        """Which entries of this key get the name `to`: those of objects that do not have it yet."""
        taken = entries.rows[entries.where([name == to for name in entries.names]) & ~is_dropped]
        renames: np.ndarray = (entries.codes == code) & np.isin(entries.rows, taken, invert=True)
        return renames


class _Entries:
    """The keys and values of a page of objects, in their order."""

    def __init__(self, maps: pa.MapArray) -> None:
        offsets = maps.offsets.to_numpy()
        length = int(offsets[-1] - offsets[0])
        keys = maps.keys.slice(int(offsets[0]), length).dictionary_encode()
        self.rows = np.repeat(np.arange(len(maps), dtype=np.int32), np.diff(offsets))
        self.codes = keys.indices.to_numpy()
        self.names: list[str] = keys.dictionary.to_pylist()
        self.values = maps.items.slice(int(offsets[0]), length)

    def where(self, of_name: Sequence[bool]) -> np.ndarray:
        """Which entries have a key for which `of_name` is true."""
        chosen: np.ndarray = np.array([*of_name, False], bool)[self.codes]
        return chosen

    def written(
        self, values: pa.Array, new_names: Sequence[str], is_renamed: np.ndarray, kept: np.ndarray, touched: np.ndarray
    ) -> pa.Array:
        """The `touched` objects as JSON, of the entries that are `kept`."""
        names = [f"{json.dumps(name, ensure_ascii=False)}:" for name in (*self.names, *new_names)]
        codes = np.where(is_renamed, self.codes + len(self.names), self.codes)[kept]
        heads = pa.array(names, pa.string()).take(pa.array(codes))
        entries = pc.binary_join_element_wise(heads, pc.fill_null(values.filter(pa.array(kept)), "null"), "")
        lengths = np.bincount(self.rows[kept], minlength=len(touched))[touched]
        offsets = np.append([0], np.cumsum(lengths)).astype(np.int32)
        objects = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), entries), ",")
        return pc.binary_join_element_wise("{", objects, "}", "")
