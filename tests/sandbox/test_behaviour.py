"""The switches themselves, and the clock."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES, Behaviour
from posthog_warehouse.sandbox.clock import Clock

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox"


def test_every_switch_is_connected_to_something() -> None:
    code = "".join(path.read_text() for path in SANDBOX.rglob("*.py") if path.name != "behaviour.py")
    # The throttles are looked up by class and period.
    names = {field.name for field in dataclasses.fields(Behaviour)}
    assert [name for name in sorted(names) if name not in code] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_a_behaviour_survives_json(profile: str) -> None:
    behaviour = PROFILES[profile]
    assert Behaviour().changed(json.loads(json.dumps(behaviour.as_json()))) == behaviour


def test_the_clock_is_real_time_plus_what_it_was_moved_by() -> None:
    start = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    clock = Clock(start)
    assert timedelta(0) <= clock.now() - start < timedelta(seconds=5)
    clock.advance(3600)
    assert timedelta(hours=1) <= clock.now() - start < timedelta(hours=1, seconds=5)
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2026, 11, 20))  # noqa: DTZ001 - the mistake under test
