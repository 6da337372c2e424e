"""Saved insights, with queries over the events that are in ClickHouse, and the dashboards that show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .making import Making, Row, iso

Query = dict[str, Any]


def _event(name: str | None, math: str | None = None, **more: Any) -> Query:
    named = {"event": name, "name": name or "All events"}
    return {"kind": "EventsNode", **named, **({"math": math} if math else {}), **more}


def _viz(kind: str, days: int, **parts: Any) -> Query:
    source = {"kind": kind, "dateRange": {"date_from": f"-{days}d", "date_to": None}, "filterTestAccounts": False}
    return {"kind": "InsightVizNode", "source": {**source, **parts}}


def _where(key: str, value: object, kind: str = "event", operator: str = "exact") -> list[Query]:
    return [{"key": key, "value": value, "operator": operator, "type": kind}]


def _hogql(sql: str, display: str = "ActionsTable") -> Query:
    return {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": sql}, "display": display}


@dataclass(frozen=True)
class Insight:
    """A saved insight.

    Attributes:
        name: what its author called it; empty where PostHog derived a name.
        query: its query.
        dashboards: places in `_DASHBOARDS` of those that show it.
    """

    name: str
    query: Query
    dashboards: tuple[int, ...] = ()


_STEPS = [_event("$pageview"), _event("uploaded_file"), _event("shared_file_link")]
_UPLOADS = _event("uploaded_file", "total")

INSIGHTS = (
    Insight("Pageviews a day", _viz("TrendsQuery", 14, series=[_event("$pageview", "total")], interval="day",
            trendsFilter={"display": "ActionsLineGraph"}), (0, 1)),
    Insight("Uploads and downloads, against the week before", _viz("TrendsQuery", 7, interval="day",
            series=[_UPLOADS, _event("downloaded_file", "total")], compareFilter={"compare": True}), (0,)),
    Insight("Weekly actives by browser", _viz("TrendsQuery", 14, series=[_event("$pageview", "dau")], interval="week",
            breakdownFilter={"breakdown": "$browser", "breakdown_type": "event", "breakdown_limit": 4}), (0,)),
    Insight("", _viz("TrendsQuery", 14, interval="day",
            series=[_event("purchase", "total"), _event("$pageview", "dau")],
            trendsFilter={"formula": "A / B * 100", "display": "ActionsLineGraph"}), (1,)),
    Insight("Purchases in all", _viz("TrendsQuery", 14, series=[_event("purchase", "total")],
            trendsFilter={"display": "BoldNumber"}), (0, 1)),
    Insight("Uploads of people who pay", _viz("TrendsQuery", 14, series=[_UPLOADS], interval="day",
            properties=_where("plan", ["pro", "enterprise"], "person")), (1,)),
    Insight("From page to share", _viz("FunnelsQuery", 14, series=_STEPS,
            funnelsFilter={"funnelVizType": "steps", "funnelWindowInterval": 7, "funnelWindowIntervalUnit": "day"}),
            (0,)),
    Insight("From page to share, by system", _viz("FunnelsQuery", 14, series=_STEPS[:2],
            breakdownFilter={"breakdown": "$os", "breakdown_type": "event"},
            funnelsFilter={"funnelVizType": "steps", "funnelOrderType": "strict"}), (1,)),
    Insight("Who comes back", _viz("RetentionQuery", 14, retentionFilter={
        "retentionType": "retention_first_time", "totalIntervals": 7, "period": "Day",
        "targetEntity": {"id": "$pageview", "name": "$pageview", "type": "events"},
        "returningEntity": {"id": "uploaded_file", "name": "uploaded_file", "type": "events"},
    }), (0,)),
    Insight("Where they go", _viz("PathsQuery", 7, pathsFilter={
        "includeEventTypes": ["$pageview"], "edgeLimit": 30, "stepLimit": 4,
    }), (1,)),
    Insight("New, back, gone", _viz("LifecycleQuery", 14, series=[_event("$pageview", "total")], interval="day"), (0,)),
    Insight("Sticky uploads", _viz("StickinessQuery", 14, series=[_UPLOADS], interval="day",
            stickinessFilter={"display": "ActionsLineGraph"})),
    Insight("Events by name (SQL)", _hogql("SELECT event, count() AS events, count(DISTINCT person_id) AS people\n"
            "FROM events WHERE timestamp > now() - INTERVAL 14 DAY\nGROUP BY event ORDER BY events DESC LIMIT 100"),
            (1,)),
    Insight("購入 \"per\" day (SQL)", _hogql("SELECT toDate(timestamp) AS day, count() AS purchases FROM events "
            "WHERE event = '購入完了' GROUP BY day ORDER BY day LIMIT 500", "ActionsLineGraph")),
    Insight("Latest errors", {"kind": "DataTableNode", "source": {
        "kind": "EventsQuery", "select": ["*", "event", "person", "timestamp"], "event": "$exception",
        "after": "-7d", "orderBy": ["timestamp DESC"],
    }}),
    Insight("An old trend", _viz("TrendsQuery", 30, series=[_event("$pageview")])),
)  # fmt: skip

INSIGHT_COUNT = len(INSIGHTS)

#: The last one was deleted.
_DELETED = INSIGHT_COUNT - 1

_DASHBOARDS = ("My App Dashboard", 'Growth "weekly" 📈', "Empty", "Deleted last year")

DASHBOARD_COUNT = len(_DASHBOARDS)


def _tile_id(dashboard: int, insight: int) -> int:
    return 1_000 * (dashboard + 1) + insight


def _dashboard_id(making: Making, number: int) -> int:
    return making.of("dashboards", number, DASHBOARD_COUNT).id


def make_insight(making: Making) -> Row:
    """An insight in the fields of InsightSerializer (posthog/api/insight.py, autumn 2026), without its results.

    ``order`` is what the list orders by unless asked otherwise, and hardly ever set.
    """
    fresh = Insight(f"Insight {making.number}", INSIGHTS[0].query)
    insight = INSIGHTS[making.number] if making.number < INSIGHT_COUNT else fresh
    tiles = [
        {"id": _tile_id(place, making.number), "dashboard_id": _dashboard_id(making, place), "deleted": False}
        for place in insight.dashboards
    ]
    viewed = making.ago(minutes=7 + 43 * making.number) if making.number % 3 != 2 else None
    return {
        "id": making.id,
        "short_id": making.short_id(),
        "name": insight.name,
        "derived_name": None if insight.name else "Purchases per active user",
        "filters": {},
        "query": insight.query,
        "order": None,
        "deleted": making.number == _DELETED,
        "dashboards": [tile["dashboard_id"] for tile in tiles],
        "dashboard_tiles": tiles,
        "last_refresh": None,
        "refreshing": False,
        "cache_target_age": None,
        "next_allowed_client_refresh": None,
        "result": None,
        "hasMore": None,
        "columns": None,
        "created_at": iso(making.created),
        "created_by": making.user(),
        "description": making.pick(("", "What we look at on Mondays")),
        "updated_at": iso(making.modified + timedelta(milliseconds=40)),
        "tags": making.some(("kpi", "product", "old"), 2),
        "favorited": making.number in (0, 4),
        "saved": True,
        "last_modified_at": iso(making.modified),
        "last_modified_by": making.user("modified_by"),
        "is_sample": False,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "timezone": None,
        "is_cached": False,
        "query_status": None,
        "hogql": None,
        "types": None,
        "alerts": [],
        "last_viewed_at": viewed,
    }


def make_dashboard(making: Making) -> Row:
    """A dashboard (posthog/api/dashboards, autumn 2026): lists leave ``tiles`` and what follows out."""
    name = _DASHBOARDS[making.number] if making.number < DASHBOARD_COUNT else f"Dashboard {making.number}"
    tiles = [
        {
            "id": _tile_id(making.number, number),
            "insight": make_insight(making.of("insights", number, INSIGHT_COUNT)),
            "text": None,
            "layouts": {"sm": {"x": 6 * (place % 2), "y": 5 * (place // 2), "w": 6, "h": 5}},
            "color": making.pick((None, "blue", "green")),
            "order": place,
            "last_refresh": None,
            "is_cached": False,
        }
        for place, number in enumerate(
            number for number, insight in enumerate(INSIGHTS) if making.number in insight.dashboards
        )
    ]
    return {
        "id": making.id,
        "name": name,
        "description": "",
        "pinned": making.number == 0,
        "created_at": iso(making.created),
        "created_by": making.user(),
        "last_accessed_at": making.ago(hours=5 + making.number),
        "last_viewed_at": making.ago(hours=5 + making.number),
        "folder": "Unfiled/Dashboards",
        "is_shared": making.number == 1,
        "deleted": name.startswith("Deleted"),
        "creation_mode": "template" if making.number == 0 else "default",
        "tags": making.some(("kpi", "team"), 1),
        "restriction_level": 21,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "access_control_version": "v2",
        "last_refresh": None,
        "team_id": making.world.project_id,
        "filters": {"date_from": "-14d"} if making.number == 1 else {},
        "variables": {},
        "breakdown_colors": [],
        "data_color_theme_id": None,
        "persisted_filters": None,
        "persisted_variables": None,
        "tiles": tiles,
    }
