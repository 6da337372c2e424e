"""JSON texts of properties other than a web project's: many keys, or wild ones."""

from __future__ import annotations

import json
import random
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

# What is wild is found in the tests; their folder is beside that of the benchmarks.
sys.path.append(str(Path(__file__).resolve().parents[2]))

COMMON_KEYS = 30
KEYS_AN_EVENT = 48
EVENT_BYTES = 1_800
WILD_KEYS_AN_EVENT = 14
_DECLARED = ("String", "Numeric", "Boolean", "DateTime", "Duration")
_RARE_WILD_KEYS = 150
_LONE_SURROGATE = '"cut \\ud83d"'


def keyed(count: int, keys: int, conflicts: float, seed: int) -> list[str]:
    """So many texts of about 1.8 KB with up to 48 of so many keys; a share `conflicts` of values is of another kind."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    makers = [_maker(number, dice) for number in range(keys)]
    names = [f"{'$' if number % 2 else ''}property_{number}" for number in range(keys)]
    common, rare = range(min(keys, COMMON_KEYS)), range(min(keys, COMMON_KEYS), keys)
    pools = [[make() for _ in range(100)] for make in makers]
    texts = []
    for _ in range(count):
        chosen = [*common, *dice.sample(rare, min(len(rare), KEYS_AN_EVENT - len(common)))]
        event: dict[str, Any] = {names[number]: dice.choice(pools[number]) for number in chosen}
        event[names[0]] += "x" * max(0, EVENT_BYTES - len(orjson.dumps(event)))
        if dice.random() < conflicts * len(chosen):
            event[names[dice.choice(chosen[1:])]] = dice.choice([True, "x", 1.5, {"a": 1}])
        texts.append(orjson.dumps(event).decode())
    return texts


def wild(count: int, seed: int) -> list[str]:
    """So many texts with keys and values that trip readers up; half of the keys have mostly values of one kind only.

    Some keys come twice in a text, some texts have spaces, a few are no objects, or JSON that only Python reads.
    """
    # Where the property tests have them; from there, so that what is found wild once is wild everywhere.
    from tests.sources.posthog.properties.documents import KEYS, NUMBERS, TEXTS  # noqa: PLC0415 - needs hypothesis

    texts = [json.dumps(text) for text in TEXTS] + [_LONE_SURROGATE]
    nested = ("[]", "{}", '{"a": 1.50, "a": [true]}', '["1", 1, null]', '{"deep": {"er": [{"\\u00e9": 1e5}]}}')
    # Infinities and NaN are no JSON: a whole text with one is kept as it is, but has no properties any more.
    sound = [number for number in NUMBERS if not number.strip("-").isalpha()]
    anything = [*texts, *sound, *nested, "true", "false", "null"]
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds: tuple[Callable[[], str], ...] = (
        lambda: dice.choice(("true", "false", "null")),
        lambda: str(dice.randrange(-(2**53), 2**53)),
        lambda: str(dice.randrange(-(2**63), 2**63)),
        lambda: str(dice.randrange(-(10**38) + 1, 10**38)),
        lambda: json.dumps(dice.uniform(-1e6, 1e6)),
        lambda: f'"2026-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"',
        lambda: f'"2026-11-{dice.randrange(1, 31):02}T{dice.randrange(24):02}:11:12.{dice.randrange(10**6):06}+02:00"',
        lambda: dice.choice(nested),
        lambda: json.dumps("".join(dice.choices("aé😀\\\"' \n\t/", k=dice.randrange(12))), ensure_ascii=False),
        lambda: dice.choice(anything),
    )
    keys = [*KEYS, *(f"rare {number}" for number in range(_RARE_WILD_KEYS))]
    kind_of = {key: kinds[place % len(kinds)] for place, key in enumerate(keys)}
    mixed = {key for place, key in enumerate(keys) if place // len(kinds) % 2}
    found = []
    for number in range(count):
        comma, colon = (", ", " : ") if number % 9 == 1 else (",", ":")
        chosen = dice.choices(keys, k=dice.randrange(WILD_KEYS_AN_EVENT))
        values = (dice.choice(anything) if key in mixed and dice.random() < 0.02 else kind_of[key]() for key in chosen)
        pairs = (f"{json.dumps(key)}{colon}{value}" for key, value in zip(chosen, values, strict=True))
        text = "{" + comma.join(pairs) + "}"
        if dice.random() < 0.01:
            text = dice.choice(("5", "[1]", '"text"', "null", "{}", '{"plan": NaN}', "{cut", ""))
        found.append(text)
    return found


def wild_definitions() -> dict[str, str]:
    """What PostHog says of every third wild key, right or wrong."""
    from tests.sources.posthog.properties.documents import KEYS  # noqa: PLC0415 - needs hypothesis

    return {key: _DECLARED[place // 3 % len(_DECLARED)] for place, key in enumerate(KEYS) if place % 3 == 0}


def _maker(number: int, dice: random.Random) -> Callable[[], Any]:
    kinds: dict[int, Callable[[], Any]] = {
        1: lambda: dice.randrange(10 ** dice.randrange(1, 10)),
        3: lambda: dice.random() < 0.5,
        5: lambda: round(dice.random() * 1_000, 3),
        7: lambda: f"2026-{dice.randrange(1, 12):02}-11T10:{dice.randrange(60):02}:11.{dice.randrange(1_000):03}Z",
        9: lambda: {"list": [1, 2, {"deep": dice.random()}], "key": "value"},
    }
    letters = string.ascii_lowercase + " /.-"
    return kinds.get(number % 12, lambda: "".join(dice.choices(letters, k=dice.choice([3, 8, 20, 40, 60]))))
