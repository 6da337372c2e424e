"""dlt's SQL destinations, as data: what each needs, and how it differs from standard SQL in what we ask of it.

What a destination can do (strategies of merging, file formats, types, lengths of names) is not repeated here: dlt's own
`capabilities()` say it. Written for dlt 1.31; a test holds the settings against dlt's own.
"""

from __future__ import annotations

from dataclasses import dataclass

_POSTGRES_COMMENTS = """\
SELECT tables.relname, columns.attname, comments.description FROM pg_description AS comments
JOIN pg_class AS tables ON tables.oid = comments.objoid AND comments.classoid = 'pg_class'::regclass
JOIN pg_namespace AS schemas ON schemas.oid = tables.relnamespace
LEFT JOIN pg_attribute AS columns ON columns.attrelid = tables.oid AND columns.attnum = nullif(comments.objsubid, 0)
WHERE schemas.nspname = %s"""
_DUCKDB_COMMENTS = """\
WITH named AS (
    SELECT schema_name, database_name, table_name, column_name, comment FROM duckdb_columns()
    UNION ALL SELECT schema_name, database_name, table_name, NULL, comment FROM duckdb_tables()
    UNION ALL SELECT schema_name, database_name, view_name, NULL, comment FROM duckdb_views()
)
SELECT table_name, column_name, comment FROM named
WHERE database_name = current_database() AND comment IS NOT NULL AND schema_name = %s"""
_UTC_DAY = "CAST({} AT TIME ZONE 'UTC' AS DATE)"


@dataclass(frozen=True)
class Kind:
    """One of dlt's SQL destinations."""

    name: str
    """As dlt and `--destination` have it."""
    extra: str
    """What brings its driver: the extra of dlt, `pip install "dlt[extra]"`."""
    settings: tuple[str, ...]
    """What has to be set at least, of `[destination.NAME]`; `credentials.x` stands in a section of its own."""
    utc_day: str | None = _UTC_DAY
    """The UTC day of a column as a DATE. None: no SQL that serves all that may be behind it."""
    create_view: str | None = "CREATE OR REPLACE VIEW"
    """How a view is made, or made anew. None: it has none, or none that users of it would look for."""
    comments: str | None = None
    """The comments of a dataset (`%s`), as rows of table, column or NULL, and text, where `COMMENT ON` is known to it.
    None: dlt makes those of columns, or nobody."""
    sees_new_tables: bool = True
    """Whether a connection that is open sees tables which another one makes."""
    needs_staging: bool = False
    """Whether files reach it through a bucket only (dlt's staging), which has to be configured."""
    table_format: str | None = None
    """The format that its tables must have to be merged into."""

    @property
    def install(self) -> str:
        """The command that installs its driver."""
        return f'pip install "dlt[{self.extra}]"'


_LOGIN = ("credentials.host", "credentials.database", "credentials.username", "credentials.password")

KINDS: tuple[Kind, ...] = (
    Kind("postgres", "postgres", _LOGIN, comments=_POSTGRES_COMMENTS),
    Kind("redshift", "redshift", _LOGIN),
    Kind(
        "snowflake",
        "snowflake",
        ("credentials.host", "credentials.database", "credentials.username", "credentials.password"),
        utc_day="CAST(CONVERT_TIMEZONE('UTC', {}) AS DATE)",
    ),
    Kind(
        "bigquery",
        "bigquery",
        ("credentials.project_id", "credentials.private_key", "credentials.client_email"),
        utc_day="DATE({}, 'UTC')",
    ),
    Kind(
        "databricks",
        "databricks",
        ("credentials.server_hostname", "credentials.http_path", "credentials.catalog", "credentials.access_token"),
        utc_day="CAST(to_utc_timestamp({}, current_timezone()) AS DATE)",
    ),
    Kind(
        "clickhouse",
        "clickhouse",
        ("credentials.host", "credentials.database", "credentials.username", "credentials.password"),
        utc_day="toDate32({}, 'UTC')",
    ),
    Kind("motherduck", "motherduck", ("credentials.password",), comments=_DUCKDB_COMMENTS),
    Kind("mssql", "mssql", _LOGIN, create_view="CREATE OR ALTER VIEW"),
    Kind("synapse", "synapse", _LOGIN, create_view=None),
    Kind(
        "fabric",
        "fabric",
        (
            *("credentials.host", "credentials.database", "credentials.azure_tenant_id"),
            *("credentials.azure_client_id", "credentials.azure_client_secret"),
        ),
        utc_day="CAST({} AS DATE)",
        create_view="CREATE OR ALTER VIEW",
    ),
    Kind(
        "athena",
        "athena",
        ("query_result_bucket", "credentials.aws_access_key_id", "credentials.aws_secret_access_key"),
        utc_day="CAST({} AS DATE)",
        create_view=None,
        needs_staging=True,
        table_format="iceberg",
    ),
    Kind(
        "dremio",
        "dremio",
        (*_LOGIN, "staging_data_source"),
        utc_day="CAST({} AS DATE)",
        create_view=None,
        needs_staging=True,
    ),
    Kind(
        "sqlalchemy",
        "sqlalchemy",
        ("credentials.drivername", "credentials.database"),
        utc_day=None,
        create_view=None,
        sees_new_tables=False,
    ),
    Kind("ducklake", "ducklake", ("credentials.catalog", "credentials.storage"), comments=_DUCKDB_COMMENTS),
)

BY_NAME = {kind.name: kind for kind in KINDS}
