"""The store runs ClickHouse and answers in PostHog's JSON."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.store import ClickHouseError, Store, quoted


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with one more table: 200,000 texts of 500 characters, 8,192 a granule."""
    store = Store(Clock())
    store.execute("CREATE TABLE texts (number UInt64, text String) ENGINE = MergeTree ORDER BY number")
    store.execute("INSERT INTO texts SELECT number, repeat('ab\"é/', 100) FROM numbers(200000)")
    yield store
    store.close()


@pytest.mark.parametrize(
    ("expression", "json"),
    [
        ("toDateTime64('2026-11-20 09:00:00.123456', 6, 'UTC')", '"2026-11-20T09:00:00.123456Z"'),
        ("toDateTime64('2026-11-20 09:00:00.123000', 6, 'UTC')", '"2026-11-20T09:00:00.123000Z"'),
        ("toDateTime64('2026-11-20 09:00:00', 6, 'UTC')", '"2026-11-20T09:00:00Z"'),
        ("toDateTime64('2026-11-20 09:00:00.5', 3, 'UTC')", '"2026-11-20T09:00:00.500000Z"'),
        ("toDateTime64('2026-11-20 09:00:00.123456789', 9, 'UTC')", '"2026-11-20T09:00:00.123456Z"'),
        ("toTimeZone(toDateTime64('2026-11-20 09:00:00.5', 6, 'UTC'), 'America/New_York')", None),
        ("toDateTime64('2026-07-01 09:00:00', 6, 'Europe/London')", '"2026-07-01T09:00:00+01:00"'),
        ("toDateTime64('2026-11-01 09:00:00', 6, 'Europe/London')", '"2026-11-01T09:00:00Z"'),
        ("toDateTime64('2026-11-01 09:00:00', 6, 'Asia/Kolkata')", '"2026-11-01T09:00:00+05:30"'),
        ("toDateTime64('1969-12-31 23:59:59.9', 6, 'UTC')", '"1969-12-31T23:59:59.900000Z"'),
        ("toDateTime('2026-11-20 09:00:00')", '"2026-11-20T09:00:00Z"'),
        ("CAST(NULL AS Nullable(DateTime64(6, 'UTC')))", "null"),
        ("[toDateTime('2026-11-20 09:00:00', 'UTC')]", '["2026-11-20T09:00:00Z"]'),
        ("tuple(1, [toDateTime64('2026-11-20 09:00:00', 6, 'UTC')])", '[1,["2026-11-20T09:00:00Z"]]'),
        ("CAST((1, 'a') AS Tuple(x UInt8, `y z` String))", '[1,"a"]'),
        ("toDate('2026-11-20')", '"2026-11-20"'),
        ("toUUID('0193ABCD-0000-7000-8000-00000000000A')", '"0193abcd-0000-7000-8000-00000000000a"'),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("toInt64(-9223372036854775808)", "-9223372036854775808"),
        ("nan", "null"),
        ("[1 / 0, -1 / 0]", "[null,null]"),
        ("1e-7", "1e-7"),
        ("toDecimal64('19.90', 2)", '"19.90"'),
        ("[toDecimal64('1', 1)]", '["1.0"]'),
        ("true", "true"),
        ("1 = 1", "1"),
        ("NULL", "null"),
        ("map('a/b', 1)", '{"a/b":1}'),
        ("CAST('a' AS Enum8('a' = 1))", '"a"'),
        ("'https://x.y/z \"q\" \\\\ \\n 🦔'", '"https://x.y/z \\"q\\" \\\\ \\n 🦔"'),
        ("unhex('FF41')", '"�A"'),
        ("toFixedString('ab', 2)", '"ab"'),
        ("CAST('x' AS LowCardinality(Nullable(String)))", '"x"'),
    ],
)
def test_values_are_written_as_posthog_writes_them(store: Store, expression: str, json: str | None) -> None:
    expected = json or '"2026-11-20T04:00:00.500000-05:00"'
    assert store.select(f"SELECT {expression}").data.decode() == f"[[{expected}]]"


def test_an_older_server_cuts_datetimes_to_milliseconds(store: Store) -> None:
    times = ", ".join(f"toDateTime64('2026-11-20 09:00:0{tail}', 6, 'UTC')" for tail in ("0.123456", "0", "0.000456"))
    answer = store.select(f"SELECT {times}", milliseconds_only=True)
    assert orjson.loads(answer.data) == [
        ["2026-11-20T09:00:00.123Z", "2026-11-20T09:00:00Z", "2026-11-20T09:00:00.000Z"]
    ]


def test_datetimes_without_a_zone_are_shown_in_the_zone_asked_for(store: Store) -> None:
    sql = "SELECT toDateTime('2026-11-20 09:00:00'), toDateTime('2026-11-20 09:00:00', 'UTC')"
    answer = store.select(sql, timezone="America/New_York")
    assert orjson.loads(answer.data) == [["2026-11-20T04:00:00-05:00", "2026-11-20T09:00:00Z"]]


@pytest.mark.parametrize(
    ("sql", "names", "rows"),
    [
        ("SELECT 1 AS one WHERE 0", ["one"], []),
        ("SELECT number, number, number + 1 AS b FROM numbers(2)", ["number", "number", "b"], [[0, 0, 1], [1, 1, 2]]),
        ("SELECT number FROM numbers(9) ORDER BY number DESC LIMIT 3", ["number"], [[8], [7], [6]]),
        ("SELECT 1 AS a UNION ALL SELECT 2 AS a", ["a"], [[1], [2]]),
        ("WITH few AS (SELECT 5 AS q) SELECT q FROM few", ["q"], [[5]]),
        ("SELECT 1 AS a SETTINGS max_execution_time = 9 -- said the client", ["a"], [[1]]),
        ("SELECT now() AS item_0, [[now()]] AS column_0 LIMIT 0", ["item_0", "column_0"], []),
    ],
)
def test_any_select_keeps_its_columns_and_its_order(
    store: Store, sql: str, names: list[str], rows: list[list[int]]
) -> None:
    answer = store.select(sql)
    assert [name for name, _ in answer.meta] == names
    assert sorted(orjson.loads(answer.data)) == sorted(rows)
    if "ORDER BY" in sql:
        assert orjson.loads(answer.data) == rows
    assert answer.rows == len(rows)


def test_types_are_those_of_the_query_itself(store: Store) -> None:
    answer = store.select("SELECT timestamp, toTimeZone(timestamp, 'Asia/Tokyo') AS t, (1, 'a') AS pair FROM events")
    assert answer.meta == (
        ("timestamp", "DateTime64(6, 'UTC')"),
        ("t", "DateTime64(6, 'Asia/Tokyo')"),
        ("pair", "Tuple(UInt8, String)"),
    )


@pytest.mark.parametrize(
    ("sql", "settings", "code", "name"),
    [
        ("SELECT nonsense(1)", {}, 46, "UNKNOWN_FUNCTION"),
        ("SELECT nothing FROM events", {}, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT 1 FROM nowhere", {}, 60, "UNKNOWN_TABLE"),
        ("SELECT 'x (UTC)' + 1", {}, 43, "ILLEGAL_TYPE_OF_ARGUMENT"),
        ("nonsense", {}, 62, "SYNTAX_ERROR"),
        ("SELECT sleep(2)", {"max_execution_time": 1}, 159, "TIMEOUT_EXCEEDED"),
        ("SELECT text FROM texts", {"max_bytes_to_read": 1000}, 307, "TOO_MANY_BYTES"),
        (
            "SELECT arraySort(groupArray(text)) FROM texts",
            {"max_memory_usage": 10_000_000},
            241,
            "MEMORY_LIMIT_EXCEEDED",
        ),
        ("SELECT throwIf(number = 5, 'five (B)') FROM texts", {}, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_clickhouse_errors_come_with_code_name_and_message(
    store: Store, sql: str, settings: dict[str, object], code: int, name: str
) -> None:
    with pytest.raises(ClickHouseError) as caught:
        store.select(sql, settings=settings)
    assert (caught.value.code, caught.value.name) == (code, name)
    assert caught.value.message
    # Nothing of the failed answer is left in the next one.
    assert store.select("SELECT 1").data == b"[[1]]"


def test_reading_is_metered_as_clickhouse_meters_it(store: Store) -> None:
    numbers = store.select("SELECT sum(number) FROM texts")
    assert (numbers.rows, numbers.rows_read, numbers.bytes_read) == (1, 200_000, 8 * 200_000)
    few = store.select("SELECT text FROM texts WHERE number < 100")
    assert (few.rows, few.rows_read) == (100, 8_192)
    # Uncompressed: the numbers of one granule, and of the texts (600 bytes) at least those that are answered.
    assert 8_192 * 8 + 100 * 600 <= few.bytes_read <= 8_192 * 650
    # Asked again it costs the same: no cache of conditions helps.
    assert store.select("SELECT text FROM texts WHERE number < 100").bytes_read == few.bytes_read


def test_a_page_of_80_megabytes_is_one_answer(store: Store) -> None:
    answer = store.select("SELECT number, repeat(text, 4) FROM texts ORDER BY number LIMIT 40000")
    assert answer.rows == 40_000
    rows = orjson.loads(answer.data)
    assert [number for number, _ in rows] == list(range(40_000))
    assert rows[-1][1] == 'ab"é/' * 400


def test_threads_share_a_store(store: Store) -> None:
    found: list[object] = []

    def ask(number: int) -> None:
        found.extend(store.scalar(f"SELECT sum(number) * 0 + {number} FROM texts") == number for _ in range(5))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def test_stores_of_one_process_are_separate(store: Store) -> None:
    other = Store(Clock())
    other.execute("INSERT INTO person_distinct_id2 VALUES (1, 'a', generateUUIDv4(), 0, 0, now())")
    assert store.scalar("SELECT count() FROM person_distinct_id2") == 0
    other.close()
    other.close()
    assert store.scalar("SELECT count() FROM texts") == 200_000
    with pytest.raises(ClickHouseError, match="closed"):
        other.select("SELECT 1")


def test_text_is_quoted_whatever_is_in_it(store: Store) -> None:
    text = "it's \"odd\" \\ \n 🦔 \\' --"
    assert store.scalar(f"SELECT {quoted(text)}") == text


def test_settings_are_names(store: Store) -> None:
    with pytest.raises(ValueError, match="not the name of a ClickHouse setting"):
        store.select("SELECT 1", settings={"max_threads = 1, x": 1})


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_folder_keeps_the_tables_for_the_next_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from posthog_warehouse.sandbox.clock import Clock\n"
        "from posthog_warehouse.sandbox.store import Store\n"
        "store = Store(Clock(), Path(sys.argv[1]) / 'data')\n"
        "store.execute(\"INSERT INTO person_distinct_id2 VALUES (1, 'a', generateUUIDv4(), 0, 0, now())\")\n"
        "print(store.scalar('SELECT count() FROM person_distinct_id2'))\n"
        "store.close()\n"
    )
    answers = [run(code, str(tmp_path)) for _ in range(2)]
    assert [(answer.stdout.strip(), answer.returncode) for answer in answers] == [("1", 0), ("2", 0)]


def test_a_process_that_forgets_to_close_ends_cleanly_and_leaves_nothing() -> None:
    code = (
        "from posthog_warehouse.sandbox.clock import Clock; from posthog_warehouse.sandbox import store\n"
        "kept = store.Store(Clock()); kept.select('SELECT 1'); print(store._engine.folder)\n"
    )
    answer = run(code)
    assert answer.returncode == 0, answer.stderr
    assert not Path(answer.stdout.strip()).exists()
