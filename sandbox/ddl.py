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
}
