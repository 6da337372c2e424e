"""Names that dlt's documentation lacks, held against the dlt that is installed: each is there, takes what it took, and
does what the program relies on. A name that fails here has changed in dlt: its module in `destinations.dlt_internals`,
or `sources.posthog.dlt_internals`, says what it is used for.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, get_args, get_origin

import dlt
import pyarrow as pa
import pytest
import tomlkit
from dlt.pipeline.exceptions import PipelineStepFailed
from packaging.requirements import Requirement

from posthog_warehouse.destinations.credentials import missing_of
from posthog_warehouse.destinations.dlt_internals import (
    delta,
    duckdb,
    ducklake,
    filesystem,
    iceberg,
    loading,
    postgres,
    settings,
    tables,
)
from posthog_warehouse.sources.posthog import dlt_internals as source

ROOMS: tuple[ModuleType, ...] = (
    *(settings, tables, loading, duckdb, ducklake, filesystem, postgres, delta, iceberg),
    source,
)
VERSION = f"dlt {dlt.__version__}"
RUN_WITH = ("1.31",)
"""The versions of dlt with which all that is here was found right: what pyproject.toml allows."""

TAKEN: dict[Any, dict[str, str]] = {
    settings.ConfigProvider: {"get_value": "self key hint pipeline_name *sections", "present_locations": "property"},
    settings.LookupTraces: {"traces": "field"},
    settings.resolve_configuration: {"": "config sections explicit_value accept_partial"},
    tables.get_columns_names_with_prop: {"": "table column_prop include_incomplete"},
    tables.get_dedup_sort_tuple: {"": "table include_incomplete"},
    tables.get_first_column_name_with_prop: {"": "table column_prop include_incomplete"},
    tables.get_root_table: {"": "tables table_name"},
    tables.get_nested_tables: {"": "tables table_name max_nesting include_self"},
    tables.is_nested_table: {"": "table"},
    loading.Destination: {
        "capabilities": "self config naming",
        "client": "self schema initial_config",
        "client_class": "property",
        "spec": "property",
        "_raw_capabilities": "self",
    },
    loading.load_package_state: {"": ""},
    loading.LoadJob: {"__init__": "self file_path"},
    loading.RunnableLoadJob: {"__init__": "self file_path", "run": "self", "load_table_name": "property"},
    loading.HasFollowupJobs: {"create_followup_jobs": "self final_state"},
    loading.FollowupJobRequest: {"new_file_path": "self"},
    loading.LoadJobInfo: {"file_path": "field", "job_file_info": "field"},
    loading.ParsedLoadJobFileName: {"parse": "file_name", "table_name": "field"},
    loading.ReferenceFollowupJobRequest: {"is_reference_job": "file_path"},
    loading.SqlLoadJob: {"run": "self"},
    loading.WithStagingDataset: {"with_staging_dataset": "self"},
    loading.WithStateSync: {"get_stored_schema": "self schema_name"},
    loading.SqlJobClientBase: {
        "get_storage_tables": "self table_names",
        "get_stored_schema": "self schema_name",
        "prepare_load_table": "self table_name",
    },
    duckdb.DuckDbClient: {
        "__init__": "self schema config capabilities",
        "create_load_job": "self table file_path load_id restore",
        "create_table_chain_completed_followup_jobs": "self table_chain completed_table_chain_jobs",
        "should_load_data_to_staging_dataset": "self table_name",
        "is_storage_initialized": "self",
        "initialize_storage": "self truncate_tables",
        "update_stored_schema": "self only_tables expected_update force",
        "drop_storage": "self",
        "complete_load": "self load_id",
        "with_staging_dataset": "self",
    },
    duckdb.DuckDbCopyJob: {"__init__": "self file_path", "run": "self"},
    duckdb.DuckDbSqlClient: {
        "__init__": "self dataset_name staging_dataset_name credentials capabilities",
        "make_qualified_table_name": "self table_name quote casefold",
        "make_qualified_table_name_path": "self table_name quote casefold dataset_name catalog",
        "get_qualified_table_names": "self table_name quote casefold",
        "escape_column_name": "self column_name quote casefold",
        "is_staging_dataset_active": "property",
        "native_connection": "property",
        "with_staging_dataset": "self",
        "open_connection": "self",
        "close_connection": "self",
        "begin_transaction": "self",
        "execute_sql": "self sql *args **kwargs",
        "execute_many": "self statements *args **kwargs",
        "execute_query": "self query *args **kwargs",
        "has_dataset": "self",
        "drop_dataset": "self",
        "is_dbapi_exception": "ex",
    },
    duckdb.DuckDbTypeMapper: {"to_destination_type": "self column table"},
    ducklake.DuckLakeClient: {
        "__init__": "self schema config capabilities",
        "initialize_storage": "self truncate_tables",
    },
    ducklake.DuckLakeSqlClient: {
        "__init__": "self dataset_name staging_dataset_name credentials capabilities override_data_path "
        "automatic_migration",
    },
    postgres.PostgresClient: {
        "create_load_job": "self table file_path load_id restore",
        "update_stored_schema": "self only_tables expected_update force",
    },
    postgres.PostgresTypeMapper: {
        "to_destination_type": "self column table",
        "from_destination_type": "self db_type precision scale",
    },
    filesystem.FilesystemClient: {
        "__init__": "self schema config capabilities",
        "get_load_job_class": "self table file_path",
        "get_reference_followup_job_class": "table",
        "prepare_load_table": "self table_name",
        "verify_schema": "self only_tables new_jobs",
        "is_dlt_table": "self table_name",
        "initialize_storage": "self truncate_tables",
        "create_dataset": "self",
        "complete_load": "self load_id",
        "should_truncate_table_before_load": "self table_name",
        "dataset_path": "property",
        "_write_to_json_file": "self filepath data",
        "_list_dlt_table_files": "self table_name pipeline_name",
    },
    filesystem.FilesystemConfiguration: {
        "is_local_filesystem": "property",
        "protocol": "property",
        "make_local_path": "file_url",
    },
    filesystem.FilesystemDestinationClientConfiguration: {"normalize_dataset_name": "self schema"},
    filesystem.ReferenceFollowupJob: {"__init__": "self file_path", "run": "self"},
    filesystem.fsspec_from_config: {"": "config"},
    delta.deltalake_storage_options: {"": "credentials storage_options"},
    delta.evolve_delta_table_schema: {"": "delta_table arrow_schema"},
    iceberg.WithPyicebergConfig: {"to_pyiceberg_fileio_config": "self"},
    iceberg.ensure_iceberg_compatible_arrow_schema: {"": "schema"},
    iceberg.get_sql_catalog: {"": "catalog_name uri credentials properties"},
    source.coerce_value: {"": "to_type from_type value"},
    source.is_iso_timestamp: {"": "t v"},
    source.py_type_to_sc_type: {"": "t"},
    # Of what `dlt` itself has, not all is in its documentation.
    dlt.Pipeline: {"drop": "self pipeline_name", "destination_client": "self schema_name", "state": "property"},
    dlt.Schema: {
        "from_dict": "d remove_processing_hints bump_version validate_schema",
        "from_stored_schema": "stored_schema",
        "data_tables": "self seen_data_only include_incomplete",
        "get_table": "self table_name",
        "get_table_columns": "self table_name include_incomplete",
    },
    dlt.dataset: {"": "destination dataset_name schema"},
    dlt.current.resource: {"": ""},
    dlt.mark.make_hints: {
        "": "table_name parent_table_name write_disposition columns primary_key merge_key schema_contract table_format "
        "file_format additional_table_hints references incremental nested_hints",
    },
}
"""What each takes, as the names of its parameters, by member; `` is the thing itself. By what we know of dlt 1.31."""


def taken(owner: Any, member: str) -> str:
    """What `member` of `owner`, or the thing itself, takes."""
    if not member:
        return _parameters(inspect.unwrap(owner))
    found = inspect.getattr_static(owner, member)
    if isinstance(found, property):
        return "property"
    if isinstance(owner, type) and issubclass(owner, tuple) and member in getattr(owner, "_fields", ()):
        return "field"
    return _parameters(getattr(owner, member))


def _parameters(function: Any) -> str:
    marks: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return " ".join(marks.get(each.kind, "") + each.name for each in inspect.signature(function).parameters.values())


@pytest.mark.parametrize(
    ("owner", "member"),
    [
        pytest.param(owner, member, id=f"{owner.__name__}.{member}".rstrip("."))
        for owner, members in TAKEN.items()
        for member in members
    ],
)
def test_a_name_is_there_and_takes_what_it_took(owner: Any, member: str) -> None:
    name = f"{owner.__module__}.{owner.__name__}.{member}".rstrip(".")
    try:
        now = taken(owner, member)
    except AttributeError:
        pytest.fail(f"{VERSION}: {name} is not there any more")
    before = TAKEN[owner][member]
    assert now == before, f"{VERSION}: {name} takes ({now}), and took ({before})"


def test_the_range_of_dlt_is_what_this_was_run_with() -> None:
    assert dlt.__version__.rpartition(".")[0] in RUN_WITH, (
        f"{VERSION}: the names here are known to be right with {RUN_WITH}"
    )
    project = tomlkit.parse((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    [needed] = [each for each in map(Requirement, project["project"]["dependencies"]) if each.name == "dlt"]
    minors = [f"1.{minor}" for minor in range(100)]
    assert [minor for minor in minors if f"{minor}.99" in needed.specifier] == [*RUN_WITH]


def test_each_name_has_its_reason_and_is_held_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for room in ROOMS:
        lines = inspect.getsource(room).splitlines()
        theirs = [name for name in room.__all__ if not _is_ours(room, name)]
        for name in theirs:
            above = lines[lines.index(f'    "{name}",') - 1]
            assert above.lstrip().startswith("#"), f"{room.__name__}: nothing says what {name} is needed for"
        called = "source" if room is source else room.__name__.rpartition(".")[2]
        missing = [name for name in room.__all__ if not re.search(rf"\b{called}\.{name}\b", here)]
        assert not missing, f"{room.__name__}: nothing here holds {missing}"


def _is_ours(room: ModuleType, name: str) -> bool:
    """Whether a name is defined in the room, not taken from dlt: then its docstring tells."""
    return bool(re.search(rf"^(def|class) {name}\b|^{name} = ", inspect.getsource(room), re.MULTILINE))


# -- settings


def test_the_sources_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME__PLACE__SETTING", "7")
    providers = settings.config_providers()
    assert all(isinstance(each, settings.ConfigProvider) for each in providers), VERSION
    environment, *others = providers
    assert environment.name == settings.ENVIRONMENT_NAME, VERSION
    assert environment.get_value("setting", str, None, "some", "place") == ("7", "SOME__PLACE__SETTING"), VERSION
    assert environment.supports_secrets, VERSION
    files = {each.name: each for each in others}
    assert files["secrets.toml"].supports_secrets, VERSION
    assert not files["config.toml"].supports_secrets, VERSION
    # A section is given whole, where no more than its name is asked for.
    given, _ = files["config.toml"].get_value("sync", dict, None)
    assert given, VERSION
    assert [Path(place).name for place in files["config.toml"].present_locations] == ["config.toml"], VERSION


def test_settings_that_are_nowhere() -> None:
    with pytest.raises(settings.ConfigFieldMissingException) as caught:
        settings.resolve_configuration(filesystem.FilesystemConfiguration(), sections=("destination", "nowhere"))
    traces: Any = caught.value.traces
    assert settings.ENVIRONMENT_NAME in {each.provider for each in traces["bucket_url"]}, VERSION
    with pytest.raises(settings.ConfigFieldMissingException) as caught:
        loading.job_client_of(dlt.destinations.postgres(destination_name="nowhere"), "data", dlt.Schema("things"))
    nested: Any = caught.value.traces
    assert isinstance(nested["credentials"][0], settings.LookupTraces), VERSION
    assert {"credentials.database", "credentials.username", "credentials.host"} <= {*missing_of(caught.value)}, VERSION
    given = dlt.destinations.postgres({"database": "here", "host": "here"}, destination_name="nowhere")
    with pytest.raises(settings.ConfigFieldMissingException) as caught:
        loading.job_client_of(given, "data", dlt.Schema("things"))
    found: Any = caught.value.traces
    assert {*missing_of(caught.value)} == {"credentials.username", "credentials.password"}, VERSION
    of_given = {each.provider for each in found["credentials"][0].traces.get("host", ())}
    assert of_given <= {settings.EXPLICIT_VALUES_PROVIDER_NAME}, VERSION


def test_settings_that_cannot_be_right_and_packages_that_are_missing() -> None:
    assert issubclass(settings.ConfigFieldMissingException, settings.ConfigurationException), VERSION
    with pytest.raises((settings.ConfigurationException, ValueError)):
        dlt.destinations.postgres("postgres://nobody:x@there:not_a_port/db").configuration(
            dlt.destinations.postgres().spec(), accept_partial=False
        )
    settings.import_library("deltalake")
    settings.import_library("pyiceberg")
    with pytest.raises(ImportError):
        settings.import_library("nothing_of_the_kind")
    assert issubclass(settings.MissingDependencyException, ImportError), VERSION


def test_a_file_system_by_its_settings(tmp_path: Path) -> None:
    found = settings.resolve_configuration(
        filesystem.FilesystemConfiguration(bucket_url=str(tmp_path)), sections=("destination", "filesystem")
    )
    assert (found.is_local_filesystem, found.protocol) == (True, "file"), VERSION
    fs, path = filesystem.fsspec_from_config(found)
    assert Path(found.make_local_path(str(found.bucket_url))) == tmp_path, VERSION
    (tmp_path / "file").write_text("text", encoding="utf-8")
    assert fs.cat_file(f"{path}/file") == b"text", VERSION
    written = filesystem.MTIME_DISPATCH["file"](fs.info(f"{path}/file"))
    assert written is not None, VERSION
    assert abs(written.timestamp() - (tmp_path / "file").stat().st_mtime) < 1, VERSION
    assert {"file", "s3", "gs", "az", "abfss"} <= filesystem.MTIME_DISPATCH.keys(), VERSION
    assert found.read_only is False, VERSION


# -- tables


TABLE: Any = {
    "name": "things",
    "columns": {
        "id": {"name": "id", "data_type": "text", "primary_key": True},
        "other": {"name": "other", "data_type": "text", "primary_key": False},
        "at": {"name": "at", "data_type": "timestamp", "dedup_sort": "desc"},
        "gone": {"name": "gone", "data_type": "bool", "hard_delete": True},
    },
}


def test_what_is_read_out_of_a_table() -> None:
    child: Any = {"name": "things__parts", "parent": "things", "columns": {}}
    both = {"things": TABLE, "things__parts": child}
    assert tables.get_columns_names_with_prop(TABLE, "primary_key") == ["id"], VERSION
    assert tables.get_first_column_name_with_prop(TABLE, "hard_delete") == "gone", VERSION
    assert tables.get_first_column_name_with_prop(child, "hard_delete") is None, VERSION
    assert tables.get_dedup_sort_tuple(TABLE) == ("at", "desc"), VERSION
    assert tables.get_dedup_sort_tuple(child) is None, VERSION
    assert tables.get_root_table(both, "things__parts") is TABLE, VERSION
    assert tables.get_root_table(both, "things") is TABLE, VERSION
    assert (tables.is_nested_table(child), tables.is_nested_table(TABLE)) == (True, False), VERSION


def test_names_of_dlts_own_tables_and_types() -> None:
    schema = dlt.Schema("things")
    assert (schema.loads_table_name, schema.version_table_name) == (
        tables.LOADS_TABLE_NAME,
        tables.VERSION_TABLE_NAME,
    ), VERSION
    columns = schema.get_table_columns(tables.VERSION_TABLE_NAME, include_incomplete=True)
    assert {"schema_name", "inserted_at", "schema"} <= columns.keys(), VERSION
    assert issubclass(type(schema.naming), tables.NamingConvention), VERSION
    # These are there for annotations alone.
    assert {"delta", "iceberg"} <= {*get_args(tables.TTableFormat)}, VERSION
    assert [get_origin(tables.TSchemaTables), get_origin(tables.TTableSchemaColumns)] == [dict, dict], VERSION


def test_a_merge_without_copies_is_noted_in_the_table() -> None:
    merge: Any = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True}
    resource = dlt.resource([], name="things", write_disposition=merge, primary_key="id")
    table: Any = resource.compute_table_schema()
    assert table[tables.DEDUPLICATED] is True, VERSION


# -- what the source relies on


def test_names_and_values_as_dlt_makes_them() -> None:
    named = {"$browser": "_browser", "HogQL Query": "hog_ql_query", "1st": "_1st", "utm-term": "utm_term"}
    assert {key: source.snake_case(key) for key in named} == named, VERSION
    assert [source.snake_case(name) for name in named.values()] == [*named.values()], VERSION
    types = {str: "text", int: "bigint", float: "double", bool: "bool", dict: "json", list: "json"}
    assert {kind: source.py_type_to_sc_type(kind) for kind in types} == types, VERSION
    assert source.is_iso_timestamp(str, "2026-11-20T10:00:00.123456Z") == "timestamp", VERSION
    assert source.is_iso_timestamp(str, "twelve") is None, VERSION
    assert source.coerce_value("bigint", "text", "12") == 12, VERSION
    for to_type, value in (("bigint", "twelve"), ("bool", "twelve"), ("timestamp", "twelve")):
        with pytest.raises((ValueError, TypeError)):
            source.coerce_value(to_type, "text", value)  # type: ignore[arg-type]  # its types are plain texts here


def test_outside_of_a_source_dlt_has_no_schema() -> None:
    with pytest.raises(source.DltException):
        dlt.current.source_schema()


def test_what_a_resource_may_say_while_it_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    emptied: list[Any] = []

    @dlt.source(name="shop")
    def shop() -> Any:
        @dlt.resource(name="things", primary_key="id", columns={"doc": {"data_type": "json"}})
        def things() -> Iterator[Any]:
            source.give_hints("parts", write_disposition="append", columns={"n": {"data_type": "text"}})
            emptied.extend(source.emptied_tables())
            assert source.current_resource().write_disposition == "append", VERSION
            yield pa.table({"id": [1], "doc": ["{}"]})
            yield dlt.mark.with_table_name(pa.table({"n": ["one"]}), "parts")

        return things

    pipeline = dlt.pipeline(
        "shop", pipelines_dir=str(tmp_path), destination=dlt.destinations.duckdb(":memory:"), dataset_name="shop"
    )
    logger = logging.getLogger("dlt")
    logger.addHandler(caplog.handler)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        for refresh in (None, "drop_data"):
            pipeline.extract(shop(), loader_file_format="parquet", refresh=refresh)
            pipeline.normalize()
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    found = pipeline.default_schema.tables
    assert next(iter(found["parts"]["columns"])) == "n", f"{VERSION}: the columns of one table are those of the other"
    assert "doc" not in found["parts"]["columns"], VERSION
    assert found["things"]["columns"]["doc"]["data_type"] == "json", VERSION
    assert any(source.COLUMN_WARNING in record.getMessage() for record in caplog.records), VERSION
    assert {each["name"] for each in emptied} >= {"things"}, VERSION


# -- loading


def test_the_classes_behind_dlts_destinations() -> None:
    behind = {
        dlt.destinations.duckdb: duckdb.DuckDbClient,
        dlt.destinations.ducklake: ducklake.DuckLakeClient,
        dlt.destinations.postgres: postgres.PostgresClient,
        dlt.destinations.filesystem: filesystem.FilesystemClient,
    }
    for kind, client in behind.items():
        made: Any = kind()
        assert isinstance(made, loading.Destination), f"{VERSION}: {kind.__name__}"
        assert made.client_class is client, f"{VERSION}: the client of {kind.__name__} is {made.client_class}"
    for client in (duckdb.DuckDbClient, ducklake.DuckLakeClient, postgres.PostgresClient):
        assert issubclass(client, loading.SqlJobClientBase), f"{VERSION}: {client.__name__}"
        assert issubclass(client, loading.WithStagingDataset), f"{VERSION}: {client.__name__}"
        assert issubclass(client, loading.WithStateSync), f"{VERSION}: {client.__name__}"
    assert issubclass(filesystem.FilesystemClient, loading.WithStateSync), VERSION
    assert issubclass(ducklake.DuckLakeClient, duckdb.DuckDbClient), VERSION
    assert issubclass(ducklake.DuckLakeSqlClient, duckdb.DuckDbSqlClient), VERSION
    assert dlt.destinations.duckdb().capabilities().type_mapper is duckdb.DuckDbTypeMapper, VERSION
    assert dlt.destinations.postgres().capabilities().type_mapper is postgres.PostgresTypeMapper, VERSION
    assert filesystem.FilesystemClient.batch_table_chain is False, VERSION
    assert duckdb.DuckDbClient.in_staging_dataset_mode is False, VERSION
    assert issubclass(filesystem.FilesystemDestinationClientConfiguration, filesystem.FilesystemConfiguration), VERSION


def test_what_ducklake_makes_of_what_read_in_place_overrides() -> None:
    ours = ("create_table_chain_completed_followup_jobs", "is_storage_initialized", "drop_storage")
    for name in (*ours, "update_stored_schema", "complete_load", "should_load_data_to_staging_dataset"):
        assert getattr(ducklake.DuckLakeClient, name) is getattr(duckdb.DuckDbClient, name), f"{VERSION}: {name}"


def test_types_by_dlts_mappers() -> None:
    table: Any = {"name": "things", "columns": {}}
    column: Any = {"name": "doc", "data_type": "json"}
    for kind, mapper, there in (
        (dlt.destinations.duckdb, duckdb.DuckDbTypeMapper, "JSON"),
        (dlt.destinations.postgres, postgres.PostgresTypeMapper, "jsonb"),
    ):
        made: Any = kind()
        assert mapper(made.capabilities()).to_destination_type(column, table) == there, VERSION

        class Ours(mapper):  # type: ignore[valid-type,misc]  # each of them in turn
            pass

        class changes(loading.ChangesCapabilities, kind):  # type: ignore[valid-type,misc]  # noqa: N801 - likewise
            def changed(self, capabilities: Any) -> Any:
                capabilities.type_mapper = Ours
                return capabilities

        assert changes().capabilities().type_mapper is Ours, VERSION
    found = postgres.PostgresTypeMapper(dlt.destinations.postgres().capabilities())
    assert found.from_destination_type("timestamp with time zone", None, None)["data_type"] == "timestamp", VERSION
    compressed = loading.ParquetFormatConfiguration(compression="none")
    written = dlt.destinations.duckdb(parquet_format=compressed).capabilities().parquet_format
    assert written is not None, VERSION
    assert written.compression == "none", VERSION


def test_jobs_that_need_not_be_run(tmp_path: Path) -> None:
    path = str(tmp_path / "things.0123456789.0.parquet")
    assert loading.FinalizedLoadJob(path).state() == "completed", VERSION
    assert isinstance(loading.FinalizedLoadJob(path), loading.LoadJob), VERSION
    assert loading.ParsedLoadJobFileName.parse(path).table_name == "things", VERSION
    follows = loading.ReferenceFollowupJobRequest("things.0123456789.0.parquet", ["/a.parquet", "/b.parquet"])
    assert isinstance(follows, loading.FollowupJobRequest), VERSION
    where = Path(follows.new_file_path())
    try:
        assert loading.ReferenceFollowupJobRequest.is_reference_job(str(where)), VERSION
        assert not loading.ReferenceFollowupJobRequest.is_reference_job(path), VERSION
        assert filesystem.ReferenceFollowupJob(str(where)).file_paths == ["/a.parquet", "/b.parquet"], VERSION
    finally:
        where.unlink()
    for job in (duckdb.DuckDbCopyJob, filesystem.ReferenceFollowupJob):
        assert issubclass(job, loading.RunnableLoadJob), f"{VERSION}: {job.__name__}"
    assert issubclass(duckdb.DuckDbCopyJob, loading.HasFollowupJobs), VERSION


def test_no_name_of_ours_is_dlts_as_well() -> None:
    """Else ours would be called where dlt means its own."""
    mixed: dict[type, tuple[type, ...]] = {
        loading.ChangesCapabilities: (loading.Destination, dlt.destinations.duckdb, dlt.destinations.filesystem),
        loading.JobRun: (duckdb.DuckDbCopyJob, filesystem.ReferenceFollowupJob, loading.RunnableLoadJob),
        filesystem.BucketClient: (filesystem.FilesystemClient,),
    }
    for ours, theirs in mixed.items():
        for name in (name for name in vars(ours) if not name.startswith("_")):
            taken_by = [kind.__name__ for kind in theirs if hasattr(kind, name)]
            assert not taken_by, f"{VERSION}: {name} of {ours.__name__} is a name of {taken_by}"


MERGE: Any = {"disposition": "merge", "strategy": "delete-insert"}


class _Seen:
    """What dlt did in a run."""

    asked = 0
    packages: ClassVar[list[Any]] = []
    jobs: ClassVar[list[tuple[str, str, Any]]] = []
    followed: ClassVar[list[tuple[list[str], str]]] = []
    staging: ClassVar[set[tuple[str, bool, bool]]] = set()
    names: ClassVar[set[tuple[str, bool]]] = set()


class _CopyJob(loading.JobRun, duckdb.DuckDbCopyJob):
    def run(self) -> None:
        _Seen.jobs.append((self.path, self.package, self.dlt_client))
        if self.load_table_name == "broken":
            raise OSError("a lost mount")
        super().run()


class _SqlClient(duckdb.DuckDbSqlClient):
    def make_qualified_table_name(self, table_name: str, quote: bool = True, casefold: bool = True) -> str:  # noqa: FBT001, FBT002 - the arguments are dlt's
        _Seen.names.add((table_name, self.is_staging_dataset_active))
        return str(super().make_qualified_table_name(table_name, quote=quote, casefold=casefold))


class _Client(duckdb.DuckDbClient):
    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        theirs: Any = self.sql_client
        made = _SqlClient(theirs.dataset_name, theirs.staging_dataset_name, theirs.credentials, theirs.capabilities)
        assert vars(made).keys() == vars(theirs).keys(), f"{VERSION}: a SQL client is made of more"
        self.sql_client = made

    def initialize_storage(self, truncate_tables: Any = None) -> None:
        _Seen.packages.append(loading.load_package_state()["load_id"])
        _Seen.staging.add(("initialize", self.in_staging_dataset_mode, self.sql_client.is_staging_dataset_active))
        super().initialize_storage(truncate_tables)

    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:  # noqa: FBT001, FBT002 - the arguments are dlt's
        if file_path.endswith(".parquet"):
            return _CopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def create_table_chain_completed_followup_jobs(self, table_chain: Any, completed_table_chain_jobs: Any = ()) -> Any:
        jobs = super().create_table_chain_completed_followup_jobs(table_chain, completed_table_chain_jobs)
        done: list[loading.LoadJobInfo] = completed_table_chain_jobs
        files = [job.file_path for job in done if job.job_file_info.table_name == "things"]
        _Seen.followed += [(files, Path(job.new_file_path()).read_text(encoding="utf-8")) for job in jobs]
        return jobs


class _watched(loading.ChangesCapabilities, dlt.destinations.duckdb):  # noqa: N801 - dlt names destinations like this
    @property
    def client_class(self) -> Any:
        return _Client

    def changed(self, capabilities: Any) -> Any:
        _Seen.asked += 1
        capabilities.preferred_loader_file_format = "parquet"
        capabilities.supported_loader_file_formats = ["parquet"]
        return capabilities


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    _Seen.asked = 0
    seen = (_Seen.packages, _Seen.jobs, _Seen.followed, _Seen.staging, _Seen.names)
    for each in (*seen, _ChainJob.chains, _BucketClient.put, _BucketClient.read):
        each.clear()


def _package(pipeline: dlt.Pipeline) -> str:
    trace: Any = pipeline.last_trace
    return str(trace.last_load_info.loads_ids[0])


def _pipeline(folder: Path, destination: Any) -> dlt.Pipeline:
    return dlt.pipeline("shop", pipelines_dir=str(folder), destination=destination, dataset_name="shop").drop()


def test_how_dlt_loads_into_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    run = loading.SqlLoadJob.run

    def spy(job: Any) -> None:
        texts.append(Path(job._file_path).read_text(encoding="utf-8"))
        run(job)

    monkeypatch.setattr(loading.SqlLoadJob, "run", spy)
    destination = _watched(str(tmp_path / "things.duckdb"))
    pipeline = _pipeline(tmp_path, destination)
    of_instance: list[Any] = []
    work_out = destination.capabilities

    def asked(*given: Any, **named: Any) -> Any:
        of_instance.append(given)
        return work_out(*given, **named)

    monkeypatch.setattr(destination, "capabilities", asked)
    things = dlt.resource([{"id": 1}], name="things", primary_key="id", write_disposition=MERGE)
    pipeline.run(things)

    assert _Seen.asked, VERSION
    assert of_instance, f"{VERSION}: capabilities are not asked of the instance"
    package = _package(pipeline)
    assert {*_Seen.packages} == {package}, VERSION
    [(files, sql)] = _Seen.followed
    ours = [(path, load_id) for path, load_id, _ in _Seen.jobs if "things" in Path(path).name]
    assert [load_id for _, load_id in ours] == [package], VERSION
    assert [Path(path).name for path, _ in ours] == [Path(path).name for path in files], VERSION
    assert all(isinstance(client, _Client) for _, _, client in _Seen.jobs), VERSION
    # While it makes the staging dataset both say so; else neither does.
    assert {(mode, active) for _, mode, active in _Seen.staging} == {(True, True), (False, False)}, VERSION
    assert {("things", True), ("things", False)} <= _Seen.names, f"{VERSION}: dlt's SQL is made of other names"
    assert texts == [sql], f"{VERSION}: the SQL of a follow-up job is not the text of its file"
    statements = {line.split()[0] for line in sql.splitlines() if line.strip()}
    assert statements <= {"CREATE", "DELETE", "DROP", "INSERT"}, f"{VERSION}: a statement has several lines"
    assert loading.SqlLoadJob(str(_sql_file(tmp_path)))._split_fragments("SELECT 1;\nSELECT 2\n") == [
        "SELECT 1",
        "SELECT 2",
    ], VERSION
    with pipeline.destination_client() as opened:
        client: Any = opened
        assert isinstance(client, loading.WithStateSync), VERSION
        stored: Any = client.get_stored_schema("shop")
        assert "things" in dlt.Schema.from_stored_schema(dlt.common.json.loads(stored.schema)).tables, VERSION
        assert client.get_stored_schema("another") is None, VERSION
        assert isinstance(client, loading.SqlJobClientBase), VERSION
        [(_, columns)] = client.get_storage_tables(["things"])
        assert columns["id"]["data_type"] == "bigint", VERSION
        assert issubclass(loading.DestinationUndefinedEntity, loading.DestinationException), VERSION
        with pytest.raises(loading.DestinationUndefinedEntity) as missing:
            client.sql_client.execute_sql("SELECT * FROM not_there")
        assert client.sql_client.is_dbapi_exception(_driver_error(missing.value)), VERSION
    with pytest.raises(loading.CurrentLoadPackageStateNotAvailable):
        loading.load_package_state()


def _sql_file(folder: Path) -> Path:
    file = folder / "things.0123456789.0.sql"
    file.touch()
    return file


def _driver_error(error: Any) -> Exception:
    found: Exception = error.dbapi_exception
    return found


def test_a_job_that_fails_has_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    pipeline = _pipeline(tmp_path, _watched(str(tmp_path / "things.duckdb")))
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run(dlt.resource([{"id": 1}], name="broken"))
    seen: BaseException | None = caught.value
    while seen is not None and not isinstance(seen, loading.LoadClientJobException):
        seen = seen.__cause__ or seen.__context__
    assert seen is not None, VERSION
    assert isinstance(seen.client_exception, OSError), VERSION


class _ChainJob(loading.JobRun, filesystem.ReferenceFollowupJob):
    chains: ClassVar[list[tuple[str, list[str], str]]] = []

    def run(self) -> None:
        self.chains.append((self.load_table_name, self.file_paths, self.package))


class _NoJob(loading.RunnableLoadJob, loading.HasFollowupJobs):
    def run(self) -> None:
        pass


class _BucketClient(filesystem.BucketClient):
    batch_table_chain: ClassVar[bool] = True
    put: ClassVar[list[str]] = []
    read: ClassVar[list[str]] = []

    def put_json(self, path: str, data: Any) -> bool:
        self.put.append(Path(path).relative_to(self.dataset_path).parts[0])
        return super().put_json(path, data)

    def is_to_be_read(self, path: str) -> bool:
        self.read.append(Path(path).relative_to(self.dataset_path).parts[0])
        return super().is_to_be_read(path)

    @staticmethod
    def get_reference_followup_job_class(table: Any) -> Any:
        return None if table["name"].startswith("_dlt") else _ChainJob

    def get_load_job_class(self, table: Any, file_path: str) -> Any:
        if table["name"] == self.schema.state_table_name:
            return loading.FinalizedLoadJob
        return _ChainJob if loading.ReferenceFollowupJobRequest.is_reference_job(file_path) else _NoJob

    def should_truncate_table_before_load(self, table_name: str) -> bool:  # noqa: ARG002 - the argument is dlt's
        return False


class _bucket(loading.ChangesCapabilities, dlt.destinations.filesystem):  # noqa: N801 - dlt names destinations like this
    __orig_base__ = dlt.destinations.filesystem

    @property
    def client_class(self) -> Any:
        return _BucketClient

    def changed(self, capabilities: Any) -> Any:
        capabilities.preferred_loader_file_format = "parquet"
        capabilities.supported_loader_file_formats = ["parquet", "reference"]
        return capabilities


def test_how_dlt_loads_into_a_bucket(tmp_path: Path) -> None:
    pipeline = _pipeline(tmp_path / "working", _bucket(str(tmp_path / "bucket")))
    pipeline.run(dlt.resource([{"id": 1, "parts": [{"n": 1}, {"n": 2}]}], name="things"))
    [(named, files, package)] = _ChainJob.chains
    # Named after any of them.
    assert named in {"things", "things__parts"}, VERSION
    assert package == _package(pipeline), VERSION
    # The files of a table and its children come in one job, and are on this machine.
    names = {loading.ParsedLoadJobFileName.parse(path).table_name for path in files}
    assert names == {"things", "things__parts"}, VERSION
    assert all(Path(path).is_absolute() for path in files), VERSION
    assert {*_BucketClient.put} == {"_dlt_version", "_dlt_loads", "_dlt_pipeline_state"}, VERSION
    with pipeline.destination_client() as opened:
        client: Any = opened
        assert isinstance(client, loading.WithStateSync), VERSION
        assert client.get_stored_schema("shop") is not None, VERSION
        assert {*_BucketClient.read} == {"_dlt_version", "_dlt_pipeline_state"}, VERSION
        assert isinstance(client, filesystem.FilesystemClient), VERSION
        assert client.is_local_filesystem, VERSION
        assert Path(client.dataset_path) == tmp_path / "bucket" / "shop", VERSION
        assert (client.is_dlt_table("_dlt_loads"), client.is_dlt_table("things")) == (True, False), VERSION
        config: filesystem.FilesystemDestinationClientConfiguration = client.config
        assert config.normalize_dataset_name(client.schema) == "shop", VERSION


# -- formats of tables


def test_columns_and_credentials_of_delta_tables(tmp_path: Path) -> None:
    from deltalake import DeltaTable  # noqa: PLC0415 - its package may be missing

    table = DeltaTable.create(str(tmp_path / "things"), pa.schema([("id", pa.int64())]))
    delta.evolve_delta_table_schema(table, pa.schema([("id", pa.int64()), ("name", pa.string())]))
    assert [field.name for field in table.schema().fields] == ["id", "name"], VERSION
    assert delta.deltalake_storage_options(None, {"key": "given"}) == {"key": "given"}, VERSION


def test_types_and_catalogs_of_iceberg_tables() -> None:
    schema = pa.schema([("at", pa.time32("s")), ("name", pa.string())])
    made = iceberg.ensure_iceberg_compatible_arrow_schema(schema)
    assert (made.names, made.field("at").type) == (["at", "name"], pa.time64("us")), VERSION
    catalog = iceberg.get_sql_catalog("things", "sqlite:///:memory:", None)  # type: ignore[arg-type]  # of a local disk
    catalog.create_namespace("tables")
    assert catalog.list_namespaces() == [("tables",)], VERSION
    from dlt.sources.credentials import AwsCredentials  # noqa: PLC0415 - of this test alone

    assert issubclass(AwsCredentials, iceberg.WithPyicebergConfig), VERSION


def test_a_schema_that_is_kept_is_the_pipelines(tmp_path: Path) -> None:
    pipeline = dlt.pipeline("keeps", pipelines_dir=str(tmp_path), destination="duckdb")
    pipeline.extract([{"n": 1}], table_name="things")
    schema = pipeline.default_schema.clone()
    schema.update_table({"name": "more", "columns": {}})
    loading.keep_schema(pipeline, schema)
    assert "more" in pipeline.schemas[schema.name].tables, VERSION
    assert "more" in dlt.attach("keeps", pipelines_dir=str(tmp_path)).default_schema.tables, VERSION


def test_the_pipeline_that_runs_is_known_while_it_does(tmp_path: Path) -> None:
    assert source.running_pipeline() is None or source.running_pipeline().pipeline_name != "runs", VERSION
    running = []

    @dlt.resource
    def things() -> Iterator[dict[str, int]]:
        running.append(source.running_pipeline())
        yield {"n": 1}

    pipeline = dlt.pipeline("runs", pipelines_dir=str(tmp_path), destination="duckdb")
    pipeline.extract(things())
    assert [each.pipeline_name for each in running] == ["runs"], VERSION
    assert callable(running[0].destination_client), VERSION


def test_what_the_source_asks_a_dataset_for_is_what_its_destination_has(tmp_path: Path) -> None:
    assert source.SqlJobClientBase is loading.SqlJobClientBase, VERSION
    assert source.WithStateSync is loading.WithStateSync, VERSION
    assert source.is_nested_table is tables.is_nested_table, VERSION
    pipeline = dlt.pipeline("asks", pipelines_dir=str(tmp_path))
    with pytest.raises(source.PipelineConfigMissing):
        pipeline.destination_client()
    unset = dlt.pipeline("unset", pipelines_dir=str(tmp_path), destination="postgres", dataset_name="nowhere")
    with pytest.raises(source.ConfigurationException):
        unset.destination_client()
    file = dlt.destinations.duckdb(str(tmp_path / "empty.duckdb"))
    empty = dlt.pipeline("empty", pipelines_dir=str(tmp_path), destination=file, dataset_name="nothing")
    with empty.destination_client() as client:
        assert isinstance(client, source.SqlJobClientBase), VERSION
        name = client.sql_client.make_qualified_table_name("things")
        with pytest.raises(source.DestinationUndefinedEntity):
            client.sql_client.execute_sql(f"SELECT 1 FROM {name}")
