"""The body of ``POST /query/``, checked the way PostHog's schema checks it.

Sources: posthog/api/query.py and posthog/api/test/test_query.py, autumn 2026.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posthog_warehouse.sandbox.behaviour import Behaviour

from .envelope import dumps, invalid, parse_error
from .insights import schema

REFRESH_MODES = (
    "async",
    "async_except_on_cache_miss",
    "blocking",
    "force_async",
    "force_blocking",
    "force_cache",
    "lazy_async",
)

_REQUEST_FIELDS = frozenset(
    {
        "async",
        "client_query_id",
        "filters_override",
        "limit_context",
        "name",
        "personal_api_key",
        "query",
        "refresh",
        "variables_override",
    }
)

_QUERY_FIELDS = frozenset(
    {
        "connectionId",
        "explain",
        "filters",
        "kind",
        "modifiers",
        "name",
        "query",
        "response",
        "tags",
        "values",
        "variables",
        "version",
    }
)

#: Kinds that PostHog answers and this server does not.
_OTHER_KINDS = frozenset(
    {
        "DatabaseSchemaQuery",
        "EventsNode",
        "EventsQuery",
        "GroupsQuery",
        "HogQLAutocomplete",
        "PersonsNode",
        "RecordingsQuery",
        "SessionsTimelineQuery",
        "WebOverviewQuery",
        "WebStatsTableQuery",
    }
)


@dataclass(frozen=True)
class QueryRequest:
    """A query to run, and how its answer is wanted.

    Attributes:
        text: the HogQL; for an insight its whole node as JSON.
        node: an insight's query, None for HogQL.
    """

    text: str
    values: Mapping[str, Any]
    variables: Mapping[str, Any]
    filters: Mapping[str, Any]
    modifiers: Mapping[str, Any]
    refresh: str
    query_id: str
    named_by_client: bool
    posthog_ai: bool
    node: Mapping[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The query's kind."""
        return "HogQLQuery" if self.node is None else str(self.node["kind"])

    @property
    def forced(self) -> bool:
        """Whether a fresh calculation is wanted whatever is cached."""
        return self.refresh.startswith("force_") and self.refresh != "force_cache"


def _schema_errors(problems: Mapping[str, str], *, count: int = 0, model: str = "QueryRequest") -> Exception:
    """All that is wrong with a body, as pydantic tells it: `problems` by where they are."""
    count = count or len(problems)
    errors = "error" if count == 1 else "errors"
    told = (f"{where}\n  {problem}" for where, problem in problems.items())
    return parse_error("\n".join([f"{count} validation {errors} for {model}", *told]))


def _schema_error(where: str, problem: str) -> Exception:
    return _schema_errors({where: problem})


def parse(body: object, behaviour: Behaviour, *, path_kind: str | None = None) -> QueryRequest:
    """The request in a body.

    Args:
        body: what was sent, parsed.
        behaviour: which modifiers are known.
        path_kind: the kind named in the URL, if any.

    Raises:
        ApiError: 400 ``parse_error`` for the shape, ``invalid_input`` for values.
    """
    if not isinstance(body, dict):
        raise _schema_error("", "Input should be a valid dictionary [type=model_type]")
    query = body.get("query")
    if query is None:
        raise _schema_error("query", "Field required [type=missing]")
    if not isinstance(query, dict):
        raise _schema_error("query", "Input should be an object [type=model_attributes_type]")
    for name in body:
        if name not in _REQUEST_FIELDS or name in behaviour.refused_query_fields:
            raise _schema_error(name, "Extra inputs are not permitted [type=extra_forbidden]")
    kind = query.get("kind")
    if path_kind is not None and kind != path_kind:
        raise invalid(f"Query kind in the URL ({path_kind}) does not match the query's kind ({kind}).")
    query = schema.unwrapped(query)
    node = query if behaviour.insight_queries and query.get("kind") in schema.KINDS else None
    if node is None:
        _check_query(query, behaviour)
    else:
        schema.check(node)
        _check_modifiers(node.get("modifiers") or {}, behaviour)
    limit_context = body.get("limit_context")
    if limit_context not in (None, "posthog_ai"):
        raise _schema_error("limit_context", "Input should be 'posthog_ai' [type=literal_error]")
    name = body.get("name")
    if name is not None and (not isinstance(name, str) or len(name) > 128):
        raise _schema_error("name", "String should have at most 128 characters [type=string_too_long]")
    client_id = body.get("client_query_id")
    overrides = body.get("variables_override") or {}
    return QueryRequest(
        text=query["query"] if node is None else dumps(node).decode(),
        node=node,
        values=query.get("values") or {},
        variables={**(query.get("variables") or {}), **overrides},
        filters=body.get("filters_override") or query.get("filters") or {},
        modifiers=query.get("modifiers") or {},
        refresh=_refresh(body, behaviour),
        query_id=str(client_id) if client_id else str(uuid.uuid4()),
        named_by_client=bool(client_id),
        posthog_ai=limit_context == "posthog_ai",
    )


def _refresh(body: Mapping[str, Any], behaviour: Behaviour) -> str:
    refresh = body.get("refresh")
    if isinstance(refresh, bool) and not behaviour.refresh_flags:
        expected = ", ".join(f"'{mode}'" for mode in REFRESH_MODES)
        raise _schema_error("refresh", f"Input should be {expected} [type=enum, input_value={refresh}]")
    if isinstance(refresh, str) and not behaviour.refresh_words:
        raise _schema_error("refresh", "Input should be a valid boolean, unable to interpret input [type=bool_parsing]")
    if refresh is True:
        return "force_async" if body.get("async") is True else "force_blocking"
    if refresh is None or refresh is False:
        return "async" if body.get("async") is True else "blocking"
    if refresh not in REFRESH_MODES:
        expected = ", ".join(f"'{mode}'" for mode in REFRESH_MODES)
        raise _schema_error("refresh", f"Input should be {expected} [type=enum, input_value={refresh!r}]")
    return str(refresh)


def _check_query(query: Mapping[str, Any], behaviour: Behaviour) -> None:
    kind = query.get("kind")
    if kind in _OTHER_KINDS or kind in schema.KINDS:
        raise invalid(f"This local PostHog does not answer queries of kind {kind}.")
    if kind != "HogQLQuery":
        raise _schema_error(
            "query",
            f"Input tag {kind!r} found using 'kind' does not match any of the expected tags [type=union_tag_invalid]",
        )
    if not isinstance(query.get("query"), str):
        raise _schema_error("query.HogQLQuery.query", "Field required [type=missing]")
    for name in query:
        if name not in _QUERY_FIELDS:
            raise _schema_error(f"query.HogQLQuery.{name}", "Extra inputs are not permitted")
    for name in ("values", "variables", "filters", "modifiers"):
        if not isinstance(query.get(name) or {}, dict):
            raise _schema_error(f"query.HogQLQuery.{name}", "Input should be a valid dictionary")
    _check_modifiers(query.get("modifiers") or {}, behaviour)


def _check_modifiers(modifiers: Mapping[str, Any], behaviour: Behaviour) -> None:
    mode = modifiers.get("personsOnEventsMode")
    problems = dict.fromkeys(sorted(set(modifiers) - behaviour.known_modifiers), "Extra inputs are not permitted")
    if "personsOnEventsMode" not in problems and mode not in {None, *behaviour.known_persons_on_events_modes}:
        problems["personsOnEventsMode"] = "Input should be one of the known modes"
    if not problems:
        return
    if behaviour.old_response_shape:
        # The old schema was one big union: every member of it complained.
        found = {f"HogQLQuery.modifiers.{name}": problem for name, problem in problems.items()}
        raise _schema_errors(found, count=86, model="QuerySchema")
    raise _schema_errors({f"query.HogQLQuery.modifiers.{name}": problem for name, problem in problems.items()})
