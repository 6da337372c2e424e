"""A small sandbox whose behaviour tests may switch: it is put back after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of
from tests.sandboxes import started

Query = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def _switchable() -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    with started(events=3_000, persons=200, seed=3, days=10) as sandbox:
        yield sandbox, sandbox.behaviour()


@pytest.fixture
def box(_switchable: tuple[Sandbox, dict[str, Any]]) -> Iterator[Sandbox]:
    """The sandbox. Switch what you like, add faults and keys; do not change its data."""
    sandbox, behaviour = _switchable
    sandbox.reset_counters()
    yield sandbox
    sandbox.clear_faults()
    sandbox.set_behaviour(**behaviour)


@pytest.fixture
def http(box: Sandbox) -> Iterator[httpx.Client]:
    """A client with the sandbox's key, which follows nothing and retries nothing."""
    with client_of(box) as client:
        yield client


@pytest.fixture
def query(http: httpx.Client) -> Query:
    """Runs a HogQL query: ``query("select 1", refresh="force_blocking")``."""

    def run(text: str, *, modifiers: dict[str, Any] | None = None, **body: Any) -> httpx.Response:
        node: dict[str, Any] = {"kind": "HogQLQuery", "query": text}
        if modifiers is not None:
            node["modifiers"] = modifiers
        return http.post("/api/projects/1/query/", json={"query": node, **body})

    return run
