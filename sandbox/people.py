"""The persons of generated data: who they are, which distinct_ids they have and what became of them.

A person is a number. Its last digits say what happened to it, so events and person tables agree without one looking
the other up:

- `..9` of every 50: deleted at some moment of the window;
- `..5`, `.35`, `.65` of every 100: merged at some moment into the person one below;
- ending in 6, 7, 8: came during the window; all others were there before it;
- ending in 0 to 4: there from before to the end, who take the place of those not yet or no longer there.

PostHog's own marks: person ids are UUIDs whose version says 5, a deletion adds 100 to the version, a merge writes the
moved distinct_ids with the next version into person_distinct_id2 and person_distinct_id_overrides
(posthog/models/person/util.py, autumn 2026).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from posthog_warehouse.sandbox import vocabulary
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.recipe import Recipe, pick, time_of, uuid_random, uuid_v7

_DAY = 86_400_000_000
_SECOND = 1_000_000

# Some lists of a person's distinct_ids are cut at 1,000 by PostHog: one person has more.
_MANY_DISTINCT_IDS_PERSON = 7
_MANY_DISTINCT_IDS = 1_200


@dataclass(frozen=True)
class People:
    """Expressions over a person's number (UInt64), and the statements that fill the person tables.

    Attributes:
        recipe: hashes of the seed.
        count: how many persons ever were.
        since_us: start of the window of events, microseconds since 1970.
        until_us: its end.
    """

    recipe: Recipe
    count: int
    since_us: int
    until_us: int

    def person_id(self, p: str) -> str:
        """Return the person's UUID."""
        return uuid_random(5, self.recipe.hash("person", p), self.recipe.hash("person tail", p))

    def identified(self, p: str) -> str:
        """Return whether the person ever logged in."""
        return f"({self.recipe.hash('identified', p)} % 10 >= 3)"

    def created_us(self, p: str) -> str:
        """Return when the person came, before its first event; whole milliseconds."""
        spread = self.recipe.hash("born", p)
        window = (self.until_us - self.since_us) * 9 // 10
        during = f"{self.since_us} + {spread} % {window}"
        before = f"{self.since_us - _DAY} - {spread} % {700 * _DAY}"
        return f"toInt64(intDiv(if({p} % 10 IN (6, 7, 8), {during}, {before}), 1000) * 1000)"

    def deleted(self, p: str) -> str:
        """Return whether the person is deleted by the end."""
        return f"({p} % 50 = 9)"

    def merged(self, p: str) -> str:
        """Return whether the person is merged, by the end, into the one below."""
        return f"({p} % 100 IN (5, 35, 65))"

    def gone_us(self, p: str) -> str:
        """Return when a deleted or merged person goes."""
        window = self.until_us - self.since_us
        return f"toInt64({self.since_us + window // 5} + {self.recipe.hash('gone', p)} % {window * 3 // 4})"

    def present(self, p: str, at_us: str) -> str:
        """Return the person itself, or who takes its place at a time when it does not exist."""
        elder = f"{p} - {p} % 10 + {self.recipe.hash('elder', p)} % 5"
        absent = f"{at_us} < {self.created_us(p)} + {_SECOND} OR ({self.deleted(p)} AND {at_us} > {self.gone_us(p)})"
        return f"toUInt64(if({absent}, if({elder} < {self.count}, {elder}, 0), {p}))"

    def at_ingestion(self, p: str, at_us: str) -> str:
        """Return the person its events belong to at a time: itself, later the one it was merged into."""
        return f"toUInt64(if({self.merged(p)} AND {at_us} > {self.gone_us(p)}, {p} - 1, {p}))"

    def distinct_ids(self, p: str) -> str:
        """Return how many distinct_ids the person has, counted from 0."""
        few = pick([1, 1, 1, 1, 2, 2, 2, 3, 4, 6], self.recipe.hash("distinct ids", p))
        many = _MANY_DISTINCT_IDS if self.count >= 1_000 else 6
        return f"toUInt64(multiIf({p} = {_MANY_DISTINCT_IDS_PERSON}, {many}, {p} % 200 = 13, 40, {few}))"

    def distinct_id(self, p: str, j: str) -> str:
        """Return the person's distinct_id number `j`: the shapes that ids have in real projects."""
        number = f"({p} * 4096 + {j})"
        device = uuid_v7(
            f"intDiv({self.created_us(p)}, 1000)",
            self.recipe.hash("device", number),
            self.recipe.hash("device tail", number),
        )
        tail = f"toString({p}), '-', toString({j})"
        rare = (
            f"multiIf({p} % 4 = 0, concat('مستخدم ', {tail}), "
            f"{p} % 4 = 1, concat('https://id.example.com/u?p=a&id=', {tail}), "
            f"{p} % 4 = 2, concat(repeat('long-', 70), {tail}), concat(' padded ', {tail}, ' '))"
        )
        kind = f"({p} + 5 * {j}) % 16"
        return (
            f"multiIf({kind} < 6, toString({device}), "
            f"{kind} < 9, concat('user.', {tail}, '@hedgebox.net'), "
            f"{kind} < 11, toString(1000000 + {number}), "
            f"{kind} = 11, concat('Jane Doe ', {tail}), "
            f"{kind} = 12, concat('o\\'brien \"the ', {tail}, '\"'), "
            f"{kind} = 13, concat('用户-', {tail}, ' 🦔'), "
            f"{kind} = 14, concat('CORP\\\\user', {tail}), {rare})"
        )

    def company(self, p: str) -> str:
        """Return the key of the person's group of type 0, or nothing."""
        return f"if({self.recipe.hash('company', p)} % 10 < 4, concat('company-', toString({p} % 50)), '')"

    def properties(self, p: str, version: str) -> str:
        """Return the person's properties (JSON text) at a version."""
        name = (
            f"concat({pick(_NAMES, self.recipe.hash('first', p))}, ' ', {pick(_SURNAMES, self.recipe.hash('last', p))})"
        )
        plan = pick(vocabulary.PLANS, f"{self.recipe.hash('plan', p)} + intDiv({version}, 3)")
        extra = pick(_PERSON_EXTRAS, self.recipe.hash("extra person", p))
        since = f"formatDateTime({time_of(self.created_us(p))}, '%Y-%m-%dT%H:%i:%SZ')"
        known = (
            f"""concat('{{"email":"user.', toString({p}), '@', {pick(_DOMAINS, p)}, '","name":"', {name}, """
            f"""'","plan":"', {plan}, '","logins":', toString({version} * 7 + {p} % 3), ',"signed_up_at":"', """
            f"""{since}, '",', {extra}, ',', {_INITIAL}, '}}')"""
        )
        unknown = f"""concat('{{"seen":', toString({version} + 1), ',', {_INITIAL}, '}}')"""
        return f"if({self.identified(p)}, {known}, {unknown})"

    def version(self, p: str) -> str:
        """Return the person's version before any merge or deletion."""
        return f"toInt64({self.recipe.hash('version', p)} % 8)"

    def inserts(self) -> list[str]:
        """Return the statements that fill person, person_distinct_id2 and person_distinct_id_overrides."""
        return [self._insert_persons(), self._insert_distinct_ids(), self._insert_overrides()]

    def _insert_persons(self) -> str:
        gone = f"({self.deleted('p')} OR {self.merged('p')})"
        receives = f"({self.merged('(p + 1)')} AND p + 1 < {self.count})"
        return f"""
INSERT INTO person (id, created_at, team_id, properties, is_identified, is_deleted, version, last_seen_at, _timestamp)
SELECT
    {self.person_id("p")},
    {time_of("created_us")},
    {TEAM_ID},
    if(v >= 100, '{{}}', {self.properties("p", "v")}),
    {self.identified("p")},
    v >= 100,
    v,
    if(p % 5 = 0, NULL, {time_of("changed_us")}),
    toDateTime({time_of("changed_us")})
FROM (
    SELECT
        number AS p,
        v,
        {self.created_us("p")} AS created_us,
        {self.version("p")} AS last_version,
        if({gone}, {self.gone_us("p")}, {self.until_us}) AS last_us,
        multiIf(
            v >= 100, last_us,
            v > last_version, {self.gone_us("p + 1")},
            greatest(created_us, created_us + intDiv((last_us - created_us) * v, last_version + 2))
        ) AS changed_us
    FROM numbers({self.count})
    ARRAY JOIN arrayConcat(
        if(p % 7 = 3, range(last_version + 1), [last_version]),
        if({gone}, [last_version + 100], []),
        if({receives}, [last_version + 1], [])
    ) AS v
)"""

    def _insert_distinct_ids(self) -> str:
        return f"""
INSERT INTO person_distinct_id2 (team_id, distinct_id, person_id, is_deleted, version, _timestamp)
SELECT
    {TEAM_ID},
    {self.distinct_id("p", "j")},
    {self.person_id("if(v = 1, toUInt64(p - 1), p)")},
    v = 100,
    v,
    toDateTime({time_of(f"if(v = 0, {self.created_us('p')}, {self.gone_us('p')})")})
FROM (SELECT number AS p, j FROM numbers({self.count}) ARRAY JOIN range({self.distinct_ids("p")}) AS j)
ARRAY JOIN multiIf({self.merged("p")}, [0, 1], {self.deleted("p")}, [0, 100], [0]) AS v"""

    def _insert_overrides(self) -> str:
        return f"""
INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, is_deleted, version, _timestamp)
SELECT
    {TEAM_ID},
    {self.distinct_id("p", "j")},
    {self.person_id("toUInt64(p - 1)")},
    0,
    1,
    toDateTime({time_of(self.gone_us("p"))})
FROM (SELECT number AS p, j FROM numbers({self.count}) ARRAY JOIN range({self.distinct_ids("p")}) AS j)
WHERE {self.merged("p")}"""


def _json_texts(values: tuple[str, ...]) -> list[str]:
    return [json.dumps(value, ensure_ascii=False)[1:-1] for value in values]


_NAMES = _json_texts(vocabulary.FIRST_NAMES)
_SURNAMES = _json_texts(vocabulary.LAST_NAMES)
_DOMAINS = ("example.com", "hedgebox.net", "exämple.de", "mail.example.co.uk")
_INITIAL = """'"$initial_referring_domain":"$direct","$initial_os":"Mac OS X","$initial_browser_version":129'"""

_PERSON_EXTRAS = (
    vocabulary.fragment({"score": 7, "tags": ["beta", "vip"], "address": {"city": "Köln", "zip": "50667"}}),
    vocabulary.fragment({"score": "7", "tags": [], "address": None}),
    vocabulary.fragment({"score": 7.5, "tags": None, "Is Admin": True, "is_admin": False}),
    vocabulary.fragment({"score": None, "phone": "+49 221 123", "notes": 'likes "hedgehogs"\n\\o/', "🦔": 1}),
    vocabulary.fragment({"score": 9007199254740993, "birthday": "1990-02-30", "locale": "he-IL"}),
)
