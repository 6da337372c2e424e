"""HogQL, PostHog's SQL: parsed by PostHog's own grammar, printed as ClickHouse SQL over the sandbox's tables.

compiled = compile_query("SELECT event, count() FROM events GROUP BY event", context)
store.select(compiled.sql)
"""

from __future__ import annotations

from posthog_warehouse.sandbox.hogql.compiler import OFFSET_REFUSED, compile_query
from posthog_warehouse.sandbox.hogql.context import CompiledQuery, HogQLBehaviour, HogQLContext
from posthog_warehouse.sandbox.hogql.errors import HogQLError

__all__ = ["OFFSET_REFUSED", "CompiledQuery", "HogQLBehaviour", "HogQLContext", "HogQLError", "compile_query"]
