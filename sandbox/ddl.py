"""The ClickHouse tables of the local PostHog: PostHog's names, types, sort keys and partitions.

Source: posthog/models/event/sql.py, posthog/models/person/sql.py and the session replay tables of
PostHog/posthog, read in autumn 2026. Sort keys and partitions decide how many bytes a query reads, so they
are kept to the letter; only what needs a cluster (Kafka, Distributed, Replicated) is left out.
"""

from __future__ import annotations

DATABASE = "posthog"

TEAM_ID = 1

# Two sendings of one event stay visible until ClickHouse merges their parts, at a moment nobody controls.
# Here that moment never comes by itself: the background may merge parts up to one byte only. OPTIMIZE FINAL
# still works, and so do mutations, which SYSTEM STOP MERGES would hold back as well.
_NO_BACKGROUND_MERGES = """SETTINGS
    max_bytes_to_merge_at_max_space_in_pool = 1,
    max_bytes_to_merge_at_min_space_in_pool = 1"""

# The first of several events at one moment is the same whatever order they came in.
_MOMENT = "Tuple(DateTime64(6, 'UTC'), UUID)"

#: Properties of a session's first event that `sessions` shows as `$entry_...`, in the order of `raw_sessions.initial`.
SESSION_PROPERTIES = (
    "$referring_domain",
    "$referrer",
    "utm_source",
    "utm_campaign",
    "utm_medium",
    "utm_term",
    "utm_content",
    "gclid",
    "gad_source",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "twclid",
    "li_fat_id",
    "mc_cid",
    "igshid",
    "ttclid",
    "_kx",
    "irclid",
)

_PROPERTIES = ", ".join(
    [
        "`$current_url` String",
        "`$external_click_url` String",
        "`$web_vitals_LCP_value` Float64",
        *(f"`{name}` String" for name in SESSION_PROPERTIES),
    ]
)

_DISTINCT_ID_COLUMNS = """
    team_id Int64,
    distinct_id String,
    person_id UUID,
    is_deleted Int8,
    version Int64,
    _timestamp DateTime
"""

TABLES: dict[str, str] = {
    "events": f"""
CREATE TABLE IF NOT EXISTS events (
    uuid UUID,
    event String,
    properties String CODEC(ZSTD(1)),
    timestamp DateTime64(6, 'UTC'),
    team_id Int64,
    distinct_id String,
    elements_chain String,
    created_at DateTime64(6, 'UTC'),
    person_id UUID,
    person_created_at DateTime64(3, 'UTC'),
    person_properties String CODEC(ZSTD(1)),
    person_mode Enum8('full' = 0, 'propertyless' = 1, 'force_upgrade' = 2),
    `$session_id` String,
    `$window_id` String,
    `$group_0` String,
    `$group_1` String,
    `$group_2` String,
    `$group_3` String,
    `$group_4` String,
    _timestamp DateTime,
    inserted_at DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
SAMPLE BY cityHash64(distinct_id)
{_NO_BACKGROUND_MERGES}""",
    "person": f"""
CREATE TABLE IF NOT EXISTS person (
    id UUID,
    created_at DateTime64(3, 'UTC'),
    team_id Int64,
    properties String,
    is_identified Int8,
    is_deleted Int8,
    version UInt64,
    last_seen_at Nullable(DateTime64(3, 'UTC')),
    _timestamp DateTime
) ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, id)
{_NO_BACKGROUND_MERGES}""",
    "person_distinct_id2": f"""
CREATE TABLE IF NOT EXISTS person_distinct_id2 ({_DISTINCT_ID_COLUMNS})
ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, distinct_id)
{_NO_BACKGROUND_MERGES}""",
    "person_distinct_id_overrides": f"""
CREATE TABLE IF NOT EXISTS person_distinct_id_overrides ({_DISTINCT_ID_COLUMNS})
ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, distinct_id)
{_NO_BACKGROUND_MERGES}""",
    "session_replay_events": f"""
CREATE TABLE IF NOT EXISTS session_replay_events (
    session_id String,
    team_id Int64,
    distinct_id String,
    min_first_timestamp DateTime64(6, 'UTC'),
    max_last_timestamp DateTime64(6, 'UTC'),
    first_url String,
    all_urls Array(String),
    click_count Int64,
    keypress_count Int64,
    mouse_activity_count Int64,
    active_milliseconds Int64,
    console_log_count Int64,
    console_warn_count Int64,
    console_error_count Int64,
    size Int64,
    event_count Int64,
    message_count Int64,
    snapshot_source String,
    retention_period_days Int64,
    _timestamp DateTime
) ENGINE = MergeTree
PARTITION BY toYYYYMM(min_first_timestamp)
ORDER BY (toDate(min_first_timestamp), team_id, session_id)
{_NO_BACKGROUND_MERGES}""",
    "groups": f"""
CREATE TABLE IF NOT EXISTS groups (
    group_type_index UInt8,
    group_key String,
    created_at DateTime64(6, 'UTC'),
    team_id Int64,
    group_properties String,
    _timestamp DateTime
) ENGINE = ReplacingMergeTree(_timestamp)
ORDER BY (team_id, group_type_index, group_key)
{_NO_BACKGROUND_MERGES}""",
    "cohortpeople": f"""
CREATE TABLE IF NOT EXISTS cohortpeople (
    person_id UUID,
    cohort_id Int64,
    team_id Int64,
    sign Int8,
    version UInt64
) ENGINE = CollapsingMergeTree(sign)
ORDER BY (team_id, cohort_id, person_id, version)
{_NO_BACKGROUND_MERGES}""",
    "person_static_cohort": f"""
CREATE TABLE IF NOT EXISTS person_static_cohort (
    id UUID,
    person_id UUID,
    cohort_id Int64,
    team_id Int64,
    _timestamp DateTime
) ENGINE = ReplacingMergeTree(_timestamp)
ORDER BY (team_id, cohort_id, person_id, id)
{_NO_BACKGROUND_MERGES}""",
    # PostHog cuts this one by the hour, which is more partitions than a small ClickHouse likes.
    "log_entries": f"""
CREATE TABLE IF NOT EXISTS log_entries (
    team_id UInt64,
    log_source LowCardinality(String),
    log_source_id String,
    instance_id String,
    timestamp DateTime64(6, 'UTC'),
    level LowCardinality(String),
    message String,
    _timestamp DateTime
) ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, log_source, log_source_id, instance_id, timestamp)
{_NO_BACKGROUND_MERGES}""",
    # Kept in Postgres by PostHog: what was done to a recording.
    "session_recording": """
CREATE TABLE IF NOT EXISTS session_recording (
    session_id String,
    team_id Int64,
    deleted_at DateTime64(6, 'UTC'),
    deleted_by String
) ENGINE = MergeTree
ORDER BY (team_id, session_id)""",
    "raw_sessions": f"""
CREATE TABLE IF NOT EXISTS raw_sessions (
    session_id String,
    team_id Int64,
    distinct_id AggregateFunction(argMax, String, {_MOMENT}),
    min_timestamp SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    max_timestamp SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    max_inserted_at SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    urls SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    entry_url AggregateFunction(argMinIf, String, {_MOMENT}, UInt8),
    end_url AggregateFunction(argMaxIf, String, {_MOMENT}, UInt8),
    initial AggregateFunction(argMin, Array(String), {_MOMENT}),
    last_external_click_url AggregateFunction(argMaxIf, String, {_MOMENT}, UInt8),
    vitals_lcp AggregateFunction(argMinIf, Float64, {_MOMENT}, UInt8),
    pageview_uniq AggregateFunction(uniqExactIf, UUID, UInt8),
    autocapture_uniq AggregateFunction(uniqExactIf, UUID, UInt8),
    screen_uniq AggregateFunction(uniqExactIf, UUID, UInt8),
    page_screen_autocapture_uniq_up_to AggregateFunction(uniqUpToIf(1), UUID, UInt8)
) ENGINE = AggregatingMergeTree
ORDER BY (team_id, session_id)
{_NO_BACKGROUND_MERGES}""",
    "raw_sessions_mv": f"""
CREATE MATERIALIZED VIEW IF NOT EXISTS raw_sessions_mv TO raw_sessions AS
SELECT
    `$session_id` AS session_id,
    team_id,
    argMaxState(distinct_id, (timestamp, uuid)) AS distinct_id,
    min(timestamp) AS min_timestamp,
    max(timestamp) AS max_timestamp,
    max(inserted_at) AS max_inserted_at,
    groupUniqArrayIf(url, url != '') AS urls,
    argMinIfState(url, (timestamp, uuid), url != '') AS entry_url,
    argMaxIfState(url, (timestamp, uuid), url != '') AS end_url,
    argMinState(known, (timestamp, uuid)) AS initial,
    argMaxIfState(external, (timestamp, uuid), external != '') AS last_external_click_url,
    argMinIfState(lcp, (timestamp, uuid), lcp > 0) AS vitals_lcp,
    uniqExactIfState(uuid, event = '$pageview') AS pageview_uniq,
    uniqExactIfState(uuid, event = '$autocapture') AS autocapture_uniq,
    uniqExactIfState(uuid, event = '$screen') AS screen_uniq,
    uniqUpToIfState(1)(uuid, event IN ('$pageview', '$screen', '$autocapture'))
        AS page_screen_autocapture_uniq_up_to
FROM (
    SELECT
        *,
        JSONExtract(properties, 'Tuple({_PROPERTIES})') AS found,
        found.1 AS url,
        found.2 AS external,
        found.3 AS lcp,
        [{", ".join(f"found.{place}" for place in range(4, len(SESSION_PROPERTIES) + 4))}] AS known
    FROM events
    WHERE `$session_id` != ''
)
GROUP BY `$session_id`, team_id""",
}
