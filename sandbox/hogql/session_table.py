"""`sessions` of HogQL: one row a session, merged on reading from the states that ClickHouse keeps while events come in.

Source: posthog/hogql/database/schema/sessions_v2.py of PostHog/posthog, read in autumn 2026. The channel is worked out
by few of PostHog's many rules (channel_type.py).
"""

from __future__ import annotations

from posthog_warehouse.sandbox.ddl import SESSION_PROPERTIES
from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.fields import Column, Field
from posthog_warehouse.sandbox.hogql.values import DATETIME, INT, STRING, ValueType

_TEXT = Column(ValueType("string", nullable=True))
_URL_PARTS = ("pathname", "hostname")

#: `$entry_...` columns, by what the session's first event calls the property.
_ENTRY = {name: f"$entry_{name.removeprefix('$')}" for name in SESSION_PROPERTIES}

FIELDS: dict[str, Field] = {
    "session_id": Column(STRING),
    "id": Column(STRING, physical="session_id", starred=False),
    "distinct_id": Column(STRING),
    "$start_timestamp": Column(DATETIME),
    "$end_timestamp": Column(DATETIME),
    "max_inserted_at": Column(DATETIME),
    "$urls": Column(ValueType("array")),
    "$num_uniq_urls": Column(INT),
    "$entry_current_url": _TEXT,
    "$entry_pathname": _TEXT,
    "$entry_hostname": _TEXT,
    "$end_current_url": _TEXT,
    "$end_pathname": _TEXT,
    "$end_hostname": _TEXT,
    **dict.fromkeys(_ENTRY.values(), _TEXT),
    "$pageview_count": Column(INT),
    "$autocapture_count": Column(INT),
    "$screen_count": Column(INT),
    "$channel_type": _TEXT,
    "$session_duration": Column(INT),
    "duration": Column(INT, physical="$session_duration", starred=False),
    "$is_bounce": Column(ValueType("bool", nullable=True)),
    "$last_external_click_url": _TEXT,
    "$page_screen_autocapture_count_up_to": Column(INT),
    "$exit_current_url": Column(_TEXT.type, physical="$end_current_url", starred=False),
    "$exit_pathname": Column(_TEXT.type, physical="$end_pathname", starred=False),
    "$vitals_lcp": Column(ValueType("float", nullable=True)),
}

_CHANNEL = """multiIf(
    isNotNull(nullIf(initial[{gclid}], '')) AND initial[{utm_medium}] IN ('cpc', 'cpm', 'ppc'), 'Paid Search',
    initial[{utm_medium}] = 'email' OR initial[{utm_source}] = 'newsletter', 'Email',
    initial[{utm_medium}] IN ('cpc', 'cpm', 'ppc'), 'Paid Unknown',
    initial[{domain}] = '$direct' OR initial[{domain}] = '', 'Direct',
    position(initial[{domain}], 'google') > 0, 'Organic Search',
    'Referral')"""


def select(where: str, tail: str) -> str:
    """The select of all sessions that `where` (SQL on `raw_sessions`) keeps."""
    place = {name: number for number, name in enumerate(SESSION_PROPERTIES, start=1)}
    channel = _CHANNEL.format(
        gclid=place["gclid"],
        utm_medium=place["utm_medium"],
        utm_source=place["utm_source"],
        domain=place["$referring_domain"],
    )
    duration = "dateDiff('second', started, ended)"
    columns = {
        "session_id": "session_id",
        "distinct_id": "sender",
        "$start_timestamp": "started",
        "$end_timestamp": "ended",
        "max_inserted_at": "landed",
        "$urls": "all_urls",
        "$num_uniq_urls": "length(all_urls)",
        "$entry_current_url": "nullIf(entry, '')",
        "$entry_pathname": "path(nullIf(entry, ''))",
        "$entry_hostname": "domain(nullIf(entry, ''))",
        "$end_current_url": "nullIf(end, '')",
        "$end_pathname": "path(nullIf(end, ''))",
        "$end_hostname": "domain(nullIf(end, ''))",
        **{column: f"nullIf(initial[{place[name]}], '')" for name, column in _ENTRY.items()},
        "$pageview_count": "pageviews",
        "$autocapture_count": "autocaptures",
        "$screen_count": "screens",
        "$channel_type": channel,
        "$session_duration": duration,
        # NULL without a page; else one page, no click, under ten seconds: PostHog's default for a bounce.
        "$is_bounce": f"if(pageviews = 0, NULL, not(or(pageviews > 1, autocaptures > 0, {duration} >= 10)))",
        "$last_external_click_url": "nullIf(external, '')",
        "$page_screen_autocapture_count_up_to": "few",
        "$vitals_lcp": "nullIf(lcp, 0)",
    }
    named = ", ".join(f"{expression} AS {literals.column(name)}" for name, expression in columns.items())
    return f"SELECT {named} FROM ({_MERGED} WHERE {where} GROUP BY raw_sessions.session_id{tail})"


_MERGED = """SELECT raw_sessions.session_id AS session_id, argMaxMerge(raw_sessions.distinct_id) AS sender,
 min(raw_sessions.min_timestamp) AS started, max(raw_sessions.max_timestamp) AS ended,
 max(raw_sessions.max_inserted_at) AS landed, groupUniqArrayArray(raw_sessions.urls) AS all_urls,
 argMinIfMerge(raw_sessions.entry_url) AS entry, argMaxIfMerge(raw_sessions.end_url) AS end,
 argMinMerge(raw_sessions.initial) AS initial, argMaxIfMerge(raw_sessions.last_external_click_url) AS external,
 argMinIfMerge(raw_sessions.vitals_lcp) AS lcp, uniqExactIfMerge(raw_sessions.pageview_uniq) AS pageviews,
 uniqExactIfMerge(raw_sessions.autocapture_uniq) AS autocaptures, uniqExactIfMerge(raw_sessions.screen_uniq) AS screens,
 uniqUpToIfMerge(1)(raw_sessions.page_screen_autocapture_uniq_up_to) AS few FROM raw_sessions"""
