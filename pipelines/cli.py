"""The command line: commands and flags. What they do is imported when it runs, so that help is there at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from posthog_warehouse.destinations.registry import DESTINATIONS, TABLE_FORMATS
from posthog_warehouse.pipelines import __version__, sandbox_process
from posthog_warehouse.pipelines.defaults import Flags, Format, SyncSettings

if TYPE_CHECKING:
    from posthog_warehouse.pipelines.runner import CommandRun

_SYNC = SyncSettings()

app = typer.Typer(
    name="posthog-warehouse",
    help="PostHog in your own warehouse: everything its API has, as tables in DuckDB, proven complete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 complete; 1 a fault of ours; 2 bad usage or configuration; 3 key or scope refused; 4 stopped "
    "by PostHog's limits (the same command resumes); 5 loaded, but the check is short or unknown; 6 the destination is "
    "held or cannot be used; 7 PostHog unreachable or failing; 130 Ctrl-C (the same command resumes).",
)


def _seconds(text: str) -> float:
    """Seconds of `900`, `90s`, `15m` or `2h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if match is None:
        raise typer.BadParameter("give seconds (900), or 90s, 15m, 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


_FormatFlag = Annotated[Format, typer.Option("--format", help="For people, or one JSON object a line.")]
_DebugFlag = Annotated[bool, typer.Option("--debug", help="Show tracebacks and warnings (never the key).")]
_Database = Annotated[
    str | None,
    typer.Option(metavar="PATH", help=f"The DuckDB file (default: {_SYNC.database}).", show_default=False),
]
_BucketUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help=f"Root of tables that are files: a folder, s3://, gs://, az:// (default: {_SYNC.bucket_url}).",
        show_default=False,
    ),
]
_TableFormat = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Tables in such files with a log of their changes: {' or '.join(TABLE_FORMATS)} (default: plain files).",
        show_default=False,
    ),
]
_Dataset = Annotated[str | None, typer.Option(metavar="NAME", help=f"Schema of the tables (default: {_SYNC.dataset}).")]
_Destination = Annotated[
    str | None, typer.Option(metavar="NAME", help=f"Where to: {', '.join(DESTINATIONS)} (default: duckdb).")
]
_Host = Annotated[
    str | None, typer.Option(metavar="HOST", help="us, eu, or your own server (default: $POSTHOG_HOST, else us).")
]
_ProjectId = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help="The project (default: $POSTHOG_PROJECT_ID, else the one its owner looked at last).",
    ),
]
_AllowHttp = Annotated[
    bool | None, typer.Option("--allow-http/--no-allow-http", help="Plain http to another machine (default: no).")
]
_MaxWait = Annotated[
    float | None,
    typer.Option(
        metavar="TIME", parser=_seconds, help="Longest wait for PostHog's limits: 900, 15m, 2h (default: 15m)."
    ),
]
_Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Oldest events: 2026-11-20, 2026-11-20T09:00:00Z (UTC), or 30d (default: the first event)."
    ),
]
_Until = Annotated[str | None, typer.Option(metavar="TIME", help="Events before this (default: now).")]
_Events = Annotated[int, typer.Option(min=1, help="How many events to make.")]
_Persons = Annotated[int, typer.Option(min=1, help="How many persons to make.")]
_Seed = Annotated[int, typer.Option(help="Same seed, same data.")]
_Days = Annotated[int, typer.Option(min=1, help="Days that the data spans.")]
_Profile = Annotated[str, typer.Option(help="Which server to be like: cloud, selfhosted-2025 or selfhosted-2023.")]


def _exit(command: Callable[[CommandRun], int], output: Format, *, debug: bool) -> NoReturn:
    from posthog_warehouse.pipelines import runner  # noqa: PLC0415 - see above

    raise typer.Exit(runner.perform(command, output, debug=debug))


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"posthog-warehouse {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """PostHog in your own warehouse: everything its API has, as tables in DuckDB, proven complete.

    The API key is read from POSTHOG_PERSONAL_API_KEY or .dlt/secrets.toml, never from a flag. Other settings come
    from flags, the environment, .dlt/secrets.toml and .dlt/config.toml, in that order.
    """
    # dlt reads these when it is imported: it keeps quiet, and asks its makers' server nothing, unless told otherwise.
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")


@app.command()
def demo(
    *,
    events: _Events = 100_000,
    persons: _Persons = 2_000,
    seed: _Seed = 1,
    days: _Days = 30,
    profile: _Profile = "cloud",
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Sync a local PostHog with made-up data into ./posthog_demo.duckdb, and query it."""
    from posthog_warehouse.pipelines import demo as command  # noqa: PLC0415 - see above

    data = command.DemoData(events=events, persons=persons, seed=seed, days=days, profile=profile)
    _exit(lambda run: command.run_demo(run, data), output, debug=debug)


@app.command()
def sync(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]...", help="Which tables (default: all).")
    ] = None,
    *,
    destination: _Destination = None,
    database: _Database = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    since: _Since = None,
    until: _Until = None,
    host: _Host = None,
    project_id: _ProjectId = None,
    allow_http: _AllowHttp = None,
    max_wait: _MaxWait = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Load what is new in PostHog, and check that it is complete. Goes on where the last run stopped."""
    from posthog_warehouse.pipelines import sync_command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination,
        database=database,
        bucket_url=bucket_url,
        table_format=table_format,
        dataset=dataset,
        since=since,
        until=until,
        host=host,
        project_id=project_id,
        allow_http=allow_http,
        max_wait_seconds=max_wait,
    )
    chosen = tuple(tables or ())
    _exit(lambda run: sync_command.run_sync(run, flags, chosen), output, debug=debug)


@app.command()
def compact(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]...", help="Which tables (default: all).")
    ] = None,
    *,
    destination: _Destination = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Make few large files of the many small ones of a Parquet lake. The rows stay what they are."""
    from posthog_warehouse.pipelines import compact_command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination or "parquet", bucket_url=bucket_url, table_format=table_format, dataset=dataset
    )
    chosen = tuple(tables or ())
    _exit(lambda run: compact_command.run_compact(run, flags, chosen), output, debug=debug)


@app.command()
def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8010,
    events: _Events = 100_000,
    persons: _Persons = 2_000,
    seed: _Seed = 1,
    days: _Days = 30,
    profile: _Profile = "cloud",
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the data there (default: thrown away).")
    ] = None,
    output: _FormatFlag = Format.TEXT,
) -> None:
    """Serve a local PostHog with made-up data on 127.0.0.1, until Ctrl-C."""
    arguments = ["--port", port, "--events", events, "--persons", persons, "--seed", seed, "--days", days]
    arguments += ["--profile", profile, "--format", output.value]
    arguments += [] if data is None else ["--data", data]
    try:
        sandbox_process.serve([str(argument) for argument in arguments])
    except sandbox_process.SandboxMissing as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def status(
    *,
    destination: _Destination = None,
    database: _Database = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Show what the warehouse holds, and how the last runs and checks went. Asks nothing of PostHog."""
    from posthog_warehouse.pipelines import status as command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination, database=database, bucket_url=bucket_url, table_format=table_format, dataset=dataset
    )
    _exit(lambda run: command.run_status(run, flags), output, debug=debug)


@app.command()
def retype(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]...", help="Which tables (default: all with properties).")
    ] = None,
    *,
    destination: _Destination = None,
    database: _Database = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Make property columns anew from the JSON that is there: after new settings for them. Asks nothing of PostHog."""
    from posthog_warehouse.pipelines import retype_command as command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination, database=database, bucket_url=bucket_url, table_format=table_format, dataset=dataset
    )
    chosen = tuple(tables or ())
    _exit(lambda run: command.run_retype(run, flags, chosen), output, debug=debug)


@app.command()
def query(
    sql: Annotated[str | None, typer.Argument(metavar="[SQL]", help="A HogQL query.", show_default=False)] = None,
    *,
    file: Annotated[str | None, typer.Option(metavar="FILE", help="The query is in this file.")] = None,
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Load all rows into this table (default: show the first ones).")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="What tells rows apart: pages, and merges by it.")
    ] = None,
    cursor: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column that grows: the next time only what is new is asked.")
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="merge, replace or append (default: merge with key and cursor, append with a cursor, else replace).",
        ),
    ] = None,
    variable: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What {NAME} in the query stands for; repeatable.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show, without --table.")] = 100,
    destination: _Destination = None,
    database: _Database = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    host: _Host = None,
    project_id: _ProjectId = None,
    allow_http: _AllowHttp = None,
    max_wait: _MaxWait = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Run a HogQL query of your own: show its rows, or load them as a typed table."""
    from posthog_warehouse.pipelines import query_command as command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination,
        database=database,
        bucket_url=bucket_url,
        table_format=table_format,
        dataset=dataset,
        host=host,
        project_id=project_id,
        allow_http=allow_http,
        max_wait_seconds=max_wait,
    )
    question = command.Question(sql, file, table, key, cursor, write, tuple(variable or ()), rows)
    _exit(lambda run: command.run_query(run, flags, question, output), output, debug=debug)


@app.command()
def tables(
    names: Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...", help="Show their columns.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole reference, as in docs/tables.md.")] = False,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Show which tables there are: keys, how they are kept up to date, scopes, columns. Asks nothing of PostHog."""
    from posthog_warehouse.pipelines import tables_command as command  # noqa: PLC0415 - see above

    chosen = tuple(names or ())
    _exit(lambda run: command.run_tables(run, chosen, output, markdown=markdown), output, debug=debug)


@app.command()
def doctor(
    *,
    destination: _Destination = None,
    database: _Database = None,
    bucket_url: _BucketUrl = None,
    table_format: _TableFormat = None,
    dataset: _Dataset = None,
    host: _Host = None,
    project_id: _ProjectId = None,
    allow_http: _AllowHttp = None,
    output: _FormatFlag = Format.TEXT,
    debug: _DebugFlag = False,
) -> None:
    """Try the settings, the key, the host, the clock and the destination, and say what to mend."""
    from posthog_warehouse.pipelines import doctor as command  # noqa: PLC0415 - see above

    flags = Flags(
        destination=destination,
        database=database,
        bucket_url=bucket_url,
        table_format=table_format,
        dataset=dataset,
        host=host,
        project_id=project_id,
        allow_http=allow_http,
    )
    _exit(lambda run: command.run_doctor(run, flags), output, debug=debug)
