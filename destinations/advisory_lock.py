"""One sync at a time into a dataset in PostgreSQL: two that merge the same rows at once would both insert them.

The lock is PostgreSQL's advisory lock, and lasts as long as the transaction that took it: it ends with the process,
however that ends, and holds behind a connection pool as well.
"""

from __future__ import annotations

import hashlib

_OURS = int.from_bytes(hashlib.sha256(b"posthog-warehouse").digest()[:4], "big", signed=True)


def lock_sql(what: str) -> str:
    """A query that takes the lock of `what`, a dataset of the database, and says whether it got it, at once."""
    return f"SELECT pg_try_advisory_xact_lock({_OURS}, {_number(what)})"


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big", signed=True)
