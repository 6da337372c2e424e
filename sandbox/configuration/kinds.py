"""Every list of configuration, by the name that the control API uses."""

from __future__ import annotations

from collections.abc import Mapping

from posthog_warehouse.sandbox.groups import TYPES as GROUP_TYPES

from . import activity, charts, cohorts, definitions, files, flags, insights, persons, pipelines
from .rows import Kind

_KINDS = (
    Kind("cohorts", cohorts.make, cohorts.COUNT, modified="last_calculation", deleted="deleted"),
    Kind("feature_flags", flags.make_flag, flags.FLAG_COUNT, modified="updated_at", deleted="deleted"),
    Kind("early_access_feature", flags.make_feature, flags.FEATURE_COUNT),
    Kind("experiments", flags.make_experiment, flags.EXPERIMENT_COUNT, modified="updated_at", deleted="deleted"),
    Kind("surveys", flags.make_survey, flags.SURVEY_COUNT),
    Kind("actions", files.make_action, files.ACTION_COUNT, deleted="deleted"),
    Kind("annotations", charts.make_annotation, 230, title="content", modified="updated_at", deleted="deleted"),
    Kind("insights", insights.make_insight, insights.INSIGHT_COUNT, modified="last_modified_at", deleted="deleted"),
    Kind("dashboards", insights.make_dashboard, insights.DASHBOARD_COUNT, deleted="deleted"),
    Kind(
        "event_definitions",
        definitions.make_event,
        definitions.count_events,
        title="description",
        modified="last_updated_at",
    ),
    Kind(
        "property_definitions",
        definitions.make_property,
        definitions.count_properties,
        title="description",
        modified="updated_at",
    ),
    Kind("hog_functions", pipelines.make_function, pipelines.FUNCTION_COUNT, modified="updated_at", deleted="deleted"),
    Kind("plugin_configs", pipelines.make_plugin_config, pipelines.PLUGIN_COUNT, modified="updated_at"),
    Kind("plugin_logs", pipelines.make_plugin_log, pipelines.LOG_COUNT, title="message"),
    Kind("batch_exports", pipelines.make_batch_export, pipelines.BATCH_EXPORT_COUNT, modified="last_updated_at"),
    Kind("file_downloads", pipelines.make_download, pipelines.DOWNLOAD_COUNT, change=pipelines.change_download),
    Kind("exports", pipelines.make_export, pipelines.EXPORT_COUNT, title="filename"),
    Kind(
        "notebooks",
        files.make_notebook,
        files.NOTEBOOK_COUNT,
        title="title",
        modified="last_modified_at",
        deleted="deleted",
    ),
    Kind("file_system", files.make_file, files.FILE_COUNT, title="path"),
    Kind("evaluations", files.make_evaluation, files.EVALUATION_COUNT, modified="updated_at", deleted="deleted"),
    Kind("issues", files.make_issue, files.ISSUE_COUNT),
    Kind("activity_log", activity.make, activity.COUNT, title="activity"),
    Kind(
        "deletion_status",
        persons.make_deletion,
        persons.count_deletions,
        key="person_uuid",
        change=persons.change_deletion,
    ),
    Kind("group_types", persons.make_group_type, len(GROUP_TYPES), key="group_type_index", title="name_plural"),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
