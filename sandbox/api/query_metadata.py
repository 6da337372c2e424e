"""Queries of kind ``HogQLMetadata``: what is wrong with a HogQL text, and where. PostHog's editor asks it.

Source: posthog/hogql/metadata.py, autumn 2026. It compiles the text and runs nothing, so what ClickHouse would refuse
passes here. Placeholders have no values.
"""

from __future__ import annotations

from typing import Any

from posthog_warehouse.sandbox.hogql import HogQLContext, HogQLError, compile_query

from .dispatch import Call
from .envelope import Reply, parse_error, reply

KIND = "HogQLMetadata"
_FIELDS = frozenset(
    {
        *("connectionId", "debug", "filters", "globals", "kind", "language", "modifiers", "query", "response"),
        *("sourceQuery", "tags", "variables", "version"),
    }
)
_LANGUAGES = ("hog", "hogJson", "hogQL", "hogQLExpr", "hogTemplate", "liquid")


def is_asked(body: object) -> bool:
    """Whether the body of a request asks this kind."""
    query = body.get("query") if isinstance(body, dict) else None
    return isinstance(query, dict) and query.get("kind") == KIND


async def answer(call: Call) -> Reply:
    """The faults of the text with their places, in characters from its beginning.

    Raises:
        ApiError: the query has other fields than PostHog's schema.
    """
    body = call.json()
    query: dict[str, Any] = body["query"] if isinstance(body, dict) else {}
    call.entry.kind = KIND
    if call.state.behaviour.old_response_shape:
        # In December 2023 it had the fields `select` and `expr` instead.
        raise parse_error("86 validation errors for QuerySchema")
    for name in query:
        if name not in _FIELDS:
            raise parse_error(
                f"1 validation error for QueryRequest\nquery.{KIND}.{name}\n  Extra inputs are not permitted"
            )
    text = query.get("query")
    if not isinstance(text, str) or query.get("language") not in _LANGUAGES:
        raise parse_error(f"1 validation error for QueryRequest\nquery.{KIND}\n  Field required [type=missing]")
    call.entry.query = text[:4000]
    errors = [] if query["language"] != "hogQL" else await call.state.in_thread(_faults, call, text)
    return reply(
        {
            "isValid": not errors,
            "query": text,
            "errors": errors,
            "warnings": [],
            "notices": [],
            "table_names": [],
            "ch_table_names": [],
            "isUsingIndices": None,
        }
    )


def _faults(call: Call, text: str) -> list[dict[str, Any]]:
    state = call.state
    context = HogQLContext(
        team_id=state.project.id,
        timezone=state.behaviour.project_timezone,
        modifiers={},
        now=state.clock.now(),
        personal_api_key=False,
        behaviour=state.behaviour,
        values={},
        variables={},
        filters={},
    )
    try:
        compile_query(text, context)
    except HogQLError as error:
        # A fault without a place is the whole text's.
        start = 0 if error.start is None else error.start
        end = len(text) if error.end is None else error.end
        return [{"message": error.detail, "start": start, "end": end, "fix": None}]
    return []
