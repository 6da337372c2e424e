"""Session recordings, and on request what they show, how they are shared and what their consoles said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .schema import EngineName, Probe, Reads, Table, bigint, double, flag, json, text, time

_LIST = Probe(path="session_recordings", params=(("limit", 1), ("date_from", "-1d")))


@dataclass(frozen=True)
class RecordingWindows(Reads):
    """The list of recordings, in windows of `start_time` (`posthog.readers.rest.recordings`)."""

    engine: ClassVar[EngineName] = "listing"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "windows of start_time, an overlap, a daily sweep; read again until it has ended, and when it grew"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return _LIST


@dataclass(frozen=True)
class RecordingSnapshots(Reads):
    """What chosen recordings show (`posthog.readers.rest.snapshots`)."""

    engine: ClassVar[EngineName] = "listing"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "on request: the parts of the chosen recordings that were not read yet"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return _LIST


@dataclass(frozen=True)
class RecordingSharing(Reads):
    """How chosen recordings are shared (`posthog.readers.chosen_recordings`)."""

    engine: ClassVar[EngineName] = "listing"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "on request: read again for the chosen recordings"


@dataclass(frozen=True)
class ConsoleLines(Reads):
    """What the consoles of chosen recordings said (`posthog.readers.chosen_recordings`)."""

    table: str
    """Its name in HogQL."""

    engine: ClassVar[EngineName] = "hogql"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "on request: read again for the chosen recordings"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql=f"SELECT 1 FROM {self.table} WHERE 1 = 2 LIMIT 1")

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from."""
        return (self.table,)


_RECORDING = "PostHog session_recordings."
_KEY = "The recording: session_recordings.id; part of the key."

SESSION_RECORDINGS = Table(
    name="session_recordings",
    primary_key="id",
    reads=RecordingWindows(),
    scope="session_recording:read",
    is_optional=True,
    description=(
        "One row per session recording, with its last figures. What PostHog no longer keeps (retention) stays here. "
        "Join with sessions and events on id = session_id."
    ),
    columns=(
        text("id", f"{_RECORDING}id: the session's id; the key.", nullable=False),
        text("distinct_id", f"{_RECORDING}distinct_id: who it was, by the sender's id."),
        text(
            "person_id",
            f"{_RECORDING}person.uuid: whose it was when it was last read; join with persons.",
            hogql="person.uuid",
            is_uuid=True,
        ),
        time("start_time", f"{_RECORDING}start_time: the first snapshot, UTC."),
        time("end_time", f"{_RECORDING}end_time: the last snapshot so far, UTC."),
        bigint("recording_duration", f"{_RECORDING}recording_duration: seconds from first to last."),
        double("active_seconds", f"{_RECORDING}active_seconds: seconds with something going on."),
        double("inactive_seconds", f"{_RECORDING}inactive_seconds: the others."),
        bigint("click_count", f"{_RECORDING}click_count: clicks."),
        bigint("keypress_count", f"{_RECORDING}keypress_count: keys pressed."),
        bigint("mouse_activity_count", f"{_RECORDING}mouse_activity_count: all that the mouse did."),
        bigint("console_log_count", f"{_RECORDING}console_log_count: lines logged."),
        bigint("console_warn_count", f"{_RECORDING}console_warn_count: warnings."),
        bigint("console_error_count", f"{_RECORDING}console_error_count: errors."),
        text("start_url", f"{_RECORDING}start_url: the first address."),
        flag("ongoing", f"{_RECORDING}ongoing: whether data came in during the last 5 minutes before it was read."),
        double("activity_score", f"{_RECORDING}activity_score: PostHog's estimate of how much happens, 0 to 100."),
        text("snapshot_source", f"{_RECORDING}snapshot_source: web or mobile."),
        text("snapshot_library", f"{_RECORDING}snapshot_library: the library that recorded; newer servers."),
        bigint("retention_period_days", f"{_RECORDING}retention_period_days: days that PostHog keeps it."),
        time("expiry_time", f"{_RECORDING}expiry_time: when PostHog drops it, UTC; newer servers."),
        bigint("recording_ttl", f"{_RECORDING}recording_ttl: days left until then, when it was read; newer servers."),
        flag("viewed", f"{_RECORDING}viewed: whether the key's owner has seen it."),
        json("viewers", f"{_RECORDING}viewers: who else has, as a JSON list."),
        flag("has_summary", f"{_RECORDING}has_summary: whether there is a written summary; newer servers."),
        json("summary_outcome", f"{_RECORDING}summary_outcome: what that says of success; newer servers."),
        json("external_references", f"{_RECORDING}external_references: linked issues; empty in lists."),
        flag("matches_filters", f"{_RECORDING}matches_filters: always true here."),
        text("storage", f"{_RECORDING}storage: where it lies; servers before 2025."),
    ),
)

RECORDING_SNAPSHOTS = Table(
    name="recording_snapshots",
    primary_key=("recording_id", "part", "position"),
    reads=RecordingSnapshots(),
    # Its pages are Arrow tables, unlike those of other lists.
    hints={"file_format": "parquet"},
    scope="session_recording:read",
    is_optional=True,
    is_on_request=True,
    description=(
        "One row per rrweb event of the chosen recordings: what a player plays. Choose them in "
        "[sources.posthog.requests] with recording_ids, or recording_filter and recording_limit."
    ),
    columns=(
        text("recording_id", _KEY, nullable=False),
        bigint("part", "The block of the recording, from 0; one alone for a recording kept for good.", nullable=False),
        bigint("position", "The line in its block, from 0.", nullable=False),
        text("window_id", "The browser's tab: the first element of a line."),
        time("timestamp", "When it happened, by the browser's clock, UTC, milliseconds."),
        bigint("type", "rrweb's kind of event: 2 the whole page, 3 a change, 4 its address and size, 5 and 6 others."),
        json("data", "rrweb's data, as JSON; text where `cv` says that it is packed."),
        text("cv", "How `data` is packed (gzip, by a version of posthog-js); NULL where it is not."),
        json("more", "What else the event holds, as JSON; NULL where that is nothing."),
    ),
)

RECORDING_SHARING = Table(
    name="recording_sharing",
    primary_key="recording_id",
    reads=RecordingSharing(),
    scope="sharing_configuration:read",
    is_optional=True,
    is_on_request=True,
    description="One row per chosen recording: whether it is shared by a link. Chosen as recording_snapshots.",
    columns=(
        text("recording_id", "The recording: session_recordings.id; the key.", nullable=False),
        time("created_at", "PostHog sharing.created_at: when its settings were made, UTC."),
        flag("enabled", "PostHog sharing.enabled: whether the link works."),
        text("access_token", "PostHog sharing.access_token: the secret part of the link."),
        json("settings", "PostHog sharing.settings: how the shared page looks."),
        flag("password_required", "PostHog sharing.password_required; newer servers."),
        json("share_passwords", "PostHog sharing.share_passwords: their names, never the passwords; newer servers."),
    ),
)

LOG_ENTRIES = Table(
    name="log_entries",
    primary_key=("recording_id", "instance_id", "timestamp", "level", "message"),
    reads=ConsoleLines(table="log_entries"),
    is_optional=True,
    is_on_request=True,
    description=(
        "One row per line that the consoles of the chosen recordings showed; PostHog keeps them for 12 weeks. "
        "Chosen as recording_snapshots. Equal lines of one moment are one, as PostHog merges them."
    ),
    columns=(
        text("recording_id", f"PostHog log_entries.log_source_id. {_KEY}", nullable=False, hogql="log_source_id"),
        text("instance_id", "PostHog log_entries.instance_id; empty where there is none.", nullable=False),
        time("timestamp", "PostHog log_entries.timestamp: when it was said, UTC, microseconds.", nullable=False),
        text("level", "PostHog log_entries.level: info, warn or error.", nullable=False),
        text("message", "PostHog log_entries.message: the line.", nullable=False),
    ),
)

RECORDING_TABLES = (SESSION_RECORDINGS, RECORDING_SNAPSHOTS, RECORDING_SHARING, LOG_ENTRIES)
