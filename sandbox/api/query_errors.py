"""What a failed query looks like to the client.

Sources: posthog/errors.py and posthog/exceptions.py, autumn 2026; long sentences of PostHog's are shortened.
"""

from __future__ import annotations

from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.store import ClickHouseError

from .envelope import ApiError, invalid, server_error

#: ClickHouse errors that tell the user something about the query: 400 with the name in lower case.
USER_SAFE = frozenset(
    {
        "AMBIGUOUS_COLUMN_NAME",
        "ARGUMENT_OUT_OF_BOUND",
        "BAD_ARGUMENTS",
        "CANNOT_CONVERT_TYPE",
        "CANNOT_PARSE_DATE",
        "CANNOT_PARSE_DATETIME",
        "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
        "CANNOT_PARSE_NUMBER",
        "CANNOT_PARSE_TEXT",
        "CANNOT_PARSE_UUID",
        "DECIMAL_OVERFLOW",
        "ILLEGAL_AGGREGATION",
        "ILLEGAL_COLUMN",
        "ILLEGAL_DIVISION",
        "ILLEGAL_TYPE_OF_ARGUMENT",
        "INCORRECT_DATA",
        "NOT_AN_AGGREGATE",
        "NO_COMMON_TYPE",
        "NUMBER_OF_ARGUMENTS_DOESNT_MATCH",
        "SIZES_OF_ARRAYS_DONT_MATCH",
        "SYNTAX_ERROR",
        "TOO_FEW_ARGUMENTS_FOR_FUNCTION",
        "TOO_MANY_ARGUMENTS_FOR_FUNCTION",
        "TOO_MANY_BYTES",
        "TYPE_MISMATCH",
        "UNKNOWN_FUNCTION",
        "UNKNOWN_IDENTIFIER",
        "UNKNOWN_TABLE",
        "UNKNOWN_TYPE",
        "ZERO_ARRAY_OR_TUPLE_INDEX",
    }
)

#: Failures that come back when the same query is run again: the breaker replays them.
DETERMINISTIC = frozenset({"TIMEOUT_EXCEEDED", "TOO_SLOW", "MEMORY_LIMIT_EXCEEDED", "TOO_MANY_BYTES"})

_TOO_MANY_BYTES = "The query reads more data than is allowed. Try a shorter time range, or select fewer columns."

_MEMORY = "Query has reached the max memory limit before completing. Try a shorter time range."

#: Errors about the server's state: status and text.
_INTERNAL = {
    "TIMEOUT_EXCEEDED": (
        504,
        "Query has hit the max execution time before completing. Try a shorter time range, or select fewer columns.",
    ),
    "TOO_SLOW": (
        512,
        "Query estimated execution time is too long. Try reducing its scope by the time range.",
    ),
    "TOO_MANY_SIMULTANEOUS_QUERIES": (
        503,
        "Queries are a little too busy right now. We're working to free up resources. Please try again later.",
    ),
}


def from_clickhouse(error: ClickHouseError, behaviour: Behaviour) -> ApiError:
    """The envelope for an error of ClickHouse."""
    if error.name == "TOO_MANY_BYTES":
        return invalid(_TOO_MANY_BYTES, code="too_many_bytes")
    if error.name in USER_SAFE:
        return invalid(error.message.rstrip(". ") + ".", code=error.name.lower())
    if error.name == "MEMORY_LIMIT_EXCEEDED":
        return server_error(behaviour.memory_limit_status, _MEMORY, code="clickhouse_memory_limit_exceeded")
    status, detail = _INTERNAL.get(error.name, (500, "ClickHouse error while executing query."))
    return server_error(status, detail)
