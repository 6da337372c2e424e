"""The table of kinds against dlt's own word: what is declared is what dlt has, and what we write its SQL can say."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import dlt
import pytest
import sqlglot
from dlt.common.destination import DestinationCapabilitiesContext
from sqlglot import exp

from posthog_warehouse.destinations.destination import Place
from posthog_warehouse.destinations.errors import DestinationUnready
from posthog_warehouse.destinations.kinds import BY_NAME, KINDS, Kind
from posthog_warehouse.destinations.postgres import Postgres
from posthog_warehouse.destinations.preflight import MERGE
from posthog_warehouse.destinations.registry import DESTINATIONS
from posthog_warehouse.destinations.sql_session import day_text, translated
from posthog_warehouse.destinations.views import VIEWS
from posthog_warehouse.pipelines.status import _CHECK_COLUMNS, _RUN_COLUMNS
from tests.local_postgres import LocalPostgres

NO_SQL = {"dummy", "qdrant", "lancedb", "lance", "weaviate"}
"""dlt's destinations that cannot be asked how many rows they hold."""
OURS = {"duckdb", "filesystem"}
"""Those that have a class of their own here: `duckdb`, and `parquet` in place of `filesystem`."""

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def capabilities_of(kind: Kind) -> DestinationCapabilitiesContext:
    found: DestinationCapabilitiesContext = getattr(dlt.destinations, kind.name)().capabilities()
    return found


def test_every_sql_destination_that_dlt_has_is_there() -> None:
    of_dlt = set(dlt.destinations.__all__) - {"destination"} - NO_SQL - OURS
    assert {kind.name for kind in KINDS} == of_dlt
    assert of_dlt <= set(DESTINATIONS)


@each_kind
def test_the_extra_and_the_settings_are_dlts(kind: Kind) -> None:
    assert kind.extra in (metadata("dlt").get_all("Provides-Extra") or [])
    spec = getattr(dlt.destinations, kind.name)().spec
    credentials: Any = spec.credentials_type() or spec().get_resolvable_fields()["credentials"]
    for setting in kind.settings:
        section, _, field = setting.rpartition(".")
        fields = credentials.get_resolvable_fields() if section else spec.get_resolvable_fields()
        assert field in fields, setting


@each_kind
def test_it_can_merge_as_our_tables_need_it(kind: Kind) -> None:
    capabilities = capabilities_of(kind)
    strategies = list(capabilities.supported_merge_strategies)
    if capabilities.merge_strategies_selector is not None:
        table: Any = {"name": "events", "columns": {}, "table_format": kind.table_format}
        strategies = list(capabilities.merge_strategies_selector(strategies, table_schema=table))
    assert MERGE in strategies
    assert "insert-from-staging" in capabilities.supported_replace_strategies
    assert kind.needs_staging == (not capabilities.supported_loader_file_formats)


@each_kind
def test_what_we_ask_can_be_said_in_its_sql(kind: Kind) -> None:
    capabilities = capabilities_of(kind)
    dialect = capabilities.sqlglot_dialect or ""
    runs = f'SELECT {", ".join(_RUN_COLUMNS)} FROM "s"."sync_runs" ORDER BY started_at DESC LIMIT 5'
    checks = ", ".join(_CHECK_COLUMNS)
    newest = (
        f"SELECT {checks} FROM (SELECT {checks}, row_number() OVER (PARTITION BY table_name ORDER BY checked_at DESC) "
        'AS nth FROM "s"."sync_checks") AS numbered WHERE nth = 1 ORDER BY table_name'
    )
    for sql in (runs, newest, "SELECT 1 WHERE c = false"):
        said = sqlglot.parse_one(translated(sql, capabilities), read=dialect)
        assert isinstance(said, exp.Query)
        folded = capabilities.casefold_identifier("started_at")
        assert "started_at" not in sql or folded in {each.name for each in said.find_all(exp.Column)}
    if kind.utc_day is not None:
        assert sqlglot.parse_one(f"SELECT {kind.utc_day.format('c')} FROM t", read=dialect).find(exp.Column)
    if kind.create_view is not None:
        for view in VIEWS:
            sql = view.portable_sql({name: f"s.{name}" for name in view.needs}, [("person_id", "person_id")], "false")
            assert sqlglot.parse_one(f"{kind.create_view} s.v AS {sql}", read=dialect).find(exp.Create)


@pytest.fixture
def warehouse(postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Postgres]:
    monkeypatch.chdir(tmp_path)
    for name, value in postgres.new_database().items():
        monkeypatch.setenv(f"DESTINATION__POSTGRES__CREDENTIALS__{name}", value)
    with Postgres(BY_NAME["postgres"], Place("posthog", "", "", "")) as destination:
        yield destination


def test_a_destination_that_cannot_merge_says_so(warehouse: Postgres) -> None:
    warehouse.check()
    warehouse.client.capabilities.supported_merge_strategies = ["upsert", "scd2"]
    with pytest.raises(DestinationUnready, match="cannot merge rows by delete-insert") as error:
        warehouse.check()
    assert "upsert, scd2" in error.value.advice


def test_files_wait_in_a_bucket_where_one_is_set(warehouse: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    assert warehouse.dlt_staging() is None
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "s3://somewhere")
    assert warehouse.dlt_staging() is None, "PostgreSQL reads no bucket"
    redshift = DESTINATIONS["redshift"].make(Place("posthog", "", "", ""))
    staging = redshift.dlt_staging()
    assert staging is not None
    assert staging.destination_name == "filesystem"
    assert staging.config_params["bucket_url"] == "s3://somewhere/posthog_warehouse_staging", "a lake may lie beside"


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-20T00:00:00"])
def test_days_are_texts_whatever_a_driver_makes_of_them(day: str) -> None:
    assert day_text(day) == "2026-11-20"
