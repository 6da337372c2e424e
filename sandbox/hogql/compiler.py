"""From HogQL text to ClickHouse SQL."""

from __future__ import annotations

import re

from posthog_warehouse.sandbox.hogql.context import CompiledQuery, HogQLContext
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.nodes import Node, error_at, walk
from posthog_warehouse.sandbox.hogql.parser import parse_select
from posthog_warehouse.sandbox.hogql.placeholders import replace_placeholders
from posthog_warehouse.sandbox.hogql.select import Limits, Queries, has_own_limit

_AS = re.compile(r"\bas\b", re.IGNORECASE)

#: What PostHog says to OFFSET. Source: posthog/hogql/user_query_validator.py, autumn 2026.
OFFSET_REFUSED = (
    "OFFSET is not supported on queries made with a personal API key. "
    "For pagination, use keyset pagination on the `timestamp` column, e.g. "
    "`WHERE timestamp > :last_seen_timestamp ORDER BY timestamp LIMIT N`. "
    "For bulk data extraction, use batch exports: https://posthog.com/docs/cdp/batch-exports"
)


def compile_query(text: str, context: HogQLContext) -> CompiledQuery:
    """Compile a HogQL query for the sandbox's ClickHouse.

    Without LIMIT a SELECT gives the default number of rows, and one more is read to know whether there are more; each
    branch of a UNION gets a default LIMIT of its own. A larger LIMIT than the server allows is lowered, silently, at
    the top only.

    Raises:
        HogQLError: PostHog refuses the text; its `code` is what this version of PostHog says.
    """
    try:
        return _compile(text, context)
    except RecursionError:
        error = HogQLError("Maximum recursion depth exceeded during parsing.", code="hogql_syntax_error")
    except HogQLError as refused:
        error = refused
    if context.behaviour.legacy_error_codes and error.code.startswith("hogql_"):
        error.code = "invalid_input"
    raise error


def _compile(text: str, context: HogQLContext) -> CompiledQuery:
    if context.behaviour.legacy_error_codes and text.rstrip().endswith(";"):
        # Today's grammar takes it; the one of 2023 did not.
        place = text.rstrip().rfind(";")
        raise HogQLError("extraneous input ';' expecting <EOF>", code="hogql_syntax_error", start=place, end=place + 1)
    if not context.behaviour.column_lists and text.startswith("(") and not text.rstrip().endswith(")"):
        # Nor did it know anything behind a query in brackets.
        place = text.rindex(")") + 1
        raise HogQLError("extraneous input expecting <EOF>", code="hogql_syntax_error", start=place, end=len(text))
    tree = replace_placeholders(parse_select(text), context)
    if context.personal_api_key and context.behaviour.refuse_offset:
        _refuse_offset(tree)
    behaviour = context.behaviour
    if not behaviour.implicit_aliases:
        _refuse_implicit_aliases(tree, text)
    single = tree["node"] == "SelectQuery"
    own = has_own_limit(tree)
    limits = Limits(behaviour.default_rows + (1 if single else 0), behaviour.max_rows)
    sql, columns = Queries(context, text).query(tree, {}, limits)
    counted = single and not own
    return CompiledQuery(
        sql=sql,
        hogql=text,
        columns=tuple(name for name, _ in columns),
        has_own_limit=own,
        limit=behaviour.default_rows if counted else None,
        offset=_offset(tree) if counted else None,
        default_limit_applied=counted,
    )


def _refuse_offset(tree: Node) -> None:
    for node in walk(tree):
        if node["node"] in ("SelectQuery", "SelectSetQuery") and node.get("offset") is not None:
            raise error_at(node["offset"], OFFSET_REFUSED)
        if node["node"] == "LimitByExpr" and node.get("offset_value") is not None:
            raise error_at(node["offset_value"], OFFSET_REFUSED)


def _refuse_implicit_aliases(tree: Node, text: str) -> None:
    """Columns called otherwise without AS: only today's grammar, which is the one that parses here, knows that."""
    for node in walk(tree):
        expression = node.get("expr")
        if node["node"] != "Alias" or not isinstance(expression, dict) or "end" not in expression:
            continue
        between = text[expression["end"]["offset"] : node["end"]["offset"]]
        if not _AS.search(between):
            seen = text[: node["end"]["offset"]]
            raise HogQLError(f"no viable alternative at input '{seen}'", code="hogql_syntax_error")


def _offset(tree: Node) -> int:
    offset = tree.get("offset")
    value = offset.get("value") if isinstance(offset, dict) else None
    return value if isinstance(value, int) else 0
