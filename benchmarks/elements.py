"""CPU seconds per million events for taking `elements_chain` apart, a quarter of the events having 3 to 8 elements.

    python benchmarks/elements.py --events 200000

Two kinds of pages: `alike`, where elements come again as those of a real page do, and `different`, where each has
texts and addresses of its own.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import Any

import pyarrow as pa
from measuring import add_usual, usual, write_json

from posthog_warehouse.sources.posthog.pages.elements_chain import elements_of

MILLION = 1_000_000
PAGE = 40_000


def main() -> int:
    """Prints a line for each kind of page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=7)
    add_usual(parser)
    arguments = usual(parser, events=2_000)
    found = [
        measured(kind, arguments.events, random.Random(arguments.seed), variety)  # noqa: S311 - not for secrets
        for kind, variety in (("alike", 20), ("different", 10**9))
    ]
    print("pages      CPU s / million events   elements   chains, MB   broken")
    for each in found:
        print(
            f"{each['pages']:<10} {each['cpu_seconds_a_million']:>22.2f} {each['elements']:>10,} "
            f"{each['chain_mb']:>12.1f} {each['broken']:>8,}"
        )
    write_json(arguments.json, found)
    return 0


def measured(pages: str, events: int, dice: random.Random, variety: int) -> dict[str, Any]:
    """Figures of `events` events in pages of the usual size."""
    chains = [_chain(dice, variety) if dice.random() < 0.25 else None for _ in range(events)]
    column = pa.chunked_array([pa.array(chains[at : at + PAGE], pa.string()) for at in range(0, events, PAGE)])
    uuids = pa.chunked_array(
        [pa.array([f"{n:036d}" for n in range(at, min(at + PAGE, events))]) for at in range(0, events, PAGE)]
    )
    elements_of(uuids.slice(0, 100), column.slice(0, 100))
    elements = broken = 0
    began = time.process_time()
    for keys, texts in zip(uuids.chunks, column.chunks, strict=True):
        found = elements_of(pa.chunked_array([keys]), pa.chunked_array([texts]))
        elements, broken = elements + found.table.num_rows, broken + found.broken
    took = time.process_time() - began
    return {
        "pages": pages,
        "events": events,
        "cpu_seconds_a_million": took * MILLION / events,
        "elements": elements,
        "chain_mb": sum(len(chain or "") for chain in chains) / MILLION,
        "broken": broken,
    }


def _chain(dice: random.Random, variety: int) -> str:
    return ";".join(_element(dice, variety) for _ in range(dice.randint(3, 8)))


def _element(dice: random.Random, variety: int) -> str:
    n = dice.randrange(variety)
    tag = dice.choice(["div", "div", "span", "a", "button", "main"])
    link = (
        f'attr__href="/files/{n}?q=a;b"attr__id="row-{n}"attr__style="width: {n}px"'
        f'attr_id="row-{n}"href="/files/{n}?q=a;b"'
    )
    text = f'text="Say \\"{n}\\" now"' if dice.random() < 0.3 else ""
    place = f'nth-child="{dice.randrange(9)}"nth-of-type="{dice.randrange(9)}"'
    return f'{tag}.btn.md:flex:attr__class="btn md:flex"{link if dice.random() < 0.5 else ""}{place}{text}'


if __name__ == "__main__":
    sys.exit(main())
