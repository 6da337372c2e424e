"""Tables that are replaced, skipped or unchanged: what dlt makes of their pages, in a plain script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import dlt
import duckdb
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import (
    Extraction,
    PostHogClient,
    Run,
    Settings,
    Table,
    TableReading,
    resources_of,
)
from posthog_warehouse.sources.posthog.clock import HOUR
from posthog_warehouse.sources.posthog.errors import EndpointNotFound, PaymentRequired, PostHogError, Unreachable
from posthog_warehouse.sources.posthog.readers.base import Noted, State
from posthog_warehouse.sources.posthog.readers.registry import ENGINES
from posthog_warehouse.sources.posthog.tables.schema import EngineName, Reads, bigint, text


@dataclass(frozen=True)
class Told(Reads):
    """Pages that a test tells."""

    engine: ClassVar[EngineName] = "listing"
    pages: list[list[dict[str, Any]] | PostHogError] = field(default_factory=list, hash=False)

    def kept_up_to_date(self) -> str:
        return "as told"


def _read(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    assert isinstance(reading.table.reads, Told)
    told = [*reading.table.reads.pages]
    reading.evidence.is_unchanged = not told
    for page in told:
        if isinstance(page, PostHogError):
            raise page
        yield page, lambda state: state.update(pages=state.get("pages", 0) + 1)


class Script:
    """A plain dlt script that loads one table, run after run, and what it left."""

    def __init__(self, posthog: Sandbox, folder: Path) -> None:
        self._posthog = posthog
        self._file = folder / "script.duckdb"
        self._folder = folder

    def run(
        self,
        *pages: list[dict[str, Any]] | PostHogError,
        has_room: bool = True,
        is_named: bool = False,
        **options: Any,
    ) -> TableReading:
        given: dict[str, Any] = {"loads": "replace", "is_optional": True, **options}
        table = Table(
            "things", "id", (bigint("id", "Its key."), text("name", "Its name.")), "Things.", Told([*pages]), **given
        )
        extraction = Extraction(
            lambda: PostHogClient(self._posthog.api_key, self._posthog.host),
            tables=[table],
            settings=Settings(lists_every=HOUR),
            named=["things"] if is_named else [],
        )
        pipeline = dlt.pipeline(
            "reading", str(self._folder), destination=dlt.destinations.duckdb(str(self._file)), dataset_name="posthog"
        )

        @dlt.source(name="posthog", max_table_nesting=0)
        def posthog() -> Any:
            return resources_of(extraction, None if has_room else lambda _: False)

        pipeline.run(posthog())
        return extraction.readings["things"]

    @property
    def names(self) -> list[str | None]:
        with duckdb.connect(str(self._file)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM posthog.things ORDER BY id").fetchall()]


@pytest.fixture
def script(sandbox_cloud: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setitem(ENGINES, cast("type[Reads]", Told), _read)
    return Script(sandbox_cloud, tmp_path)


FIRST = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
Failure = Callable[[str], PostHogError]


def test_a_table_is_replaced_by_all_pages_of_a_run(script: Script) -> None:
    script.run(FIRST)
    script.run([{"id": 2, "name": "TWO"}], [{"id": 3, "name": "three"}])
    assert script.names == ["TWO", "three"]


def test_a_table_that_is_empty_now_is_empty_here(script: Script) -> None:
    script.run(FIRST)
    script.run([])
    assert script.names == []


def test_a_table_that_has_not_changed_stays(script: Script) -> None:
    script.run(FIRST)
    assert script.run().is_done
    assert script.names == ["one", "two"]


def test_a_table_without_room_in_the_package_stays(script: Script) -> None:
    script.run(FIRST)
    script.run([{"id": 3, "name": "three"}], has_room=False)
    assert script.names == ["one", "two"]


def test_a_table_that_is_not_due_stays_unless_it_is_named(script: Script) -> None:
    script.run(FIRST, every="lists_every")
    again = script.run([{"id": 3, "name": "three"}], every="lists_every")
    assert again.outcome.next_due is not None
    assert again.is_done
    assert script.names == ["one", "two"]
    named = script.run([{"id": 3, "name": "three"}], every="lists_every", is_named=True)
    assert named.outcome.next_due is None
    assert script.names == ["three"]


def test_a_table_that_was_skipped_is_due(script: Script) -> None:
    script.run(EndpointNotFound("Not yet"), every="lists_every")
    script.run(FIRST, every="lists_every")
    assert script.names == ["one", "two"]


@pytest.mark.parametrize("failure", [EndpointNotFound, PaymentRequired])
def test_a_table_that_is_gone_from_the_server_stays_and_is_skipped(script: Script, failure: Failure) -> None:
    script.run(FIRST)
    error = failure("Not here")
    assert script.run(error).outcome.skipped is error
    assert script.names == ["one", "two"]


def test_half_of_a_table_is_none_of_it(script: Script) -> None:
    script.run(FIRST)
    with pytest.raises(Exception, match="It broke"):
        script.run([{"id": 3, "name": "three"}], Unreachable("It broke"))
    assert script.names == ["one", "two"]


def test_a_main_table_that_may_not_be_read_fails_the_script(script: Script) -> None:
    with pytest.raises(Exception, match="Not here"):
        script.run(EndpointNotFound("Not here"), is_optional=False)


def test_a_table_on_request_is_there_but_not_selected(sandbox_cloud: Sandbox) -> None:
    table = Table("things", "id", (), "Things.", Told(), is_on_request=True)
    [resource] = resources_of(Extraction(lambda: PostHogClient("phx_x" * 8, sandbox_cloud.host), tables=[table]))
    assert not resource.selected
