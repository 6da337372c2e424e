"""SQL expressions that turn a row number into an event: the same for generated data and for events added later.

ClickHouse makes the rows itself, from numbers and hashes, because Python would need minutes for a million events of
2 KB. Everything is a function of the seed and of row numbers, so equal seeds give equal rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from posthog_warehouse.sandbox import vocabulary
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.store import quoted

# A session whose columns these expressions read. `s` numbers it, `n0` numbers its first event; times are
# microseconds since 1970; `mode` is the number of a person_mode.
SESSION_COLUMNS = (
    "s", "size", "n0", "start_us", "duration_us", "distinct_id", "person_id", "person_created_us",
    "person_properties", "mode", "identified", "company",
)  # fmt: skip

EVENT_COLUMNS = (
    "uuid", "event", "properties", "timestamp", "team_id", "distinct_id", "elements_chain", "created_at",
    "person_id", "person_created_at", "person_properties", "person_mode", "`$session_id`", "`$window_id`",
    "`$group_0`", "_timestamp", "inserted_at",
)  # fmt: skip

# Rows become JSON text of 2 KB: small blocks keep what is in memory small, and a part of this many rows is sorted in
# one go.
INSERT_SETTINGS: dict[str, object] = {
    "max_block_size": 512,
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 65_536,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 0,
    "output_format_json_escape_forward_slashes": 0,
    "optimize_on_insert": 0,
}


def constant(*parts: object) -> int:
    """Return 63 bits that depend on nothing but `parts`."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def array(values: Sequence[str] | Sequence[int]) -> str:
    """Return an SQL array of strings or of integers."""
    return "[" + ", ".join(quoted(value) if isinstance(value, str) else str(value) for value in values) + "]"


def pick(values: Sequence[str] | Sequence[int], number: str) -> str:
    """Return the expression for the value at `number` modulo how many there are."""
    return f"arrayElement({array(values)}, toUInt32(({number}) % {len(values)}) + 1)"


def uuid_of(high: str, low: str) -> str:
    """Return the UUID whose text is the hexadecimal digits of two UInt64 expressions."""
    return f"reinterpret(bitOr(toUInt128({high}), bitShiftLeft(toUInt128({low}), 64)), 'UUID')"


def uuid_v7(milliseconds: str, first: str, second: str) -> str:
    """Return a UUIDv7 for a time and two hashes, as posthog-js makes its ids."""
    high = f"bitOr(bitShiftLeft(toUInt64({milliseconds}), 16), bitOr(28672, bitAnd({first}, 4095)))"
    return uuid_of(high, _variant(second))


def uuid_random(version: int, first: str, second: str) -> str:
    """Return a UUID of a version whose other bits are all hash: 4 (random) or 5 (PostHog's person ids)."""
    high = f"bitOr(bitAnd({first}, 18446744073709490175), {version << 12})"
    return uuid_of(high, _variant(second))


def _variant(number: str) -> str:
    return f"bitOr(bitAnd({number}, 4611686018427387903), 9223372036854775808)"


def time_of(microseconds: str) -> str:
    """Return the DateTime64(6, 'UTC') for microseconds since 1970."""
    return f"fromUnixTimestamp64Micro(toInt64({microseconds}), 'UTC')"


def microseconds(moment: datetime) -> int:
    """Return a moment (with a time zone) as microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


@dataclass(frozen=True)
class Recipe:
    """The expressions for one seed."""

    seed: int

    def hash(self, purpose: str, number: str) -> str:
        """Return 64 bits for a number (UInt64), other ones for each purpose."""
        return f"intHash64(toUInt64({number}) + {constant(self.seed, purpose)})"

    def fraction(self, purpose: str, number: str) -> str:
        """Return a Float64 in [0, 1)."""
        return f"(bitShiftRight({self.hash(purpose, number)}, 11) / 9007199254740992)"

    def events(self, sessions: str, timestamp_us: str, created_us: str, landed_us: str, event: str | None) -> str:
        """Return the SELECT of event rows (EVENT_COLUMNS) for sessions.

        Args:
            sessions: a SELECT giving SESSION_COLUMNS.
            timestamp_us: when it happened, by the client's clock. It may name the session's columns, `i` (which
                event of the session) and `n` (which event of all).
            created_us: when PostHog ingested it; may name `happened_us` as well.
            landed_us: when ClickHouse had it; may name `ingested_us` as well.
            event: the name of all events; without it names are drawn as in a real project.
        """
        name = quoted(event) if event is not None else self._event_name()
        session_json = self._session_json()
        return f"""
SELECT
    {uuid_v7("intDiv(happened_us, 1000)", self.hash("uuid", "n"), self.hash("uuid2", "n"))} AS version_7,
    {uuid_random(4, self.hash("uuid", "n"), self.hash("uuid2", "n"))} AS version_4,
    if({self.hash("version", "n")} % 20 = 0, version_4, version_7) AS uuid,
    name AS event,
    concat('{{', {self._event_json()}, ',', session_json, '}}') AS properties,
    {time_of("happened_us")} AS timestamp,
    {TEAM_ID} AS team_id,
    distinct_id,
    if(name IN ('$autocapture', '$rageclick'), {self._chain()}, '') AS elements_chain,
    {time_of("ingested_us")} AS created_at,
    person_id,
    toDateTime64({time_of("person_created_us")}, 3, 'UTC') AS person_created_at,
    person_properties,
    mode AS person_mode,
    session_id AS `$session_id`,
    window_id AS `$window_id`,
    company AS `$group_0`,
    toDateTime({time_of("landed_us")}) AS _timestamp,
    {time_of("landed_us")} AS inserted_at
FROM (
    SELECT
        *,
        i,
        n0 + i AS n,
        {timestamp_us} AS happened_us,
        {created_us} AS ingested_us,
        {landed_us} AS landed_us,
        {name} AS drawn,
        if(drawn = '$identify' AND NOT identified, '$autocapture', drawn) AS name,
        if(i * 2 > size AND {self.hash("windows", "s")} % 5 = 0, second_window, first_window) AS window_id
    FROM (
        SELECT
            *,
            toString({self._client_id("session")}) AS session_id,
            toString({self._client_id("window")}) AS first_window,
            toString({self._client_id("window 2")}) AS second_window,
            {session_json} AS session_json
        FROM ({sessions})
    )
    ARRAY JOIN range(toUInt64(size)) AS i
)"""

    def session_id(self) -> str:
        """Return the expression for a session's `$session_id`, as the events have it."""
        return f"toString({self._client_id('session')})"

    def url(self, number: str) -> str:
        """Return the expression for the address of a page, as plain text."""
        page, digits = self._page(number)
        heads, tails, numbers = zip(*[_page_parts(*entry[:2]) for entry in vocabulary.PAGES], strict=True)
        middle = f"if({pick(numbers, page)} = 1, {digits}, '')"
        return f"concat('https://', {pick(heads, page)}, {middle}, {pick(tails, page)})"

    def _page(self, number: str) -> tuple[str, str]:
        return self.hash("page", number), f"toString({self.hash('page number', number)} % 100000)"

    def _client_id(self, purpose: str) -> str:
        return uuid_v7("intDiv(start_us, 1000)", self.hash(purpose, "s"), self.hash(f"{purpose} tail", "s"))

    def _event_name(self) -> str:
        # One letter per ten-thousandth, which is shorter than an array of as many numbers.
        letters = "".join(chr(ord("A") + number) * weight for number, (_, weight) in enumerate(vocabulary.EVENTS))
        names = array([name for name, _ in vocabulary.EVENTS])
        place = f"{self.hash('name', 'n')} % {len(letters)} + 1"
        drawn = f"ascii(substring({quoted(letters)}, {place}, 1)) - {ord('A') - 1}"
        # A session starts with a page, unless an app or a server sent it.
        return (
            f"if(i = 0 AND {self.hash('first', 's')} % 8 != 0, '$pageview', arrayElement({names}, toUInt32({drawn})))"
        )

    def _event_json(self) -> str:
        """Return the expression for the members that change from event to event."""
        page, digits = self._page("n")
        parts = [_page_parts(host, path) for host, path, _ in vocabulary.PAGES]
        middle = f"if({pick([number for _, _, number in parts], page)} = 1, {digits}, '')"
        opening = pick([_escaped(head) for head, _, _ in parts], page)
        closing = pick([_escaped(tail) for _, tail, _ in parts], page)
        path_opening = pick([_escaped(head[head.index("/") :]) for head, _, _ in parts], page)
        path_closing = pick([_escaped(_without_query(tail)) for _, tail, _ in parts], page)
        hosts = pick([f',"$host":"{host}","$pathname":"' for host, _, _ in vocabulary.PAGES], page)
        titles = pick([f'","$title":"{_escaped(title)}"' for _, _, title in vocabulary.PAGES], page)
        plain = vocabulary.EXTRAS[: vocabulary.PLAIN_EXTRAS]
        extra = (
            f"if({self.hash('odd', 'n')} % 3 = 0, {pick(vocabulary.EXTRAS, self.hash('extra', 'n'))}, "
            f"{pick(plain, self.hash('extra', 'n'))})"
        )
        return (
            f"""concat('"$current_url":"https://', {opening}, {middle}, {closing}, '"', {hosts}, {path_opening}, """
            f"""{middle}, {path_closing}, {titles}, ',"$window_id":"', window_id, '","$insert_id":"', """
            f"""lower(hex({self.hash("insert id", "n")})), """
            f"""'","$time":', toString(intDiv(happened_us, 1000000)), '.', """
            f"""leftPad(toString(intDiv(happened_us, 1000) % 1000), 3, '0'), ',', {self._piece()}, {extra})"""
        )

    def _piece(self) -> str:
        """Return the expression for the members that go with the event's name, with a comma after them."""
        pieces, first, many = [""], [1], [1]
        for name, _ in vocabulary.EVENTS:
            own = [f"{piece}," for piece in vocabulary.EVENT_PIECES.get(name, ())]
            first.append(len(pieces) + 1 if own else 1)
            many.append(max(1, len(own)))
            pieces.extend(own)
        index = f"indexOf({array([name for name, _ in vocabulary.EVENTS])}, name) + 1"
        position = (
            f"arrayElement({array(first)}, {index}) + {self.hash('piece', 'n')} % arrayElement({array(many)}, {index})"
        )
        return f"arrayElement({array(pieces)}, toUInt32({position}))"

    def _chain(self) -> str:
        leaf = pick(vocabulary.CHAIN_LEAVES, self.hash("leaf", "n"))
        return f"concat({leaf}, ';', {pick(vocabulary.CHAIN_PARENTS, self.hash('parents', 'n'))})"

    def _session_json(self) -> str:
        """Return the expression for the members all events of a session share."""
        who = "cityHash64(distinct_id)"
        device = pick(vocabulary.DEVICES, f"intDiv({who}, 7) + ({self.hash('other device', 's')} % 4 = 0)")
        ip = " , '.', ".join(f"toString(bitAnd(bitShiftRight({who}, {shift}), 255))" for shift in (8, 24, 40, 48))
        referrer = pick(vocabulary.REFERRERS, self.hash("referrer", "s"))
        flags = pick(vocabulary.FLAGS, who)
        device_id = f"toString({uuid_random(4, who, f'intHash64({who})')})"
        library = f"if({self.hash('library', 's')} % 6 = 0, {pick(vocabulary.LIBRARIES, who)}, " + (
            f"{quoted(vocabulary.LIBRARIES[0])})"
        )
        profile = (
            f"""concat(',"$is_identified":true,"$user_id":', toJSONString(distinct_id), ',"$set":{{"plan":"', """
            f"""{pick(vocabulary.PLANS, who)}, '","last_seen":"', toString(toDate({time_of("start_us")})), """
            f"""'","logins":', toString({self.hash("logins", "s")} % 1000), '}}')"""
        )
        return (
            f"""concat({device}, ',', {library}, ',', {pick(vocabulary.PLACES, f"intDiv({who}, 11)")}, ',"$ip":"', """
            f"""{ip}, '",', {referrer}, ',', {flags}, ',"token":"phc_hedgebox","$session_id":"', session_id, """
            f"""'","distinct_id":', toJSONString(distinct_id), ',"$device_id":"', {device_id}, '"', """
            f"""multiIf(mode = 1, ',"$process_person_profile":false,"$is_identified":false', identified, {profile}, """
            f"""',"$is_identified":false'), ',"$set_once":{{"$initial_referrer":"$direct","$initial_current_url":"""
            f""""https://hedgebox.net/?ref=', toString({who} % 1000), '","$initial_utm_source":null}}', """
            f"""if(company = '', '', concat(',"$groups":{{"company":"', company, '"}}')))"""
        )


def _page_parts(host: str, path: str) -> tuple[str, str, int]:
    """Return what stands before and after the number in an address, and whether there is one (1 or 0)."""
    head, place, tail = path.partition("{}")
    if not place:
        # A query string is behind the path, so it goes to the tail.
        bare = _without_query(path)
        return host + bare, path[len(bare) :], 0
    return host + head, tail, 1


def _without_query(path: str) -> str:
    return path.partition("?")[0].partition("#")[0]
