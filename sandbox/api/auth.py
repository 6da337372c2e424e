"""Keys, scopes and projects: who may ask for what, refused in PostHog's own words.

Sources: posthog/auth.py and posthog/permissions.py, autumn 2026.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from .envelope import ApiError, not_found, permission_denied

DEFAULT_KEY = "phx_sandbox"
PROJECT_TOKEN = "phc_sandbox"  # noqa: S105 - public by design, and only this sandbox knows it

KEY_PREFIXES: Mapping[str, str] = {"phx": "phx_", "pha": "pha_", "phs": "phs_", "legacy": ""}

_BEARER = re.compile(r"^Bearer\s+(\S.+)$")


@dataclass(frozen=True)
class Key:
    """A credential. ``scopes`` of None (legacy keys) allow everything, as does ``*``."""

    value: str
    kind: str = "phx"
    scopes: tuple[str, ...] | None = ("*",)
    scoped_teams: tuple[int, ...] = ()
    scoped_organizations: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """Enough of the key to tell it from another one in the request log."""
        return f"{self.value[:4]}...{self.value[-4:]}"

    def allows(self, scope: str) -> bool:
        """Whether the key has this scope; writing includes reading."""
        if self.scopes is None or "*" in self.scopes or scope in self.scopes:
            return True
        return scope.endswith(":read") and f"{scope[: -len(':read')]}:write" in self.scopes


class KeyRing:
    """The keys that this server knows."""

    def __init__(self, keys: Sequence[Key] = (Key(DEFAULT_KEY),)) -> None:
        self._keys = {key.value: key for key in keys}

    def find(self, value: str) -> Key | None:
        """The key with this value."""
        return self._keys.get(value)

    def create(
        self,
        *,
        scopes: Sequence[str] | None = ("*",),
        kind: str = "phx",
        scoped_teams: Sequence[int] = (),
        scoped_organizations: Sequence[str] = (),
    ) -> Key:
        """Make a key.

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in KEY_PREFIXES:
            raise ValueError(f"There is no key kind {kind!r}. Known: {', '.join(KEY_PREFIXES)}")
        key = Key(
            KEY_PREFIXES[kind] + secrets.token_hex(16),
            kind,
            None if scopes is None else tuple(scopes),
            tuple(scoped_teams),
            tuple(scoped_organizations),
        )
        self._keys[key.value] = key
        return key


@dataclass(frozen=True)
class Project:
    """The project that this server holds."""

    id: int = 1
    name: str = "Hedgebox"
    organization_id: str = "018d8e5a-7f3c-0000-5b1a-9a3c54d1e001"
    organization_name: str = "Hedgebox Inc."
    uuid: str = "018d8e5a-7f3c-0001-6c2b-0b4d65e2f002"


def authenticate(keys: KeyRing, headers: Mapping[str, str], body: object, query_string: str, base_url: str) -> Key:
    """The key of a request. Header, body, query string: only the first place that has one is tried.

    Raises:
        ApiError: 401, without credentials or with ones that are not known.
    """
    challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{base_url}/.well-known/oauth-protected-resource"'}
    found = _find_credential(headers, body, query_string)
    if found is None:
        raise ApiError(
            401,
            "authentication_error",
            "not_authenticated",
            "Authentication credentials were not provided.",
            headers=challenge,
        )
    value, source = found
    key = keys.find(value)
    if key is None:
        raise ApiError(
            401,
            "authentication_error",
            "authentication_failed",
            f"Personal API key found in request {source} is invalid.",
            headers=challenge,
        )
    return key


def _find_credential(headers: Mapping[str, str], body: object, query_string: str) -> tuple[str, str] | None:
    bearer = _BEARER.match(headers.get("authorization", ""))
    if bearer:
        return bearer.group(1).strip(), "Authorization header"
    if isinstance(body, dict) and isinstance(body.get("personal_api_key"), str):
        return body["personal_api_key"], "body"
    parameters = parse_qs(query_string)
    if "personal_api_key" in parameters:
        return parameters["personal_api_key"][0], "query string"
    return None


def find_project(project: Project, reference: str, parameters: Mapping[str, Any]) -> Project:
    """The project named in the URL: its id or ``@current``.

    A project token in the query string wins over the URL (posthog/api/routing.py).

    Raises:
        ApiError: 404.
    """
    if parameters.get("token") == PROJECT_TOKEN or parameters.get("api_key") == PROJECT_TOKEN:
        return project
    if reference not in ("@current", str(project.id)):
        raise not_found("Project not found.")
    return project


def check_scopes(
    key: Key, required: Sequence[str], *, project: Project | None, any_url: bool = False, closed: bool = True
) -> None:
    """Refuse a key that is limited to other projects or lacks a scope.

    Args:
        key: the credential.
        required: the scopes that the action needs; none means that keys cannot use it at all.
        project: the project in the URL, or None for URLs without one.
        any_url: the endpoint is open to keys limited to projects although it has no project in its URL.
        closed: actions that no scope opens are closed to keys with scopes.

    Raises:
        ApiError: 403.
    """
    if key.scoped_teams:
        if project is None and not any_url:
            raise permission_denied("API keys with scoped projects are only supported on project-based endpoints.")
        if project is not None and project.id not in key.scoped_teams:
            raise permission_denied(f"API key does not have access to the requested project: ID {project.id}.")
    if project is not None and key.scoped_organizations and project.organization_id not in key.scoped_organizations:
        raise permission_denied(
            f"API key does not have access to the requested organization: ID {project.organization_id}."
        )
    if closed and not required and key.scopes is not None:
        raise permission_denied("This action does not support personal API key access")
    for scope in required:
        if not key.allows(scope):
            raise permission_denied(f"API key missing required scope '{scope}'")
