"""The functions that HogQL lets through, with how many arguments each takes and what it is in ClickHouse.

Source: posthog/hogql/functions/mapping.py and posthog/hogql/functions/clickhouse/*.py of PostHog/posthog, read in
autumn 2026. Notable absences, all refused today: `sipHash64`, `MD5` (there is `md5`, in hex), `toUnixTimestamp64Micro`,
`toInt64` and the other typed conversions, `cast`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from posthog_warehouse.sandbox.hogql.aggregations import AGGREGATIONS, Signature
from posthog_warehouse.sandbox.hogql.values import Kind, words

# (fewest, most arguments) -> names that are the same in ClickHouse. None: any number.
_SAME: dict[tuple[int, int | None], str] = {
    (0, 0): """
        e pi rand rank dense_rank row_number rowNumberInBlock rowNumberInAllBlocks
    """,
    (1, 1): """
        negate abs empty notEmpty length reverse arrayEnumerate arrayPopBack arrayPopFront arrayJoin arrayDifference
        arrayDistinct arrayEnumerateDense arrayReverse arrayFlatten arrayCompact arrayProduct isNotNull assumeNotNull
        toNullable toBool toJSONString toTypeName hex unhex cityHash64
        reinterpretAsUInt8 reinterpretAsUInt16 reinterpretAsUInt32 reinterpretAsUInt64 reinterpretAsUInt128
        reinterpretAsUInt256 reinterpretAsInt8 reinterpretAsInt16 reinterpretAsInt32 reinterpretAsInt64
        reinterpretAsInt128 reinterpretAsInt256 reinterpretAsFloat32 reinterpretAsFloat64 reinterpretAsUUID
        timeZoneOf timeZoneOffset toYear toQuarter toMonth toDayOfYear toDayOfMonth toHour toMinute toSecond
        toUnixTimestamp64Milli fromUnixTimestamp64Milli toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth
        toLastDayOfMonth toMonday toStartOfHour toStartOfMinute toStartOfFiveMinutes toStartOfTenMinutes
        toStartOfFifteenMinutes toStartOfSecond toTime toISOYear toISOWeek timeSlot toYYYYMM toYYYYMMDD
        toYYYYMMDDhhmmss monthName fromUnixTimestamp toIntervalSecond toIntervalMinute toIntervalHour toIntervalDay
        toIntervalWeek toIntervalMonth toIntervalQuarter toIntervalYear
        lengthUTF8 lower upper lowerUTF8 upperUTF8 isValidUTF8 toValidUTF8 reverseUTF8 base58Encode base58Decode
        tryBase58Decode base64Encode base64Decode tryBase64Decode encodeXMLComponent decodeXMLComponent
        extractTextFromHTML ascii regexpQuoteMeta tokens initcap isValidJSON
        exp log ln exp2 log2 exp10 log10 sqrt cbrt erf erfc lgamma tgamma sin cos tan asin acos atan intExp2 intExp10
        cosh acosh sinh asinh atanh log1p sign degrees radians factorial roundToExp2 roundDuration roundAge
        not mapKeys mapValues bitNot bitCount bitmapBuild bitmapToArray bitmapCardinality bitmapMin bitmapMax
        protocol domain domainWithoutWWW topLevelDomain firstSignificantSubdomain cutToFirstSignificantSubdomain
        cutToFirstSignificantSubdomainWithWWW path pathFull queryString fragment queryStringAndFragment
        extractURLParameters extractURLParameterNames URLHierarchy URLPathHierarchy encodeURLComponent
        decodeURLComponent encodeURLFormComponent decodeURLFormComponent netloc cutWWW cutQueryString cutFragment
        cutQueryStringAndFragment untuple tupleToNameValuePairs tupleNegate isFinite isInfinite isNaN
        formatReadableDecimalSize formatReadableSize formatReadableQuantity indexHint first_value last_value
        L1Norm L2Norm LinfNorm L1Normalize L2Normalize LinfNormalize
    """,
    (2, 2): """
        plus minus multiply divide intDiv intDivOrZero modulo moduloOrZero positiveModulo gcd lcm max2 min2
        arrayElement has hasAll hasAny hasSubstr indexOf countEqual arrayPushBack arrayPushFront arrayAUC
        arrayWithConstant arrayRotateLeft arrayRotateRight toUUIDOrDefault timeStampAdd timeStampSub
        addYears addMonths addWeeks addDays addHours addMinutes addSeconds addQuarters subtractYears subtractMonths
        subtractWeeks subtractDays subtractHours subtractMinutes subtractSeconds subtractQuarters dateName
        appendTrailingCharIfAbsent endsWith startsWith multiSearchAllPositions multiSearchFirstPosition
        multiSearchFirstIndex multiSearchAny match multiMatchAny multiMatchAnyIndex extract extractAll
        extractAllGroupsHorizontal extractAllGroupsVertical extractGroups extractAllGroups ngramDistance ngramSearch
        countMatches countMatchesCaseInsensitive hasSubsequence hasSubsequenceCaseInsensitive hasToken
        hasTokenCaseInsensitive ngrams repeat pow power atan2 hypot roundDown ifNull nullIf
        mapFromArrays mapContains mapContainsKeyLike mapExtractKeyLike mapApply mapFilter mapUpdate
        bitAnd bitOr bitXor bitShiftLeft bitShiftRight bitRotateLeft bitRotateRight bitTest bitHammingDistance
        bitmapContains bitmapHasAny bitmapHasAll bitmapAnd bitmapOr bitmapXor bitmapAndnot bitmapAndCardinality
        bitmapOrCardinality bitmapXorCardinality bitmapAndnotCardinality extractURLParameter cutURLParameter
        tupleHammingDistance tuplePlus tupleMinus tupleMultiply tupleDivide tupleMultiplyByNumber
        tupleDivideByNumber dotProduct ifNotFinite least greatest nth_value L1Distance L2Distance LinfDistance
        cosineDistance
    """,
    (3, 3): """
        age substring substringUTF8 convertCharset replace replaceAll replaceOne replaceRegexpAll replaceRegexpOne
        translate translateUTF8 lpad rpad if bitSlice bitmapSubsetInRange bitmapSubsetLimit subBitmap bitmapTransform
    """,
    (1, 2): """
        toUnixTimestamp toStartOfDay toLastDayOfWeek arrayMin arrayMax arraySum arrayAvg arrayStringConcat
        splitByWhitespace splitByNonAlpha alphaTokens trimLeft trimRight trim floor ceil trunc round roundBankers port
        formatReadableTimeDelta toFloatOrDefault toString
    """,
    (1, 3): "range toDayOfWeek toWeek toYearWeek lagInFrame leadInFrame mapPopulateSeries JSONExtractKeysAndValues",
    (2, 3): """
        multiplyDecimal divideDecimal arrayResize arraySlice toStartOfInterval dateAdd dateSub timeSlots formatDateTime
        leftPad rightPad leftPadUTF8 rightPadUTF8 position positionCaseInsensitive positionUTF8
        positionCaseInsensitiveUTF8 locate countSubstrings countSubstringsCaseInsensitive splitByChar splitByString
        splitByRegexp regexpExtract tupleElement dateTrunc
    """,
    (3, 4): "transform",
    (4, 4): "width_bucket bar",
    (0, None): "array map tuple",
    (1, None): """
        arrayCount arraySort arrayUniq arrayIntersect arrayExists arrayAll arrayCumSum arrayCumSumNonNegative coalesce
        JSONHas JSONLength JSONArrayLength JSONType JSONExtractUInt JSONExtractInt JSONExtractFloat JSONExtractBool
        JSONExtractString JSONExtractKey JSONExtractKeys JSONExtractRaw JSONExtractArrayRaw JSONExtractKeysAndValuesRaw
    """,
    (2, None): """
        arrayConcat arrayEnumerateUniq arrayFilter arrayZip arrayMap arrayFill arraySplit arrayReverseFill
        arrayReverseSplit arrayFirst arrayLast arrayFirstIndex arrayLastIndex arrayReduce and or xor format concat
        concatWithSeparator mapAdd mapSubtract JSONExtract JSON_VALUE
    """,
    (3, None): "multiIf arrayFold bitTestAll bitTestAny",
}

# Names that are something else in ClickHouse, or a template over the arguments.
_OTHER: dict[str, Signature] = {
    "isEmpty": Signature("empty", 1, 1),
    "isNotEmpty": Signature("notEmpty", 1, 1),
    "isNull": Signature("isNull", 1, 1, any_case=True),
    "left": Signature("leftUTF8", 2, 2),
    "right": Signature("rightUTF8", 2, 2),
    "ltrim": Signature("trimLeft", 1, 2),
    "rtrim": Signature("trimRight", 1, 2),
    "btrim": Signature("trim", 1, 2),
    "arrayReverseSort": Signature("arrayReverseSort", 1, None),
    "toInt": Signature("accurateCastOrNull({0}, 'Int64')", 1, 1),
    "toFloat": Signature("accurateCastOrNull({0}, 'Float64')", 1, 1),
    "toUUID": Signature("accurateCastOrNull({0}, 'UUID')", 1, 1),
    "toNullableString": Signature("accurateCastOrNull({0}, 'Nullable(String)')", 1, 1),
    "toIntOrZero": Signature("toInt64OrZero", 1, 1),
    "toFloatOrZero": Signature("toFloat64OrZero", 1, 1),
    "toDecimal": Signature("toDecimal64OrNull", 2, 2),
    "_toInt8": Signature("toInt8", 1, 1),
    "_toInt16": Signature("toInt16", 1, 1),
    "_toInt32": Signature("toInt32", 1, 1),
    "_toInt64": Signature("toInt64", 1, 1),
    "_toUInt64": Signature("toUInt64", 1, 1),
    "_toUInt128": Signature("toUInt128", 1, 1),
    "_toDate": Signature("toDate", 1, 1),
    "toModifiedJulianDay": Signature("toModifiedJulianDayOrNull", 1, 1),
    "fromModifiedJulianDay": Signature("fromModifiedJulianDayOrNull", 1, 1),
    "date_diff": Signature("dateDiff", 3, 3),
    "dateDiff": Signature("dateDiff", 3, 3),
    "date_trunc": Signature("dateTrunc", 2, 3),
    "date_add": Signature("plus({0}, {1})", 2, 2),
    "date_subtract": Signature("minus({0}, {1})", 2, 2),
    "date_bin": Signature("toStartOfInterval({1}, {0}, {2})", 3, 3),
    "timezone": Signature("toTimeZone({1}, {0})", 2, 2),
    "make_date": Signature("makeDate", 3, 3),
    "to_char": Signature("formatDateTime", 2, 3),
    "md5": Signature("hex(MD5({0}))", 1, 1),
    "split_part": Signature("arrayElement(splitByString({1}, {0}), {2})", 3, 3),
    "lag": Signature("lagInFrame", 1, 3),
    "lead": Signature("leadInFrame", 1, 3),
    # Printed by rules of their own, see calls.py.
    "toDate": Signature("toDate", 1, 1),
    "to_date": Signature("toDate", 1, 1),
    "toDateTime": Signature("toDateTime", 1, 2),
    "toDateTime64": Signature("toDateTime64", 1, 3),
    "toDateTimeUS": Signature("parseDateTime64BestEffortUSOrNull", 1, 2),
    "parseDateTimeBestEffort": Signature("parseDateTime64BestEffortOrNull", 1, 2),
    "parseDateTime": Signature("parseDateTimeOrNull", 2, 3),
    "toTimeZone": Signature("toTimeZone", 1, 2),
    "toStartOfWeek": Signature("toStartOfWeek", 1, 2),
    "make_timestamp": Signature("makeDateTime", 6, 7),
    "UUIDv7ToDateTime": Signature("UUIDv7ToDateTime", 1, 1),
    "now": Signature("now64", 0, 1, any_case=True),
    "nowInBlock": Signature("now64", 0, 1),
    "current_timestamp": Signature("now64", 0, 0),
    "today": Signature("today", 0, 0),
    "current_date": Signature("today", 0, 0),
    "yesterday": Signature("yesterday", 0, 0),
}

_ANY_CASE = words(
    """
            abs max2 min2 length reverse coalesce ifNull nullIf lower upper concat substring trim ascii position extract
            replace floor ceil trunc round exp log ln log2 log10 sqrt sin cos tan asin acos atan pow power sign degrees
            radians factorial not if least greatest
            """
)

FUNCTIONS: dict[str, Signature] = {
    **{
        name: Signature(name, least, most, any_case=name in _ANY_CASE)
        for (least, most), names in _SAME.items()
        for name in names.split()
    },
    **_OTHER,
}

#: Comparisons written as functions.
COMPARISONS: dict[str, str] = {
    "equals": "==",
    "notEquals": "!=",
    "less": "<",
    "greater": ">",
    "lessOrEquals": "<=",
    "greaterOrEquals": ">=",
    "like": "like",
    "ilike": "ilike",
    "notLike": "not like",
    "notILike": "not ilike",
    "in": "in",
    "notIn": "not in",
}

#: Kinds of results, where a later conversion depends on them.
RESULT_KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        words(
            """
            toDateTime toDateTime64 toDateTimeUS parseDateTime parseDateTimeBestEffort now current_timestamp nowInBlock
            toTimeZone timezone toStartOfHour toStartOfMinute toStartOfSecond toStartOfFiveMinutes toStartOfTenMinutes
            toStartOfFifteenMinutes toStartOfDay toStartOfInterval date_bin fromUnixTimestamp fromUnixTimestamp64Milli
            make_timestamp UUIDv7ToDateTime timeSlot
            """
        ),
        "datetime",
    ),
    **dict.fromkeys(
        words(
            """
            toDate to_date _toDate today current_date yesterday toStartOfYear toStartOfISOYear toStartOfQuarter
            toStartOfMonth toStartOfWeek toMonday toLastDayOfMonth toLastDayOfWeek make_date
            """
        ),
        "date",
    ),
    **dict.fromkeys(
        words(
            """
            toString toNullableString lower upper concat substring replaceAll replaceOne replaceRegexpAll trim hex
            toJSONString JSONExtractString JSONExtractRaw formatDateTime toTypeName arrayStringConcat md5
            """
        ),
        "string",
    ),
    **dict.fromkeys(
        words(
            """
            toInt toIntOrZero length cityHash64 dateDiff date_diff toUnixTimestamp toUnixTimestamp64Milli toYear toMonth
            toHour count uniq uniqExact countIf countDistinct row_number rank
            """
        ),
        "int",
    ),
    **dict.fromkeys(words("toFloat toFloatOrZero avg avgIf divide"), "float"),
    **dict.fromkeys(("toUUID", "reinterpretAsUUID"), "uuid"),
}

#: Functions whose result is of the kind of one of their arguments: its place.
KIND_FROM: dict[str, int] = {
    **dict.fromkeys(
        words(
            """
            ifNull coalesce nullIf assumeNotNull toNullable plus minus addDays addHours addMinutes addSeconds addWeeks
            addMonths addYears subtractDays subtractHours subtractMinutes subtractSeconds subtractWeeks subtractMonths
            subtractYears least greatest lag lead lagInFrame leadInFrame first_value last_value date_add date_subtract
            dateTrunc date_trunc
            """
        ),
        0,
    ),
    "if": 1,
    "multiIf": 1,
    "dateTrunc": 1,
    "date_trunc": 1,
}

#: Functions that never give NULL, whatever they are given.
NEVER_NULL = frozenset({"assumeNotNull", "isNull", "isNotNull", "tuple", "array", "map", "count", "concat"})

#: Functions that can give NULL although they are given none.
MAYBE_NULL = frozenset({"nullIf", "toNullable", "lag", "lead"})


class Catalogue:
    """The functions of one server: today's, without those that it lacks.

    Args:
        missing: names; `name/2` says that only the form with two arguments or more is missing.
    """

    def __init__(self, missing: frozenset[str]) -> None:
        self._missing = missing

    def aggregation(self, name: str) -> tuple[str, Signature] | None:
        """The aggregation of that name, with its proper spelling."""
        return self._find(name, AGGREGATIONS)

    def function(self, name: str) -> tuple[str, Signature] | None:
        """The function of that name, with its proper spelling."""
        return self._find(name, FUNCTIONS)

    def unknown(self, name: str) -> str:
        """PostHog's sentence for a function that it does not know."""
        known = [
            known
            for known in (*FUNCTIONS, *COMPARISONS, *AGGREGATIONS)
            if not known.startswith("_") and known not in self._missing
        ]
        close = get_close_matches(name, known, 1)
        hint = f". Perhaps you meant '{close[0]}(...)'?" if close else ""
        return f"Unsupported function call '{name}(...)'{hint}"

    def _find(self, name: str, functions: Mapping[str, Signature]) -> tuple[str, Signature] | None:
        found = name if name in functions else _SPELLINGS.get(name.lower(), "")
        if found not in functions or found in self._missing:
            return None
        signature = functions[found]
        for form in self._missing:
            if form.startswith(f"{found}/"):
                signature = replace(signature, most=int(form.partition("/")[2]) - 1)
        return found, signature


_SPELLINGS: dict[str, str] = {
    name.lower(): name
    for functions in (FUNCTIONS, AGGREGATIONS)
    for name, signature in functions.items()
    if signature.any_case
}


def wrong_arguments(term: str, name: str, found: int, least: int, most: int | None, *, what: str) -> str | None:
    """PostHog's sentence for a wrong number of arguments or parameters; None when it is right."""
    if found >= least and (most is None or found <= most):
        return None
    if least == most:
        expected, number = "", least
    elif found < least:
        expected, number = "at least ", least
    else:
        expected, number = "at most ", most if most is not None else least
    plural = "" if number == 1 else "s"
    return f"{term} '{name}' expects {expected}{number} {what}{plural}, found {found}"
