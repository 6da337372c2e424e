"""The collector of garbage rests while a page is decoded, and is as it was afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from posthog_warehouse.sources.posthog.http.memory import without_collector


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


def fail() -> None:
    with without_collector():
        raise KeyError


def test_it_rests_within_and_goes_on_afterwards() -> None:
    gc.enable()
    with without_collector():
        assert not gc.isenabled()
        with without_collector():
            pass
        assert not gc.isenabled(), "the inner one does not wake it"
    assert gc.isenabled()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_it_stays_off_for_who_turned_it_off() -> None:
    gc.disable()
    with without_collector():
        pass
    assert not gc.isenabled()
