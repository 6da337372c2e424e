"""Every way in which talking to PostHog can fail, by what is to be done about it.

    PostHogError
    ├── Retryable                  the same request may work in a moment (the client tries again by itself)
    │   ├── ServerFault            5xx without a more precise meaning, a lost long query
    │   ├── ConnectionFailed       refused, reset, no name, silence
    │   ├── AnswerTruncated        the body stopped before its end
    │   ├── AnswerMalformed        JSON that is none, or not of the promised shape
    │   └── WrongContentType       a page where JSON was due
    ├── Narrow                     the same query fails again: ask for less
    │   ├── QueryTimedOut          504, 512, 524, a silent query that was cut off
    │   ├── MemoryLimitHit         513 (older servers: 504, 512)
    │   ├── TooManyBytes           400 too_many_bytes
    │   └── QueryTooLarge          the text of the query is too long
    ├── Waitable                   the same request works later (the client waits by itself)
    │   ├── Throttled              429, requests a minute or an hour
    │   ├── ConcurrencyLimited     429, queries in flight
    │   ├── ReadBudgetSpent        429, bytes read an hour
    │   └── ClusterBusy            503, 513 or 429 of a loaded ClickHouse
    ├── WaitTooLong                a wait would pass max_wait: save the state and stop
    ├── Cancelled                  the run was stopped
    └── Final                      somebody has to change something
        ├── KeyMissing             no key
        ├── KeyMalformed           this text cannot be a key
        ├── KeyRefused             401
        ├── AccessDenied           403
        │   └── ScopeMissing       403, the key lacks .scope
        ├── ProjectDenied          403 for the whole project
        ├── ProjectNotFound        404 for the whole project
        ├── NotFound               404, 410
        │   ├── EndpointNotFound
        │   ├── TableMissing       HogQL has no such table on this server
        │   └── ColumnMissing      its table has no column `name`, which nothing can stand in for
        ├── PaymentRequired        402
        ├── QuotaSpent             402, a quota of the organization is used up
        ├── RequestRefused         400 and other 4xx
        │   └── QueryRefused       400 on a query, with .code and .position
        │       └── OwnQueryRefused  the user's own query cannot be asked as declared
        ├── NothingRequested       a table on request, and nothing that was requested of it
        ├── ListUnreadable         an answer that is no list, or a list without an end
        ├── AnswerFromCache        PostHog replays an old result, however it is asked
        ├── RedirectRefused        a redirect or `next` to another host: the key does not go there
        ├── HostUnusable           this text, or what answers there, is no usable PostHog host
        └── Unreachable            retries are used up; .last is the last fault

A failure that PostHog's breaker replays without running the query (autumn 2026) looks like the first one and has
the same class: asking for less changes the query, which is what the breaker wants too.

`is_shared` says of each class whether every other table would fail of it as well: a run stops once, and says it once.
"""

from __future__ import annotations

from .base import PostHogError as PostHogError
from .base import behind as behind
from .base import cause_in as cause_in
from .base import chain_of as chain_of

# The families below are named by what is to be done, which is why they do not end in "Error".


class Retryable(PostHogError):
    """The same request may work in a moment."""


class ServerFault(Retryable):
    """PostHog, or a machine in front of it, failed."""

    meaning = "The server failed; the request itself may be fine."
    advice = "Try again in some minutes; https://status.posthog.com tells of known trouble on PostHog Cloud."


class ConnectionFailed(Retryable):
    """No connection, or it broke before an answer came."""

    meaning = "The host did not answer."
    advice = "Check the host (us, eu, or the address of your own PostHog), the network and any proxy."


class AnswerTruncated(Retryable):
    """The answer stopped before its end."""

    meaning = "The answer stopped before its end, so none of it was used."
    advice = "Try again; if it keeps happening, look at proxies between here and PostHog."


class AnswerMalformed(Retryable):
    """The answer is not what the API promises."""

    meaning = "The answer could not be read, so none of it was used."
    advice = "Try again; if it keeps happening, report it with the position given here."


class WrongContentType(Retryable):
    """Something other than JSON came back."""

    meaning = "A page came back where data was due: often a proxy, a login page, or maintenance."
    advice = "Open the host in a browser and check that it is PostHog."


class Narrow(PostHogError):
    """The same query would fail again: ask for less (a shorter time, fewer events)."""

    advice = "Ask for less at once: a shorter time range or fewer events."


class QueryTimedOut(Narrow):
    """The query took longer than PostHog, or the way to it, allows."""

    meaning = "The query took longer than is allowed."


class MemoryLimitHit(Narrow):
    """The query needs more memory than PostHog gives it."""

    meaning = "The query needs more memory than PostHog gives it."


class TooManyBytes(Narrow):
    """The query would read more bytes than PostHog allows for one query."""

    meaning = "The query would read more than PostHog allows for one query."


class QueryTooLarge(Narrow):
    """The text of the query is too long."""

    meaning = "The text of the query is too long."
    advice = "Ask with a shorter text: fewer names or ids in one query."


class Waitable(PostHogError):
    """The same request works later, after `seconds` if PostHog said so. `reason` is what is shown while waiting."""

    is_shared = True
    reason = "PostHog"
    advice = "Wait, then run the same command again: it goes on where it stopped."


class Throttled(Waitable):
    """Too many requests in a minute or an hour."""

    reason = "PostHog's limit of requests"
    meaning = "The project's requests for this minute or hour are used up."


class ConcurrencyLimited(Waitable):
    """Too many queries of this project run at once, ours or other people's."""

    reason = "other queries of this project to finish"
    meaning = "The project already runs as many API queries as PostHog allows."


class ReadBudgetSpent(Waitable):
    """The bytes that the project's API queries may read in an hour are spent."""

    reason = "PostHog's hourly read budget"
    meaning = "The bytes that API queries may read are spent; PostHog refills them within the hour."


class ClusterBusy(Waitable):
    """ClickHouse is loaded; nothing is wrong with the query."""

    reason = "PostHog's database, which is busy"
    meaning = "PostHog's database is busy; the query itself is fine."


class WaitTooLong(PostHogError):
    """A wait of `seconds` in all would pass max_wait, so it was not begun."""

    is_shared = True
    meaning = "PostHog's limits ask for a longer wait than is allowed here."
    advice = "What was loaded is kept. Run the same command later, or allow a longer wait with --max-wait."

    def __init__(self, message: str, *, seconds: float = 0.0, reason: str = "") -> None:
        super().__init__(message, seconds=seconds)
        self.seconds: float = seconds
        self.reason = reason


class Cancelled(PostHogError):
    """The run was stopped."""

    is_shared = True
    advice = "Run the same command again: it goes on where it stopped."


class Final(PostHogError):
    """Neither time nor another try helps: somebody has to change something."""


class KeyMissing(Final):
    """There is no API key."""

    is_shared = True
    meaning = "Without a key PostHog gives nothing out."
    advice = (
        "Make a personal API key in PostHog under Settings, Personal API keys, and set POSTHOG_PERSONAL_API_KEY to it."
    )


class KeyMalformed(Final):
    """This text cannot be an API key."""

    is_shared = True
    advice = "Copy the personal API key (it begins with phx_) again, without quotes, spaces or line ends."


class KeyRefused(Final):
    """PostHog does not know the key (401), or no longer."""

    is_shared = True
    meaning = "PostHog does not accept this key: it may be mistyped, deleted, or of another region (us or eu)."
    advice = "Check the key and the host; a new key is made under Settings, Personal API keys."


class AccessDenied(Final):
    """The key may not do this (403)."""

    meaning = "The key is valid, but may not do this."
    advice = "Use a key whose owner is a member of the project and that is not limited to other projects."


class ScopeMissing(AccessDenied):
    """The key lacks `scope`, for example `query:read` (403)."""

    def __init__(
        self,
        message: str,
        *,
        scope: str = "",
        status: int | None = None,
        code: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(
            message,
            meaning=f"The key is valid, but lacks the scope {scope}.",
            advice=f"Add {scope} to the key in PostHog under Settings, Personal API keys.",
            status=status,
            code=code,
            path=path,
        )
        self.scope = scope


class ProjectDenied(Final):
    """The key may do nothing in this project (403)."""

    is_shared = True
    meaning = "The key is valid, but not for this project: it is limited to others, or its owner is no member."
    advice = "Use a key whose owner is a member of the project and that is not limited to other projects."


class NotFound(Final):
    """PostHog has no such thing (404), or no longer (410)."""

    meaning = "PostHog has no such thing, or it was deleted."


class ProjectNotFound(Final):
    """There is no such project for this key on this host (404)."""

    is_shared = True
    meaning = "This key sees no such project on this host."
    advice = "Check the project id (Settings, Project) and the region of the host (us or eu)."


class EndpointNotFound(NotFound):
    """This server has no such endpoint: an older PostHog, or no PostHog at all."""

    meaning = "This server does not know that address: it is an older PostHog, or no PostHog at all."
    advice = "Check the host; a self-hosted PostHog may need an update."


class TableMissing(NotFound):
    """HogQL has no such table on this server, or none that this key may read."""

    meaning = "This server has no such table: it is an older PostHog, or the key may not read it."
    advice = "A self-hosted PostHog may need an update."


class ColumnMissing(NotFound):
    """HogQL's table has no column `name` on this server, and the query cannot be asked without it."""

    meaning = "This server's table has no such column: it is an older or a newer PostHog."
    advice = "A self-hosted PostHog may need an update."
    name: str = ""


class PaymentRequired(Final):
    """The plan does not include this (402)."""

    meaning = "The organization's plan does not include this."
    advice = "See Billing in PostHog, or leave this table out."


class QuotaSpent(Final):
    """What the organization may ask for is used up (402)."""

    is_shared = True
    meaning = "The organization has used up a quota."
    advice = "See Billing in PostHog; when the quota is filled again, the same command goes on where it stopped."


class RequestRefused(Final):
    """PostHog does not accept the request (400 and other 4xx)."""

    meaning = "PostHog does not accept this request."


class QueryRefused(RequestRefused):
    """PostHog does not accept the query. `position`: the (start, end) of the fault in its text, if known."""

    meaning = "PostHog does not accept this query."

    def __init__(
        self,
        message: str,
        *,
        position: tuple[int, int] | None = None,
        meaning: str | None = None,
        advice: str | None = None,
        status: int | None = None,
        code: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(message, meaning=meaning, advice=advice, status=status, code=code, path=path)
        self.position = position


class NothingRequested(Final):
    """A table is read for what is wanted of it only, and that is not said, or not understood."""

    meaning = "This table is read for chosen things only, so nothing was read."


class ListUnreadable(Final):
    """What should be a list is none, or has no end."""

    meaning = "The list could not be read to its end, so nothing of it was used."
    advice = "Leave this table out, and report it with PostHog's version: its API may have changed."


class OwnQueryRefused(QueryRefused):
    """A query that the user wrote cannot be asked as it is declared. `position` is in the user's text."""


class AnswerFromCache(Final):
    """PostHog answered with a result older than the question."""

    meaning = "The rows are older than the question, so they were not used."
    advice = "Try again later; if it keeps happening, report it."


class RedirectRefused(Final):
    """A redirect, or the address of a next page, leads to another host, port or scheme."""

    meaning = "The key is sent to the configured host only."
    advice = "If that address is your PostHog, set it as the host."


class HostUnusable(Final):
    """The host setting, or what answers there, is not usable."""

    is_shared = True
    advice = "Set the host to us, eu, or the https address of your own PostHog."


class Unreachable(Final):
    """Retries are used up. `last`: the last fault.

    `is_shared` where the host could not be reached, or failed whatever it was asked.
    """

    meaning = "PostHog did not give a usable answer."

    def __init__(
        self,
        message: str,
        *,
        last: PostHogError | None = None,
        meaning: str | None = None,
        advice: str | None = None,
        status: int | None = None,
        code: str | None = None,
        path: str | None = None,
        is_shared: bool | None = None,
    ) -> None:
        super().__init__(message, meaning=meaning, advice=advice, status=status, code=code, path=path)
        self.last = last
        self.is_shared = isinstance(last, (ConnectionFailed, type(None))) if is_shared is None else is_shared
