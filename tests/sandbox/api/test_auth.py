"""Who is let in, and PostHog's exact words for who is not (posthog-api section 1)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of

QUERY = {"query": {"kind": "HogQLQuery", "query": "select 1"}}


def envelope(response: httpx.Response) -> tuple[int, str, str, str, Any]:
    body = response.json()
    return response.status_code, body["type"], body["code"], body["detail"], body["attr"]


def test_without_a_key_the_answer_names_the_challenge(box: Sandbox) -> None:
    response = httpx.get(f"{box.host}/api/projects/1/persons/", trust_env=False)

    assert envelope(response) == (
        401,
        "authentication_error",
        "not_authenticated",
        "Authentication credentials were not provided.",
        None,
    )
    assert response.headers["WWW-Authenticate"].startswith("Bearer resource_metadata=")


@pytest.mark.parametrize(
    ("request_parts", "source"),
    [
        ({"headers": {"Authorization": "Bearer phx_wrong"}}, "Authorization header"),
        ({"json": {"personal_api_key": "phx_wrong", **QUERY}}, "body"),
        ({"params": {"personal_api_key": "phx_wrong"}}, "query string"),
    ],
)
def test_a_wrong_key_is_named_by_the_place_it_was_found_in(
    box: Sandbox, request_parts: dict[str, Any], source: str
) -> None:
    parts = {"json": QUERY, **request_parts}
    response = httpx.post(f"{box.host}/api/projects/1/query/", **parts, trust_env=False)

    assert envelope(response)[:4] == (
        401,
        "authentication_error",
        "authentication_failed",
        f"Personal API key found in request {source} is invalid.",
    )


@pytest.mark.parametrize(
    "request_parts",
    [
        {"headers": {"Authorization": "Bearer phx_sandbox"}},
        {"headers": {"Authorization": "Bearer    phx_sandbox"}},
        {"json": {"personal_api_key": "phx_sandbox", **QUERY}},
        {"params": {"personal_api_key": "phx_sandbox"}},
    ],
    ids=["header", "header with spaces", "body", "query string"],
)
def test_a_key_is_taken_from_header_body_or_query_string(box: Sandbox, request_parts: dict[str, Any]) -> None:
    parts = {"json": QUERY, **request_parts}
    assert httpx.post(f"{box.host}/api/projects/1/query/", **parts, trust_env=False).status_code == 200


def test_only_the_first_place_that_has_a_key_is_tried(box: Sandbox) -> None:
    response = httpx.get(
        f"{box.host}/api/projects/1/",
        headers={"Authorization": "Bearer phx_wrong"},
        params={"personal_api_key": box.api_key},
        trust_env=False,
    )
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("scopes", "path", "missing"),
    [
        (["person:read"], "events/", "query:read"),
        (["query:read"], "persons/", "person:read"),
        (["query:read"], "session_recordings/", "session_recording:read"),
        (["query:read"], "", "project:read"),
        (["person:write"], "persons/", None),
        (["*"], "persons/", None),
    ],
)
def test_a_missing_scope_is_named(box: Sandbox, scopes: list[str], path: str, missing: str | None) -> None:
    with client_of(box, box.create_key(scopes)) as client:
        response = client.get(f"/api/projects/1/{path}", params={"limit": 1})
    if missing is None:
        assert response.status_code == 200
    else:
        assert envelope(response) == (
            403,
            "authentication_error",
            "permission_denied",
            f"API key missing required scope '{missing}'",
            None,
        )


@pytest.mark.parametrize(("kind", "prefix"), [("phx", "phx_"), ("pha", "pha_"), ("phs", "phs_"), ("legacy", "")])
def test_every_kind_of_key_may_query(box: Sandbox, kind: str, prefix: str) -> None:
    key = box.create_key(None if kind == "legacy" else ["query:read"], kind)
    assert key.startswith(prefix)
    with client_of(box, key) as client:
        assert client.post("/api/projects/1/query/", json=QUERY).status_code == 200


def test_a_project_secret_key_is_for_queries_only_and_not_for_old_servers(box: Sandbox) -> None:
    with client_of(box, box.create_key(["*"], "phs")) as client:
        assert client.get("/api/projects/1/persons/").status_code == 403
        box.set_behaviour(project_secret_keys=False)
        assert client.post("/api/projects/1/query/", json=QUERY).status_code == 403


def test_a_key_limited_to_other_projects_or_organizations(box: Sandbox) -> None:
    with client_of(box, box.create_key(scoped_teams=[2])) as client:
        response = client.get("/api/projects/1/persons/")
        assert envelope(response)[3] == "API key does not have access to the requested project: ID 1."
        # Such a key may look for its own user and its projects, which are none here.
        assert client.get("/api/users/@me/").status_code == 200
        assert client.get("/api/projects/").json()["results"] == []
    with client_of(box, box.create_key(scoped_organizations=["other"])) as client:
        detail = envelope(client.get("/api/projects/1/persons/"))[3]
        assert detail.startswith("API key does not have access to the requested organization: ID ")


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/projects/@current/persons/?limit=1", 200, None),
        ("/api/projects/1/persons?limit=1", 200, None),
        ("/api/projects/2/persons/", 404, "Project not found."),
        ("/api/projects/two/persons/", 404, "Project not found."),
        ("/api/projects/1/nothing/", 404, "Endpoint not found."),
        ("/api/nothing", 404, "Endpoint not found."),
        ("/api/projects/1/environments/", 403, None),
        ("/api/projects/2/persons/?token=phc_sandbox&limit=1", 200, None),
    ],
)
def test_where_paths_lead(http: httpx.Client, path: str, status: int, detail: str | None) -> None:
    response = http.get(path)
    assert response.status_code == status
    if detail is not None:
        assert envelope(response) == (404, "invalid_request", "not_found", detail, None)


def test_a_wrong_method_is_405_in_the_envelope(http: httpx.Client) -> None:
    response = http.get("/api/projects/1/query/")
    assert envelope(response) == (
        405,
        "invalid_request",
        "method_not_allowed",
        'Method "GET" not allowed.',
        None,
    )


@pytest.mark.parametrize(
    ("prefix", "status", "header"),
    [("deprecated", 200, "sunset"), ("redirect", 307, "location"), ("missing", 404, None)],
)
def test_the_old_environments_prefix(
    box: Sandbox, http: httpx.Client, prefix: str, status: int, header: str | None
) -> None:
    box.set_behaviour(environments_prefix=prefix)
    response = http.get("/api/environments/1/persons/?limit=1")
    assert response.status_code == status
    if header is not None:
        assert header in response.headers
    if prefix == "deprecated":
        assert {"deprecation", "link"} <= set(response.headers)
        assert response.json()["next"].startswith(f"{box.host}/api/projects/1/persons/")
