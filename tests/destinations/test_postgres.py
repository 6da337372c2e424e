"""COPY brings every value into PostgreSQL as it was, and dlt's classes are what ours are built on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.impl.postgres.factory import PostgresTypeMapper
from dlt.destinations.impl.postgres.postgres import PostgresClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthog_warehouse.destinations.destination import Bounds, Place
from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.destinations.kinds import BY_NAME
from posthog_warehouse.destinations.postgres import CopyClient, Postgres, TypeMapper, postgres_by_copy
from posthog_warehouse.destinations.postgres_copy import copy_text
from tests.local_postgres import USER, LocalPostgres

ID = "0199a3c4-7e5f-7000-8000-00000000000a"


@pytest.fixture
def warehouse(
    postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Postgres, str]]:
    """An empty database, as destination and by name."""
    settings_of_it = postgres.new_database()
    for name, value in settings_of_it.items():
        monkeypatch.setenv(f"DESTINATION__POSTGRES__CREDENTIALS__{name}", value)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    with Postgres(BY_NAME["postgres"], Place("posthog", "", "", "")) as destination:
        yield destination, settings_of_it["DATABASE"]


def load(destination: Postgres, *pages: Any, **hints: Any) -> None:
    merge: Any = {"disposition": "merge", "strategy": "delete-insert"}
    dlt.pipeline("test", destination=destination.dlt_destination(), dataset_name="posthog").run(
        iter(pages), table_name="things", primary_key="id", write_disposition=merge, columns=hints
    )


def test_what_ours_is_built_on_is_what_dlt_uses() -> None:
    assert dlt.destinations.postgres().client_class is PostgresClient
    assert postgres_by_copy().client_class is CopyClient
    assert dlt.destinations.postgres().capabilities().type_mapper is PostgresTypeMapper
    capabilities = postgres_by_copy().capabilities()
    assert capabilities.type_mapper is TypeMapper
    assert capabilities.preferred_loader_file_format == "parquet"
    assert capabilities.loader_file_format_selector is None


def test_every_type_arrives_as_it_was(warehouse: tuple[Postgres, str], postgres: LocalPostgres) -> None:
    destination, database = warehouse
    moment = datetime(2026, 11, 20, 23, 59, 59, 123456, tzinfo=timezone.utc)
    document = '{"b": 1.50, "a": "\\u0000", "half": "\\ud800", "deep": {"x": [1, null]}, "long": 123456789012345678901}'
    row = {
        "id": ID,
        "words": "a\tb\nc\\d\"e'f, \\N \\. ünï\N{SNOWMAN}",
        "document": document,
        "at": moment,
        "day": date(1969, 12, 31),
        "whole": 2**63 - 1,
        "unsigned": Decimal(2**64 - 1),
        "part": 0.1,
        "exact": Decimal("12.345"),
        "yes": True,
        "raw": b"\x00\xff\\",
    }
    nothing = {"id": ID.replace("a", "b"), "words": ""}
    hints: Any = {
        "id": {"data_type": "text", "x-uuid": True},
        "document": {"data_type": "json"},
        "at": {"data_type": "timestamp", "timezone": True, "precision": 6},
        "unsigned": {"data_type": "decimal", "precision": 20, "scale": 0, "x-unsigned": True},
        "exact": {"data_type": "decimal", "precision": 10, "scale": 3},
    }
    schema = pa.schema(
        {
            "id": pa.string(),
            "words": pa.string(),
            "document": pa.string(),
            "at": pa.timestamp("us", "UTC"),
            "day": pa.date32(),
            "whole": pa.int64(),
            "unsigned": pa.decimal128(20),
            "part": pa.float64(),
            "exact": pa.decimal128(10, 3),
            "yes": pa.bool_(),
            "raw": pa.binary(),
        }
    )
    load(destination, pa.Table.from_pylist([row, nothing], schema), **hints)

    columns = ", ".join("document::text" if name == "document" else f'"{name}"' for name in row)
    found = postgres.run(database, f"SELECT {columns} FROM posthog.things ORDER BY id")
    assert [bytes(value) if isinstance(value, memoryview) else value for value in found[0]] == list(row.values())
    assert found[1] == (nothing["id"], "", *[None] * (len(row) - 2)), "an empty text is no NULL"
    kinds = dict(
        postgres.run(
            database,
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'posthog' AND table_name = 'things'",
        )
    )
    assert {name: kinds[name] for name in ("id", "document", "at", "unsigned")} == {
        "id": "uuid",
        "document": "json",
        "at": "timestamp with time zone",
        "unsigned": "numeric",
    }


def test_a_nul_is_stored_as_posthog_stores_it(warehouse: tuple[Postgres, str], postgres: LocalPostgres) -> None:
    destination, database = warehouse
    load(destination, [{"id": "1", "words": "a\0b"}])
    assert postgres.run(database, "SELECT words FROM posthog.things") == [("a\N{REPLACEMENT CHARACTER}b",)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_any_text_arrives_as_it_was(postgres: LocalPostgres, texts: list[str | None]) -> None:
    copied = copy_text(pa.record_batch({"n": range(len(texts)), "words": pa.array(texts, pa.string())}))
    with postgres.cursor("postgres") as cursor:
        cursor.execute("CREATE TEMP TABLE things (n int, words text)")
        cursor.copy_expert("COPY things FROM STDIN WITH (FORMAT text, ENCODING 'utf8')", pa.BufferReader(copied))
        cursor.execute("SELECT words FROM things ORDER BY n")
        assert [words for (words,) in cursor.fetchall()] == texts


def test_a_merge_goes_by_an_index_on_the_key(warehouse: tuple[Postgres, str], postgres: LocalPostgres) -> None:
    destination, database = warehouse
    load(destination, [{"id": "1", "words": "a"}, {"id": "2", "words": "b"}])
    load(destination, [{"id": "2", "words": "c"}, {"id": "3", "words": "d", "later": 1}])
    assert postgres.run(database, "SELECT id, words FROM posthog.things ORDER BY id") == [
        ("1", "a"),
        ("2", "c"),
        ("3", "d"),
    ]
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = 'things'"
    keyed = [text for (text,) in postgres.run(database, indexes, "posthog") if text.endswith("(id)")]
    assert len(keyed) == 1, "made once, with the table"
    staged = "posthog_posthog_warehouse_staging"
    assert postgres.run(
        database, "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename = 'things'", staged
    ) == [(1,)]
    assert not [text for (text,) in postgres.run(database, indexes, staged) if text.endswith("(id)")]


def test_days_are_utc_days_whatever_the_servers_time_zone(
    warehouse: tuple[Postgres, str], postgres: LocalPostgres
) -> None:
    destination, database = warehouse
    postgres.run(database, "CREATE SCHEMA posthog")
    postgres.run(database, "CREATE TABLE posthog.events (event text, timestamp timestamptz, created_at timestamptz)")
    at = ["1969-12-31 23:59:59.999999+00", "2026-11-20 00:00:00+00", "2026-11-20 23:59:59.999999+00"]
    for moment in at:
        postgres.run(database, "INSERT INTO posthog.events VALUES ('50 %% done', %s, %s)", moment, moment)
    postgres.run(database, f"GRANT ALL ON SCHEMA posthog TO {USER}")
    postgres.run(database, "GRANT SELECT ON posthog.events TO public")
    assert postgres.run(database, "SHOW timezone") == [("America/New_York",)]
    assert destination.count_events(Bounds()) == {
        ("1969-12-31", "50 % done"): 1,
        ("2026-11-20", "50 % done"): 2,
    }
    last = datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=timezone.utc)
    assert destination.count_events(Bounds(datetime(2026, 11, 20, tzinfo=timezone.utc), last, created_to=last)) == {
        ("2026-11-20", "50 % done"): 1
    }


def test_a_disk_that_is_full_or_a_server_that_goes_is_no_fault_of_ours(
    warehouse: tuple[Postgres, str], postgres: LocalPostgres
) -> None:
    destination, database = warehouse
    load(destination, [{"id": "1", "words": "a"}])
    postgres.run(database, "ALTER TABLE posthog.things ADD CHECK (words <> 'b')")
    with pytest.raises(Exception, match="things") as failed:
        load(destination, [{"id": "2", "words": "b"}])
    told = destination.explain(failed.value)
    assert isinstance(told, DestinationUnusable)
    assert "check constraint" in told.message
    assert destination.explain(KeyError("ours")) is None


def test_known_versions_come_in_pieces(warehouse: tuple[Postgres, str], postgres: LocalPostgres) -> None:
    destination, database = warehouse
    assert list(destination.known_versions("persons", "person_id")) == []
    postgres.run(database, "CREATE SCHEMA posthog")
    postgres.run(
        database,
        "CREATE TABLE posthog.persons AS SELECT gen_random_uuid() AS person_id, n AS version, false AS is_deleted "
        "FROM generate_series(1, 250000) AS n",
    )
    postgres.run(database, f"GRANT ALL ON SCHEMA posthog TO {USER}")
    postgres.run(database, "GRANT SELECT ON posthog.persons TO public")
    destination.close()
    pieces = list(destination.known_versions("persons", "person_id"))
    assert [piece.num_rows for piece in pieces] == [100_000, 100_000, 50_000]
    assert sum(pa.concat_tables(pieces).column("version").to_pylist()) == 250_000 * 250_001 // 2
    assert UUID(pieces[0].column("person_id")[0].as_py()).version == 4


def test_views_and_comments_follow_columns_that_come_later(
    warehouse: tuple[Postgres, str], postgres: LocalPostgres
) -> None:
    destination, database = warehouse
    merge: Any = {"disposition": "merge", "strategy": "delete-insert"}

    def persons(**more: Any) -> None:
        dlt.pipeline("test", destination=destination.dlt_destination(), dataset_name="posthog").run(
            [{"person_id": ID, "is_deleted": False, **more}],
            table_name="persons",
            primary_key="person_id",
            write_disposition=merge,
        )
        destination.finish({"persons": ("It's a person.", {"person_id": "The key, 100 %."})})

    persons()
    postgres.run(database, "CREATE VIEW public.own AS SELECT person_id FROM posthog.persons_current")
    persons(email="a@example.com")
    assert postgres.run(database, "SELECT email FROM posthog.persons_current") == [("a@example.com",)]
    comments = "SELECT obj_description('posthog.persons'::regclass), col_description('posthog.persons'::regclass, 1)"
    assert postgres.run(database, comments) == [("It's a person.", "The key, 100 %.")]
    assert json.dumps(destination.location).count("s3cret") == 0
