"""What it costs to make typed columns of JSON: CPU seconds for a million events, by how many keys there are.

    python benchmarks/shred.py

Events have about 1.8 KB and up to 48 properties each, out of 10 to 5,000 keys: texts, numbers, booleans, times, nested
objects. With conflicts, one value in a hundred is of another kind than its key's. As a measure of the machine at that
moment, json_valid is what DuckDB takes to check that the same texts are JSON; a sync does that anyway, so the shredder
does not do it again here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
from measuring import MB, MILLION, add_usual, peak_memory, usual, write_json
from replay.texts import keyed

from posthog_warehouse.sources.posthog.properties import Catalogue, ColumnRules, Shredded, Shredder
from posthog_warehouse.sources.posthog.properties.pairs import Parser


def main() -> int:
    """Runs the benchmark. Returns 1 if a value of those looked at is not what Python finds."""
    arguments = _arguments()
    results = []
    print("| keys | conflicts | json_valid, cpu-s/M | shred, cpu-s/M | columns | conflicts found | peak MB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for keys in arguments.keys:
        clean = pa.array(keyed(arguments.events, keys, 0.0, arguments.seed), pa.string())
        for share in (0.0, 0.01):
            texts = pa.array(keyed(arguments.events, keys, share, arguments.seed), pa.string()) if share else clean
            result = {"keys": keys, **_measure(clean, texts, share, arguments)}
            results.append(result)
            print(
                f"| {keys:,} | {share:.0%} | {result['json_valid']:.1f} | {result['shred']:.1f} "
                f"| {result['columns']:,} | {result['conflicts']:,} | {result['peak_mb']:,.0f} |",
                flush=True,
            )
    write_json(arguments.json, results)
    return 0 if all(result["is_exact"] for result in results) else 1


def _measure(clean: pa.Array, texts: pa.Array, share: float, arguments: argparse.Namespace) -> dict[str, Any]:
    shred = Shredder(
        Catalogue("events", rules=ColumnRules(max_columns=arguments.max_columns)), parser=Parser(is_checked=True)
    )
    shred(clean)  # the columns are settled, as in every page but the first
    found: list[Shredded] = []
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("page", pa.table({"json_text": texts}))
        scale = MILLION / len(texts)
        valid = _cpu(
            lambda: connection.execute("SELECT count_if(json_valid(json_text)) FROM page").fetchall(), arguments.repeat
        )
        took = _cpu(lambda: found.append(shred(texts)), arguments.repeat)
    return {
        "conflict_share": share,
        "json_valid": valid * scale,
        "shred": took * scale,
        "columns": len(found[-1].columns),
        "conflicts": sum(found[-1].conflicts.values()),
        "peak_mb": peak_memory() / MB,
        "is_exact": _is_exact(texts, shred.catalogue, found[-1]),
    }


def _cpu(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds, the least of several times: what else runs on the machine only ever adds to it."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def _is_exact(texts: pa.Array, catalogue: Catalogue, found: Shredded, rows: int = 200) -> bool:
    """Whether numbers, booleans and texts of some rows are what Python's json finds, or NULL; others have no column."""
    columns = catalogue.known()
    for row, text in enumerate(texts.slice(0, rows).to_pylist()):
        for key, value in json.loads(text).items():
            known = columns.get(key)
            if known is None:
                continue
            typed = found.columns[known.name][row].as_py() if known.name in found.columns else None
            if known.type in {"bool", "bigint", "double"} and typed is not None and typed != value:
                return False
            if known.type == "text" and isinstance(value, str) and typed != value:
                return False
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000, help="of a page")
    parser.add_argument("--max-columns", type=int, default=250, help="room for columns, as sync has it")
    parser.add_argument("--keys", type=int, nargs="+", default=[10, 90, 550, 5_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    add_usual(parser)
    return usual(parser, events=500, keys=[90], repeat=1)


if __name__ == "__main__":
    sys.exit(main())
