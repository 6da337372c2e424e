"""What the documents say of destinations is what is declared."""

from __future__ import annotations

import re
from pathlib import Path

import dlt
import pytest

from posthog_warehouse.destinations.kinds import KINDS, Kind
from posthog_warehouse.destinations.registry import DESTINATIONS

ROOT = Path(__file__).resolve().parents[2]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs" / "destinations.md").read_text(), re.MULTILINE))


def test_every_destination_has_a_row() -> None:
    assert set(ROWS) == set(DESTINATIONS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_names_driver_and_settings(kind: Kind) -> None:
    row = ROWS[kind.name]
    assert kind.install in row or "comes along" in row or "posthog-warehouse[ducklake]" in row
    for setting in kind.settings:
        assert f"`{setting.rpartition('.')[2]}`" in row, setting


def test_the_readme_says_of_each_how_it_is_proven() -> None:
    section = (ROOT / "README.md").read_text().split("## Destinations\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= set(DESTINATIONS)


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if "comes along" in ROWS[kind.name]])
def test_what_comes_along_is_there(name: str) -> None:
    assert getattr(dlt.destinations, name)().client_class
