"""dlt's SQL destinations, as data: what each needs, and how it differs from standard SQL in what we ask of it.

What a destination can do (strategies of merging, file formats, types, lengths of names) is not repeated here: dlt's own
`capabilities()` say it. Written for dlt 1.31; a test holds the settings against dlt's own.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    has_views: bool = True
    has_comments: bool = False
    """Whether `COMMENT ON TABLE`, `COLUMN` and `VIEW` are known to it."""
    uuid_type: str | None = None
    """Its type for UUIDs, where texts are taken for it; None: they stay texts."""
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
    Kind("postgres", "postgres", _LOGIN, has_comments=True, uuid_type="uuid"),
    Kind("redshift", "redshift", _LOGIN, has_comments=True),
    Kind(
        "snowflake",
        "snowflake",
        ("credentials.host", "credentials.database", "credentials.username", "credentials.password"),
        utc_day="CAST(CONVERT_TIMEZONE('UTC', {}) AS DATE)",
        has_comments=True,
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
    Kind("motherduck", "motherduck", ("credentials.password",), has_comments=True, uuid_type="UUID"),
    Kind("mssql", "mssql", _LOGIN),
    Kind("synapse", "synapse", _LOGIN),
    Kind(
        "fabric",
        "fabric",
        (
            *("credentials.host", "credentials.database", "credentials.azure_tenant_id"),
            *("credentials.azure_client_id", "credentials.azure_client_secret"),
        ),
        utc_day="CAST({} AS DATE)",
    ),
    Kind(
        "athena",
        "athena",
        ("query_result_bucket", "credentials.aws_access_key_id", "credentials.aws_secret_access_key"),
        utc_day="CAST({} AS DATE)",
        needs_staging=True,
        table_format="iceberg",
    ),
    Kind("dremio", "dremio", (*_LOGIN, "staging_data_source"), utc_day="CAST({} AS DATE)", needs_staging=True),
    Kind("sqlalchemy", "sqlalchemy", ("credentials.drivername", "credentials.database"), utc_day=None),
)

BY_NAME = {kind.name: kind for kind in KINDS}
