"""`demo`: a local PostHog, a sync from it, the check, and three queries on what came in.

JSON objects a line: those of a sync, then {"type": "example", "title", "sql", "rows": [...]} for each query, and
{"type": "end", "database"}.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.errors import DestinationForeign
from posthog_warehouse.pipelines.config import Config, ConfigError
from posthog_warehouse.pipelines.defaults import SourceSettings, SyncSettings
from posthog_warehouse.pipelines.error_report import program_name
from posthog_warehouse.pipelines.exit_codes import ExitCode
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.pipelines.sandbox_process import SandboxFailed, SandboxMissing, SandboxProcess
from posthog_warehouse.pipelines.sync_command import sync_with

DATABASE = Path("posthog_demo.duckdb")
_DATASET = "posthog"

EXAMPLES = (
    (
        "The most frequent events, and how many people did them",
        """\
SELECT event, count(*) AS events, count(DISTINCT person_id) AS people
FROM posthog.events_resolved
GROUP BY event ORDER BY events DESC LIMIT 5""",
    ),
    (
        "Browsers of people who viewed a page in the last 7 days of data",
        """\
SELECT properties->>'$."$browser"' AS browser, count(DISTINCT person_id) AS people
FROM posthog.events_resolved
WHERE event = '$pageview' AND timestamp >= (SELECT max(timestamp) FROM posthog.events) - INTERVAL 7 DAYS
GROUP BY browser ORDER BY people DESC LIMIT 5""",
    ),
    (
        "People by week of their first event, and how many came back in a later week",
        """\
WITH weeks AS (SELECT DISTINCT person_id, date_trunc('week', timestamp)::DATE AS week FROM posthog.events_resolved),
first AS (SELECT person_id, min(week) AS first_week FROM weeks GROUP BY person_id)
SELECT first_week, count(DISTINCT person_id) AS people,
       count(DISTINCT person_id) FILTER (week > first_week) AS came_back
FROM weeks JOIN first USING (person_id) GROUP BY first_week ORDER BY first_week DESC LIMIT 5""",
    ),
)

_GO_ON = """
Now with your own data:

  export POSTHOG_HOST=us                            # or eu, or https://posthog.example.com
  export POSTHOG_PERSONAL_API_KEY=phx_...           # PostHog: Settings, Personal API keys; scope query:read
  {program} doctor              # tries key, host and destination
  {program} sync --since 30d    # loads into {database}"""


@dataclass(frozen=True)
class DemoData:
    """What the local PostHog makes up."""

    events: int
    persons: int
    seed: int
    days: int
    profile: str

    @property
    def arguments(self) -> list[str]:
        """For the sandbox's command line."""
        given = {"events": self.events, "persons": self.persons, "seed": self.seed, "days": self.days}
        return [*(f"--{name}={value}" for name, value in given.items()), f"--profile={self.profile}"]


def run_demo(run: CommandRun, data: DemoData) -> int:
    """The demo. Raises ConfigError, DestinationError and PostHogError."""
    run.is_resumable = False
    with _fresh_file(DATABASE) as database:
        run.reporter.start()
        run.reporter.phase("sandbox")
        with _sandbox(data) as posthog:
            config = Config(
                # Settings of the folder are for the real thing: the demo has its own.
                SourceSettings(host=posthog.host, project_id=posthog.project_id),
                SyncSettings(database=str(database), dataset=_DATASET),
                {},
                _secret=posthog.api_key,
            )
            run.key = config.api_key()
            code = sync_with(run, config, config.sync_options(), shown=DuckDbFile(DATABASE, _DATASET))
        if code not in {ExitCode.COMPLETE, ExitCode.NOT_PROVEN}:
            return code
        database.replace(DATABASE)
    _show_examples(run)
    return code


@contextmanager
def _sandbox(data: DemoData) -> Iterator[SandboxProcess]:
    try:
        with SandboxProcess(data.arguments) as posthog:
            yield posthog
    except (SandboxMissing, SandboxFailed) as error:
        raise ConfigError(str(error)) from None


@contextmanager
def _fresh_file(database: Path) -> Iterator[Path]:
    """A path beside `database` to make a new one at, which is gone afterwards whatever happens.

    Raises:
        DestinationForeign: `database` is there already, and no demo made it.
        DestinationError: it is held, or no file can be made there.
    """
    making = database.with_suffix(f".part{database.suffix}")
    if database.exists() and not _is_demo(database):
        raise DestinationForeign(
            f"{database} holds something that is not a demo's, so it is not replaced.",
            "Run the demo in another folder, or move that file away.",
        )
    DuckDbFile(making).check()
    _remove(making)
    try:
        yield making
    finally:
        _remove(making)


def _is_demo(database: Path) -> bool:
    """Whether all that is in the file came from a PostHog on this machine."""
    try:
        with DuckDbFile(database, _DATASET).read() as connection:
            hosts = connection.execute(f"SELECT DISTINCT host FROM {_DATASET}.sync_runs").fetchall()
    except (DestinationForeign, duckdb.CatalogException):
        return False
    return bool(hosts) and all(urlsplit(host).hostname == "127.0.0.1" for (host,) in hosts)


def _remove(database: Path) -> None:
    for leftover in (database, database.with_name(f"{database.name}.wal")):
        leftover.unlink(missing_ok=True)


def _show_examples(run: CommandRun) -> None:
    with DuckDbFile(DATABASE, _DATASET).read() as connection:
        for title, sql in EXAMPLES:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            run.reporter.example(title, sql, rows)
    go_on = _GO_ON.format(program=program_name(), database=SyncSettings().database)
    run.reporter.summary({"type": "end", "database": str(DATABASE)}, go_on)
