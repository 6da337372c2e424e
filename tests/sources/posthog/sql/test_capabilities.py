"""Each server's own HogQL is found out in a few requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import SECOND, to_micros
from posthog_warehouse.sources.posthog.errors import KeyRefused
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS, probe
from posthog_warehouse.sources.posthog.sql.dialect import Dialect
from tests.sandboxes import started
from tests.sources.posthog.reading import connected

Like = Callable[..., Sandbox]


@pytest.fixture(scope="module")
def small() -> Iterator[Callable[[str], Sandbox]]:
    """A sandbox of a profile, started once."""
    with ExitStack() as stack:
        boxes: dict[str, Sandbox] = {}

        def of(profile: str) -> Sandbox:
            if profile not in boxes:
                box = started(events=20, persons=5, seed=1, days=2, profile=profile)
                boxes[profile] = stack.enter_context(box)
            return boxes[profile]

        yield of


@pytest.fixture
def server(small: Callable[[str], Sandbox]) -> Iterator[Like]:
    """One of these, for the test with other behaviour."""
    with ExitStack() as stack:

        def like(profile: str = "cloud", **behaviour: Any) -> Sandbox:
            box = small(profile)
            before = box.behaviour()
            stack.callback(lambda: box.set_behaviour(**{name: before[name] for name in behaviour}))
            box.set_behaviour(**behaviour)
            return box

        yield like


def test_todays_server_is_known_after_two_queries(sandbox_cloud: Sandbox) -> None:
    with connected(sandbox_cloud) as client:
        dialect, clock = probe(client)
        assert client.usage.queries == 2
    assert dialect == Dialect(modifiers=MODERN_MODIFIERS, max_rows=50_000, proven_rows=50_000)
    now = to_micros(datetime.fromisoformat(sandbox_cloud.now().replace("Z", "+00:00")))
    assert abs(now - clock) < 60 * SECOND


def test_a_server_of_2023_is_asked_piece_by_piece(server: Like) -> None:
    box = server("selfhosted-2023")
    with connected(box) as client:
        box.reset_counters()
        dialect, clock = probe(client)
        assert client.usage.queries <= 12
    refusals = [request for request in box.requests() if request["status"] == 400]
    assert len(refusals) == 1 + 3, "both modifiers at once, and each function when it is named"
    assert not dialect.has_hashes
    assert not dialect.has_typed_times
    assert "convertToProjectTimezone" not in dialect.modifiers
    assert (dialect.max_rows, dialect.proven_rows) == (10_000, 10_000)
    now = to_micros(datetime.fromisoformat(box.now().replace("Z", "+00:00")))
    assert abs(now - clock) < 60 * SECOND


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"])
def test_the_clock_is_utc_in_every_project(server: Like, zone: str, profile: str) -> None:
    box = server(profile, project_timezone=zone)
    with connected(box) as client:
        _, clock = probe(client)
    assert abs(to_micros(datetime.fromisoformat(box.now().replace("Z", "+00:00"))) - clock) < 60 * SECOND


@pytest.mark.parametrize("missing", ["cityHash64", "groupBitXor", "toDateTime64", "arrayJoin", "range"])
def test_one_missing_function_is_done_without(server: Like, missing: str) -> None:
    box = server(missing_functions=[missing])
    with connected(box) as client:
        dialect, _ = probe(client)
    assert dialect.has_hashes == (missing not in {"cityHash64", "groupBitXor"})
    assert dialect.has_typed_times == (missing != "toDateTime64")
    assert dialect.modifiers == MODERN_MODIFIERS
    if missing in {"arrayJoin", "range"}:
        assert dialect.proven_rows == 100, "nothing is proven of a cap that could not be found out"


@pytest.mark.parametrize("cap", [100, 700, 10_000])
def test_the_row_cap_is_found_out(server: Like, cap: int) -> None:
    box = server(max_rows=cap)
    with connected(box) as client:
        dialect, _ = probe(client)
    assert dialect.max_rows == dialect.proven_rows == cap


def test_a_refused_key_is_no_old_server(sandbox_cloud: Sandbox) -> None:
    with (
        PostHogClient("phx_wrongwrongwrongwrongwrongwrong", sandbox_cloud.host, 1) as client,
        pytest.raises(KeyRefused),
    ):
        probe(client)
