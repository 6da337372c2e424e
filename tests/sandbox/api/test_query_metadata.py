"""Queries of kind ``HogQLMetadata``: what is wrong with a text, and where."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of


def _asked(sandbox: Sandbox, **query: Any) -> Any:
    with client_of(sandbox) as client:
        body = {"query": {"kind": "HogQLMetadata", "language": "hogQL", **query}}
        return client.post(f"/api/projects/{sandbox.project_id}/query/", json=body)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("select nothere from events", "nothere"),
        ("select event,\n  countt() from events", "countt()"),
        ("select event from evnts", None),
        ("select 1 from", None),
    ],
)
def test_faults_have_their_place(sandbox_cloud: Sandbox, text: str, place: str | None) -> None:
    answer = _asked(sandbox_cloud, query=text).json()
    [fault] = answer["errors"]
    assert answer["isValid"] is False
    assert fault["message"]
    assert 0 <= fault["start"] <= fault["end"] <= len(text)
    if place is not None:
        assert text[fault["start"] : fault["end"]] == place


def test_the_message_is_the_one_of_the_query_itself(sandbox_cloud: Sandbox) -> None:
    text = "select nothere from events"
    with client_of(sandbox_cloud) as client:
        body = {"query": {"kind": "HogQLQuery", "query": text}}
        refused = client.post(f"/api/projects/{sandbox_cloud.project_id}/query/", json=body)
    assert refused.status_code == 400
    assert _asked(sandbox_cloud, query=text).json()["errors"][0]["message"] == refused.json()["detail"]


def test_a_right_query_has_none_and_is_not_run(sandbox_cloud: Sandbox) -> None:
    answer = _asked(sandbox_cloud, query="select count() from events").json()
    assert (answer["isValid"], answer["errors"]) == (True, [])
    assert "results" not in answer


@pytest.mark.parametrize("query", [{}, {"query": "select 1", "nope": 1}, {"query": 5}])
def test_other_bodies_are_refused(sandbox_cloud: Sandbox, query: dict[str, Any]) -> None:
    answer = _asked(sandbox_cloud, **query)
    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"


def test_the_server_of_2023_has_other_fields(start_sandbox: StartSandbox) -> None:
    old = start_sandbox(events=50, persons=5, profile="selfhosted-2023")
    assert _asked(old, query="select 1").json()["code"] == "parse_error"
