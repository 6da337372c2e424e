"""Groups: the companies and projects that events belong to, in several versions as ingestion writes them.

Source: the groups table (posthog/models/group/sql.py) of PostHog/posthog, autumn 2026. A row has no version: the one
that landed last counts, and when that was is known to the second.
"""

from __future__ import annotations

from typing import Any

from posthog_warehouse.sandbox import vocabulary
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.recipe import Recipe, constant, microseconds, pick, time_of
from posthog_warehouse.sandbox.store import Store

_DAY = 86_400_000_000

#: How many there are of each type, by `group_type_index`. Events know the first 50 companies (sandbox/people.py).
COUNTS = (260, 140)

#: What the types are called, in the order of their index: `$groups` of an event says `company`.
TYPES = ("company", "project")

_INDUSTRIES = ("storage", "retail", "games", "öffentlich", "金融", 'say "hi"')


def insert_groups(recipe: Recipe, since_us: int, until_us: int) -> list[str]:
    """Return the INSERTs of all groups; every third one has an older row as well.

    Args:
        recipe: hashes of the seed.
        since_us: start of the window of events, microseconds since 1970.
        until_us: its end; nothing landed later.
    """
    return [_insert(recipe, index, since_us, until_us) for index in range(len(COUNTS))]


def _insert(recipe: Recipe, index: int, since_us: int, until_us: int) -> str:
    def draw(purpose: str) -> str:
        return recipe.hash(f"group {index} {purpose}", "g")

    created = f"toInt64({since_us - 300 * _DAY} + {draw('created')} % {250 * _DAY})"
    # Half of them did not change since the window began; many of the others changed in one second.
    changed = (
        f"toInt64(multiIf({draw('changed')} % 4 < 2, {since_us - 10 * _DAY} + {draw('when')} % {9 * _DAY}, "
        f"{draw('changed')} % 4 = 2, {until_us - 2 * _DAY}, {since_us} + {draw('when')} % {until_us - since_us}))"
    )
    properties = (
        f"""concat('{{"name":', toJSONString(concat({pick(vocabulary.LAST_NAMES, draw("name"))}, ' ', toString(g))), """
        f"""',"industry":', toJSONString({pick(_INDUSTRIES, draw("industry"))}), ',"seats":', """
        f"""toString({draw("seats")} % 500 + v), ',"plan":"', {pick(vocabulary.PLANS, f"{draw('plan')} + v")}, """
        """'","address":{"city":"Köln","zip":null}}')"""
    )
    return f"""
INSERT INTO groups (group_type_index, group_key, created_at, team_id, group_properties, _timestamp)
SELECT {index}, concat('{TYPES[index]}-', toString(g)), {time_of(created)}, {TEAM_ID}, {properties},
    toDateTime({time_of(f"if(v = 0, {created}, {changed})")})
FROM (SELECT number AS g FROM numbers({COUNTS[index]}))
ARRAY JOIN if(g % 3 = 0, [0, 1], [1]) AS v"""


def update_groups(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Change properties of `count` groups, and add a group for every ten of them.

    Returns:
        Index and key of those changed and added, as `0/company-7`.
    """
    now = f"toDateTime({time_of(str(microseconds(clock.now())))})"
    newest = (
        "SELECT group_type_index AS i, group_key AS k, argMax(created_at, _timestamp) AS c, "
        f"argMax(group_properties, _timestamp) AS p FROM groups WHERE team_id = {TEAM_ID} GROUP BY i, k"
    )
    order = f"cityHash64(i, k, {constant('update groups', seed)}), i, k"
    chosen = f"SELECT i, k, c, p FROM ({newest}) ORDER BY {order} LIMIT {count}"
    rows: list[list[Any]] = store.rows(f"SELECT i, k FROM ({chosen})")
    stamp = str(microseconds(clock.now()))
    store.execute(
        "INSERT INTO groups (group_type_index, group_key, created_at, team_id, group_properties, _timestamp) "
        f"SELECT i, k, c, {TEAM_ID}, concat('{{\"changed\":{stamp},', substring(p, 2)), {now} FROM ({chosen})"
    )
    added = [[0, f"company-new-{stamp}-{number}"] for number in range(count // 10)]
    if added:
        values = ", ".join(
            f"({index}, '{key}', {time_of(stamp)}, {TEAM_ID}, '{{\"name\":\"{key}\"}}', {now})" for index, key in added
        )
        store.execute(
            "INSERT INTO groups (group_type_index, group_key, created_at, team_id, group_properties, _timestamp) "
            f"VALUES {values}"
        )
    return [f"{index}/{key}" for index, key in [*rows, *added]]
