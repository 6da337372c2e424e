"""Typed columns against JSON: ten questions of analysts, asked of both, and the room that each layout takes.

    python benchmarks/queries.py --events 1000000

The table is what a first sync leaves. Three copies of it, with the same rows in the same order, have only the typed
columns, or only the JSON: packed with zstd as a sync has it, or as DuckDB stores it by itself. Both answers of a
question have to be equal. The JSON is asked where it is fastest, in DuckDB's own storage.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from measuring import add_usual, usual, write_json
from synced import synced

BAR = 50
"""Times faster that each question is to be on typed columns."""

_BASE = "uuid, event, timestamp, created_at, distinct_id, person_id, session_id, window_id, elements_chain"


@dataclass(frozen=True)
class Question:
    """In SQL, with `{key}` for a property and `{key:type}` for one that is no text."""

    asked: str
    sql: str
    properties: tuple[tuple[str, str], ...]
    """Key, and type if it is to be read out of JSON."""

    def of_columns(self, names: dict[str, str]) -> str:
        """On typed columns; `names` are those of keys."""
        return self._with({key: f'"{names[key]}"' for key, _ in self.properties})

    def of_json(self) -> str:
        """On the JSON column."""
        texts = {key: f"json_extract_string(properties, '$.\"{key}\"')" for key, _ in self.properties}
        return self._with(
            {key: f"CAST({texts[key]} AS {kind})" if kind else texts[key] for key, kind in self.properties}
        )

    def _with(self, expressions: dict[str, str]) -> str:
        sql = self.sql
        for place, expression in enumerate(expressions.values()):
            sql = sql.replace(f"@{place}", expression)
        return sql


# Sums and averages are of whole numbers, or of numbers that doubles add up exactly in any order.
QUESTIONS = (
    Question(
        "daily actives by browser",
        "SELECT timestamp::DATE AS day, @0 AS browser, count(DISTINCT person_id) FROM events "
        "WHERE event = '$pageview' GROUP BY ALL",
        (("$browser", ""),),
    ),
    Question(
        "steps of a funnel by plan",
        "SELECT plan, count_if(has_viewed), count_if(has_viewed AND has_bought) FROM (SELECT person_id, @0 AS plan, "
        "bool_or(event = '$pageview' AND @1 = '/pricing') AS has_viewed, bool_or(event = 'purchase') AS has_bought "
        "FROM events WHERE event IN ('$pageview', 'purchase') GROUP BY ALL) GROUP BY plan",
        (("plan", ""), ("$pathname", "")),
    ),
    Question(
        "revenue by country",
        "SELECT @0 AS country, count(*), sum(@1), max(@1) FROM events WHERE event = 'purchase' GROUP BY country",
        (("$geoip_country_name", ""), ("amount", "DOUBLE")),
    ),
    Question(
        "most visited addresses",
        "SELECT @0 AS url, count(*) AS views FROM events WHERE event = '$pageview' GROUP BY url "
        "ORDER BY views DESC, url LIMIT 20",
        (("$current_url", ""),),
    ),
    Question(
        "95th percentile of the time to load by system",
        "SELECT @0 AS os, quantile_disc(@1, 0.95), count(@1) FROM events GROUP BY os",
        (("$os", ""), ("load_ms", "BIGINT")),
    ),
    Question(
        "persons on trial who come back on a later day",
        "SELECT days, count(*) FROM (SELECT person_id, count(DISTINCT timestamp::DATE) AS days "
        "FROM events WHERE @0 GROUP BY person_id) GROUP BY days",
        (("is_trial", "BOOLEAN"),),
    ),
    Question(
        "a filter on two flags",
        "SELECT event, count(*) FROM events WHERE @0 AND NOT @1 GROUP BY event",
        (("$feature/dark-mode", "BOOLEAN"), ("is_internal", "BOOLEAN")),
    ),
    Question(
        "campaigns by source and medium",
        "SELECT @0 AS source, @1 AS medium, @2 AS campaign, count(*) FROM events WHERE @0 IS NOT NULL GROUP BY ALL",
        (("utm_source", ""), ("utm_medium", ""), ("utm_campaign", "")),
    ),
    Question(
        "persons by version of the browser",
        "SELECT @0 AS browser, @1 AS version, count(DISTINCT person_id) FROM events GROUP BY ALL",
        (("$browser", ""), ("$browser_version", "BIGINT")),
    ),
    Question(
        "width of screens by type of device",
        "SELECT @0 AS device, count(*), min(@1), avg(@1), max(@1) FROM events WHERE @2 GROUP BY device",
        (("$device_type", ""), ("$screen_width", "BIGINT"), ("$is_identified", "BOOLEAN")),
    ),
)


def main() -> int:
    """Runs the benchmark. Returns 1 if two answers differ."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="queries-") as folder:
        database = Path(folder) / "typed_and_json.duckdb"
        synced(arguments.pages, database, events=arguments.events, page_rows=arguments.page_rows)
        layouts = _layouts(database)
        columns, others = layouts["typed columns"], [layouts["JSON"], layouts["JSON, zstd"]]
        with duckdb.connect(str(database), read_only=True) as connection:
            names = dict(
                connection.execute(
                    "SELECT key, column_name FROM posthog.property_columns WHERE table_name = 'events'"
                ).fetchall()
            )
        asked = []
        for question in QUESTIONS:
            typed_ms, typed_answer = _ask(columns, question.of_columns(names), arguments.repeat)
            (json_ms, json_answer), (packed_ms, _) = (
                _ask(layout, question.of_json(), arguments.repeat) for layout in others
            )
            asked.append(
                {
                    "question": question.asked,
                    "typed_ms": typed_ms,
                    "json_ms": json_ms,
                    "packed_json_ms": packed_ms,
                    "times": json_ms / typed_ms,
                    "rows": len(typed_answer),
                    "is_equal": bool(typed_answer) and typed_answer == json_answer,
                }
            )
        sizes = {name: path.stat().st_size / arguments.events for name, path in layouts.items()}
    _show(arguments.events, asked, sizes)
    write_json(arguments.json, {"events": arguments.events, "questions": asked, "bytes_an_event": sizes})
    return 0 if all(each["is_equal"] for each in asked) else 1


def _layouts(database: Path) -> dict[str, Path]:
    """The file of the sync, reduced to its events, and copies of these."""
    files = {"typed columns and JSON, zstd": "SELECT *", "typed columns": "SELECT * EXCLUDE (properties)"}
    files |= {"JSON, zstd": f"SELECT {_BASE}, properties", "JSON": f"SELECT {_BASE}, properties"}
    paths = {}
    for name, select in files.items():
        paths[name] = database.with_name(f"{name.replace(', ', '_').replace(' ', '_')}.copy.duckdb")
        packed = "zstd" in name
        # Without the newest storage DuckDB packs no text with zstd.
        with duckdb.connect(
            str(paths[name]), config={"storage_compatibility_version": "latest"} if packed else {}
        ) as copy:
            copy.execute(f"ATTACH '{database}' AS synced (READ_ONLY)")
            copy.execute(f"CREATE TABLE events AS {select} FROM synced.posthog.events LIMIT 0")
            if packed:
                copy.execute("ALTER TABLE events DROP COLUMN properties")
                copy.execute("ALTER TABLE events ADD COLUMN properties JSON USING COMPRESSION zstd")
            copy.execute(f"INSERT INTO events BY NAME {select} FROM synced.posthog.events")
            copy.execute("CHECKPOINT")
    return paths


def _ask(path: Path, sql: str, repeat: int) -> tuple[float, list[tuple[Any, ...]]]:
    """The median of milliseconds, after one time that is not counted, and the answer in order."""
    with duckdb.connect(str(path), read_only=True) as connection:
        answer = connection.execute(sql).fetchall()
        times = []
        for _ in range(repeat):
            began = time.perf_counter()
            connection.execute(sql).fetchall()
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1_000, sorted(answer, key=repr)


def _show(events: int, asked: list[dict[str, Any]], sizes: dict[str, float]) -> None:
    print(f"\n| {events:,} events | typed, ms | JSON, ms | JSON with zstd, ms | times faster | answers |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for each in asked:
        print(
            f"| {each['question']} | {each['typed_ms']:.1f} | {each['json_ms']:,.0f} | {each['packed_json_ms']:,.0f} "
            f"| {each['times']:.0f} | {'equal' if each['is_equal'] else 'DIFFERENT'} |"
        )
    times = [float(each["times"]) for each in asked]
    reached = sum(each >= BAR for each in times)
    print(f"\n{reached} of {len(times)} are at least {BAR} times faster; the least is {min(times):.0f} times.")
    print("\n| layout | bytes an event |\n| --- | ---: |")
    for name, size in sizes.items():
        print(f"| {name} | {size:,.0f} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--repeat", type=int, default=3)
    add_usual(parser)
    return usual(parser, events=4_000, page_rows=2_000, repeat=1)


if __name__ == "__main__":
    sys.exit(main())
