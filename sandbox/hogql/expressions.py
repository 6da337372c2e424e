"""Expressions as ClickHouse SQL: fields, literals, operators, casts, lambdas, windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.calls import print_call, print_window_function
from posthog_warehouse.sandbox.hogql.comparisons import print_comparison
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.functions import Catalogue
from posthog_warehouse.sandbox.hogql.naming import ARITHMETIC_NAMES
from posthog_warehouse.sandbox.hogql.nodes import Node, error_at
from posthog_warehouse.sandbox.hogql.scope import Cte, Scope
from posthog_warehouse.sandbox.hogql.values import ARRAY, BOOL, FLOAT, INT, STRING, UNKNOWN, Kind, Sql, ValueType

# Cast names (any case) -> ClickHouse type and kind. Source: docs of SQL in PostHog and ClickHouse's aliases.
_CASTS: dict[str, tuple[str, Kind]] = {
    **dict.fromkeys(("int", "integer", "bigint", "int64", "int8"), ("Int64", "int")),
    **dict.fromkeys(("int32", "smallint"), ("Int32", "int")),
    "uint64": ("UInt64", "int"),
    **dict.fromkeys(("float", "double", "real", "float64"), ("Float64", "float")),
    **dict.fromkeys(("text", "varchar", "string"), ("String", "string")),
    **dict.fromkeys(("bool", "boolean"), ("Bool", "bool")),
    "date": ("Date", "date"),
    **dict.fromkeys(("timestamp", "datetime", "timestamptz"), ("DateTime64(6, 'UTC')", "datetime")),
    "uuid": ("UUID", "uuid"),
}
_FRAME_ENDS = {"CURRENT ROW": "CURRENT ROW", "PRECEDING": "PRECEDING", "FOLLOWING": "FOLLOWING"}


class Expressions:
    """Prints the expressions of one SELECT.

    Args:
        scope: the names.
        subquery: prints a query that stands inside an expression.

    Attributes:
        in_join: inside ON, where ClickHouse wants bare comparisons.
        aggregates: the aggregations around the place being printed.
    """

    def __init__(self, scope: Scope, subquery: Callable[[Node, Scope], str]) -> None:
        self.scope = scope
        self.catalogue = Catalogue(scope.context.behaviour.missing_functions)
        self.in_join = False
        self.aggregates: list[str] = []
        self.subquery = subquery

    def print(self, node: Node) -> Sql:
        """An expression as SQL.

        Raises:
            HogQLError: it names something unknown, or is of a kind that the sandbox does not have.
        """
        printed = self._raw(node)
        if not printed.path:
            return printed
        if printed.type.kind == "unknown":
            raise error_at(node, f"Unable to resolve field: {'.'.join(map(str, printed.path))}")
        return _property(printed)

    def _raw(self, node: Node) -> Sql:
        """The same, where keys into JSON may still follow."""
        method = _PRINTERS.get(node["node"])
        if method is None:
            raise error_at(node, f"{node['node']} is not supported here")
        return method(self, node)

    def several(self, nodes: list[Node]) -> str:
        """Expressions in a row."""
        return ", ".join(self.print(node).text for node in nodes)

    def over(self, node: Node) -> str:
        """The window of a window function."""
        if node.get("over_identifier"):
            return literals.identifier(node["over_identifier"])
        return f"({self.window(node['over_expr'])})"

    def window(self, node: Node) -> str:
        """PARTITION BY, ORDER BY and the frame."""
        parts = []
        if node.get("partition_by"):
            parts.append(f"PARTITION BY {self.several(node['partition_by'])}")
        if node.get("order_by"):
            parts.append(f"ORDER BY {', '.join(self.order(item) for item in node['order_by'])}")
        if node.get("frame_method"):
            start, end = node.get("frame_start"), node.get("frame_end")
            frame = f"BETWEEN {_frame(start)} AND {_frame(end)}" if end else _frame(start)
            parts.append(f"{'RANGE' if node['frame_method'] == 'RANGE' else 'ROWS'} {frame}")
        return " ".join(parts)

    def order(self, node: Node) -> str:
        """One expression of ORDER BY."""
        text = f"{self.print(node['expr']).text} {'DESC' if node.get('order') == 'DESC' else 'ASC'}"
        fill = node.get("with_fill")
        if not fill:
            return text
        words = (("from_value", "FROM"), ("to_value", "TO"), ("step_value", "STEP"), ("staleness_value", "STALENESS"))
        limits = "".join(f" {word} {self.print(fill[key]).text}" for key, word in words if fill.get(key))
        return f"{text} WITH FILL{limits}"

    def _field(self, node: Node) -> Sql:
        if node["chain"] == ["*"]:
            raise error_at(node, "Unexpected '*' here")
        try:
            found = self.scope.resolve(node["chain"])
        except HogQLError as error:
            raise error_at(node, error.detail) from None
        return self._with_expression(found) if isinstance(found, Cte) else found

    def _with_expression(self, cte: Cte) -> Sql:
        outer, self.scope.ctes = self.scope.ctes, cte.visible
        try:
            return self.print(cte.node)
        finally:
            self.scope.ctes = outer

    def _constant(self, node: Node) -> Sql:
        value, numeric = node.get("value"), node.get("value_type") == "number"
        text = literals.scalar(value, numeric=numeric)
        if value is None:
            return Sql(text, ValueType("null", nullable=True))
        if isinstance(value, bool):
            return Sql(text, BOOL)
        if isinstance(value, int):
            return Sql(text, INT)
        return Sql(text, FLOAT if numeric or isinstance(value, float) else STRING)

    def _alias(self, node: Node) -> Sql:
        inner = self.print(node["expr"])
        self.scope.aliases[node["alias"]] = inner.type
        return Sql(f"({inner.text} AS {literals.identifier(node['alias'])})", inner.type)

    def _access(self, node: Node) -> Sql:
        """`a[1]`, `a.1`, `a['key']`: of JSON a key, of others an element."""
        tuple_access = node["node"] == "TupleAccess"
        base = self._raw(node["tuple"] if tuple_access else node["array"])
        key: Any = node["index"] if tuple_access else node["property"].get("value")
        constant = tuple_access or node["property"]["node"] == "Constant"
        if (base.type.kind == "json" or base.path) and constant and isinstance(key, (str, int)):
            return Sql(base.text, base.type, (*base.path, key))
        text = self.print(node["tuple"] if tuple_access else node["array"]).text
        if tuple_access:
            return Sql(f"tupleElement({text}, {int(key)})", UNKNOWN)
        return Sql(f"arrayElement({text}, {self.print(node['property']).text})", UNKNOWN)

    def _slice(self, node: Node) -> Sql:
        array = self.print(node["array"]).text
        start = self.print(node["start_expr"]).text if node.get("start_expr") else "1"
        if not node.get("end_expr"):
            return Sql(f"arraySlice({array}, {start})", ARRAY)
        end = self.print(node["end_expr"]).text
        return Sql(f"arraySlice({array}, {start}, plus(minus({end}, {start}), 1))", ARRAY)

    def _arithmetic(self, node: Node) -> Sql:
        left, right = self.print(node["left"]), self.print(node["right"])
        kinds = {left.type.kind, right.type.kind}
        kind: Kind = "datetime" if "datetime" in kinds else "date" if "date" in kinds else "unknown"
        if {"datetime", "date"} >= kinds:
            kind = "int"
        elif kind == "unknown" and kinds <= {"int", "float"}:
            kind = "float" if "float" in kinds or node["op"] == "/" else "int"
        text = f"{ARITHMETIC_NAMES[node['op']]}({left.text}, {right.text})"
        return Sql(text, ValueType(kind, left.type.nullable or right.type.nullable))

    def _logical(self, node: Node) -> Sql:
        parts = [self.print(part).text for part in node["exprs"]]
        if len(parts) == 1:
            return Sql(parts[0], BOOL)
        return Sql(f"{node['node'].lower()}({', '.join(parts)})", BOOL)

    def _not(self, node: Node) -> Sql:
        inner = self.print(node["expr"])
        return Sql(f"not({inner.text})", ValueType("bool", inner.type.nullable))

    def _between(self, node: Node) -> Sql:
        inner = self.print(node["expr"])
        low, high = self.print(node["low"]), self.print(node["high"])
        text = f"and(greaterOrEquals({inner.text}, {low.text}), lessOrEquals({inner.text}, {high.text}))"
        negated = bool(node.get("negated"))
        if negated:
            text = f"not({text})"
        if inner.type.nullable or low.type.nullable or high.type.nullable:
            text = f"ifNull({text}, {int(negated)})"
        return Sql(text, BOOL)

    def _distinct_from(self, node: Node) -> Sql:
        text = f"({self.print(node['left']).text}) <=> ({self.print(node['right']).text})"
        return Sql(f"({text})" if node.get("negated") else f"not({text})", BOOL)

    def _cast(self, node: Node) -> Sql:
        target = _CASTS.get(node["type_name"].lower())
        if target is None:
            raise error_at(node, f"Unsupported type: {node['type_name']}")
        inner = self.print(node["expr"])
        name, kind = target
        if node["node"] == "TryCast":
            return Sql(f"accurateCastOrNull({inner.text}, {literals.string(name)})", ValueType(kind, nullable=True))
        if inner.type.nullable:
            name = f"Nullable({name})"
        return Sql(f"CAST({inner.text}, {literals.string(name)})", ValueType(kind, inner.type.nullable))

    def _tuple(self, node: Node) -> Sql:
        return Sql(f"tuple({self.several(node['exprs'])})", ValueType("tuple"))

    def _array(self, node: Node) -> Sql:
        return Sql(f"[{self.several(node['exprs'])}]", ARRAY)

    def _lambda(self, node: Node) -> Sql:
        names = [str(name) for name in node["args"]]
        with self.scope.lambda_arguments(names):
            body = self.print(node["expr"]).text
        arguments = ", ".join(literals.identifier(name) for name in names)
        return Sql(f"{arguments if len(names) == 1 else f'({arguments})'} -> {body}", UNKNOWN)

    def _query(self, node: Node) -> Sql:
        return Sql(f"({self.subquery(node, self.scope)})", UNKNOWN)

    def _placeholder(self, node: Node) -> Sql:
        chain = node["expr"].get("chain") if node["expr"]["node"] == "Field" else None
        if chain is None:
            raise error_at(node, "You can not use expressions inside placeholders")
        raise error_at(node, f"Unresolved placeholder: {{{'.'.join(map(str, chain))}}}")


def _property(printed: Sql) -> Sql:
    """A property as PostHog reads it out of JSON text: unquoted, empty and `null` as NULL, escapes left as they are."""
    keys = ", ".join(literals.scalar(key) for key in printed.path)
    raw = f"nullIf(nullIf(JSONExtractRaw({printed.text}, {keys}), ''), 'null')"
    return Sql(f"replaceRegexpAll({raw}, '^\"|\"$', '')", ValueType("string", nullable=True))


def _frame(node: Node | None) -> str:
    if node is None:
        return "UNBOUNDED PRECEDING"
    kind = _FRAME_ENDS.get(node.get("frame_type") or "")
    if kind is None:
        raise error_at(node, f"Invalid frame type {node.get('frame_type')}")
    if kind == "CURRENT ROW":
        return kind
    value = node.get("frame_value")
    return f"{'UNBOUNDED' if value is None else int(value)} {kind}"


_PRINTERS: dict[str, Callable[[Expressions, Node], Sql]] = {
    "Field": Expressions._field,
    "Constant": Expressions._constant,
    "Alias": Expressions._alias,
    "Call": print_call,
    "WindowFunction": print_window_function,
    "CompareOperation": print_comparison,
    "ArithmeticOperation": Expressions._arithmetic,
    "And": Expressions._logical,
    "Or": Expressions._logical,
    "Not": Expressions._not,
    "BetweenExpr": Expressions._between,
    "IsDistinctFrom": Expressions._distinct_from,
    "TypeCast": Expressions._cast,
    "TryCast": Expressions._cast,
    "ArrayAccess": Expressions._access,
    "TupleAccess": Expressions._access,
    "ArraySlice": Expressions._slice,
    "Tuple": Expressions._tuple,
    "Array": Expressions._array,
    "Lambda": Expressions._lambda,
    "SelectQuery": Expressions._query,
    "SelectSetQuery": Expressions._query,
    "Placeholder": Expressions._placeholder,
}
