"""``projects``, ``users/@me`` and the pages a browser finds."""

from __future__ import annotations

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox


def test_the_project_is_listed_and_described(box: Sandbox, http: httpx.Client) -> None:
    listed = http.get("/api/projects/", params={"limit": 100}).json()
    assert (listed["count"], listed["next"], listed["previous"]) == (1, None, None)
    assert listed["results"][0]["id"] == box.project_id
    for path in ("/api/projects/@current/", f"/api/projects/{box.project_id}"):
        project = http.get(path).json()
        assert {"id", "uuid", "name", "timezone", "organization"} <= set(project)
        assert project["name"] == "Hedgebox"
    box.set_behaviour(project_timezone="Asia/Tokyo")
    assert http.get("/api/projects/1/").json()["timezone"] == "Asia/Tokyo"


def test_the_user_knows_team_and_organization(box: Sandbox, http: httpx.Client) -> None:
    user = http.get("/api/users/@me/").json()
    assert user["team"]["id"] == box.project_id
    assert user["organization"]["id"] == user["team"]["organization"]
    assert http.get("/api/users/someone/").status_code == 404


@pytest.mark.parametrize("path", ["/", "/_health", "/_sandbox/"])
def test_pages_that_need_no_key(box: Sandbox, path: str) -> None:
    assert httpx.get(f"{box.host}{path}", trust_env=False).status_code == 200
