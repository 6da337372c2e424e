"""Which server is meant by the host setting.

PostHog Cloud answers its private API on us.posthog.com and eu.posthog.com; `*.i.posthog.com` takes events in and
nothing else, and app.posthog.com is the old name of the US region (docs, autumn 2026).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ..errors import HostUnusable

_REGIONS = {"us": "us.posthog.com", "eu": "eu.posthog.com"}
_CORRECTED = {"app.posthog.com": "us.posthog.com"}
_WEBSITES = {"posthog.com", "www.posthog.com", "i.posthog.com"}
_INGESTION = re.compile(r"(?P<region>[a-z]+)(-assets)?\.i\.posthog\.com")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")  # underscores: names of containers have them
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOOKS_LIKE_KEY = re.compile(r"(?<![a-z0-9])ph[xasc]_", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Host:
    """A server's address: `url` without path or trailing slash; `advice` when the setting had to be corrected."""

    url: str
    advice: str | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, name and port: what another address must share to be sent the key."""
        parts = urlsplit(self.url)
        return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return _is_loopback(self.origin[1])


def resolve_host(text: str, *, allow_http: bool = False) -> Host:
    """The server meant by `text`: `us`, `eu`, a name, or an address pasted from a browser.

    Raises HostUnusable for what is no host, for ingestion hosts of unknown regions, and for plain http to another
    machine unless `allow_http`.
    """
    given = text.strip()
    if not given:
        raise HostUnusable("The host is empty.")
    if _LOOKS_LIKE_KEY.search(given):
        raise HostUnusable("The host setting holds what looks like an API key.", advice="Do not put a key there.")
    if given.lower() in _REGIONS:
        return Host(f"https://{_REGIONS[given.lower()]}")

    explicit = bool(_SCHEME.match(given))
    parts = _split(given if explicit else f"https://{given}", given)
    name = _name(parts, given)
    port = _port(parts, given)
    advice: list[str] = []

    scheme = parts.scheme
    if not explicit and _is_loopback(name):
        scheme = "http"  # a server on this machine seldom has a certificate
    if scheme not in _DEFAULT_PORTS:
        raise HostUnusable(f"The host {given!r} begins with {scheme}://.", meaning="Only https:// (and http://) work.")
    if scheme == "http" and not (allow_http or _is_loopback(name)):
        raise HostUnusable(
            f"The host {given!r} is plain http.",
            meaning="The key would cross the network for all to read.",
            advice="Use https://, or set allow_http = true if the way to that host is safe.",
        )
    corrected = _corrected(name)
    if corrected != name:
        advice.append(f"{name} does not answer the API: using {corrected}. Set the host to {corrected}.")
        name, port = corrected, None
    if parts.path.strip("/") or parts.query or parts.fragment:
        advice.append(_path_advice(parts))

    shown = f"[{name}]" if ":" in name else name
    suffix = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    return Host(f"{scheme}://{shown}{suffix}", " ".join(advice) or None)


def _split(url: str, given: str) -> SplitResult:
    # urlsplit silently drops these, which would make another host of the text.
    if any(character.isspace() or not character.isprintable() for character in given) or "\\" in given:
        raise HostUnusable("The host has a space, a backslash or an invisible character in it.")
    try:
        parts = urlsplit(url)
        _ = parts.hostname
    except ValueError:
        parts = None
    if parts is None or not parts.netloc:
        raise HostUnusable(f"The host {given!r} is not an address.")
    if "@" in parts.netloc:
        raise HostUnusable("The host has a user name or a password in it.", advice="Give the address alone.")
    return parts


def _name(parts: SplitResult, given: str) -> str:
    name = (parts.hostname or "").rstrip(".").lower()
    bracketed = parts.netloc.startswith("[")
    if bracketed or ":" in name:
        try:
            address = ipaddress.IPv6Address(name)
        except ValueError:
            address = None
        if address is None or not bracketed or address.scope_id:
            raise HostUnusable(f"The host {given!r} is not an IPv6 address.")
        return address.compressed
    try:
        ascii_name = name.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    labels = ascii_name.split(".")
    if not ascii_name or len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostUnusable(f"The host {given!r} is not a name of a server.")
    if labels[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(ascii_name))
        except ValueError:
            pass
        raise HostUnusable(f"The host {given!r} is not an IPv4 address.")
    return ascii_name


def _port(parts: SplitResult, given: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise HostUnusable(f"The port in {given!r} is not a number from 1 to 65535.")
    return port


def _corrected(name: str) -> str:
    ingestion = _INGESTION.fullmatch(name)
    if ingestion and ingestion["region"] in _REGIONS:
        return _REGIONS[ingestion["region"]]
    if ingestion or name in _WEBSITES:
        raise HostUnusable(f"{name} does not answer the API.", advice="Set the host to us or eu.")
    return _CORRECTED.get(name, name)


def _path_advice(parts: SplitResult) -> str:
    project = re.search(r"/(?:projects?|environments)/(\d+)(?:/|$)", parts.path)
    named = f" The project there is {project[1]}: set the project id to it." if project else ""
    return f"Only the server is needed: leaving out what follows {parts.netloc}.{named}"


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
