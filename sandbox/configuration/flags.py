"""Feature flags, and what hangs on them: early access features, experiments and surveys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .making import Making, Row, iso


@dataclass(frozen=True)
class _Flag:
    key: str
    name: str
    groups: tuple[dict[str, Any], ...]
    variants: tuple[tuple[str, int], ...] = ()
    payloads: tuple[tuple[str, str], ...] = ()
    context: str = "feature_flags"
    active: bool = True
    deleted: bool = False
    archived: bool = False


def _property(key: str, value: object, operator: str = "exact", kind: str = "person") -> dict[str, Any]:
    return {"key": key, "type": kind, "value": value, "operator": operator}


def _group(rollout: int | None, *properties: dict[str, Any], variant: str | None = None) -> dict[str, Any]:
    return {"properties": list(properties), "rollout_percentage": rollout, "variant": variant}


_EVERYBODY = (_group(100),)

#: The first four are the flags that events carry (`sandbox.vocabulary.FLAGS`).
_FLAGS = (
    _Flag("new-checkout", "The checkout on one page", (
        _group(100, {"key": "id", "type": "cohort", "value": 101, "operator": "in", "cohort_name": "Paying customers"}),
        _group(20, _property("$geoip_country_code", ["DE", "AT"]), _property("plan", "enterprise", "is_not")),
    )),
    _Flag("price-test", "Who sees which price", _EVERYBODY, (("control", 50), ("variant-b", 50)), (
        ("variant-b", '{"price": 19.9, "currency": "€", "steps": [1, 2, 3]}'),
    ), "experiments"),
    _Flag("dark_mode", "", (_group(None),)),
    _Flag("beta: uploads v2", 'Uploads "in pieces"', (
        _group(0, _property("$feature_enrollment/beta: uploads v2", ["true"])),
    ), context="early_access_features"),
    _Flag("search-ranking", "Three rankings side by side", (
        _group(60, _property("email", "@hedgebox", "not_icontains"), variant="b"),
        _group(100, _property("logins", "10", "gt"), _property("signed_up_at", "-30d", "is_date_after")),
    ), (("control", 34), ("a", 33), ("b", 33)), context="experiments"),
    _Flag("onboarding-tour", "Only in the app", (_group(100, _property("$app_version", "2.4.0", "semver_gte")),)),
    _Flag("survey-targeting-nps", "Made by a survey", (_group(100, _property("plan", ["pro"])),), context="surveys"),
    _Flag("kill-switch-exports", "Turns exports off", _EVERYBODY, active=False),
    _Flag("new-checkout-2023", "The first try", _EVERYBODY, active=False, deleted=True),
    _Flag("機能-テスト", "Names may be anything", (_group(100, _property("name", "山田", "icontains")),)),
    _Flag("needs-dark-mode", "Depends on another flag", (_group(100, {
        "key": "106", "type": "flag", "value": True, "operator": "flag_evaluates_to",
    }),)),
    _Flag("old-banner", "Not needed any more", _EVERYBODY, active=False, archived=True),
    _Flag("web-hero", "Without code", _EVERYBODY, (("control", 50), ("test", 50)), context="web_experiments"),
)  # fmt: skip

FLAG_COUNT = len(_FLAGS)


def make_flag(making: Making) -> Row:
    """A feature flag in the fields of FeatureFlagSerializer (posthog/api/feature_flag.py, autumn 2026)."""
    flag = _FLAGS[making.number] if making.number < FLAG_COUNT else _Flag(f"flag-{making.number}", "", _EVERYBODY)
    owner = making.user()
    return {
        "id": making.id,
        "name": flag.name,
        "key": flag.key,
        "filters": {
            "groups": list(flag.groups),
            "payloads": dict(flag.payloads),
            "multivariate": {
                "variants": [{"key": key, "name": "", "rollout_percentage": share} for key, share in flag.variants]
            }
            if flag.variants
            else None,
            "aggregation_group_type_index": None,
        },
        "deleted": flag.deleted,
        "active": flag.active,
        "archived": flag.archived,
        "created_by": owner,
        "created_at": iso(making.created),
        "updated_at": iso(making.modified),
        "version": making.random.randrange(1, 9),
        "last_modified_by": making.user("modified_by"),
        "ensure_experience_continuity": flag.key == "new-checkout",
        "experiment_set": [number for number, row in enumerate(_EXPERIMENTS, 1) if row[1] == flag.key],
        "experiment_set_metadata": [
            {"id": number, "name": row[0]} for number, row in enumerate(_EXPERIMENTS, 1) if row[1] == flag.key
        ],
        "surveys": [],
        "features": [],
        "rollback_conditions": None,
        "performed_rollback": False,
        "can_edit": True,
        "tags": making.some(("web", "checkout", "clean up"), 2),
        "evaluation_contexts": [],
        "usage_dashboard": None,
        "analytics_dashboards": [],
        "has_enriched_analytics": False,
        "user_access_level": "manager",
        "creation_context": flag.context,
        "is_remote_configuration": False,
        "has_encrypted_payloads": False,
        "status": "ACTIVE" if flag.active else "INACTIVE",
        "evaluation_runtime": "all",
        "bucketing_identifier": "distinct_id",
        "last_called_at": making.ago(minutes=making.random.randrange(1, 900)) if making.number < 4 else None,
        "is_used_in_replay_settings": False,
    }


def _minimal(making: Making, key: str) -> Row | None:
    """A flag as other objects show it (MinimalFeatureFlagSerializer)."""
    number = next((place for place, flag in enumerate(_FLAGS) if flag.key == key), None)
    if number is None:
        return None
    row = make_flag(making.of("feature_flags", number, FLAG_COUNT))
    fields = (
        "id", "name", "key", "filters", "deleted", "active", "ensure_experience_continuity", "version",
        "has_encrypted_payloads", "evaluation_runtime", "bucketing_identifier",
    )  # fmt: skip
    return {**{field: row[field] for field in fields}, "team_id": making.world.project_id, "evaluation_tags": []}


_FEATURES = (
    ("Uploads in pieces", "beta", "beta: uploads v2", "https://hedgebox.example/docs/uploads"),
    ("Dark mode", "general-availability", "dark_mode", ""),
    ("Offline files", "concept", None, ""),
    ("Old editor", "archived", None, "https://hedgebox.example/docs/editor?old=1"),
)

FEATURE_COUNT = len(_FEATURES)


def make_feature(making: Making) -> Row:
    """An early access feature (products/early_access_features/backend/api.py, autumn 2026)."""
    fresh = (f"Idea {making.number}", "concept", None, "")
    name, stage, flag, address = _FEATURES[making.number] if making.number < FEATURE_COUNT else fresh
    return {
        "id": making.uuid(),
        "feature_flag": _minimal(making, flag) if flag else None,
        "name": name,
        "description": making.pick(("", "Try it and tell us")),
        "stage": stage,
        "documentation_url": address,
        "payload": {"color": "green", "limits": {"size_mb": 50}} if stage == "beta" else {},
        "created_at": iso(making.created),
        "assignee": None,
        "user_access_level": "manager",
    }


#: Name, flag, days since its start (None: a draft), days since its end, conclusion.
_EXPERIMENTS = (
    ("Price test", "price-test", 21, None, None),
    ("Which ranking finds more", "search-ranking", 60, 30, "won"),
    ("Hero without a hedgehog", "web-hero", 9, 2, "stopped_early"),
    ("Shorter form", "search-ranking", None, None, None),
    ("Abandoned: five steps", "new-checkout", None, None, None),
)

EXPERIMENT_COUNT = len(_EXPERIMENTS)


def _metric(making: Making, place: int, kind: str) -> Row:
    events = [{"kind": "EventsNode", "event": name, "name": name} for name in ("$pageview", "purchase")]
    parts = {"source": events[1]} if kind == "mean" else {"series": events}
    return {
        "kind": "ExperimentMetric",
        "uuid": making.uuid(f"metric {place}"),
        "metric_type": kind,
        "name": f"{kind} of purchases",
        "goal": "increase",
        **parts,
    }


def make_experiment(making: Making) -> Row:
    """An experiment in the fields of ExperimentSerializer (products/experiments, autumn 2026)."""
    fresh = (f"Experiment {making.number}", "price-test", None, None, None)
    name, key, started, ended, conclusion = _EXPERIMENTS[making.number] if making.number < EXPERIMENT_COUNT else fresh
    flag = _minimal(making, key)
    variants = ((flag or {}).get("filters", {}).get("multivariate") or {}).get("variants", [])
    metrics = [_metric(making, place, kind) for place, kind in enumerate(("mean", "funnel"))]
    return {
        "id": making.number + 1,
        "name": name,
        "description": making.pick(("", "We think that people buy more.\nLet's see.")),
        "start_date": making.ago(days=started) if started else None,
        "end_date": making.ago(days=ended) if ended else None,
        "feature_flag_key": key,
        "feature_flag": flag,
        "holdout": None,
        "holdout_id": None,
        "exposure_cohort": None,
        "parameters": {"feature_flag_variants": variants, "minimum_detectable_effect": 30},
        "secondary_metrics": [],
        "saved_metrics": [],
        "saved_metrics_ids": None,
        "filters": {},
        "archived": conclusion == "stopped_early",
        "deleted": name.startswith("Abandoned"),
        "created_by": making.user(),
        "created_at": iso(making.created),
        "updated_at": iso(making.modified),
        "type": "web" if key == "web-hero" else "product",
        "exposure_criteria": {"filterTestAccounts": True},
        "metrics": metrics,
        "metrics_secondary": [],
        "stats_config": {"method": "bayesian", "version": 2},
        "scheduling_config": None,
        "conclusion": conclusion,
        "conclusion_comment": "b it is" if conclusion == "won" else None,
        "primary_metrics_ordered_uuids": [metric["uuid"] for metric in metrics],
        "secondary_metrics_ordered_uuids": None,
        "only_count_matured_users": False,
        "status": "stopped" if ended else "running" if started else "draft",
        "user_access_level": "manager",
    }


#: Name, type, flag, questions.
_SURVEYS: tuple[tuple[str, str, str | None, tuple[tuple[str, str, tuple[str, ...]], ...]], ...] = (
    ("NPS 2026", "popover", "survey-targeting-nps", (("rating", "How likely are you to recommend us?", ()), (
        "open", "Why?", (),
    ))),
    ("Where did you hear of us", "popover", None, (("single_choice", "Where?", ("Friends", "Search", "山田さん")),)),
    ("Beta feedback", "widget", "beta: uploads v2", (("multiple_choice", "What broke?", ("Nothing", "Everything")),)),
    ("Interview", "api", None, (("link", "Talk to us", ()),)),
)  # fmt: skip

SURVEY_COUNT = len(_SURVEYS)


def make_survey(making: Making) -> Row:
    """A survey in the fields of SurveySerializer (products/surveys/backend/api/survey.py, autumn 2026)."""
    fresh = (f"Survey {making.number}", "popover", None, (("open", "Well?", ()),))
    name, kind, key, questions = _SURVEYS[making.number] if making.number < SURVEY_COUNT else fresh
    flag = _minimal(making, key) if key else None
    started = making.created + timedelta(hours=3)
    return {
        "id": making.uuid(),
        "name": name,
        "description": "",
        "type": kind,
        "schedule": "once",
        "linked_flag": flag if kind == "widget" else None,
        "linked_flag_id": flag["id"] if flag and kind == "widget" else None,
        "linked_insight_id": None,
        "targeting_flag": flag if kind == "popover" else None,
        "internal_targeting_flag": None,
        "questions": [
            {"id": making.uuid(f"question {place}"), "type": kind_, "question": text}
            | ({"choices": list(choices)} if choices else {})
            | ({"scale": 10, "display": "number", "lowerBoundLabel": "No"} if kind_ == "rating" else {})
            for place, (kind_, text, choices) in enumerate(questions)
        ],
        "conditions": {"url": "/files", "urlMatchType": "icontains", "events": {"values": [{"name": "uploaded_file"}]}},
        "appearance": {"backgroundColor": "#eeeded", "thankYouMessageHeader": "Danke! 🦔"},
        "created_at": iso(making.created),
        "created_by": making.user(),
        "start_date": None if kind == "api" else iso(started),
        "end_date": iso(started + timedelta(days=20)) if making.number == 1 else None,
        "archived": False,
        "responses_limit": 500 if making.number == 0 else None,
        "feature_flag_keys": [
            {"key": "linked_flag_key", "value": key if kind == "widget" else None},
            {"key": "targeting_flag_key", "value": key if kind == "popover" else None},
        ],
        "iteration_count": None,
        "iteration_frequency_days": None,
        "iteration_start_dates": [],
        "current_iteration": None,
        "current_iteration_start_date": None,
        "response_sampling_start_date": None,
        "response_sampling_interval_type": "week",
        "response_sampling_interval": None,
        "response_sampling_limit": None,
        "response_sampling_daily_limits": None,
        "enable_partial_responses": True,
        "enable_iframe_embedding": False,
        "user_access_level": "manager",
    }
