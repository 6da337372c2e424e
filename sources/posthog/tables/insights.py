"""Insights, computed: what each of them shows, one row per point, and the persons behind a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .schema import (
    Column,
    EngineName,
    Probe,
    Reads,
    Table,
    bigint,
    day,
    double,
    flag,
    json,
    text,
    time,
)

Shape = Literal["trends", "funnel_steps", "retention", "paths", "correlation"]
"""What the points of an insight look like."""

POINTS: dict[Shape, str] = {
    "trends": "insight_trends",
    "funnel_steps": "insight_funnel_steps",
    "retention": "insight_retention",
    "paths": "insight_paths",
    "correlation": "insight_correlation",
}
"""The table that holds the points of each shape."""


@dataclass(frozen=True)
class InsightResults(Reads):
    """Which insights there are, and how computing them went (`posthog.readers.insights.results`)."""

    engine: ClassVar[EngineName] = "insights"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "computed anew once a day; an insight that is gone leaves no row"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe("insights", (("basic", "true"), ("limit", 1)))


@dataclass(frozen=True)
class InsightPoints(Reads):
    """The points of all insights of one shape (`posthog.readers.insights.results`)."""

    shape: Shape

    engine: ClassVar[EngineName] = "insights"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "computed anew once a day and replaced per insight; one that fails keeps its old points"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe("insights", (("basic", "true"), ("limit", 1)))


@dataclass(frozen=True)
class InsightActors(Reads):
    """The persons behind the points that `insight_actors` asks for (`posthog.readers.insights.actors`)."""

    engine: ClassVar[EngineName] = "insights"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "asked anew by each run and replaced per point"


_INSIGHT_ID = text(
    "insight_id", "The insight: insights.id as text, or config: and the name of one of `insights`.", nullable=False
)
_IS_GONE = flag("is_gone", "Never true here: dlt takes rows away by it.")

_BREAKDOWN = (
    text(
        "breakdown",
        "The value of the breakdown, several joined by ::; empty without a breakdown. PostHog writes "
        "$$_posthog_breakdown_other_$$ for the rest, and $$_posthog_breakdown_null_$$ for none.",
        nullable=False,
    ),
    json("breakdown_values", "The same as a list, a value for each property; NULL without a breakdown."),
)


def _points(shape: Shape, key: tuple[str, ...], *columns: Column, description: str) -> Table:
    return Table(
        name=POINTS[shape],
        primary_key=("insight_id", *key),
        columns=(_INSIGHT_ID, *columns, _IS_GONE),
        description=description,
        reads=InsightPoints(shape),
        scope="insight:read",
        is_optional=True,
        every="insights_every",
        **_REPLACED_PER_INSIGHT,
    )


# All rows of an insight are deleted by its id, which the key begins with: told of the key as well, dlt would compare
# every row with every other.
_REPLACED_PER_INSIGHT: dict[str, Any] = {
    "merge_key": "insight_id",
    "hard_delete": "is_gone",
    "hints": {"primary_key": None},
}

INSIGHT_RESULTS = Table(
    name="insight_results",
    primary_key="insight_id",
    columns=(
        _INSIGHT_ID,
        text("short_id", "The id in the insight's address; NULL for those of the configuration."),
        text("name", "What people call it, or the name that PostHog made for it."),
        text("kind", "TrendsQuery, FunnelsQuery, ...: what it is in PostHog's schema of queries."),
        text("source", "saved: it is an insight of the project; config: it is one of `insights` in the configuration."),
        text(
            "status",
            "computed; failed: see error, and points are those of an earlier run; not_tabular: it has no points, "
            "see error.",
        ),
        text("error", "Why there are no new points, and what to do."),
        text("points_in", "The table that holds its points."),
        bigint("rows", "How many points that table has of it."),
        time("computed_at", "When those points were asked for, UTC, by PostHog's clock."),
        time("last_refresh", "When PostHog computed them, UTC."),
        json("query", "What it shows, as PostHog's query or as the filters of older insights."),
        _IS_GONE,
    ),
    description="One row per insight that is saved in PostHog or given by `insights`, and how computing it went.",
    reads=InsightResults(),
    scope="insight:read",
    is_optional=True,
    every="insights_every",
    **_REPLACED_PER_INSIGHT,
)

INSIGHT_TRENDS = _points(
    "trends",
    ("series", "status", "breakdown", "compare", "point"),
    bigint("series", "Which series of the insight, from 0; for formulas which formula.", nullable=False),
    text("status", "Lifecycle only: new, returning, resurrecting or dormant; else empty.", nullable=False),
    *_BREAKDOWN,
    text("compare", "current or previous where the insight compares two periods, else empty.", nullable=False),
    bigint("point", "Which point of the series, from 0; 0 for a total.", nullable=False),
    text("series_name", "The event or action that is counted; NULL for all events and for formulas."),
    text("custom_name", "What people called the series."),
    text("math", "How it is counted: total, dau, sum, ...; NULL: total."),
    text("label", "The series as PostHog's legend has it."),
    day("day", "The point's day, or the first of its week or month, in the project's time zone. NULL for totals."),
    time("starts_at", "When the point's hour, day, week or month begins, UTC. NULL for totals."),
    bigint("intervals", "Stickiness only: on how many days (weeks, ...) the persons did it."),
    text("point_label", "The point as PostHog's axis has it."),
    double(
        "value",
        "The figure. For funnels over time the conversion in percent; for times to convert the persons of a bin.",
    ),
    description="One row per point of a trend, stickiness or lifecycle insight: series x breakdown x comparison x "
    "time. Also of funnels that show conversion over time, or how long it takes.",
)

INSIGHT_FUNNEL_STEPS = _points(
    "funnel_steps",
    ("breakdown", "step"),
    *_BREAKDOWN,
    bigint("step", "Which step, from 1.", nullable=False),
    text("action_id", "The step's event, or the number of its action; NULL for all events and unordered steps."),
    text("name", "The step's event or action."),
    text("custom_name", "What people called the step."),
    bigint("persons", "How many got this far (or groups, or sessions).", hogql="count"),
    double("average_conversion_time", "From the step before, seconds; NULL for the first step."),
    double("median_conversion_time", "From the step before, seconds; NULL for the first step."),
    description="One row per step of a funnel insight, for each breakdown value.",
)

INSIGHT_RETENTION = _points(
    "retention",
    ("breakdown", "cohort", "interval_number"),
    *_BREAKDOWN,
    bigint("cohort", "Which cohort, from 0.", nullable=False),
    text("cohort_label", "Day 0, Week 1, ..."),
    time("cohort_starts_at", "When the cohort's interval begins, UTC."),
    bigint("interval_number", "How many intervals later, from 0: the cohort itself.", nullable=False),
    text("interval_label", "Day 0, Day 1, ..."),
    bigint("persons", "How many of the cohort came back then (or groups).", hogql="count"),
    double("aggregation_value", "The sum or average of a property, where the insight asks for one."),
    description="One row per cohort and interval of a retention insight.",
)

INSIGHT_PATHS = _points(
    "paths",
    ("source", "target"),
    text("source", "Where from: the place in the path and the item, as in 1_https://example.com/.", nullable=False),
    text("target", "Where to: 2_signed up.", nullable=False),
    bigint("source_step", "The place of the source in the path, from 1."),
    text("source_item", "The source without its place: a page, a screen or an event."),
    text("target_item", "The target without its place."),
    bigint("value", "How often this was gone."),
    double("average_conversion_time", "From source to target, milliseconds."),
    description="One row per edge of a paths insight: the most frequent ones, 50 unless the insight says otherwise.",
)

INSIGHT_CORRELATION = _points(
    "correlation",
    ("event",),
    text("event", "The event, property::value or event::property::value that goes with converting.", nullable=False),
    json("properties", "Properties of the event that belong to it."),
    text("correlation_type", "success: those who did it convert more often; failure: less often."),
    double("odds_ratio", "By how much: above 1 more often, below 1 less often."),
    bigint("success_count", "Persons who did it and converted."),
    bigint("failure_count", "Persons who did it and did not."),
    flag("is_skewed", "Whether far more persons converted than not, or the other way round: then it says little."),
    description="One row per event or property that goes with converting in a funnel, or with not: up to ten of each. "
    "For a FunnelCorrelationQuery in `insights`.",
)

INSIGHT_ACTORS = Table(
    name="insight_actors",
    primary_key=("insight_id", "selector", "person_id"),
    columns=(
        text("selection", "insight_id and selector: what is replaced together.", nullable=False),
        _INSIGHT_ID,
        text("selector", "Which point, as JSON: what `insight_actors` says of it.", nullable=False),
        text("person_id", "The person: persons.person_id.", nullable=False, is_uuid=True),
        time("asked_at", "When PostHog was asked, UTC."),
        _IS_GONE,
    ),
    description="One row per person behind a point of an insight that `insight_actors` asks for: a funnel's step (2: "
    "did it; -2: did not, but the step before), a lifecycle status, days of stickiness, a trend's day, a cohort.",
    reads=InsightActors(),
    scope="insight:read",
    is_optional=True,
    is_on_request=True,
    merge_key="selection",
    hard_delete="is_gone",
    hints={"primary_key": None},
)

INSIGHT_TABLES = (
    INSIGHT_RESULTS,
    INSIGHT_TRENDS,
    INSIGHT_FUNNEL_STEPS,
    INSIGHT_RETENTION,
    INSIGHT_PATHS,
    INSIGHT_CORRELATION,
    INSIGHT_ACTORS,
)
