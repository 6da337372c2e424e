"""Where settings come from: flags, environment, dlt's own files, defaults, in that order.

The environment is POSTHOG_HOST, POSTHOG_PROJECT_ID and POSTHOG_PERSONAL_API_KEY, then dlt's names
(`SOURCES__POSTHOG__LEAF_ROWS`). The files are `.dlt/secrets.toml` and `.dlt/config.toml`, here and in dlt's folder for
the whole machine, with the sections `[sources.posthog]` and `[sync]`: the same that a plain dlt script reads.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from posthog_warehouse.destinations.destination import Destination, Place
from posthog_warehouse.destinations.dlt_internals.settings import (
    ENVIRONMENT_NAME,
    ConfigProvider,
    ConfigurationException,
    config_providers,
)
from posthog_warehouse.destinations.registry import DESTINATIONS, TABLE_FORMATS
from posthog_warehouse.destinations.staging import SUFFIX
from posthog_warehouse.pipelines import queries
from posthog_warehouse.pipelines.defaults import Flags, SourceSettings, SyncSettings
from posthog_warehouse.pipelines.sync import SyncOptions
from posthog_warehouse.sources.posthog import (
    DEFAULT,
    TABLES,
    WITH_PROPERTIES,
    PostHogClient,
    PropertySettings,
    Requests,
    Settings,
    Table,
    parse_time,
)
from posthog_warehouse.sources.posthog.dlt_internals import snake_case
from posthog_warehouse.sources.posthog.errors import KeyMissing
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget, Wait
from posthog_warehouse.sources.posthog.tables.own_query import BadQuery, Query, query_table

S = TypeVar("S", SourceSettings, SyncSettings)

ENVIRONMENT = {
    "host": "POSTHOG_HOST",
    "project_id": "POSTHOG_PROJECT_ID",
    "api_key": "POSTHOG_PERSONAL_API_KEY",
}
_SOURCE = ("sources", "posthog")
_SYNC = ("sync",)
_KEY = "api_key"
_PRIVACY_KEY = "privacy_key"
_SECRETS = (_KEY, _PRIVACY_KEY)
_PLACES = frozenset({"database", "bucket_url", "table_format"})
_REQUESTS = "requests"
_PROPERTIES = "properties"
_PRIVACY = "privacy"
_SECTIONS = (_REQUESTS, _PROPERTIES, _PRIVACY)
"""Sections of `[sources.posthog]`."""
_MAY_BE_ZERO = ("max_wait_seconds", "lists_every_minutes", "insights_every_hours")
_KEY_PLACES = (
    "Make a personal API key (phx_…) with the scope query:read in PostHog under Settings, Personal API keys. "
    "Put it into the environment as POSTHOG_PERSONAL_API_KEY, into .dlt/secrets.toml of this folder "
    '([sources.posthog], api_key = "phx_…"), or into dlt\'s secrets.toml for all folders (~/.dlt/secrets.toml).'
)


class ConfigError(Exception):
    """A setting or an argument cannot be right: what, and what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message} {advice}".strip())
        self.message = message
        self.advice = advice


@dataclass(frozen=True)
class Config:
    """All settings of a run. `origins` tells where each that is no default came from."""

    source: SourceSettings
    sync: SyncSettings
    origins: Mapping[str, str]
    requests: Requests = dataclasses.field(default_factory=Requests)
    """What is wanted of the tables that are read on request."""
    queries: tuple[Query, ...] = ()
    """HogQL queries of one's own, each a table."""
    properties: PropertySettings = dataclasses.field(default_factory=PropertySettings)
    """Which properties become columns, and what is kept from leaving PostHog."""
    _secret: str | None = None

    def __repr__(self) -> str:
        return f"Config({self.source!r}, {self.sync!r})"

    def api_key(self) -> ApiKey:
        """The key. Raises KeyMissing and KeyMalformed."""
        if not self._secret or not self._secret.strip():
            raise KeyMissing("No API key is set.", advice=_KEY_PLACES)
        return ApiKey(self._secret)

    def connect(self, on_wait: Callable[[Wait], object] | None = None) -> PostHogClient:
        """A client of the configured project. Raises PostHogError for settings that cannot be right."""
        source = self.source
        return PostHogClient(
            self.api_key(),
            source.host,
            source.project_id,
            allow_http=source.allow_http,
            budget=Budget(
                requests_per_minute=source.requests_per_minute,
                requests_per_hour=source.requests_per_hour,
                queries_in_flight=source.queries_in_flight,
                max_wait=source.max_wait_seconds,
                on_wait=on_wait,
            ),
        )

    def destination(self) -> Destination:
        """The destination; nothing is opened yet."""
        sync = self.sync
        return DESTINATIONS[sync.destination].make(
            Place(sync.dataset, sync.database, sync.bucket_url, sync.memory_limit, sync.table_format)
        )

    def sync_options(self, tables: tuple[str, ...] = ()) -> SyncOptions:
        """What one sync is to do. Raises ConfigError."""
        return SyncOptions(
            tables=known_tables(tables, self.queries),
            named=frozenset(tables),
            requests=self.requests,
            since=_time("since", self.source.since),
            until=_time("until", self.source.until),
            package_rows=self.sync.package_rows,
            settings=_reading(self.source, self.properties),
        )


def load(flags: Flags | None = None) -> Config:
    """The settings of this run.

    Raises:
        ConfigError: a file cannot be read, a setting is unknown, or its value cannot be right.
    """
    flags = flags or Flags()
    try:
        providers = config_providers()
        _refuse_unknown(providers)
        reader = _Reader(flags, providers)
        config = Config(
            reader.section(SourceSettings, _SOURCE),
            reader.section(SyncSettings, _SYNC),
            reader.origins,
            reader.requests(),
            queries.configured(providers),
            reader.properties(),
            reader.secret(_KEY),
        )
    except BadQuery as error:
        raise ConfigError(error.message, error.advice) from None
    except (ConfigurationException, OSError) as error:
        raise ConfigError(f"The settings cannot be read: {error}", "Mend that file.") from error
    _refuse_nonsense(config)
    return config


class _Reader:
    def __init__(self, flags: Flags, providers: list[ConfigProvider]) -> None:
        self._flags = flags
        self._providers = providers
        self.origins: dict[str, str] = {}

    def section(self, kind: type[S], section: tuple[str, ...]) -> S:
        hints = get_type_hints(kind)
        found: dict[str, Any] = {}
        for field in fields(kind):
            for origin, value in self._values(field.name, section):
                found[field.name] = _typed(field.name, hints[field.name], value, origin)
                self.origins[field.name] = origin
                break
        return kind(**found)

    def secret(self, name: str) -> str | None:
        for origin, value in self._values(name, _SOURCE):
            self.origins[name] = origin
            return str(value)
        return None

    def requests(self) -> Requests:
        try:
            return Requests.of(self._section(_REQUESTS))
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def properties(self) -> PropertySettings:
        try:
            return PropertySettings.of(
                self._section(_PROPERTIES),
                self._section(_PRIVACY),
                self.secret(_PRIVACY_KEY),
                tables=WITH_PROPERTIES,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _section(self, section: str) -> dict[str, Any]:
        """`[sources.posthog.SECTION]`, each setting from the first place that has it."""
        found: dict[str, Any] = {}
        for provider in self._providers:
            given, _ = provider.get_value(section, dict, None, *_SOURCE)
            for name, value in given.items() if isinstance(given, Mapping) else ():
                found.setdefault(name, value)
        return found

    def _values(self, name: str, section: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Where a setting is set, and to what; the first counts. An empty variable is no setting."""
        flag = getattr(self._flags, name, None)
        if flag is not None:
            yield _flag(name), flag
        variable = ENVIRONMENT.get(name, "")
        if os.environ.get(variable, ""):
            yield variable, os.environ[variable]
        for provider in self._providers:
            value, key = provider.get_value(name, str, None, *section)
            if value is not None and value != "":
                yield key if provider.name == ENVIRONMENT_NAME else _place(provider), value


def _refuse_unknown(providers: list[ConfigProvider]) -> None:
    source = {field.name for field in fields(SourceSettings)} | {*_SECRETS, *_SECTIONS}
    sync = {field.name for field in fields(SyncSettings)}
    for provider in providers:
        for section, known, others in ((_SOURCE, source, sync), (_SYNC, sync, source)):
            *parents, name = section
            given, _ = provider.get_value(name, dict, None, *parents)
            for setting in given if isinstance(given, Mapping) else ():
                where = f"[{'.'.join(section)}] in {_place(provider)}"
                if setting in _SECRETS and not provider.supports_secrets:
                    what = "The API key" if setting == _KEY else f"The {setting}"
                    raise ConfigError(
                        f"{what} stands in {where}, a file that is made to be shared.",
                        "Move it to .dlt/secrets.toml, which git leaves out.",
                    )
                if setting not in known:
                    raise ConfigError(f"There is no setting {setting} in {where}.", _closest(setting, known, others))
    prefix = "__".join(_SOURCE).upper() + "__"
    for variable in os.environ:
        if variable.startswith(prefix) and variable[len(prefix) :].lower().split("__")[0] not in source:
            name = variable[len(prefix) :].lower()
            raise ConfigError(f"There is no setting {name} ({variable}).", _closest(name, source, sync))


def _closest(given: str, known: set[str], others: set[str]) -> str:
    if given in others:
        return f"{given} belongs into [{'.'.join(_SYNC if known & {_KEY} else _SOURCE)}]."
    near = get_close_matches(given, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Settings there are: {', '.join(sorted(known))}."


def _typed(name: str, hint: Any, value: Any, origin: str) -> Any:
    """`value` as the setting's type; texts, as the environment has them, are read."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    kind = kinds[0]
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
    try:
        if kind is bool:
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).strip().lower()]
        if isinstance(value, (bool, Mapping, list)) or (kind is int and isinstance(value, float)):
            raise ValueError  # noqa: TRY301 - one way to say it for all that do not fit
        return kind(value.strip().replace("_", "") if isinstance(value, str) and kind is not str else value)
    except (ValueError, KeyError, OverflowError):
        raise ConfigError(f"{name} is {value!r} ({origin}), and must be {wanted}.") from None


def _refuse_nonsense(config: Config) -> None:
    for section in (config.source, config.sync):
        for field in fields(section):
            value = getattr(section, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            lowest = "negative" if field.name in _MAY_BE_ZERO else "zero or less"
            if not (value >= 0 if lowest == "negative" else value > 0) or value == float("inf"):
                place = config.origins.get(field.name, "default")
                raise ConfigError(f"{field.name} is {value:g} ({place}); it cannot be {lowest} or endless.")
    _reading(config.source, config.properties)
    since, until = _time("since", config.source.since), _time("until", config.source.until)
    if since is not None and until is not None and since >= until:
        raise ConfigError(
            f"--since {config.source.since} is not before --until {config.source.until}.",
            "Events from since on and before until are loaded: give an earlier --since or a later --until.",
        )
    _refuse_destination(config)


def _refuse_destination(config: Config) -> None:
    name = config.sync.destination
    if name not in DESTINATIONS:
        near = get_close_matches(name, DESTINATIONS, n=1, cutoff=0.6)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise ConfigError(f"There is no destination {name}.", f"{meant}This version has: {', '.join(DESTINATIONS)}.")
    for setting in _PLACES - DESTINATIONS[name].settings:
        if config.origins.get(setting) == _flag(setting):
            others = ", ".join(each.name for each in DESTINATIONS.values() if setting in each.settings)
            instead = f"Leave it out, or give a --destination that has it: {others}." if others else "Leave it out."
            raise ConfigError(f"{_flag(setting)} says nothing to the destination {name}.", instead)
    table_format = config.sync.table_format
    if table_format is not None and table_format not in TABLE_FORMATS:
        near = get_close_matches(table_format, TABLE_FORMATS, n=1, cutoff=0.6)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"There is no table format {table_format} ({config.origins['table_format']}).",
            f"{meant}There are: {', '.join(TABLE_FORMATS)}; without one the tables are plain Parquet files.",
        )
    if name == "duckdb" and config.sync.database.startswith("md:"):
        raise ConfigError(
            f"{config.sync.database} is no file.",
            "MotherDuck is a destination of its own: --destination motherduck, with database and password (a token) in "
            "[destination.motherduck.credentials] of .dlt/secrets.toml.",
        )
    dataset = config.sync.dataset
    if not dataset.strip() or (usual := snake_case(dataset)) != dataset:
        instead = f" {usual} would do." if dataset.strip() else ""
        raise ConfigError(
            f"{dataset!r} cannot be the name of a dataset.", f"Use small letters, digits and single _.{instead}"
        )
    if dataset.endswith(SUFFIX):
        raise ConfigError(
            f"{dataset} is what the dataset is called in which rows of {dataset[: -len(SUFFIX)]} are staged.",
            f"Its tables are emptied with each load: give a --dataset that does not end in {SUFFIX}.",
        )
    if name == "duckdb" and Path(config.sync.database).name.split(".")[0].lower() == dataset:
        # DuckDB names the catalog after the file, up to its first dot (1.5).
        raise ConfigError(
            f"The file {config.sync.database} and the dataset {dataset} have the same name.",
            f"DuckDB could not tell which of the two is meant by {dataset}.events: give another --database "
            f"({SyncSettings.database}) or another --dataset.",
        )


def _reading(source: SourceSettings, properties: PropertySettings) -> Settings:
    try:
        return Settings.of(
            engine=source.engine,
            leaf_rows=source.leaf_rows,
            queries_in_flight=source.queries_in_flight,
            pages_ahead=source.pages_ahead,
            safety_lag_minutes=source.safety_lag_minutes,
            overlap_minutes=source.overlap_minutes,
            live_days=source.live_days,
            sweep_days=source.sweep_days,
            sweep_every_hours=source.sweep_every_hours,
            lists_every_minutes=source.lists_every_minutes,
            insights_every_hours=source.insights_every_hours,
            elements=source.elements,
            properties=properties,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _time(name: str, text: str | None) -> int | None:
    try:
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{_flag(name)} cannot be read: {error}") from None


def known_tables(names: tuple[str, ...], own: Iterable[Query] = ()) -> tuple[Table, ...]:
    """The tables of these names in the order of loading, those of one's own queries last; without names all that a
    plain sync loads.

    Raises:
        ConfigError: there is no such table.
    """
    # A query that fails leaves the other tables be, unless the run was for it.
    ours = {query.name: query_table(query, is_optional=query.name not in names) for query in own}
    tables = {**TABLES, **ours}
    for name in names:
        if name not in tables:
            near = get_close_matches(name, tables, n=1, cutoff=0.5)
            all_of_them = "`posthog-warehouse tables` shows what there is."
            advice = f"Did you mean {near[0]}? {all_of_them}" if near else all_of_them
            raise ConfigError(f"There is no table {name}.", advice)
    if names:
        return tuple(table for name, table in tables.items() if name in names)
    return (*DEFAULT.values(), *ours.values())


def _place(provider: ConfigProvider) -> str:
    places = getattr(provider, "present_locations", None) or [provider.name]
    return ", ".join(os.path.relpath(place) if place.startswith(".") else place for place in places)


def _flag(name: str) -> str:
    return {"max_wait_seconds": "--max-wait"}.get(name, "--" + name.replace("_", "-"))
