"""Values of one property as a typed Arrow array: exactly what the JSON says, or NULL.

Without a declaration of PostHog's nothing is read as what it is not: "5" and "true" are texts. Where PostHog declares a
type, values are read as its queries read them (posthog/hogql/transforms/property_types.py and functions/clickhouse/
conversions.py, autumn 2026): numbers in texts count as Numeric, "true" and "false" as Boolean, and DateTime is an ISO
text (UTC unless it says otherwise; a query takes the project's time zone there) or seconds, milliseconds or
microseconds since 1970, told apart by 9 or 10, 13 and 16 digits, tried on ClickHouse 26.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..pages.arrow import ARROW_TYPES, UTC_MICROS
from .infer import Declared, Kind, PropertyType
from .pairs import Cells

WIDE = pa.decimal128(38, 0)

PROPERTY_TYPES: Mapping[str, pa.DataType] = {**ARROW_TYPES, "decimal": WIDE}
"""dlt's types in pages, with that of whole numbers of up to 38 digits."""

_STRING, _TRUE, _FALSE, _OBJECT, _LIST = (ord(sign) for sign in '"tf{[')
_DIGITS = np.frombuffer(b"0123456789-", np.uint8)
MAX_EXACT = 2**53 - 1
"""Up to here either way, a double is one whole number only (JavaScript's MAX_SAFE_INTEGER)."""

_WHOLE = r"^-?\d{1,38}$"
_NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"
_DAY = r"[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_OFFSET = r"(Z|[+-](0\d|1[0-4]):?[0-5]\d)"
_DATE = f"^{_DAY}$"
_TIME = f"^{_DAY}[T ]{_CLOCK}{_OFFSET}$"
_LOCAL_TIME = f"^{_DAY}[T ]{_CLOCK}$"
_EPOCHS = ((r"^\d{9,10}(\.\d{1,6})?$", 6), (r"^\d{13}$", 3), (r"^\d{16}$", 0))
"""Of a moment: seconds, milliseconds, microseconds; and how many powers of ten they are from microseconds."""


def fit(cells: Cells, wanted: PropertyType, declared: Declared | None) -> pa.Array:
    """The values as an array of type `wanted`, of the length of `cells`: NULL where a value does not fit."""
    if wanted == "text":
        return cells.texts
    if wanted == "json":
        return _only(cells.texts, _is_nested(cells))
    if wanted == "bool":
        return _flags(cells, declared)
    if wanted in {"date", "timestamp"}:
        return _moments(cells, wanted, declared)
    return _numbers(cells, wanted, declared)


def kinds_of(cells: Cells, declared: Declared | None) -> Kind:
    """The kinds of values there are; those that could never fit what PostHog declares are left out."""
    if not len(cells):
        return Kind(0)
    if declared == "String":
        return Kind.TEXT
    if declared == "Boolean":
        return Kind.BOOL if _flags(cells, declared).null_count < len(cells) else Kind(0)
    if declared == "DateTime":
        return Kind.TIME if _moments(cells, "timestamp", declared).null_count < len(cells) else Kind(0)
    if declared is not None:
        return _number_kinds(cells.texts.filter(pa.array(_is_number(cells, declared))), other=Kind(0))
    first_bytes = cells.first_bytes
    kinds = Kind(0)
    if np.isin(first_bytes, (_TRUE, _FALSE)).any():
        kinds |= Kind.BOOL
    if _is_nested(cells).any():
        kinds |= Kind.NESTED
    is_string = first_bytes == _STRING
    if is_string.any():
        kinds |= _string_kinds(cells.texts.filter(pa.array(is_string)))
    is_rest = ~np.isin(first_bytes, (_STRING, _TRUE, _FALSE, _OBJECT, _LIST))
    if is_rest.any():
        kinds |= _number_kinds(cells.texts.filter(pa.array(is_rest)), other=Kind.TEXT)
    return kinds


def _flags(cells: Cells, declared: Declared | None) -> pa.Array:
    if declared == "Boolean":
        is_true = _np(pc.equal(cells.texts, "true"))
        is_flag = is_true | _np(pc.equal(cells.texts, "false"))
    else:
        is_true = cells.first_bytes == _TRUE
        is_flag = is_true | (cells.first_bytes == _FALSE)
    return pa.array(is_true, mask=~is_flag)


def _numbers(cells: Cells, wanted: PropertyType, declared: Declared | None) -> pa.Array:
    if np.isin(cells.first_bytes, _DIGITS).all():
        # Nearly always: nothing but numbers. Then one strict cast says whether they fit.
        try:
            return _exact(cells.texts, cells.texts.cast(PROPERTY_TYPES[wanted]))
        except pa.ArrowInvalid:
            pass
    pattern = _NUMBER if wanted == "double" else _WHOLE
    texts = _only(cells.texts, _is_number(cells, declared) & _np(pc.match_substring_regex(cells.texts, pattern)))
    if wanted == "bigint":
        wide = texts.cast(WIDE)
        low, high = (pa.scalar(Decimal(bound), WIDE) for bound in (-(2**63), 2**63 - 1))
        is_long = pc.and_(pc.greater_equal(wide, low), pc.less_equal(wide, high))
        texts = _only(texts, _np(pc.fill_null(is_long, fill_value=False)))
    return _exact(texts, texts.cast(PROPERTY_TYPES[wanted]))


def _exact(texts: pa.Array, numbers: pa.Array) -> pa.Array:
    """`numbers` without those doubles that are not what the text says: infinite, or a whole number cut short."""
    if not pa.types.is_floating(numbers.type):
        return numbers
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    is_exact = np.abs(values) <= MAX_EXACT  # also false for NaN
    if is_exact.all():
        return numbers
    is_broken = _np(pc.fill_null(pc.match_substring_regex(texts, r"[.eE]"), fill_value=False))
    return _only(numbers, is_exact | (np.isfinite(values) & is_broken))


def _is_number(cells: Cells, declared: Declared | None) -> np.ndarray:
    if declared in {"Numeric", "Duration"}:
        return _np(pc.match_substring_regex(cells.texts, _NUMBER))
    is_number: np.ndarray = np.isin(cells.first_bytes, _DIGITS)
    return is_number


def _number_kinds(texts: pa.Array, other: Kind) -> Kind:
    kinds = Kind(0)
    is_whole = _np(pc.match_substring_regex(texts, _WHOLE))
    if is_whole.any():
        wide = texts.filter(pa.array(is_whole)).cast(WIDE)
        ends = pc.min_max(wide).as_py()
        size = _np(pc.less_equal(pc.abs(wide), pa.scalar(Decimal(MAX_EXACT), WIDE)))
        is_huge = ends["min"] < -(2**63) or ends["max"] >= 2**63
        if size.any():
            kinds |= Kind.INTEGER
        if not size.all():
            low, high = (pa.scalar(Decimal(bound), WIDE) for bound in (-(2**63), 2**63 - 1))
            is_long = _np(pc.and_(pc.greater_equal(wide, low), pc.less_equal(wide, high)))
            kinds |= Kind.LONG if (is_long & ~size).any() else Kind(0)
            kinds |= Kind.HUGE if is_huge else Kind(0)
    if not is_whole.all():
        rest = texts.filter(pa.array(~is_whole))
        is_broken = _np(pc.match_substring_regex(rest, r"^-?\d+(\.\d+([eE][+-]?\d+)?|[eE][+-]?\d+)$"))
        finite = np.isfinite(rest.filter(pa.array(is_broken)).cast(pa.float64()).to_numpy(zero_copy_only=False))
        kinds |= Kind.FLOAT if finite.any() else Kind(0)
        kinds |= Kind(0) if finite.all() and is_broken.all() else other
    return kinds


def _string_kinds(texts: pa.Array) -> Kind:
    is_date, is_time = _is_day(texts, _DATE), _is_day(texts, _TIME)
    kinds = Kind.DATE if is_date.any() else Kind(0)
    kinds |= Kind.TIME if is_time.any() else Kind(0)
    return kinds if (is_date | is_time).all() else kinds | Kind.TEXT


def _moments(cells: Cells, wanted: PropertyType, declared: Declared | None) -> pa.Array:
    texts = cells.texts
    if declared != "DateTime":
        texts = _only(texts, cells.first_bytes == _STRING)
    if wanted == "date":
        return _only(texts, _is_day(texts, _DATE)).cast(pa.date32())
    if pc.all(pc.match_substring_regex(texts, _TIME)).as_py() and not texts.null_count:
        # Nearly always: then one cast also says whether all days are in the calendar.
        try:
            return texts.cast(UTC_MICROS)
        except pa.ArrowInvalid:
            pass
    is_time = _is_day(texts, _TIME)
    result = _only(texts, is_time).cast(UTC_MICROS)
    result = _filled(result, texts, _is_day(texts, _DATE), lambda days: days.cast(pa.date32()).cast(UTC_MICROS))
    if declared == "DateTime":
        local = _is_day(texts, _LOCAL_TIME)
        result = _filled(result, texts, local, lambda times: times.cast(pa.timestamp("us")).cast(UTC_MICROS))
        for pattern, power in _EPOCHS:
            is_epoch = _np(pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=False))
            result = _filled(result, texts, is_epoch, partial(_since_epoch, power=power))
    return result


def _since_epoch(texts: pa.Array, power: int) -> pa.Array:
    micros = pc.multiply(texts.cast(pa.decimal128(24, 6)), pa.scalar(Decimal(10**power)))
    return micros.cast(pa.int64()).cast(UTC_MICROS)


def _filled(result: pa.Array, texts: pa.Array, mask: np.ndarray, read: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not mask.any():
        return result
    return pc.replace_with_mask(result, pa.array(mask), read(texts.filter(pa.array(mask))))


def _is_day(texts: pa.Array, pattern: str) -> np.ndarray:
    """Which `texts` match `pattern` and begin with a day that there is: not a 30th of February."""
    mask = _np(pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=False))
    if mask.any():
        days = texts.filter(pa.array(mask))
        year, month, day = (
            pc.utf8_slice_codeunits(days, start, stop).cast(pa.int64()).to_numpy()
            for start, stop in ((0, 4), (5, 7), (8, 10))
        )
        first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
        mask[mask] = (first.astype("datetime64[D]") + (day - 1)).astype("datetime64[M]") == first
    return mask


def _is_nested(cells: Cells) -> np.ndarray:
    is_nested: np.ndarray = np.isin(cells.first_bytes, (_OBJECT, _LIST))
    return is_nested


def _only(values: pa.Array, mask: np.ndarray) -> pa.Array:
    """`values` where `mask` is true, NULL elsewhere."""
    if mask.all():
        return values
    return pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))


def _np(array: pa.Array) -> np.ndarray:
    """A writable copy of an array of booleans."""
    values: np.ndarray = np.array(array.to_numpy(zero_copy_only=False))
    return values
