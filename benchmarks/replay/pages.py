"""Pages of events, as PostHog answers them: made once for a seed, kept packed, and the same for the same seed.

One day of UTC is one page. An event has some 90 properties in 1.8 KB of JSON, as a web project's have: what the library
knows of browser, screen, place and campaign is the same for a visit, and ids, times and addresses are the event's own.
Instead of those, `properties` may have so many keys, or be wild (see `texts`).
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pyarrow as pa

from replay.texts import keyed, wild

LAST_DAY = date(2026, 11, 10)
"""The newest day, old enough for every row to be visible by any run's clock."""

COLUMNS = (
    "uuid",
    "event",
    "timestamp",
    "created_at",
    "distinct_id",
    "person_id",
    "session_id",
    "window_id",
    "elements_chain",
    "properties",
)
_EVENTS = (
    "$pageview",
    "$pageview",
    "$pageview",
    "$autocapture",
    "$autocapture",
    "$pageleave",
    "plan_changed",
    "purchase",
)
_BROWSERS = (("Chrome", 142), ("Safari", 18), ("Firefox", 144), ("Edge", 141), ("Mobile Safari", 18))
_SYSTEMS = (("Windows", "10.0"), ("Mac OS X", "10.15.7"), ("Linux", ""), ("iOS", "18.1"), ("Android", "15"))
_PLACES = (
    ("Berlin", "Germany", "DE", "Europe", "EU", "10115", 52.53, 13.38, "Europe/Berlin", "Land Berlin", "BE"),
    ("London", "United Kingdom", "GB", "Europe", "EU", "EC1A", 51.52, -0.1, "Europe/London", "England", "ENG"),
    ("Austin", "United States", "US", "North America", "NA", "78701", 30.27, -97.74, "America/Chicago", "Texas", "TX"),
    (
        "São Paulo",
        "Brazil",
        "BR",
        "South America",
        "SA",
        "01000",
        -23.55,
        -46.63,
        "America/Sao_Paulo",
        "São Paulo",
        "SP",
    ),
    ("Tokyo", "Japan", "JP", "Asia", "AS", "100-0001", 35.69, 139.69, "Asia/Tokyo", "Tokyo", "13"),
)
_PATHS = ("/", "/pricing", "/docs", "/docs/api/queries", "/signup", "/blog/2026/fast", "/app/insights", "/app/settings")
_SOURCES = ("google", "newsletter", "linkedin", None)
_CHAIN = (
    'button.btn.btn-primary:attr__class="btn btn-primary"attr__type="submit"nth-child="3"nth-of-type="1"text="Save";'
    'form.settings:attr__class="settings"nth-child="2"nth-of-type="1";div.page:attr__class="page"nth-child="1"'
)
_VISIT_EVENTS = 8

USUAL, WILD = "usual", "wild"
"""Properties."""


@dataclass(frozen=True)
class Made:
    """A set of pages in `folder`: `days[i]` has `rows[i]` events, by name in `names[i]`."""

    folder: Path
    days: list[str]
    rows: list[int]
    names: list[dict[str, int]]
    events: int
    properties: int
    """Distinct keys of properties, as far as they were looked at."""
    property_bytes: int
    """Mean size of the properties of an event, in bytes."""
    text_bytes: int
    """All pages as JSON, unpacked."""

    @property
    def starts(self) -> list[datetime]:
        """When the days begin."""
        return [datetime.fromisoformat(day).replace(tzinfo=timezone.utc) for day in self.days]

    def rows_of(self, day: int) -> list[list[str]]:
        """The events of a page, cell by cell, in the order of `COLUMNS`."""
        rows: list[list[str]] = orjson.loads(gzip.decompress(self.packed(day, "gzip")))["results"]
        return rows

    def packed(self, day: int, encoding: str) -> bytes:
        """The body of a page; `encoding`: `gzip` or `zstd`."""
        return (self.folder / f"{day}.json.{'zst' if encoding == 'zstd' else 'gz'}").read_bytes()


def make(folder: Path, *, events: int, page_rows: int = 40_000, seed: int = 7, properties: str = USUAL) -> Made:
    """The pages of `folder`, made if they are not there yet, for so many events in pages of `page_rows`.

    `properties` are a web project's (`usual`), `wild`, or have so many keys (a number).
    """
    home = folder / f"{events}-{page_rows}-{seed}{'' if properties == USUAL else f'-{properties}'}"
    index = home / "index.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, whoever else makes them at the same time.
        with tempfile.TemporaryDirectory(dir=folder) as made:
            facts = _write(Path(made), events, page_rows, seed, properties)
            Path(made, index.name).write_text(json.dumps(facts))
            with contextlib.suppress(OSError):
                Path(made).rename(home)
            Path(made).mkdir(exist_ok=True)
    return Made(folder=home, **json.loads(index.read_text()))


def _write(home: Path, events: int, page_rows: int, seed: int, properties: str) -> dict[str, object]:
    sizes = [min(page_rows, events - start) for start in range(0, events, page_rows)]
    first = LAST_DAY - timedelta(days=len(sizes) - 1)
    made: dict[str, list[object]] = {"days": [], "rows": [], "names": []}
    keys: set[str] = set()
    property_bytes = text_bytes = 0
    for number, size in enumerate(sizes):
        day = first + timedelta(days=number)
        rows = list(_rows(day, size, random.Random(f"{seed}/{number}")))  # noqa: S311 - repeatable on purpose
        if properties != USUAL:
            page = seed * 1_000 + number
            texts = wild(size, page) if properties == WILD else keyed(size, int(properties), 0.0, page)
            rows = [[*row[:-1], text] for row, text in zip(rows, texts, strict=True)]
        # As they lie in PostHog: by name, then by who did it.
        rows.sort(key=lambda row: (row[1], row[4], row[0]))
        body = orjson.dumps(
            {
                "results": rows,
                "columns": COLUMNS,
                "types": [[name, "Nullable(String)"] for name in COLUMNS],
                "hasMore": None,
                "is_cached": False,
                "error": None,
            }
        )
        (home / f"{number}.json.gz").write_bytes(gzip.compress(body, compresslevel=6, mtime=0))
        (home / f"{number}.json.zst").write_bytes(pa.Codec("zstd", compression_level=3).compress(body, asbytes=True))
        made["days"].append(day.isoformat())
        made["rows"].append(size)
        made["names"].append(dict(sorted(Counter(row[1] for row in rows).items())))
        text_bytes += len(body)
        property_bytes += sum(len(row[-1].encode()) for row in rows)
        if properties != WILD:
            keys.update(*(json.loads(row[-1]) for row in rows[:200]))
    return {
        **made,
        "events": events,
        "properties": len(keys),
        "property_bytes": property_bytes // max(1, events),
        "text_bytes": text_bytes,
    }


def _rows(day: date, count: int, chance: random.Random) -> Iterator[list[str]]:
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    visits = [_Visit(chance) for _ in range(max(1, count // _VISIT_EVENTS))]
    for number in range(count):
        moment = start + timedelta(microseconds=chance.randrange(86_000_000_000))
        yield visits[number % len(visits)].row(moment, chance)


class _Visit:
    """What the events of one visit have in common, as a piece of JSON."""

    def __init__(self, chance: random.Random) -> None:
        self.distinct_id = _uuid(chance)
        self.person_id = _uuid(chance)
        self.session_id = _uuid(chance)
        self.window_id = _uuid(chance)
        self.common = orjson.dumps(_common(chance, self)).decode()[1:-1]

    def row(self, moment: datetime, chance: random.Random) -> list[str]:
        """One event of the visit."""
        name = chance.choice(_EVENTS)
        own = orjson.dumps(_own(name, moment, chance)).decode()[1:-1]
        late = timedelta(milliseconds=chance.randrange(200, 9_000))
        return [
            # As the library makes them: version 7, in the order of time.
            _uuid(chance, int(moment.timestamp() * 1000)),
            name,
            _text(moment),
            _text(moment + late),
            self.distinct_id,
            self.person_id,
            self.session_id,
            self.window_id,
            _CHAIN if name == "$autocapture" else "",
            f"{{{own},{self.common}}}",
        ]


def _common(chance: random.Random, visit: _Visit) -> dict[str, object]:
    browser, version = chance.choice(_BROWSERS)
    system, system_version = chance.choice(_SYSTEMS)
    city, country, code, continent, continent_code, postal, latitude, longitude, zone, part, part_code = chance.choice(
        _PLACES
    )
    source = chance.choice(_SOURCES)
    width, height = chance.choice(((1920, 1080), (1440, 900), (390, 844), (2560, 1440)))
    referrer = f"https://www.{source}.com/" if source else "$direct"
    device = {
        "$os": system,
        "$os_version": system_version,
        "$browser": browser,
        "$browser_version": version,
        "$browser_language": "en-US",
        "$device_type": "Mobile" if width < 500 else "Desktop",
        "$screen_width": width,
        "$screen_height": height,
        "$viewport_width": width - chance.randrange(80),
        "$viewport_height": height - chance.randrange(200),
        "$timezone": zone,
        "$timezone_offset": chance.choice((-60, 0, 360, 180, -540)),
        "$lib": "web",
        "$lib_version": "1.290.1",
        "$device_id": visit.distinct_id,
        "$session_id": visit.session_id,
        "$is_identified": chance.random() < 0.3,
    }
    place = {
        "$ip": f"203.0.113.{chance.randrange(256)}",
        "$geoip_city_name": city,
        "$geoip_country_name": country,
        "$geoip_country_code": code,
        "$geoip_continent_name": continent,
        "$geoip_continent_code": continent_code,
        "$geoip_postal_code": postal,
        "$geoip_latitude": latitude,
        "$geoip_longitude": longitude,
        "$geoip_subdivision_1_name": part,
        "$geoip_subdivision_1_code": part_code,
    }
    campaign = {
        "utm_source": source,
        "utm_medium": "cpc" if source == "google" else None,
        "utm_campaign": f"autumn_{chance.randrange(40)}" if source else None,
        "$referrer": referrer,
        "$search_engine": "google" if source == "google" else None,
        "$feature/new-checkout": chance.choice(("control", "test")),
        "$feature/dark-mode": chance.random() < 0.5,
        "$feature/ai-search": chance.random() < 0.1,
        "plan": chance.choice(("free", "team", "scale")),
        "seats": chance.randrange(1, 200),
        "is_internal": False,
        "team name": chance.choice(("Ärzte", "growth", "data & co")),
        "signup_date": f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
        "org_id": _uuid(chance),
        "locale": chance.choice(("en-GB", "de-DE", "pt-BR")),
        "theme": chance.choice(("light", "dark")),
        "release": f"2026.11.{chance.randrange(20)}",
        "experiment.bucket": chance.randrange(100),
        "cohort": chance.choice(("a", "b", "c")),
        "is_trial": chance.random() < 0.2,
        "mrr": round(chance.random() * 900, 2),
        **{f"trait_{number}": chance.choice((number, f"v{number}", True, None)) for number in range(4)},
        **{f"score_{number}": chance.randrange(10_000) for number in range(10)},
        **{f"tag_{number}": chance.choice(("on", "off")) for number in range(8)},
    }
    return {**device, **place, **campaign}


def _own(name: str, moment: datetime, chance: random.Random) -> dict[str, object]:
    path = chance.choice(_PATHS)
    seconds = moment.timestamp()
    own: dict[str, object] = {
        "$time": seconds,
        "$sent_at": moment.isoformat(timespec="milliseconds"),
        "$insert_id": f"{chance.getrandbits(64):016x}",
        "$current_url": f"https://app.example.com{path}?tab={chance.randrange(30)}",
        "$host": "app.example.com",
        "$pathname": path,
        "$pageview_id": _uuid(chance, int(seconds * 1000)),
        "title": f"Example - {path.rsplit('/', 1)[-1] or 'home'}",
        "load_ms": chance.randrange(80, 4_000),
        "is_first": chance.random() < 0.1,
        "position": chance.randrange(1_000),
    }
    if name == "$autocapture":
        own |= {"$event_type": "click", "$el_text": chance.choice(("Save", "Next", "Delete")), "$ce_version": 1}
    if name == "purchase":
        # A type that is not the same in all rows, as in real projects.
        own |= {"amount": chance.choice((9, 19.5, 250)), "currency": "EUR", "items": [chance.randrange(99)] * 3}
    if name == "plan_changed":
        own |= {"from": "free", "to": "team"}
    return own


def _uuid(chance: random.Random, milliseconds: int | None = None) -> str:
    bits = chance.getrandbits(128)
    if milliseconds is None:
        return str(uuid.UUID(int=bits, version=4))
    return str(
        uuid.UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 52 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1)
    )


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
