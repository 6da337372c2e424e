"""Rows that come, change and go, also while somebody reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox, SandboxError
from tests.sandbox.api.clients import client_of
from tests.sandbox.api.lists.reading import pages, read
from tests.sandboxes import started


@pytest.fixture(scope="module")
def posthog() -> Iterator[Sandbox]:
    with started(events=300, persons=60, seed=11, days=5) as sandbox:
        yield sandbox


@pytest.fixture
def http(posthog: Sandbox) -> Iterator[httpx.Client]:
    with client_of(posthog) as client:
        yield client


def test_rows_come_change_and_go(posthog: Sandbox, http: httpx.Client) -> None:
    before = {str(row["id"]): row for row in read(http, "annotations")}
    done = posthog.change_list("annotations", insert=50, update=7, delete=20)
    assert [len(done[what]) for what in ("inserted", "updated", "deleted")] == [50, 7, 20]
    after = {str(row["id"]): row for row in read(http, "annotations")}
    assert set(after) == set(before) - set(done["deleted"]) | set(done["inserted"])
    assert sorted(after) == sorted(posthog.list_keys("annotations"))
    assert {key for key in before if key in after and before[key] != after[key]} == set(done["updated"])
    assert all(after[key]["updated_at"] > before[key]["updated_at"] for key in done["updated"])
    assert http.get(f"/api/projects/1/annotations/{done['deleted'][0]}/").status_code == 404


def test_where_deletion_is_not_soft_rows_vanish(posthog: Sandbox, http: httpx.Client) -> None:
    gone = posthog.change_list("surveys", delete=1, insert=2)["deleted"]
    posthog.set_behaviour(hide_deleted_rows=False)
    keys = {row["id"] for row in read(http, "surveys")}
    posthog.set_behaviour(hide_deleted_rows=True)
    assert len(keys) == 5
    assert gone[0] not in keys


def test_inserts_during_a_read_shift_the_pages(posthog: Sandbox, http: httpx.Client) -> None:
    held = posthog.list_counts("exports")["exports"]
    posthog.change_list("exports", insert=30, after_pages=1)
    rows = [row["id"] for row in read(http, "exports", limit=50)]
    assert posthog.list_counts("exports")["exports"] == held + 30
    # Newest first: each new row pushes one that was read before onto the next page.
    assert len(rows) - len(set(rows)) == 30


def test_deletions_during_a_read_lose_rows(posthog: Sandbox, http: httpx.Client) -> None:
    posthog.change_list("issues", delete=60, after_pages=2)
    rows = {row["id"] for row in read(http, "error_tracking/issues", limit=30)}
    assert set(posthog.list_keys("issues")) - rows


def test_an_update_moves_a_row_of_a_list_without_order(posthog: Sandbox, http: httpx.Client) -> None:
    changed = posthog.change_list("insights", update=1)["updated"]
    assert str(read(http, "insights")[-1]["id"]) == changed[0]


def test_a_cursor_is_not_shifted_by_inserts(posthog: Sandbox, http: httpx.Client) -> None:
    before = posthog.list_keys("activity_log")
    posthog.change_list("activity_log", insert=25, after_pages=2)
    rows = [row["id"] for page in pages(http, "activity_log", page_size=60) for row in page]
    assert sorted(rows) == sorted(before)
    assert posthog.list_counts("activity_log")["activity_log"] == len(before) + 25


def test_every_list_can_change(posthog: Sandbox) -> None:
    for name, held in posthog.list_counts().items():
        before = {json.dumps(row, sort_keys=True) for row in posthog.list_rows(name)}
        done = posthog.change_list(name, insert=7, update=1, delete=1)
        assert [len(done[what]) for what in ("inserted", "updated", "deleted")] == [7, 1, 1], name
        keys = posthog.list_keys(name)
        assert len(keys) == len(set(keys)) == held + 6, name
        after = {json.dumps(row, sort_keys=True) for row in posthog.list_rows(name)}
        assert len(after - before) == 8, name


def test_equal_seeds_change_equal_rows() -> None:
    with (
        started(events=100, persons=20, seed=4, days=2) as one,
        started(events=100, persons=20, seed=4, days=2) as other,
    ):
        for name in one.list_counts():
            assert one.list_rows(name) == other.list_rows(name), name
        assert one.change_list("exports", update=5, delete=5) == other.change_list("exports", update=5, delete=5)


def test_mistakes_are_told(posthog: Sandbox) -> None:
    with pytest.raises(SandboxError, match="There is no list 'nothing'"):
        posthog.change_list("nothing", insert=1)
    with pytest.raises(SandboxError, match="insert is -1"):
        posthog.change_list("surveys", insert=-1)
