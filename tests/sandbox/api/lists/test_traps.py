"""What can be wrong with a list, each on request."""

from __future__ import annotations

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of
from tests.sandbox.api.lists.reading import pages, read

ANNOTATIONS = "/api/projects/1/annotations/"


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("missing_endpoints", 404, "not_found"),
        ("unpaid_endpoints", 402, "payment_required"),
        ("forbidden_endpoints", 403, "permission_denied"),
    ],
)
def test_endpoints_can_be_missing_unpaid_or_forbidden(
    box: Sandbox, http: httpx.Client, switch: str, status: int, code: str
) -> None:
    box.set_behaviour(**{switch: ["annotations", "error_tracking", "persons/values", "projects", "query"]})
    for path in ("annotations/", "annotations/100/", "error_tracking/issues/", "persons/values/?key=plan", "query/"):
        answer = http.post(f"/api/projects/1/{path}") if path == "query/" else http.get(f"/api/projects/1/{path}")
        assert (path, answer.status_code, answer.json()["code"]) == (path, status, code)
    assert http.get("/api/projects/").status_code == status
    assert http.get("/api/projects/1/persons/").status_code == 200
    assert http.get("/api/projects/1/surveys/").status_code == 200


def test_a_missing_endpoint_is_missing_before_the_key_is_looked_at(box: Sandbox) -> None:
    box.set_behaviour(missing_endpoints=["annotations"], unpaid_endpoints=["surveys"])
    with client_of(box, "phx_wrong") as stranger:
        assert stranger.get(ANNOTATIONS).status_code == 404
        assert stranger.get("/api/projects/1/surveys/").status_code == 401


def test_deleted_rows_are_hidden_unless_told_otherwise(box: Sandbox, http: httpx.Client) -> None:
    known = {row["id"] for row in read(http, "annotations")}
    box.set_behaviour(hide_deleted_rows=False)
    rows = read(http, "annotations")
    assert {row["id"] for row in rows if not row["deleted"]} == known
    assert any(row["deleted"] for row in rows)


def test_an_old_server_answers_a_bare_array(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(bare_lists=["annotations"])
    body = http.get(ANNOTATIONS).json()
    assert isinstance(body, list)
    assert len(body) == 221


def test_pages_can_be_shorter_than_asked(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(list_page_cap=25)
    body = http.get(ANNOTATIONS, params={"limit": 100}).json()
    assert len(body["results"]) == 25
    assert "limit=25&offset=25" in body["next"]
    assert len(read(http, "annotations", limit=100)) == 221
    assert len(http.get("/api/projects/1/activity_log/?page_size=90").json()["results"]) == 25
    assert len(http.get("/api/projects/1/groups/?group_type_index=0").json()["results"]) == 25


def test_count_can_be_missing(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(list_count=False)
    assert set(http.get(ANNOTATIONS).json()) == {"next", "previous", "results"}


def test_next_can_repeat_its_own_page(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(next_link="repeats")
    second = http.get(http.get(ANNOTATIONS).json()["next"]).json()
    assert http.get(second["next"]).json()["results"] == second["results"]


def test_next_can_lead_back_to_the_start(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(next_link="loops")
    walk = pages(http, "annotations")
    seen = [next(walk) for _ in range(4)]
    assert seen[3] == seen[0]
    assert sum(map(len, seen[:3])) == 221


def test_next_can_end_early(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(next_link="ends_early")
    assert len(read(http, "annotations")) == 200
    assert len(read(http, "persons", limit=50)) <= 100


@pytest.mark.parametrize("path", ["annotations", "activity_log", "persons", "events", "groups"])
def test_next_can_name_another_host(box: Sandbox, http: httpx.Client, path: str) -> None:
    box.set_behaviour(next_host="http://internal.invalid:8000", events_window_probing=False)
    arguments = {"group_type_index": 0} if path == "groups" else {"limit": 50}
    link = http.get(f"/api/projects/1/{path}/", params=arguments).json()["next"]
    assert link.startswith(f"http://internal.invalid:8000/api/projects/1/{path}/?")


def test_ties_can_come_in_another_order_each_time(box: Sandbox, http: httpx.Client) -> None:
    steady = [row["id"] for row in read(http, "error_tracking/issues", limit=20)]
    assert steady == [row["id"] for row in read(http, "error_tracking/issues", limit=20)]
    box.set_behaviour(unstable_ties=True)
    first, second = ([row["id"] for row in read(http, "error_tracking/issues", limit=20)] for _ in range(2))
    assert first != second
    assert len(set(first)) < 115
    # An order by a key that is unique is no worse for it.
    assert len({row["id"] for row in read(http, "activity_log", page_size=30)}) == 340


def test_fields_can_change_their_type_or_be_missing(box: Sandbox, http: httpx.Client) -> None:
    before = read(http, "cohorts")[-1]
    changed = ["cohorts.id", "cohorts.name", "cohorts.is_static", "cohorts.filters", "cohorts.count"]
    box.set_behaviour(changed_types=changed, missing_fields=["cohorts.version"])
    after = read(http, "cohorts")[-1]
    assert (after["id"], after["name"]) == (str(before["id"]), {"value": before["name"]})
    assert (after["is_static"], type(after["filters"]), type(after["count"])) == ("no", str, str)
    assert set(before) - set(after) == {"version"}


def test_the_plan_can_limit_how_far_back_the_activity_log_goes(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(activity_log_days=30)
    rows = read(http, "activity_log")
    assert 0 < len(rows) < 60
    assert min(row["created_at"] for row in rows) >= "2026-10-21"


def test_lists_are_throttled_together(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(rate_limit_enabled=True, crud_per_minute=3)
    statuses = [
        http.get(f"/api/projects/1/{path}/").status_code for path in ("cohorts", "surveys", "groups_types", "exports")
    ]
    assert statuses == [200, 200, 200, 429]
    assert http.get("/api/projects/1/persons/").status_code == 200
