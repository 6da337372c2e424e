"""Faults on request: what arrives at the client, and when they strike."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox, SandboxError

PATH = "/api/projects/1/persons/?limit=50"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 504, 512, 513])
def test_any_status_comes_in_the_envelope(box: Sandbox, http: httpx.Client, status: int) -> None:
    box.add_fault("status", status=status, always=True, headers={"Retry-After": "7"})
    response = http.get(PATH)
    assert response.status_code == status
    assert set(response.json()) == {"type", "code", "detail", "attr"}
    assert response.headers["Retry-After"] == "7"


def test_a_status_may_have_a_body_of_ones_own(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("status", status=502, body="<h1>Bad gateway</h1>", always=True)
    response = http.get(PATH)
    assert (response.text, response.headers["Content-Type"]) == ("<h1>Bad gateway</h1>", "text/html")


@pytest.mark.parametrize(
    ("reset", "error"), [(False, httpx.RemoteProtocolError), (True, httpx.ReadError)], ids=["closed", "reset"]
)
def test_a_dropped_connection(box: Sandbox, http: httpx.Client, *, reset: bool, error: type[Exception]) -> None:
    box.add_fault("drop", reset=reset, at=[1])
    with pytest.raises(error):
        http.get(PATH)
    assert http.get(PATH).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_truncated_body_is_shorter_than_its_content_length(box: Sandbox, http: httpx.Client, encoding: str) -> None:
    box.add_fault("truncate", at=[1])
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        http.get(PATH, headers={"Accept-Encoding": encoding})
    assert http.get(PATH).status_code == 200


def test_a_body_cut_after_a_number_of_bytes(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("truncate", after_bytes=10, always=True)
    received: list[bytes] = []
    with http.stream("GET", PATH, headers={"Accept-Encoding": "identity"}) as response:
        pieces = response.iter_raw()
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(pieces)
    assert sum(map(len, received)) == 10


def test_a_slow_body_arrives_whole(box: Sandbox, http: httpx.Client) -> None:
    whole = http.get(PATH).content
    box.add_fault("slow", seconds=0.3, always=True)
    started = time.monotonic()
    assert http.get(PATH).content == whole
    assert time.monotonic() - started >= 0.25


def test_malformed_json_has_an_honest_length(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("malformed", always=True)
    response = http.get(PATH)
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()


def test_another_content_type(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("content_type", always=True)
    response = http.get(PATH)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_redirect_and_a_next_to_another_host(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("redirect", at=[1], to="http://other.invalid")
    redirect = http.get(PATH)
    assert (redirect.status_code, redirect.headers["Location"]) == (
        302,
        "http://other.invalid/api/projects/1/persons/",
    )
    box.clear_faults()
    box.add_fault("next_elsewhere", always=True)
    page = http.get(PATH).json()
    assert page["next"] == "http://elsewhere.invalid/api/projects/1/persons/?limit=50&offset=50"
    assert page["results"]


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        ({"at": [2, 5]}, [2, 5]),
        ({"every": 3}, [3, 6, 9]),
        ({"always": True, "times": 2}, [1, 2]),
        ({"every": 2, "times": 1}, [2]),
        ({"always": True, "path": "/events/"}, []),
        ({"always": True, "path": "persons/.*limit=50$", "times": 1}, [1]),
    ],
    ids=str,
)
def test_when_a_fault_strikes(box: Sandbox, http: httpx.Client, *, when: dict[str, Any], struck: list[int]) -> None:
    box.add_fault("status", status=503, **when)
    statuses = [http.get(PATH).status_code for _ in range(9)]
    assert [n for n, status in enumerate(statuses, 1) if status == 503] == struck


def test_a_probability_is_repeatable_by_its_seed(box: Sandbox, http: httpx.Client) -> None:
    runs = []
    for _ in range(2):
        box.clear_faults()
        box.add_fault("status", status=500, probability=0.4, seed=11)
        runs.append([http.get(PATH).status_code for _ in range(30)])
    assert runs[0] == runs[1]
    assert 5 <= runs[0].count(500) <= 20


def test_faults_are_logged_and_never_hit_the_control_api(box: Sandbox, http: httpx.Client) -> None:
    box.add_fault("drop", always=True)
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/api/users/@me/")
    assert box.requests()[-1]["fault"] == "drop"
    assert box.faults()[0]["struck"] == 1


@pytest.mark.parametrize(
    "spec", [{"fault": "earthquake", "always": True}, {"fault": "drop"}, {"fault": "drop", "by": 1}]
)
def test_a_fault_that_makes_no_sense_is_refused(box: Sandbox, spec: dict[str, Any]) -> None:
    with pytest.raises(SandboxError):
        box.add_fault(**spec)
