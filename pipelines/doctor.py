"""`doctor`: tries everything that a sync needs, with few requests and no retries, and says what to mend.

JSON objects a line: {"type": "finding", "check", "state": "ok" | "warn" | "fail", "text", "advice", "exit_code"}, then
{"type": "result", "status", "exit_code"}. The exit code is that of the first finding that failed: later ones may follow
from it.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any, Literal

from posthog_warehouse.destinations.destination import refuse_foreign, unusable_tables
from posthog_warehouse.destinations.errors import DestinationError
from posthog_warehouse.pipelines import __version__
from posthog_warehouse.pipelines.config import Config, ConfigError, known_tables, load
from posthog_warehouse.pipelines.defaults import Flags
from posthog_warehouse.pipelines.error_report import problem_of
from posthog_warehouse.pipelines.exit_codes import ExitCode
from posthog_warehouse.pipelines.records import SYNC_RUNS
from posthog_warehouse.pipelines.report import size_text
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.pipelines.sync import loaded_names
from posthog_warehouse.sources.posthog import CORE, TABLES, PostHogClient, PostHogError
from posthog_warehouse.sources.posthog.clock import reckon, to_micros
from posthog_warehouse.sources.posthog.errors import AccessDenied
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey, KeyKind
from posthog_warehouse.sources.posthog.http.host import resolve_host
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from posthog_warehouse.sources.posthog.http.unsupported import endpoint_missing
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject, ProjectUnknown
from posthog_warehouse.sources.posthog.sql.capabilities import probe
from posthog_warehouse.sources.posthog.tables import Probe

State = Literal["ok", "warn", "fail"]

_TIMEOUT_SECONDS = 20.0
_MAX_WAIT_SECONDS = 5.0
_SKEW_SECONDS = 120
"""A sync goes by the server's clock; ours only gives `30d` its meaning, and run records their times."""
_CLOCK_ADVICE = "Set the clocks of the servers. Until then a sync covers less, and its check may be `unknown`."
_FREE_BYTES = 5_000_000_000
_TOO_NEW = {"duckdb": 2, "sqlglot": 30}
_KINDS = {
    KeyKind.PERSONAL: "personal API key",
    KeyKind.OAUTH: "OAuth token",
    KeyKind.PROJECT_SECRET: "project secret key",
    KeyKind.LEGACY: "key from before the prefixes",
}


def _asked(client: PostHogClient, probe: Probe) -> PostHogError | None:
    """What PostHog has against reading a table; None: nothing."""
    try:
        if probe.sql:
            client.query(probe.sql, name="posthog-warehouse doctor")
        else:
            client.get(probe.path, dict(probe.params))
    except PostHogError as error:
        return endpoint_missing(error) or error
    return None


def _last_project(config: Config) -> dict[str, Any] | None:
    """The `host` and `project_id` that the last run into the dataset was for; None: none ended there yet."""
    with config.destination() as destination:
        try:
            with destination.reading() as reading:
                if SYNC_RUNS.name not in reading.tables:
                    return None
                runs = reading.rows(
                    f"SELECT host, project_id FROM {reading.table(SYNC_RUNS.name)} WHERE project_id > 0 "
                    "ORDER BY started_at DESC LIMIT 1"
                )
        except DestinationError:  # nothing is there yet, or what is wrong is told as the destination's
            return None
    return runs[0] if runs else None


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    state: State
    text: str
    advice: str = ""
    exit_code: int = 0


def run_doctor(run: CommandRun, flags: Flags) -> int:
    """Prints one line a check. Returns the exit code of the first that failed."""
    doctor = _Doctor(run)
    doctor.examine(flags)
    code = next((finding.exit_code for finding in doctor.findings if finding.state == "fail"), 0)
    states = {finding.state for finding in doctor.findings}
    status = next((state for state in ("fail", "warn") if state in states), "ok")
    words = {"ok": "All is well.", "warn": "It works; mind the warnings.", "fail": "Mend what failed, and try again."}
    run.reporter.summary({"type": "result", "status": status, "exit_code": code}, words[status])
    return int(code)


class _Doctor:
    def __init__(self, run: CommandRun) -> None:
        self._run = run
        self.findings: list[Finding] = []

    def examine(self, flags: Flags) -> None:
        """Makes all checks; stops where the next ones can tell nothing new."""
        self._versions()
        try:
            config = load(flags)
        except ConfigError as error:
            self._failed("settings", error)
            return
        origins = ", ".join(f"{name} from {place}" for name, place in sorted(config.origins.items()))
        self._found("settings", "ok", origins or "all at their defaults")
        self._destination(config)
        key = self._key(config)
        if not self._host(config) or key is None:
            return
        source = config.source
        try:
            client = PostHogClient(
                key,
                source.host,
                source.project_id,
                allow_http=source.allow_http,
                budget=Budget(max_wait=_MAX_WAIT_SECONDS),
                timeout_seconds=_TIMEOUT_SECONDS,
                attempts=1,
            )
        except PostHogError as error:
            self._failed("project", error)
            return
        with client:
            if self._project(client, config):
                self._reading(client)
                self._tables(client)
                self._owner(client)

    def _versions(self) -> None:
        libraries = {name: version(name) for name in ("dlt", "duckdb", "sqlglot", "pyarrow")}
        text = f"posthog-warehouse {__version__}, Python {platform.python_version()}, "
        text += ", ".join(f"{name} {number}" for name, number in libraries.items())
        # dlt 1.31 reads its datasets by what DuckDB 2 and sqlglot 30 have dropped (tried in autumn 2026).
        too_new = [name for name, limit in _TOO_NEW.items() if int(libraries[name].split(".")[0]) >= limit]
        if too_new:
            advice = 'Install versions that work together: pip install "duckdb<2" "sqlglot<30".'
            text += f"; dlt does not work with this {' and '.join(too_new)}"
            self._found("versions", "fail", text, advice, ExitCode.BAD_USAGE)
        else:
            self._found("versions", "ok", text)

    def _destination(self, config: Config) -> None:
        with config.destination() as destination:
            try:
                destination.check()
                refuse_foreign(destination, loaded_names(known_tables((), config.queries)))
                condition = destination.condition()
            except DestinationError as error:
                self._failed("destination", error)
                return
            location = destination.location
            unusable = unusable_tables(destination)
        for each in unusable:
            self._failed("destination", each)
        used, free = condition.used_bytes, condition.free_bytes
        what = "; ".join(
            filter(
                None,
                (
                    "new" if condition.is_new else "",
                    "" if used is None else f"{size_text(used)} there",
                    *condition.facts,
                ),
            )
        )
        text = f"{location} can be written" + (f" ({what})" if what else "")
        text += "" if free is None else f", {size_text(free)} free on the disk"
        if free is not None and free < _FREE_BYTES:
            self._found("destination", "warn", text, "A million events of 2 KB take some 0.5 GB, more while they load.")
        else:
            self._found("destination", "ok", text)

    def _key(self, config: Config) -> ApiKey | None:
        try:
            key = self._run.key = config.api_key()
        except PostHogError as error:
            self._failed("key", error)
            return None
        self._found("key", "ok", f"a {_KINDS[key.kind]} ({key.hint}) from {config.origins['api_key']}")
        return key

    def _host(self, config: Config) -> bool:
        try:
            host = resolve_host(config.source.host, allow_http=config.source.allow_http)
        except PostHogError as error:
            self._failed("host", error)
            return False
        if host.advice:
            self._found("host", "warn", host.url, host.advice)
        else:
            self._found("host", "ok", host.url)
        return True

    def _project(self, client: PostHogClient, config: Config) -> bool:
        """Whether PostHog answers, so that further questions make sense."""
        begun = time.monotonic()
        try:
            project = client.project()
        except AccessDenied as error:
            try:
                number = client.project_number()
            except PostHogError as failure:
                self._failed("project", failure)
                return False
            if number is None:
                self._failed("project", ProjectUnknown())
                self._clock(client)
                return True
            advice = "Nothing is lost by it, but its name and time zone stay unknown."
            advice = f"{advice} {problem_of(error, self._run.key).advice}"
            self._found("project", "warn", f"{number}: the key may not look at it", advice)
            self._dataset(client, number, config)
        except PostHogError as error:
            self._failed("project", error)
            return False
        else:
            milliseconds = (time.monotonic() - begun) * 1000
            text = f"{project.id} ({project.name}), time zone {project.timezone}; answered in {milliseconds:,.0f} ms"
            self._found("project", "ok", text)
            self._dataset(client, project.id, config)
        self._clock(client)
        return True

    def _dataset(self, client: PostHogClient, project: int, config: Config) -> None:
        """Whether the rows that are there are another project's: a sync would refuse to add to them."""
        mine = {"host": client.host.url, "project_id": project}
        theirs = _last_project(config)
        if theirs is not None and theirs != mine:
            self._failed("dataset", OtherProject.of(theirs, mine))

    def _clock(self, client: PostHogClient) -> None:
        theirs = client.server_time()
        if theirs is None:
            self._found("clock", "warn", "the server does not tell its time")
            return
        skew = (datetime.now(timezone.utc) - theirs).total_seconds()
        side = "ahead of" if skew > 0 else "behind"
        if abs(skew) > _SKEW_SECONDS:
            text = f"this machine is {abs(skew):,.0f} s {side} PostHog"
            self._found("clock", "warn", text, "Set this machine's clock: `--since 30d` goes by it.")
        else:
            self._found("clock", "ok", f"within {max(1, round(abs(skew)))} s of PostHog's")

    def _reading(self, client: PostHogClient) -> None:
        try:
            dialect, asked = probe(client)
        except PostHogError as error:
            self._failed("queries", error)
            return
        told = client.server_time()
        ours = to_micros(datetime.now(timezone.utc))
        clock = reckon(asked, None if told is None else to_micros(told), ours)
        if clock.is_disputed:
            self._found("clock", "warn", clock.doubt or clock.remark, _CLOCK_ADVICE)
        left = client.usage.budget_remaining
        budget = f"; {size_text(left)} left of what queries may read in this hour" if left is not None else ""
        self._found("queries", "ok", f"the key reads {', '.join(CORE)}{budget}")
        if dialect.has_hashes and dialect.has_typed_times and dialect.has_zoned_text:
            self._found("server", "ok", f"today's HogQL, {dialect.max_rows:,} rows an answer")
            return
        lacks = {
            "hashes (pages are cut by time)": not dialect.has_hashes,
            "typed times": not dialect.has_typed_times,
            "times as text in a zone": not dialect.has_zoned_text,
        }
        missing = ", ".join(name for name, is_missing in lacks.items() if is_missing)
        text = f"an older HogQL without {missing}; {dialect.max_rows:,} rows an answer"
        self._found("server", "warn", text, "All is loaded, but with more requests than from today's PostHog.")

    def _tables(self, client: PostHogClient) -> None:
        """Which tables the key can read, found out with one small request for each list."""
        refused: dict[str, tuple[PostHogError, list[str]]] = {}
        answers: dict[Probe, PostHogError | None] = {}
        readable = []
        for table in TABLES.values():
            probe = table.reads.probe()
            if probe is None or table.name in CORE:
                continue
            if probe not in answers:
                answers[probe] = _asked(client, probe)
            error = answers[probe]
            if error is None:
                readable.append(table.name)
            else:
                refused.setdefault(error.message, (error, []))[1].append(table.name)
        if readable:
            self._found("tables", "ok", f"the key reads {', '.join(readable)}")
        for error, names in refused.values():
            problem = problem_of(error, self._run.key)
            self._found("tables", "warn", f"not {', '.join(names)}: {problem.message}", problem.advice)

    def _owner(self, client: PostHogClient) -> None:
        try:
            identity = client.whoami()
        except AccessDenied:
            self._found("owner", "ok", "the key may not tell whose it is (scope user:read), which sync does not need")
            return
        except PostHogError as error:
            self._failed("owner", error)
            return
        scopes = f"; scopes: {', '.join(identity.scopes)}" if identity.scopes else ""
        self._found("owner", "ok", f"{identity.email or 'unknown'}{scopes}")

    def _failed(self, check: str, error: PostHogError | DestinationError | ConfigError) -> None:
        problem = problem_of(error, self._run.key)
        first, *rest = problem.lines
        self._found(check, "fail", first, " ".join(rest), problem.exit_code)

    def _found(self, check: str, state: State, text: str, advice: str = "", exit_code: int = 0) -> None:
        finding = Finding(check, state, text, advice, int(exit_code))
        self.findings.append(finding)
        self._run.reporter.finding(asdict(finding))
