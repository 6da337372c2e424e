"""Settings: where they come from, what is refused, and that the file of defaults tells the truth."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
import tomlkit
from dlt.common.runtime.run_context import active

from posthog_warehouse.destinations.duckdb import DEFAULT_MEMORY_LIMIT
from posthog_warehouse.pipelines import config
from posthog_warehouse.pipelines.defaults import Flags, SourceSettings, SyncSettings
from posthog_warehouse.pipelines.sync import SyncOptions
from posthog_warehouse.sources.posthog import Requests, Settings, posthog
from posthog_warehouse.sources.posthog.clock import DAY, HOUR
from posthog_warehouse.sources.posthog.errors import KeyMissing
from tests.pipelines.conftest import ROOT, InProcess, Program, assert_one_screen

CONFIG = (ROOT / ".dlt" / "config.toml").read_text()
SETTINGS = re.sub(r"^# \[.*\n(?:#.*\n)*", "", CONFIG, flags=re.MULTILINE)
"""The same without the sections that are examples."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with no settings, in which the program runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt-data"))
    for name in config.ENVIRONMENT.values():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".dlt").mkdir()
    return tmp_path


def load(flags: Flags | None = None) -> config.Config:
    active().reload()
    return config.load(flags)


def test_the_file_of_settings_holds_every_setting_with_its_default() -> None:
    document = tomlkit.parse(CONFIG).unwrap()
    unset = set(re.findall(r"^# (\w+) = ", SETTINGS, re.MULTILINE))
    source, sync = (asdict(each) for each in (SourceSettings(), SyncSettings()))
    given = [{name: value for name, value in each.items() if value is not None} for each in (source, sync)]
    assert document == {"sources": {"posthog": given[0]}, "sync": given[1]}
    assert unset == {name for name, value in (source | sync).items() if value is None}


def test_every_setting_of_the_requests_stands_in_the_file_as_an_example() -> None:
    for setting in fields(Requests):
        assert re.search(
            rf"^# (?:{setting.name} = |\[sources\.posthog\.requests\.{setting.name}\])", CONFIG, re.MULTILINE
        )


def test_every_setting_in_the_file_has_a_line_of_reason() -> None:
    lines = SETTINGS.splitlines()
    for before, line in pairwise(lines):
        if re.match(r"(# )?\w+ = ", line):
            assert re.match(r"# [A-Z`\'].{20,}[.]$", before), line


def test_defaults_are_those_of_the_source_and_of_the_sync() -> None:
    parameters = inspect.signature(posthog).parameters
    assert asdict(SourceSettings()) == {
        name: p.default
        for name, p in parameters.items()
        if name not in {"api_key", "requests", "queries", "properties", "privacy", "privacy_key"}
    }
    assert SyncSettings().package_rows == SyncOptions().package_rows
    assert SyncSettings().memory_limit == DEFAULT_MEMORY_LIMIT


def test_defaults_of_the_reading_are_the_sources(folder: Path) -> None:
    # What has to be read whole is not read by every run of the program.
    assert load().sync_options().settings == replace(Settings(), lists_every=HOUR // 2, insights_every=DAY)


def test_flags_go_before_environment_before_secrets_before_config(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().source.host == "us"
    (folder / ".dlt" / "config.toml").write_text('[sources.posthog]\nhost = "https://config.example"\n')
    assert load().source.host == "https://config.example"
    (folder / ".dlt" / "secrets.toml").write_text('[sources.posthog]\nhost = "https://secrets.example"\n')
    assert load().source.host == "https://secrets.example"
    monkeypatch.setenv("SOURCES__POSTHOG__HOST", "https://dlt.example")
    assert load().source.host == "https://dlt.example"
    monkeypatch.setenv("POSTHOG_HOST", "https://environment.example")
    assert load().source.host == "https://environment.example"
    flagged = load(Flags(host="https://flag.example"))
    assert flagged.source.host == "https://flag.example"
    assert flagged.origins["host"] == "--host"


def test_an_empty_variable_is_no_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_HOST", "")
    assert load().source.host == "us"


def test_the_key_comes_from_secrets_and_shows_in_no_repr(folder: Path) -> None:
    (folder / ".dlt" / "secrets.toml").write_text('[sources.posthog]\napi_key = "phx_from_secrets_toml"\n')
    loaded = load()
    assert loaded.api_key().reveal() == "phx_from_secrets_toml"
    assert "phx_from_secrets_toml" not in f"{loaded!r} {loaded} {loaded.api_key()!r}"


def test_a_missing_key_tells_the_three_places(folder: Path) -> None:
    with pytest.raises(KeyMissing) as missing:
        load().api_key()
    for place in ("POSTHOG_PERSONAL_API_KEY", ".dlt/secrets.toml", "~/.dlt/secrets.toml"):
        assert place in missing.value.advice


def test_texts_of_the_environment_get_the_type_of_their_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__POSTHOG__LEAF_ROWS", "20_000")
    monkeypatch.setenv("SOURCES__POSTHOG__ALLOW_HTTP", "True")
    monkeypatch.setenv("SYNC__PACKAGE_ROWS", "5")
    loaded = load()
    assert (loaded.source.leaf_rows, loaded.source.allow_http, loaded.sync.package_rows) == (20_000, True, 5)


def test_a_project_id_may_be_a_number(folder: Path) -> None:
    (folder / ".dlt" / "config.toml").write_text("[sources.posthog]\nproject_id = 12345\n")
    assert load().source.project_id == "12345"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[sources.posthog]\nleaf_row = 5", ["leaf_row", "config.toml", "Did you mean leaf_rows"]),
        ("[sync]\nmemory = '1GB'", ["memory", "[sync]", "Did you mean memory_limit"]),
        ("[sync]\nhost = 'eu'", ["host", "belongs into [sources.posthog]"]),
        ("[sources.posthog]\napi_key = 'phx_not_here_at_all'", ["API key", "shared", ".dlt/secrets.toml"]),
        ("[sources.posthog]\nleaf_rows = 'many'", ["leaf_rows", "many", "whole number", "config.toml"]),
        ("[sources.posthog]\nallow_http = 'maybe'", ["allow_http", "true or false"]),
        ("[sources.posthog]\nleaf_rows = 60000", ["leaf_rows", "50,000"]),
        ("[sources.posthog]\nqueries_in_flight = 0", ["queries_in_flight", "zero"]),
        ("[sources.posthog]\nmax_wait_seconds = -1.0", ["max_wait_seconds", "negative"]),
        ("[sources.posthog]\nsweep_days = 1.0", ["sweep_days", "live_days"]),
        ("[sync]\ndataset = 'My Data'", ["My Data", "my_data"]),
        ("[sync]\ndestination = 'snowflak'", ["snowflak", "Did you mean snowflake?", "duckdb"]),
        ("[sync]\ndatabase = 'md:warehouse'", ["md:warehouse", "--destination motherduck"]),
        ("[sync]\ndatabase = 'posthog.duckdb'", ["same name", "--database", "--dataset"]),
    ],
    ids=lambda value: value.replace("\n", " ")[:40] if isinstance(value, str) else "",
)
def test_a_setting_that_cannot_be_right_is_told_and_nothing_is_made(
    quick: InProcess, settings: str, words: list[str]
) -> None:
    quick.settings(settings).environment["POSTHOG_PERSONAL_API_KEY"] = "phx_0123456789abcdef"
    outcome = quick("sync")
    assert outcome.code == 2
    assert_one_screen(outcome.err, *words)
    assert "phx_" not in outcome.err
    assert quick.databases == []


def test_an_unknown_variable_for_the_source_is_told(quick: InProcess) -> None:
    quick.environment["SOURCES__POSTHOG__LEAFROWS"] = "5"
    outcome = quick("sync")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "SOURCES__POSTHOG__LEAFROWS", "Did you mean leaf_rows")


def test_a_file_that_is_no_toml_is_told(program: Program) -> None:
    outcome = program.settings("[sync")("sync")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "settings cannot be read", "config.toml")
