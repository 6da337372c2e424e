"""A project's data, made inside ClickHouse: equal datasets give equal rows, uuids included.

Sessions of 1 to 36 events follow each other in time, with a daily and a weekly rhythm; few persons have most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from posthog_warehouse.sandbox.cohorts import fill_cohorts
from posthog_warehouse.sandbox.groups import insert_groups
from posthog_warehouse.sandbox.people import People
from posthog_warehouse.sandbox.recipe import (
    EVENT_COLUMNS,
    INSERT_SETTINGS,
    SESSION_COLUMNS,
    Recipe,
    array,
    microseconds,
    pick,
    time_of,
    uuid_random,
    uuid_v7,
)
from posthog_warehouse.sandbox.recordings import insert_logs, insert_recordings
from posthog_warehouse.sandbox.store import Store

# Events per session, over and over: a mean of 8.3, half of the sessions with at most four.
_SIZES = (3, 1, 7, 2, 12, 1, 36, 4, 2, 18, 5, 9)
_BEFORE = tuple(accumulate((0, *_SIZES)))[:-1]
_CYCLE = sum(_SIZES)
_BATCH_SESSIONS = 12_000

# How busy each hour (UTC) and each weekday (from Monday) is.
_HOURS = (9, 7, 6, 6, 7, 10, 16, 26, 38, 46, 50, 52, 54, 60, 66, 68, 66, 60, 50, 42, 34, 26, 18, 12)
_WEEKDAYS = (1.0, 1.08, 1.1, 1.05, 0.9, 0.45, 0.5)

_SECOND = 1_000_000
_HOUR = 3_600 * _SECOND
_DAY = 24 * _HOUR


@dataclass(frozen=True)
class Dataset:
    """What to make.

    Attributes:
        events: distinct events; 0.05 % of them are there twice (see `generate`).
        persons: persons that ever were; 5 % of them are deleted or merged into another by `until`.
        seed: equal seeds give equal rows, different ones different data of the same kind.
        until: the end of the days (with a time zone): the sandbox's now. Nothing was ingested later.
        days: how many days before `until` the events are spread over.
    """

    events: int
    persons: int
    seed: int
    until: datetime
    days: int = 30

    def __post_init__(self) -> None:
        if self.events < 0 or self.persons < 1 or self.days < 1:
            raise ValueError("A dataset needs events >= 0, persons >= 1 and days >= 1")
        if self.until.tzinfo is None:
            raise ValueError("The end of a dataset needs a time zone")

    @property
    def until_us(self) -> int:
        """`until` in microseconds since 1970."""
        return microseconds(self.until)

    @property
    def since_us(self) -> int:
        """The start of the first day in microseconds since 1970."""
        return self.until_us - self.days * _DAY


def generate(store: Store, dataset: Dataset, progress: Callable[[int], None] | None = None) -> None:
    """Fill the empty tables of a store.

    About one event in a hundred was ingested hours or days after its timestamp, one in 5,000 has a timestamp up to 20
    hours after its ingestion, one in 40,000 one of years ago: devices' clocks. One in 2,000 is there twice, as after a
    sender's retry: same uuid, day, event and distinct_id, a later `_timestamp`, and for some a later created_at.

    Args:
        store: its tables must be empty.
        dataset: what to make.
        progress: called with the number of events made so far, after each batch.
    """
    recipe = Recipe(dataset.seed)
    people = People(recipe, dataset.persons, dataset.since_us, dataset.until_us)
    sessions = _Sessions(recipe, people, dataset)
    for statement in [*people.inserts(), *insert_groups(recipe, dataset.since_us, dataset.until_us)]:
        store.execute(statement, settings=INSERT_SETTINGS)
    fill_cohorts(store, dataset.until_us)
    columns = ", ".join(EVENT_COLUMNS)
    for first, count in sessions.batches():
        source = sessions.select(first, count)
        events = recipe.events(source, *_times(recipe, dataset.until_us))
        store.execute(f"INSERT INTO events ({columns}) SELECT {columns} FROM ({events})", settings=INSERT_SETTINGS)
        store.execute(insert_recordings(recipe, source, sessions.last, dataset.until_us), settings=INSERT_SETTINGS)
        if progress:
            progress(min(dataset.events, sessions.events_before(first + count)))
    store.execute(insert_logs(dataset.seed))
    _merge_parts(store)
    _send_again(store, recipe, dataset.until_us)


class _Sessions:
    """Which session is when and whose, as SQL over the session's number."""

    def __init__(self, recipe: Recipe, people: People, dataset: Dataset) -> None:
        self.recipe = recipe
        self.people = people
        self.dataset = dataset
        cycles, rest = divmod(dataset.events, _CYCLE)
        self.count = cycles * len(_SIZES) + sum(1 for before in _BEFORE if before < rest)
        # The last sessions of all are still going on at the end.
        self.last = self.count - max(2, self.count // 2_000)
        self.day_ends = self._day_ends()

    def events_before(self, session: int) -> int:
        """Return how many events the sessions before this one have."""
        cycle, place = divmod(session, len(_SIZES))
        return cycle * _CYCLE + _BEFORE[place]

    def batches(self) -> Iterator[tuple[int, int]]:
        """Give (first session, number of sessions) for pieces of about 100,000 events."""
        for first in range(0, self.count, _BATCH_SESSIONS):
            yield first, min(_BATCH_SESSIONS, self.count - first)

    def _day_ends(self) -> list[int]:
        """Return for each day the number of the first session after it."""
        middle = timedelta(hours=12)
        days = [
            self.dataset.until - timedelta(days=self.dataset.days - day) + middle for day in range(self.dataset.days)
        ]
        # A little growth, so that no two weeks are alike.
        weights = [_WEEKDAYS[day.weekday()] * (1 + 0.3 * place / len(days)) for place, day in enumerate(days)]
        total = sum(weights)
        ends = [round(self.count * share / total) for share in accumulate(weights)]
        return [*ends[:-1], self.count]

    def select(self, first: int, count: int) -> str:
        """Return the SELECT of SESSION_COLUMNS for sessions `first` to `first + count`."""
        until, since = self.dataset.until_us, self.dataset.since_us
        draw, people = self.recipe.hash, self.people
        slots = [hour for hour, weight in enumerate(_HOURS) for _ in range(weight)]
        hour = pick(slots, draw("hour", "s"))
        start = f"({hour} * {_HOUR} + {draw('second', 's')} % {_HOUR} + {_DAY - until % _DAY}) % {_DAY}"
        length = f"toInt64(size * ({3 * _SECOND} + {draw('pace', 's')} % {35 * _SECOND}))"
        ongoing_length = f"toInt64(least({length}, {4 * 60 * _SECOND}))"
        ongoing_end = f"{until - 15 * _SECOND} - {draw('ongoing', 's')} % {90 * _SECOND}"
        person = f"least({people.count - 1}, toUInt64({people.count} * pow({self.recipe.fraction('person', 's')}, 3)))"
        visitor = uuid_v7("intDiv(start_us, 1000)", draw("visitor", "s"), draw("visitor tail", "s"))
        visitor_hash = "cityHash64(distinct_id)"
        return f"""
SELECT {", ".join(SESSION_COLUMNS)} FROM (
    SELECT
        *,
        {people.at_ingestion("p", "start_us")} AS owner,
        toUInt64(least({draw("first id", "s")} % ids, {draw("second id", "s")} % ids)) AS j,
        if(anonymous, toString({visitor}), {people.distinct_id("p", "j")}) AS distinct_id,
        if(anonymous, {uuid_random(5, visitor_hash, f"intHash64({visitor_hash})")}, {people.person_id("owner")})
            AS person_id,
        if(anonymous, 0, {people.created_us("owner")}) AS person_created_us,
        if(anonymous, '{{}}', {people.properties("owner", "0")}) AS person_properties,
        multiIf(anonymous, 1, {draw("mode", "s")} % 200 = 0, 2, 0) AS mode,
        NOT anonymous AND {people.identified("owner")} AS identified,
        if(anonymous, '', {people.company("owner")}) AS company
    FROM (
        SELECT
            *,
            {people.present("rank", "start_us")} AS p,
            {people.distinct_ids("p")} AS ids
        FROM (
            SELECT
                number AS s,
                toUInt64(intDiv(s, {len(_SIZES)}) * {_CYCLE} + {pick(_BEFORE, "s")}) AS n0,
                toUInt64(least({pick(_SIZES, "s")}, {self.dataset.events} - n0)) AS size,
                s >= {self.last} AS ongoing,
                toInt64({since} + {self._day(first, count)} * {_DAY} + {start}) AS drawn_us,
                if(ongoing, {ongoing_end} - {ongoing_length}, least(drawn_us, {until - 60 * _SECOND})) AS start_us,
                if(ongoing, {ongoing_length}, least({length}, {until - 10 * _SECOND} - start_us)) AS duration_us,
                {draw("anonymous", "s")} % 100 < 12 AS anonymous,
                {person} AS rank
            FROM numbers({first}, {count})
        )
    )
)"""

    def _day(self, first: int, count: int) -> str:
        """Return the expression for a session's day, counted from 0; only days of these sessions are compared."""
        start = sum(1 for end in self.day_ends if end <= first)
        ends = [end for end in self.day_ends[start:] if end < first + count]
        # One more end, beyond all of these sessions: an array may not be empty, and the index has to be found.
        return f"({start} + arrayFirstIndex(end -> s < end, {array([*ends, first + count])}) - 1)"


def _times(recipe: Recipe, until_us: int) -> tuple[str, str, str, None]:
    """Return the expressions for when an event happened, was ingested and landed."""
    draw = recipe.hash
    tie = f"(i % 2 = 1 AND {draw('tie', 'n')} % 25 = 0)"
    exact = (
        f"(start_us + intDiv(duration_us * toInt64((i - {tie}) * 1000 + {draw('moment', f'(n - {tie})')} % 1000), "
        "toInt64(size * 1000)))"
    )
    # posthog-js sends milliseconds, servers microseconds, and some senders whole seconds.
    precision = draw("precision", f"(n - {tie})")
    unit = f"multiIf({precision} % 100 < 45, 1000, {precision} % 100 < 47, {_SECOND}, 1)"
    ahead = f"{60 * _SECOND} + {draw('ahead', 'n')} % {20 * _HOUR}"
    years = f"-toInt64({300 * _DAY} + {draw('years', 'n')} % {3_000 * _DAY})"
    happened = (
        f"(intDiv({exact}, {unit}) * {unit} AS right_us) "
        f"+ toInt64(multiIf(n % 40000 = 17, {years}, n % 5000 = 33, {ahead}, 0))"
    )
    late = (
        f"(toInt64(multiIf({draw('late', 'n')} % 10000 < 60, {_HOUR} + {draw('lag', 'n')} % {19 * _HOUR}, "
        f"{draw('late', 'n')} % 10000 < 90, {_DAY} + {draw('lag', 'n')} % {9 * _DAY}, 0)) AS late_us)"
    )
    prompt = f"right_us + {300_000} + toInt64({draw('lag', 'n')} % {7 * _SECOND})"
    ingested = (
        f"if({late} > 0 AND right_us + late_us < {until_us - _SECOND}, right_us + late_us, "
        f"least({prompt}, {until_us - _SECOND}))"
    )
    landed = f"least(ingested_us + {500_000} + toInt64({draw('landing', 'n')} % {5 * _SECOND}), {until_us})"
    return happened, ingested, landed, None


def _merge_parts(store: Store) -> None:
    """Leave one part a month, as on a server that had time to merge: how granules lie decides what a query reads."""
    months = store.rows(
        "SELECT DISTINCT partition_id FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'events' ORDER BY partition_id"
    )
    for (month,) in months:
        store.execute(
            f"OPTIMIZE TABLE events PARTITION ID '{month}' FINAL", settings={"optimize_skip_merged_partitions": 1}
        )


def _send_again(store: Store, recipe: Recipe, until_us: int) -> None:
    columns = ", ".join(EVENT_COLUMNS)
    again = recipe.hash("again", "toUInt64(cityHash64(uuid))")
    # A third of them were ingested twice by PostHog, the others only landed twice.
    created = time_of(
        f"if({again} % 3 = 0, least(toUnixTimestamp64Micro(created_at) + {again} % {90 * _SECOND}, {until_us}), "
        "toUnixTimestamp64Micro(created_at))"
    )
    store.execute(
        f"""
INSERT INTO events ({columns})
SELECT * REPLACE(
    {created} AS created_at,
    least(_timestamp + 100, toDateTime({time_of(str(until_us))})) AS _timestamp,
    least(inserted_at + toIntervalSecond(100), {time_of(str(until_us))}) AS inserted_at
)
FROM (SELECT {columns} FROM events WHERE {again} % 2000 = 7)""",
        settings=INSERT_SETTINGS,
    )
