"""Tables of lists, from a server over real HTTP into DuckDB."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.readers.registry import engine_of
from posthog_warehouse.sources.posthog.tables import Table
from posthog_warehouse.sources.posthog.tables.rest import EachRow, Values, listed
from posthog_warehouse.sources.posthog.tables.schema import bigint, json, text, time
from tests.sources.posthog.httpserver import Answer, Request, envelope
from tests.sources.posthog.readers.rest.lists import ServedList
from tests.sources.posthog.readers.rest.loading import MISSING, Warehouse

THINGS = listed(
    "things",
    "things",
    bigint("id", "The key.", nullable=False),
    text("name", "Its name."),
    json("filters", "Conditions."),
    time("created_at", "When it was made, UTC."),
    about="One row per thing.",
    scope="thing:read",
    children=("tags", "steps"),
)


def things(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "name": f"thing {i} \0 🦔 'quoted' \\",
            "filters": {"groups": [{"properties": [{"key": "plan", "value": ["a", None]}]}]},
            "created_at": f"2026-03-{1 + i % 28:02}T12:00:00.123456Z",
            "tags": ["x", "y"][: i % 3],
            "steps": [{"event": "$pageview", "properties": [{"key": "k"}], "url": None}] * (i % 2),
            "more": {"deep": [1, {"er": None}]},
        }
        for i in range(count)
    ]


def test_a_new_table_takes_one_declaration(warehouse: Warehouse) -> None:
    warehouse.paths["gadgets"] = ServedList([{"id": i, "label": f"gadget {i}", "made": 2026} for i in range(7)])
    gadgets = listed(
        "gadgets",
        "gadgets",
        bigint("id", "The gadget's number: the key.", nullable=False),
        text("label", "What it is called."),
        about="One row per gadget.",
        scope="gadget:read",
    )
    readings = warehouse.load(gadgets)
    assert readings["gadgets"].evidence.held == 7
    assert warehouse.rows("SELECT count(*), count(DISTINCT id), min(label), max(made) FROM gadgets") == [
        (7, 7, "gadget 0", 2026)
    ]


def test_columns_json_and_child_tables(warehouse: Warehouse) -> None:
    warehouse.paths["things"] = ServedList(things(10))
    warehouse.load(THINGS)
    assert warehouse.columns("things") == {
        "id": "BIGINT",
        "name": "VARCHAR",
        "filters": "JSON",
        "created_at": "TIMESTAMP WITH TIME ZONE",
        "more": "JSON",
    }
    assert warehouse.rows("SELECT name, filters, more, created_at::VARCHAR FROM things WHERE id = 3") == [
        (
            "thing 3 \0 🦔 'quoted' \\",
            '{"groups":[{"properties":[{"key":"plan","value":["a",null]}]}]}',
            '{"deep":[1,{"er":null}]}',
            "2026-03-04 12:00:00.123456+00",
        )
    ]
    tags = "SELECT t.id, g.value FROM things t JOIN things__tags g ON g._dlt_parent_id = t._dlt_id WHERE t.id < 3"
    assert sorted(warehouse.rows(tags)) == [(1, "x"), (2, "x"), (2, "y")]
    assert warehouse.rows("SELECT count(*), any_value(properties) FROM things__steps") == [(5, '[{"key":"k"}]')]


def test_what_has_not_changed_is_left_alone_and_what_has_is_replaced(warehouse: Warehouse) -> None:
    served = ServedList(things(10))
    warehouse.paths["things"] = served
    warehouse.load(THINGS)
    loads = warehouse.rows("SELECT DISTINCT _dlt_load_id FROM things")

    served.rows.reverse()
    reading = warehouse.load(THINGS)["things"]
    assert (reading.evidence.is_unchanged, reading.rows, reading.evidence.held, len(warehouse.asked("things"))) == (
        True,
        0,
        10,
        1,
    )
    assert warehouse.rows("SELECT DISTINCT _dlt_load_id FROM things") == loads
    assert warehouse.rows("SELECT count(*) FROM things") == [(10,)]

    del served.rows[0]
    served.rows[0]["name"] = "other"
    reading = warehouse.load(THINGS)["things"]
    assert (reading.evidence.is_unchanged, reading.rows, reading.evidence.held) == (False, 9, 9)
    assert warehouse.rows("SELECT count(*), count(*) FILTER (name = 'other') FROM things") == [(9, 1)]
    assert warehouse.rows("SELECT count(*) FROM things__tags") == [(9,)]

    served.rows.clear()
    assert warehouse.load(THINGS)["things"].evidence.held == 0
    assert warehouse.rows("SELECT (SELECT count(*) FROM things), (SELECT count(*) FROM things__tags)") == [(0, 0)]


def test_an_empty_list_is_a_table_too(warehouse: Warehouse) -> None:
    warehouse.paths["things"] = ServedList([])
    assert warehouse.load(THINGS)["things"].evidence.held == 0
    assert warehouse.rows("SELECT id, name, filters FROM things") == []


def test_a_field_that_changes_its_type_lands_beside_the_old_column(warehouse: Warehouse) -> None:
    served = ServedList(things(3))
    warehouse.paths["things"] = served
    warehouse.load(THINGS)
    served.rows[1] |= {"created_at": "soon", "more": "now a text", "filters": 5, "name": {"de": "Ding"}, "tags": "x"}
    served.rows[1]["steps"] = [{"event": "$pageview", "properties": 7}, {"event": {"any": True}}]
    reading = warehouse.load(THINGS)["things"]
    assert reading.notes == [
        "created_at was timestamp, and came as text in 1 rows: see created_at__v_text",
        "name was text, and came as json in 1 rows: kept as JSON text",
        "steps__event was text, and came as json in 1 rows: kept as JSON text",
    ]
    found = warehouse.rows("SELECT created_at, created_at__v_text, more, filters, name FROM things WHERE id = 1")
    assert found == [(None, "soon", '"now a text"', "5", '{"de":"Ding"}')]
    assert warehouse.rows("SELECT count(created_at) FROM things") == [(2,)]
    steps = warehouse.rows("SELECT event, properties FROM things__steps ORDER BY _dlt_list_idx")
    assert steps == [("$pageview", "7"), ('{"any":true}', None)]


@pytest.mark.parametrize(
    "refusal",
    [
        MISSING,
        envelope(402, "payment_required", "Your plan does not have it.", "authentication_error"),
        envelope(403, "permission_denied", "API key missing required scope 'thing:read'", "authentication_error"),
    ],
    ids=["404", "402", "403"],
)
def test_a_list_that_is_refused_is_skipped_and_the_others_are_loaded(warehouse: Warehouse, refusal: Answer) -> None:
    warehouse.paths["things"] = lambda _: refusal
    warehouse.paths["gadgets"] = ServedList([{"id": 1}])
    gadgets = listed("gadgets", "gadgets", bigint("id", "The key.", nullable=False), about="x", scope="x:read")
    readings = warehouse.load(THINGS, gadgets)
    assert isinstance(
        readings["things"].outcome.skipped, (errors.NotFound, errors.PaymentRequired, errors.AccessDenied)
    )
    assert readings["gadgets"].evidence.held == 1
    assert warehouse.rows("SELECT count(*) FROM gadgets") == [(1,)]


def test_one_object_stands_in_for_a_list_that_a_key_may_not_read(warehouse: Warehouse) -> None:
    warehouse.paths["things"] = lambda _: envelope(403, "permission_denied", "No.", "authentication_error")
    warehouse.paths["own"] = lambda _: Answer(body={"id": 5, "name": "mine"})
    own = listed("things", "things", bigint("id", "The key.", nullable=False), about="x", scope="x:read", instead="own")
    assert warehouse.load(own)["things"].evidence.held == 1
    assert warehouse.rows("SELECT id, name FROM things") == [(5, "mine")]


KINDS = listed(
    "properties",
    "properties",
    text("id", "The key.", nullable=False),
    text("type", "Whose it is."),
    bigint("group_index", "Of which groups."),
    about="One row per property.",
    scope="property:read",
    params={"type": "{type}", "group": "{group_index}"},
    each=(
        Values(({"type": "event"}, {"type": "person"})),
        EachRow("groups", {"group_index": "index"}, also={"type": "group"}, is_extra=True),
    ),
)


def _properties(request: Request) -> Answer:
    name = "-".join(request.params[name] for name in ("type", "group") if name in request.params)
    return Answer(body={"count": 2, "next": None, "results": [{"id": f"{name} {i}"} for i in range(2)]})


def test_a_table_of_several_lists_holds_what_each_was_asked_for(warehouse: Warehouse) -> None:
    warehouse.paths |= {"properties": _properties, "groups": lambda _: Answer(body=[{"index": 0}, {"index": 3}])}
    assert warehouse.load(KINDS)["properties"].evidence.held == 8
    assert warehouse.rows("SELECT id, type, group_index FROM properties WHERE id LIKE '%1' ORDER BY id") == [
        ("event 1", "event", None),
        ("group-0 1", "group", 0),
        ("group-3 1", "group", 3),
        ("person 1", "person", None),
    ]


def test_lists_that_another_one_adds_are_missing_without_it_and_nothing_else_is(warehouse: Warehouse) -> None:
    warehouse.paths |= {"properties": _properties}
    assert warehouse.load(KINDS)["properties"].evidence.held == 4


LINES: Table = listed(
    "lines",
    "things/{thing_id}/lines",
    text("id", "The key.", nullable=False),
    bigint("thing_id", "Whose."),
    about="One row per line.",
    scope="thing:read",
    each=(EachRow("things", {"thing_id": "id"}, only="has_lines"),),
)


def test_lists_of_other_rows_are_read_for_each_and_gone_ones_are_told(warehouse: Warehouse) -> None:
    warehouse.paths["things"] = ServedList([{"id": i, "has_lines": i != 1} for i in range(4)])
    warehouse.paths["things/0/lines"] = ServedList([{"id": "a"}, {"id": "b"}])
    warehouse.paths["things/1/lines"] = ServedList([{"id": "never asked"}])
    warehouse.paths["things/2/lines"] = lambda _: envelope(404, "not_found", "Not found.", "invalid_request")
    warehouse.paths["things/3/lines"] = ServedList([{"id": "c"}])
    reading = warehouse.load(LINES)["lines"]
    assert (reading.evidence.held, reading.notes) == (3, ["PostHog has nothing at things/2/lines"])
    assert sorted(warehouse.rows("SELECT thing_id, id FROM lines")) == [(0, "a"), (0, "b"), (3, "c")]


def test_a_list_without_the_rows_that_it_hangs_on_is_skipped(warehouse: Warehouse) -> None:
    assert isinstance(warehouse.load(LINES)["lines"].outcome.skipped, errors.EndpointNotFound)


def test_rows_that_are_counted_and_not_listed_are_told_and_held(warehouse: Warehouse) -> None:
    def short(request: Request) -> Answer:
        rows = [] if "offset" in request.params else [{"id": 1}]
        return Answer(body={"count": 3, "next": None, "results": rows})

    warehouse.paths["things"] = short
    reading = warehouse.load(THINGS)["things"]
    assert (reading.evidence.held, reading.notes) == (3, ["PostHog counts 2 rows more than it lists"])
    assert reading.evidence.recount is not None


def test_a_list_that_never_rests_is_loaded_and_its_number_is_not_known(warehouse: Warehouse) -> None:
    served = ServedList([{"id": i} for i in range(30)], page_size=10)

    def change(asked: int) -> None:
        served.rows.insert(0, {"id": 1_000 + asked})
        del served.rows[-1]

    served.before_page = change
    warehouse.paths["things"] = served
    reading = warehouse.load(THINGS)["things"]
    assert reading.evidence.held is None
    assert "changed during every one" in reading.notes[-1]


def test_a_failure_in_the_middle_leaves_what_was_loaded_before(warehouse: Warehouse) -> None:
    served = ServedList(things(20), page_size=10)
    warehouse.paths["things"] = served
    warehouse.load(THINGS)
    served.rows.append({"id": 99})
    warehouse.paths["things"] = lambda request: (
        envelope(400, "invalid_input", "No.", "validation_error") if "offset" in request.params else served(request)
    )
    with pytest.raises(Exception, match="No\\."):
        warehouse.load(THINGS)
    assert warehouse.rows("SELECT count(*) FROM things") == [(20,)]


def test_every_kind_of_reading_has_an_engine() -> None:
    assert callable(engine_of(THINGS))
