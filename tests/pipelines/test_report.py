"""What people and programs read."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from posthog_warehouse.pipelines.report import JsonReporter, size_text, waiting_text
from posthog_warehouse.sources.posthog.http.rate_limiter import Wait


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_500, "1.5 kB"),
        (217_000_000, "217 MB"),
        (4.2e9, "4.2 GB"),
        (2e12, "2.0 TB"),
    ],
)
def test_sizes_are_readable(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "Waiting 42 s for PostHog's limit"), (0.25, "Waiting 0.2 s for PostHog's limit"), (3600, "Waiting 3,600 s")],
)
def test_waits_say_how_long_and_for_what(seconds: float, text: str) -> None:
    assert waiting_text(Wait(seconds, "PostHog's limit")).startswith(text)


def test_json_lines_hold_what_json_has_no_words_for() -> None:
    out = io.StringIO()
    moment = datetime(2026, 11, 20, 9, tzinfo=timezone.utc)
    row = {"at": moment, "uuid": UUID(int=1), "share": Decimal("0.5"), "text": "naïve\n\u2028", "nothing": None}
    JsonReporter(out).records("row", [row])
    [line] = out.getvalue().splitlines()
    assert json.loads(line) == {
        "type": "row",
        "at": "2026-11-20T09:00:00+00:00",
        "uuid": str(UUID(int=1)),
        "share": 0.5,
        "text": "naïve\n\u2028",
        "nothing": None,
    }


def test_packages_are_numbered_and_those_of_our_own_records_are_left_out() -> None:
    out = io.StringIO()
    reporter = JsonReporter(out)
    reporter.phase("load")
    reporter.loaded({"events": 5, "persons": 0})
    reporter.loaded({"events": 0, "persons": 0})
    reporter.loaded({"events": 7, "persons": 1})
    packages = [json.loads(line) for line in out.getvalue().splitlines()][1:]
    assert [(package["number"], package["rows"]["events"]) for package in packages] == [(1, 5), (2, 7)]


def test_nobody_who_stops_reading_stops_a_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            del text
            raise BrokenPipeError

    JsonReporter(Gone()).phase("load")
