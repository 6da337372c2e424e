from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import HostUnusable
from posthog_warehouse.sources.posthog.http.host import Host, resolve_host


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("us", "https://us.posthog.com"),
        (" EU\n", "https://eu.posthog.com"),
        ("eu.posthog.com", "https://eu.posthog.com"),
        ("https://us.posthog.com/", "https://us.posthog.com"),
        ("HTTPS://US.PostHog.COM", "https://us.posthog.com"),
        ("us.posthog.com.", "https://us.posthog.com"),
        ("posthog.example.com:8443", "https://posthog.example.com:8443"),
        ("https://posthog.example.com:443", "https://posthog.example.com"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8010", "http://127.0.0.1:8010"),
        ("http://[::1]:8010/", "http://[::1]:8010"),
        ("[::1]:8010", "http://[::1]:8010"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_host_is_understood_without_a_word(text: str, url: str) -> None:
    assert resolve_host(text) == Host(url)


@pytest.mark.parametrize(
    ("text", "url", "said"),
    [
        ("https://us.i.posthog.com", "https://us.posthog.com", "does not answer the API"),
        ("eu.i.posthog.com", "https://eu.posthog.com", "does not answer the API"),
        ("https://eu-assets.i.posthog.com/static", "https://eu.posthog.com", "does not answer the API"),
        ("app.posthog.com", "https://us.posthog.com", "using us.posthog.com"),
        ("https://us.posthog.com/project/123/events?x=1#y", "https://us.posthog.com", "project there is 123"),
        ("https://ph.example.com/api/projects/7/", "https://ph.example.com", "project there is 7"),
        ("https://ph.example.com/api/", "https://ph.example.com", "Only the server is needed"),
    ],
)
def test_a_host_is_corrected_with_a_word_of_advice(text: str, url: str, said: str) -> None:
    host = resolve_host(text)
    assert host.url == url
    assert said in (host.advice or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("us posthog", "space"),
        ("us.posthog.com\n.evil.example", "space"),
        ("https://us.posthog.com\\@evil.example", "backslash"),
        ("https://me:secret@us.posthog.com", "user name"),
        ("ftp://us.posthog.com", "ftp://"),
        ("https://", "not an address"),
        ("https:///api", "not an address"),
        ("https://us..posthog.com", "not a name"),
        ("https://-x.example", "not a name"),
        ("https://us.posthog.com:0", "port"),
        ("https://us.posthog.com:99999", "port"),
        ("https://us.posthog.com:http", "port"),
        ("https://[::1", "not an address"),
        ("https://[fe80::1%25eth0]", "IPv6"),
        ("https://1.2.3.400", "IPv4"),
        ("phx_abcdefghijkl", "API key"),
        ("https://us.posthog.com/?personal_api_key=phx_abcdefghijkl", "API key"),
        ("posthog.com", "does not answer the API"),
        ("https://ap.i.posthog.com", "does not answer the API"),
    ],
)
def test_what_is_no_host_is_refused_clearly(text: str, said: str) -> None:
    with pytest.raises(HostUnusable, match=said) as caught:
        resolve_host(text)
    assert "secret" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)


def test_plain_http_is_for_this_machine_or_on_request() -> None:
    with pytest.raises(HostUnusable, match=r"plain http.*allow_http"):
        resolve_host("http://posthog.example.com")
    assert resolve_host("http://posthog.example.com", allow_http=True).url == "http://posthog.example.com"
    assert resolve_host("http://127.3.2.1").is_loopback
    with pytest.raises(HostUnusable, match="plain http"):
        resolve_host("http://localhost.example.com")


def test_an_origin_is_scheme_name_and_port() -> None:
    assert resolve_host("us").origin == ("https", "us.posthog.com", 443)
    assert resolve_host("http://[::1]:8010").origin == ("http", "::1", 8010)


@given(st.text(max_size=60) | st.text("abc.:/[]@%-_0129\\ #?", max_size=30))
def test_any_text_is_a_host_or_refused_and_a_host_means_itself(text: str) -> None:
    host = None
    with contextlib.suppress(HostUnusable):
        host = resolve_host(text, allow_http=True)
    assert host is None or resolve_host(host.url, allow_http=True) == Host(host.url)
