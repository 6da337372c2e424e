"""Groups, cohorts and log entries: tables of HogQL beside events and persons.

Source: posthog/hogql/database/schema/{groups,cohort_people,static_cohort_people,log_entries}.py of PostHog/posthog,
read in autumn 2026.
"""

from __future__ import annotations

from posthog_warehouse.sandbox.hogql.fields import Column, Field, Join, Table
from posthog_warehouse.sandbox.hogql.values import DATETIME, INT, JSON, SECONDS, STRING, UUID

_GROUP_FIELDS: dict[str, Field] = {
    "index": Column(INT, physical="group_type_index"),
    "key": Column(STRING, physical="group_key"),
    "created_at": Column(DATETIME),
    "updated_at": Column(SECONDS, physical="_timestamp"),
    "properties": Column(JSON, physical="group_properties"),
}

_MEMBER_FIELDS: dict[str, Field] = {
    "person_id": Column(UUID),
    "cohort_id": Column(INT),
    "person": Join("persons", ("person_id",), "id"),
}

_LOG_FIELDS: dict[str, Field] = {
    "log_source": Column(STRING),
    "log_source_id": Column(STRING),
    "instance_id": Column(STRING),
    "timestamp": Column(DATETIME),
    "message": Column(STRING),
    "level": Column(STRING),
}

TABLES = (
    Table("groups", _GROUP_FIELDS, lazy="groups", key="key"),
    Table("raw_groups", _GROUP_FIELDS, physical="groups"),
    Table("cohort_people", _MEMBER_FIELDS, lazy="cohort_people", key="cohort_id"),
    Table(
        "raw_cohort_people",
        {**_MEMBER_FIELDS, "sign": Column(INT), "version": Column(INT)},
        physical="cohortpeople",
    ),
    Table("static_cohort_people", _MEMBER_FIELDS, physical="person_static_cohort"),
    Table("log_entries", _LOG_FIELDS, physical="log_entries"),
    Table("console_logs_log_entries", _LOG_FIELDS, lazy="console_logs_log_entries", key="log_source_id"),
    Table("batch_export_log_entries", _LOG_FIELDS, lazy="batch_export_log_entries", key="log_source_id"),
)
