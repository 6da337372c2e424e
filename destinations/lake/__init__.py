"""A Parquet lake, local or in an object store, whose contract is a plain glob: every row once, whatever happened.

`merging` says how rows come in and why nothing that dies in between can lose or double them; `write_ahead_log` what is
noted ahead of the few changes that take two steps; `compacting` how small files become large ones; `layout` where all
lies.
"""

from __future__ import annotations

from .parquet import Lake
from .pipeline import lake

__all__ = ["Lake", "lake"]
