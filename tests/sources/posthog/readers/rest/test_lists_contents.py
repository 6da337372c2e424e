"""Files as rows: their very bytes, each asked for once."""

from __future__ import annotations

import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.tables import TABLES
from tests.sources.posthog.httpserver import Answer, envelope
from tests.sources.posthog.readers.rest.lists import ServedList
from tests.sources.posthog.readers.rest.loading import Warehouse

EXPORT_CONTENTS = TABLES["export_contents"]
BYTES = bytes(range(256)) * 3


def serve_files(warehouse: Warehouse) -> ServedList:
    exports = ServedList([{"id": i, "has_content": i != 2} for i in range(1, 5)])
    warehouse.paths |= {
        "exports": exports,
        "exports/1/content": lambda _: Answer(body=BYTES, headers={"Content-Type": "image/png"}),
        "exports/3/content": lambda _: envelope(404, "not_found", "Not found.", "invalid_request"),
        "exports/4/content": lambda _: Answer(body=b"", headers={"Content-Type": "text/csv; charset=utf-8"}),
    }
    return exports


def test_the_bytes_of_files_are_loaded_and_what_has_none_is_told(warehouse: Warehouse) -> None:
    serve_files(warehouse)
    reading = warehouse.load(EXPORT_CONTENTS)["export_contents"]
    assert (reading.evidence.held, reading.notes) == (2, ["PostHog has no file at exports/3/content"])
    found = warehouse.rows("SELECT export_id, content_type, size_bytes, content FROM export_contents ORDER BY 1")
    assert found == [(1, "image/png", len(BYTES), BYTES), (4, "text/csv", 0, None)]


def test_a_file_is_asked_for_once_and_stays_when_posthog_deletes_it(warehouse: Warehouse) -> None:
    exports = serve_files(warehouse)
    warehouse.load(EXPORT_CONTENTS)
    del exports.rows[0]
    reading = warehouse.load(EXPORT_CONTENTS)["export_contents"]
    assert (reading.rows, reading.evidence.held) == (0, 2)
    assert not warehouse.asked("exports/4/content")
    assert warehouse.rows("SELECT count(*) FROM export_contents") == [(2,)]


def test_only_chosen_files_are_asked_for(warehouse: Warehouse) -> None:
    serve_files(warehouse)
    warehouse.requests = {"export_ids": [4, 77]}
    reading = warehouse.load(EXPORT_CONTENTS)["export_contents"]
    assert (reading.evidence.held, reading.notes) == (1, ["PostHog has no such files: 77"])
    assert not warehouse.asked("exports/1/content")


@pytest.mark.parametrize("status", [402, 403])
def test_files_of_exports_that_cannot_be_listed_are_skipped(warehouse: Warehouse, status: int) -> None:
    warehouse.paths["exports"] = lambda _: envelope(status, "refused", "No.", "authentication_error")
    skipped = warehouse.load(EXPORT_CONTENTS)["export_contents"].outcome.skipped
    assert isinstance(skipped, errors.PaymentRequired if status == 402 else errors.AccessDenied)
