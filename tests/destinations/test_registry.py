"""A kind of destination is one declaration: with it, the program has it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from posthog_warehouse.destinations.destination import Destination, Place
from posthog_warehouse.destinations.registry import DESTINATIONS

PLACE = Place(dataset="posthog", database="warehouse.duckdb", bucket_url="./lake", memory_limit="400MB")
ASKED = {name for name, _ in inspect.getmembers(Destination) if not name.startswith("_")}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_every_kind_has_all_that_the_program_asks_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = DESTINATIONS[name].make(PLACE)
    assert made.name == name
    assert made.dataset == PLACE.dataset
    assert {*ASKED, "__enter__", "__exit__"} <= set(dir(made))
    assert list(tmp_path.iterdir()) == [], "to be made is not to be opened"
