"""The aggregations that HogQL lets through, with how many arguments each takes.

Source: posthog/hogql/functions/aggregations.py of PostHog/posthog, read in autumn 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from posthog_warehouse.sandbox.hogql.values import words


@dataclass(frozen=True)
class Signature:
    """A function of HogQL.

    Attributes:
        sql: its name in ClickHouse, or a template with `{0}`, `{1}`, ... for its arguments.
        least: fewest arguments.
        most: most arguments; None is any number.
        parameters: fewest and most parameters, as in `quantile(0.5)(x)`.
        any_case: it is known in any spelling of upper and lower case.
    """

    sql: str
    least: int
    most: int | None
    parameters: tuple[int, int | None] = (0, 0)
    any_case: bool = False


# (fewest, most arguments) -> names. Each also exists with -If, which takes the condition as one argument more.
_WITH_IF: dict[tuple[int, int | None], str] = {
    (1, 1): """
        any anyHeavy anyLast avg countDistinct deltaSum groupArray groupArrayMovingAvg groupArrayMovingSum groupBitAnd
        groupBitOr groupBitXor groupBitmap groupBitmapAnd groupBitmapOr groupBitmapXor groupUniqArray kurtPop kurtSamp
        max median medianBFloat16 medianDeterministic medianExact medianExactHigh medianExactLow medianExactWeighted
        medianTDigest medianTDigestWeighted medianTiming medianTimingWeighted min skewPop skewSamp stddevPop stddevSamp
        sum sumWithOverflow varPop varSamp
    """,
    (2, 2): """
        argMax argMin avgWeighted contingency covarPop covarSamp cramersV cramersVBiasCorrected deltaSumTimestamp
        groupArrayInsertAt maxIntersections maxIntersectionsPosition simpleLinearRegression theilsU
    """,
    (1, 2): "avgMap maxMap minMap sumMap",
    (1, None): "uniq uniqExact uniqHLL12 uniqTheta",
}

_WITHOUT_IF: dict[tuple[int, int | None], str] = {
    (1, 1): """
        argMaxMerge argMinMerge avgMerge avgState countMerge groupBitmapAndState groupBitmapOrState groupBitmapState
        sumForEachMerge sumForEachState sumMapMerge sumMerge sumState uniqMap uniqMapMerge uniqMerge uniqState
    """,
    (2, 2): "argMaxState argMinState avgMergeIf avgStateIf corr sumMapMergeIf sumMergeIf sumStateIf uniqMergeIf",
    (1, None): "uniqExactMerge uniqExactState",
    (0, 1): "count countState",
    (1, 2): "countIf countStateIf",
    (1, 99): "windowFunnel",
}

# Basic aggregations that take any of ClickHouse's combinators, and how many arguments a combinator adds.
_BASIC: dict[str, tuple[int, int]] = {
    "avg": (1, 1),
    "sum": (1, 1),
    "min": (1, 1),
    "max": (1, 1),
    "count": (0, 1),
    "countDistinct": (1, 1),
    "median": (1, 1),
}
_COMBINATORS = {
    "Array": 0,
    "Map": 0,
    "State": 0,
    "Merge": 0,
    "ForEach": 0,
    "OrDefault": 0,
    "OrNull": 0,
    "ArgMin": 1,
    "ArgMax": 1,
}
_SUFFIXES = {"": 0, "If": 1, "OrDefault": 0, "OrNull": 0}

_ANY_CASE = frozenset({"count", "min", "max", "sum", "avg"})

_PARAMETRIC: dict[str, Signature] = {
    "quantile": Signature("quantile", 1, 1, (1, 1)),
    "quantileIf": Signature("quantileIf", 2, 2, (1, 1)),
    "quantileExact": Signature("quantileExact", 1, 1, (1, 1)),
    "quantiles": Signature("quantiles", 1, None, (0, None)),
    "quantilesIf": Signature("quantilesIf", 2, 2, (1, None)),
    "topK": Signature("topK", 1, 1, (1, 1)),
    "groupUniqArrayArray": Signature("groupUniqArrayArray", 1, 1, (0, 1)),
    "groupUniqArrayArrayIf": Signature("groupUniqArrayArrayIf", 2, 2, (0, 1)),
    "groupArraySample": Signature("groupArraySample", 1, 1, (1, 2)),
    "groupArraySampleIf": Signature("groupArraySampleIf", 2, 2, (1, 2)),
    "windowFunnel": Signature("windowFunnel", 1, 99, (1, 3)),
}

_POSTGRES: dict[str, Signature] = {
    "array_agg": Signature("groupArray", 1, 1),
    "json_agg": Signature("toJSONString(groupArray({0}))", 1, 1),
    "string_agg": Signature("arrayStringConcat(groupArray({0}), {1})", 2, 2),
    "every": Signature("toBool(min({0}))", 1, 1),
    "avgArray": Signature("avgArrayOrNull", 1, 1),
    "medianArray": Signature("medianArrayOrNull", 1, 1),
}


def _plus(number: int | None, more: int) -> int | None:
    return None if number is None else number + more


def _build() -> dict[str, Signature]:
    found: dict[str, Signature] = {}
    for name, (least, most) in _BASIC.items():
        for combinator, more in _COMBINATORS.items():
            for suffix, condition in _SUFFIXES.items():
                full = name + combinator + suffix
                if suffix != combinator:
                    found[full] = Signature(full, least + more + condition, most + more + condition)
    for (least, maximum), names in _WITH_IF.items():
        for name in names.split():
            found[name] = Signature(name, least, maximum, any_case=name in _ANY_CASE)
            found[name + "If"] = Signature(name + "If", least + 1, _plus(maximum, 1))
    for (least, maximum), names in _WITHOUT_IF.items():
        for name in names.split():
            found[name] = Signature(name, least, maximum, any_case=name in _ANY_CASE)
    return {**found, "countDistinctIf": Signature("countDistinctIf", 1, 2), **_PARAMETRIC, **_POSTGRES}


AGGREGATIONS: dict[str, Signature] = _build()

#: Aggregations that may be named in `arrayReduce('sum', ...)`.
REDUCERS = words("""
    count countMap countMapState sum sumMap sumMapState min minMap minMapState max maxMap maxMapState avg avgState
    avgMap avgMapState median uniq uniqState uniqMap uniqMapState
    """)

_KEEPS_KIND = re.compile(r"(any|anyHeavy|anyLast|min|max|argMin|argMax)(If|OrNull|OrDefault)?\Z")


def keeps_kind(name: str) -> bool:
    """Whether the result is of the kind of the first argument, as with `max`."""
    return _KEEPS_KIND.match(name) is not None
