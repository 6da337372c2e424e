"""Persons out of PostHog's list of persons, which moves while it is read.

What the list does (posthog/api/person.py, queries/actor_base_query.py, autumn 2026): newest first by offset, over live
data, so a new person moves all others one place on, and a deleted or merged one moves them back and hides another;
the keys come from ClickHouse and the rest from elsewhere, so a page may be short, or empty, and have a `next`; and a
person shows at most 1,000 distinct_ids.

So the list is read again, with pages of another size, until a reading brings no person that was not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from sources.posthog.client import PostHogClient
from sources.posthog.errors import ListUnreadable, Narrow, NotFound
from sources.posthog.shown import shown

PATH = "persons"
MOST_DISTINCT_IDS = 1_000
"""So many a person shows in the list (autumn 2026); the whole person has all."""
READINGS = 6
"""At most."""
_SIZES = (2_000, 1_400)
"""Rows of a page, in turn: bounds of pages fall on other rows in each reading."""
_SMALLEST = 50
_PAGES_WITHOUT_NEWS = 50


@dataclass(frozen=True)
class Person:
    """A person as the list shows it."""

    uuid: str
    distinct_ids: Sequence[str]
    row: dict[str, Any]


@dataclass(frozen=True)
class _Answer:
    rows: list[Any]
    count: int | None
    has_next: bool
    next_offset: int | None


class PersonList:
    """One table's reading of the list. `seen` holds the persons that were shown so far, as the bytes of their UUIDs."""

    def __init__(self, client: PostHogClient) -> None:
        self._client = client
        self._limit = max(_SIZES)
        self.seen: set[bytes] = set()
        self.count: int | None = None
        """How many PostHog says that there are, as of the latest reading; None: it does not say."""
        self.is_settled = False
        """Whether the latest reading brought no person that was not known."""
        self.is_proven = False
        """Whether it brought all that were known, too, or as many were seen as PostHog counts."""

    def persons(self) -> Iterator[list[Person]]:
        """All persons, each once, a page at a time."""
        for number in range(READINGS):
            known, shown = len(self.seen), 0
            for rows in self._reading(_SIZES[number % len(_SIZES)]):
                new: list[Person] = []
                for person in map(_person, rows):
                    key = UUID(person.uuid).bytes
                    shown += 1
                    if key not in self.seen:
                        self.seen.add(key)
                        new.append(self._with_all_ids(person))
                if new:
                    yield new
            self.is_settled = number > 0 and len(self.seen) == known
            if self.is_settled:
                self.is_proven = len(self.seen) == (shown if self.count is None else self.count)
                return

    def find(self, uuid: str) -> Person | None:
        """The person, asked for alone; None: PostHog does not have it."""
        try:
            return _person(self._client.get(f"{PATH}/{uuid}"))
        except NotFound:
            return None

    def ask_count(self) -> int | None:
        """How many persons PostHog says that there are now; None: it does not say."""
        return self._page(0, 1, with_count=True).count

    def _reading(self, size: int) -> Iterator[list[Any]]:
        """The pages of one reading from the first to the last, without the rows that the page before has too."""
        offset = without_news = 0
        before: set[str] = set()
        while True:
            limit = min(size, self._limit)
            try:
                page = self._page(offset, limit, with_count=offset == 0)
            except Narrow:
                if limit <= _SMALLEST:
                    raise
                self._limit = max(_SMALLEST, limit // 2)
                continue
            if offset == 0:
                self.count = page.count
            keys = [str(row.get("uuid") or row.get("id")) if isinstance(row, dict) else "" for row in page.rows]
            new = [row for row, key in zip(page.rows, keys, strict=True) if key not in before]
            yield new
            if not new and not page.has_next:
                return
            without_news = 0 if new else without_news + 1
            if without_news >= _PAGES_WITHOUT_NEWS:
                if self.count is not None and len(self.seen) >= self.count:
                    return
                raise ListUnreadable(
                    f"PostHog's list of persons has no end: {without_news} pages brought nothing new", path=PATH
                )
            before = set(keys)
            # Where `next` is as it should be, a page is over after `limit` places, however few of them it shows.
            # Where it is not, or says that there is none, only what was shown is surely behind us.
            offset += limit if page.next_offset == offset + limit else len(page.rows) or limit

    def _page(self, offset: int, limit: int, *, with_count: bool) -> _Answer:
        params: dict[str, Any] = {"limit": limit, "offset": offset}
        if with_count:
            params["include_total"] = "true"
        answer = self._client.get(PATH, params)
        rows = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise ListUnreadable("PostHog's list of persons is no list", path=PATH)
        count, following = answer.get("count"), answer.get("next")
        return _Answer(
            rows,
            count if isinstance(count, int) and not isinstance(count, bool) else None,
            bool(following),
            _offset(following) if isinstance(following, str) else None,
        )

    def _with_all_ids(self, person: Person) -> Person:
        if len(person.distinct_ids) < MOST_DISTINCT_IDS:
            return person
        whole = self.find(person.uuid)
        return Person(person.uuid, whole.distinct_ids, person.row) if whole is not None else person


def _offset(address: str) -> int | None:
    given = parse_qs(urlsplit(address).query).get("offset", [""])[0]
    return int(given) if given.isdigit() else None


def _person(row: Any) -> Person:
    """Raises ListUnreadable."""
    try:
        # The list has the UUID in both fields, the whole person a number in `id`; older servers have one of them.
        uuid, distinct_ids = str(UUID(str(row.get("uuid") or row["id"]))), row.get("distinct_ids") or []
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ListUnreadable(
            f"A person in PostHog's list is not what is known of persons: {type(error).__name__}: {error}", path=PATH
        ) from None
    if not isinstance(distinct_ids, list) or not all(isinstance(each, str) for each in distinct_ids):
        raise ListUnreadable(f"A person in PostHog's list has {shown(distinct_ids)} as distinct_ids", path=PATH)
    return Person(uuid, distinct_ids, row)
