"""Function calls and aggregations, with the rules that PostHog has for some of them."""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.aggregations import AGGREGATIONS, REDUCERS, Signature, keeps_kind
from posthog_warehouse.sandbox.hogql.comparisons import print_comparison
from posthog_warehouse.sandbox.hogql.functions import (
    COMPARISONS,
    KIND_FROM,
    MAYBE_NULL,
    NEVER_NULL,
    RESULT_KINDS,
    wrong_arguments,
)
from posthog_warehouse.sandbox.hogql.nodes import Node, call, error_at
from posthog_warehouse.sandbox.hogql.values import BOOL, Kind, Sql, ValueType, words

if TYPE_CHECKING:
    from posthog_warehouse.sandbox.hogql.expressions import Expressions

_SECONDS_TEXT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\Z")
_FRACTION_TEXT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{1,6}\Z")
_PLACE = re.compile(r"\{(\d)\}")


def print_call(printer: Expressions, node: Node) -> Sql:
    """A call as ClickHouse SQL.

    Raises:
        HogQLError: PostHog does not know the function, or it takes another number of arguments.
    """
    name = node["name"]
    if name in COMPARISONS and len(node["args"]) == 2:
        compared = {"node": "CompareOperation", "op": COMPARISONS[name]}
        return print_comparison(printer, {**node, **compared, "left": node["args"][0], "right": node["args"][1]})
    if name == "_caseWithExpression":
        return _case(printer, node)
    if node.get("order_by"):
        raise error_at(node, "ORDER BY inside a function call is not supported")
    catalogue = printer.catalogue
    aggregation = catalogue.aggregation(name)
    if aggregation is not None:
        return _aggregation(printer, node, *aggregation)
    function = catalogue.function(name)
    if function is None:
        raise error_at(node, catalogue.unknown(name))
    return _function(printer, node, *function)


def _case(printer: Expressions, node: Node) -> Sql:
    """CASE x WHEN a THEN b ... as conditions on x."""
    subject, *branches = node["args"]
    conditions: list[Node] = []
    for when, then in zip(branches[:-1:2], branches[1::2], strict=False):
        conditions += [call("equals", subject, when), then]
    return printer.print(call("multiIf", *conditions, branches[-1]))


def _aggregation(printer: Expressions, node: Node, name: str, signature: Signature) -> Sql:
    _check(node, "Aggregation", signature)
    if printer.aggregates:
        raise error_at(
            node, f"Aggregation '{name}' cannot be nested inside another aggregation '{printer.aggregates[-1]}'."
        )
    printer.aggregates.append(name)
    try:
        args = [_argument(printer, arg) for arg in node["args"]]
        condition = printer.print(node["filter_expr"]).text if node.get("filter_expr") else None
    finally:
        printer.aggregates.pop()
    parameters = ", ".join(printer.print(parameter).text for parameter in node.get("params") or [])
    distinct = "DISTINCT " if node.get("distinct") else ""
    if "{" in signature.sql:
        text = _fill(signature.sql, args)
    else:
        listed = f"{distinct}{', '.join(arg.text for arg in args)}"
        text = f"{signature.sql}{f'({parameters})' if parameters else ''}({listed})"
    if condition is not None:
        text = f"{text} FILTER(WHERE {condition})"
    kind: Kind = args[0].type.kind if args and keeps_kind(name) else RESULT_KINDS.get(name, "unknown")
    counts = name.startswith(("count", "uniq", "groupArray", "groupUniq"))
    nullable = not counts and any(arg.type.nullable for arg in args)
    return Sql(text, ValueType(kind, nullable or "OrNull" in name))


def _argument(printer: Expressions, node: Node) -> Sql:
    if node["node"] == "Field" and node["chain"] == ["*"]:
        return Sql("*", ValueType("unknown"))
    return printer.print(node)


def _function(printer: Expressions, node: Node, name: str, signature: Signature) -> Sql:
    _check(node, "Function", signature)
    if node.get("distinct"):
        raise error_at(node, f"Function '{name}' does not take DISTINCT")
    nodes: list[Node] = node["args"]
    timed = _time_of_day(printer, name)
    if timed is not None:
        return timed
    if name == "arrayReduce":
        _check_reducer(nodes[0])
    args = [printer.print(arg) for arg in nodes]
    if name in _TIMES:
        return _time_conversion(printer, name, signature, nodes, args)
    if name == "concat":
        return Sql(f"concat({', '.join(_concatenated(n, arg) for n, arg in zip(nodes, args, strict=True))})", _TEXT)
    if name == "toStartOfWeek" and len(args) == 1:
        # The first day of the week is a setting of the project; Sunday is its default.
        return Sql(f"toStartOfWeek({args[0].text}, 0)", ValueType("date", args[0].type.nullable))
    listed = ", ".join(arg.text for arg in args)
    text = _fill(signature.sql, args) if "{" in signature.sql else f"{signature.sql}({listed})"
    return Sql(text, _result(name, args))


_TEXT = ValueType("string")


def _fill(template: str, args: list[Sql]) -> str:
    return _PLACE.sub(lambda place: args[int(place[1])].text, template)


def _result(name: str, args: list[Sql]) -> ValueType:
    if name in ("and", "or", "not", "xor", "isNull", "isNotNull"):
        return BOOL
    place = KIND_FROM.get(name)
    kind: Kind = "unknown"
    if place is not None and len(args) > place:
        kind = args[place].type.kind
    elif name in RESULT_KINDS:
        kind = RESULT_KINDS[name]
    if name in NEVER_NULL:
        nullable = False
    elif name in ("coalesce", "ifNull"):
        nullable = all(arg.type.nullable for arg in args)
    else:
        nullable = name in MAYBE_NULL or any(arg.type.nullable for arg in args)
    return ValueType(kind, nullable)


def _check(node: Node, term: str, signature: Signature) -> None:
    name = node["name"]
    problem = wrong_arguments(term, name, len(node["args"]), signature.least, signature.most, what="argument")
    parameters = node.get("params")
    least, most = signature.parameters
    if problem is None and least and not parameters:
        problem = f"{term} '{name}' requires parameters in addition to arguments"
    if problem is None and parameters is not None:
        problem = wrong_arguments(term, name, len(parameters), least, most, what="parameter")
    if problem is not None:
        raise error_at(node, problem)


def _check_reducer(node: Node) -> None:
    if node["node"] != "Constant" or not isinstance(node.get("value"), str):
        raise error_at(node, "Expected constant string as first arg in function 'arrayReduce'")
    if node["value"] not in REDUCERS or node["value"].removesuffix("State") not in (*AGGREGATIONS, "uniqMap"):
        raise error_at(node, f"Invalid parametric function in 'arrayReduce', '{node['value']}' is not supported.")


def _concatenated(node: Node, arg: Sql) -> str:
    if node["node"] == "Constant" and isinstance(node.get("value"), str):
        return arg.text
    return f"ifNull(toString({arg.text}), '')" if arg.type.nullable else f"toString({arg.text})"


def _time_of_day(printer: Expressions, name: str) -> Sql | None:
    """`now()` and its like: constants of the sandbox's clock, which tests move."""
    context = printer.scope.context
    now = context.now.astimezone(timezone.utc)
    if name in ("now", "nowInBlock", "current_timestamp"):
        moment = literals.string(now.strftime("%Y-%m-%d %H:%M:%S.%f"))
        text = f"toTimeZone(toDateTime64({moment}, 6, 'UTC'), {literals.string(context.output_timezone)})"
        return Sql(text, ValueType("datetime"))
    if name in ("today", "current_date", "yesterday"):
        day = now.date() - timedelta(days=1 if name == "yesterday" else 0)
        return Sql(f"toDate({literals.string(day.isoformat())})", ValueType("date"))
    return None


_TIMES = words("""toDate to_date toDateTime toDateTime64 toDateTimeUS parseDateTime parseDateTimeBestEffort toTimeZone
    make_timestamp UUIDv7ToDateTime""")
# Functions whose last argument is the zone, and how many arguments they then have.
_MOST_WITH_ZONE = {"toDateTime64": 3, "toTimeZone": 2, "UUIDv7ToDateTime": 2, "parseDateTime": 3, "make_timestamp": 7}


def _time_conversion(printer: Expressions, name: str, signature: Signature, nodes: list[Node], args: list[Sql]) -> Sql:
    """Conversions to times: text is read leniently, and in the project's time zone where none is named.

    Source: visit_call in posthog/hogql/printer and functions/clickhouse/conversions.py, read in autumn 2026.
    """
    first, given = args[0], [arg.text for arg in args]
    zone = literals.string(printer.scope.context.output_timezone)
    if name in ("toDate", "to_date"):
        function = "toDateOrNull" if first.type.kind == "string" else "toDate"
        return Sql(f"{function}({first.text})", ValueType("date", first.type.nullable))
    if name == "toDateTime64" and len(given) == 1:
        given.append("6")
    if name in _MOST_WITH_ZONE:
        if len(given) < _MOST_WITH_ZONE[name]:
            given.append(zone)
        text = f"{signature.sql}({', '.join(given)})"
    else:
        text = _lenient(name, signature, nodes[0], first, given[1] if len(given) > 1 else zone)
    # Only a change of zone keeps what the value was.
    seconds = name == "toTimeZone" and first.type.whole_seconds
    return Sql(text, ValueType("datetime", first.type.nullable, seconds))


def _lenient(name: str, signature: Signature, node: Node, value: Sql, zone: str) -> str:
    """`toDateTime` and its like: which of ClickHouse's functions reads the value."""
    if name != "toDateTime":
        return f"{signature.sql}({value.text}, 6, {zone})"
    if value.type.kind != "string":
        return f"toDateTime({value.text}, {zone})"
    constant = node.get("value") if node["node"] == "Constant" else None
    if not isinstance(constant, str):
        return f"parseDateTime64BestEffortOrNull({value.text}, 6, {zone})"
    # A plain constant is read by the strict function, which lets ClickHouse use its index.
    if _SECONDS_TEXT.match(constant):
        return f"toDateTime({value.text}, {zone})"
    if _FRACTION_TEXT.match(constant):
        return f"toDateTime64({value.text}, 6, {zone})"
    return f"parseDateTime64BestEffort({value.text}, 6, {zone})"


def print_window_function(printer: Expressions, node: Node) -> Sql:
    """A function over a window.

    Raises:
        HogQLError: the function is unknown.
    """
    name, nodes = node["name"], node.get("exprs") or []
    catalogue = printer.catalogue
    found = catalogue.aggregation(name) or catalogue.function(name)
    if found is None:
        raise error_at(node, catalogue.unknown(name))
    name, signature = found
    _check({**node, "args": nodes, "params": node.get("args") or None}, "Function", signature)
    args = [_argument(printer, arg) for arg in nodes]
    texts = [arg.text for arg in args]
    window = printer.over(node)
    if name in ("lag", "lead"):
        # Beyond the edge is NULL in SQL; ClickHouse's functions see only the frame and give a default.
        texts[0] = f"toNullable({texts[0]})"
        if node.get("over_expr") and not node["over_expr"].get("frame_method"):
            window = f"{window[:-1]} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    parameters = ", ".join(printer.print(parameter).text for parameter in node.get("args") or [])
    text = f"{signature.sql}{f'({parameters})' if parameters else ''}({', '.join(texts)}) OVER {window}"
    return Sql(text, _result(name, args))
