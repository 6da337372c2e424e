"""What people make and file: actions, notebooks, the file system, evaluations, and error tracking's issues."""

from __future__ import annotations

from typing import Any

from .flags import FLAG_COUNT, make_flag
from .insights import DASHBOARD_COUNT, INSIGHT_COUNT, make_dashboard, make_insight
from .making import Making, Row, iso

_ACTIONS: tuple[tuple[str, tuple[dict[str, Any], ...]], ...] = (
    ("Signed up", ({"event": "$autocapture", "selector": "form > button.btn-primary", "text": "Sign up"},)),
    ("Any upload", ({"event": "uploaded_file"}, {"event": "API: v1/files.list"})),
    ("Saw the prices", ({"event": "$pageview", "url": "/pricing", "url_matching": "contains"},)),
    ("購入", ({"event": "purchase", "properties": [
        {"key": "amount", "type": "event", "value": "100", "operator": "gt"},
    ]}, {"event": "購入完了"})),
    ("Old one", ({"event": "$rageclick"},)),
)  # fmt: skip

ACTION_COUNT = len(_ACTIONS)

_STEP_FIELDS = (
    "event", "properties", "selector", "selector_regex", "tag_name", "text", "text_matching", "href", "href_matching",
    "url", "url_matching",
)  # fmt: skip


def make_action(making: Making) -> Row:
    """An action in the fields of ActionSerializer (posthog/api/action.py, autumn 2026)."""
    fresh: tuple[str, tuple[dict[str, Any], ...]] = (f"Action {making.number}", ({"event": "$pageview"},))
    name, steps = _ACTIONS[making.number] if making.number < ACTION_COUNT else fresh
    return {
        "id": making.id,
        "name": name,
        "description": making.pick(("", "Counts for the board")),
        "tags": making.some(("core", "old"), 1),
        "post_to_slack": making.number == 0,
        "slack_message_format": "[event.name] by [person] 🦔" if making.number == 0 else "",
        "steps": [{field: step.get(field) for field in _STEP_FIELDS} for step in steps],
        "created_at": iso(making.created),
        "created_by": making.user(),
        "deleted": name == "Old one",
        "is_calculating": False,
        # Many share it: one job works all actions out.
        "last_calculated_at": making.ago(hours=6 if making.number % 2 else 30),
        "team_id": making.world.project_id,
        "is_action": True,
        "bytecode_error": None,
        "pinned_at": making.ago(days=40) if making.number == 1 else None,
        "creation_context": None,
        "user_access_level": "manager",
    }


NOTEBOOK_COUNT = 6


def make_notebook(making: Making) -> Row:
    """A notebook (products/notebooks, autumn 2026): lists leave ``content`` and what follows out."""
    title = ("Why uploads fail", "Q3 notes", 'Interview "Zoë"', "研究ノート", "", "Deleted draft")[making.number % 6]
    text = f"{title}\nWe looked at it on Monday."
    return {
        "id": making.uuid(),
        "short_id": making.short_id(),
        "title": title or None,
        "deleted": making.number == NOTEBOOK_COUNT - 1,
        "created_at": iso(making.created),
        "created_by": making.user(),
        "last_modified_at": iso(making.modified),
        "last_modified_by": making.user("modified_by"),
        "user_access_level": "editor",
        "content": {
            "type": "doc",
            "content": [
                {"type": "heading", "attrs": {"level": 1}, "content": [{"type": "text", "text": title or "Untitled"}]},
                {"type": "ph-query", "attrs": {"query": {"kind": "SavedInsightNode", "shortId": making.short_id()}}},
            ],
        },
        "text_content": text,
        "version": making.random.randrange(60),
    }


#: Of what the file system shows, and which kind it is called there.
_FILED = (
    *(("insight", number) for number in range(INSIGHT_COUNT - 1)),
    *(("dashboard", number) for number in range(DASHBOARD_COUNT - 1)),
    *(("feature_flag", number) for number in range(FLAG_COUNT)),
)

_FOLDERS = {"insight": "Unfiled/Insights", "dashboard": "Unfiled/Dashboards", "feature_flag": "Product/Feature Flags"}

#: Folders, what is filed, and shortcuts to some of it.
FILE_COUNT = 3 + len(_FILED) + 90


def make_file(making: Making) -> Row:
    """An entry of the file system in the fields of FileSystemSerializer (posthog/api/file_system, autumn 2026)."""
    folders = list(_FOLDERS.values())
    place = making.number - len(folders)
    if place < 0:
        return _file(making, folders[making.number], "folder", None, None)
    kind, number = _FILED[place % len(_FILED)]
    if kind == "insight":
        insight = make_insight(making.of("insights", number, INSIGHT_COUNT))
        name, ref, address = insight["name"] or insight["derived_name"], insight["short_id"], "/insights/"
    elif kind == "dashboard":
        dashboard = make_dashboard(making.of("dashboards", number, DASHBOARD_COUNT))
        name, ref, address = dashboard["name"], str(dashboard["id"]), "/dashboard/"
    else:
        flag = make_flag(making.of("feature_flags", number, FLAG_COUNT))
        name, ref, address = flag["key"], str(flag["id"]), "/feature_flags/"
    # A slash in a name is escaped; what is filed again is a shortcut.
    shortcut = place >= len(_FILED)
    folder = f"Shortcuts/Row {making.number}" if shortcut else _FOLDERS[kind]
    return _file(making, f"{folder}/{name.replace('/', chr(92) + '/')}", kind, ref, address + ref, shortcut=shortcut)


def _file(making: Making, path: str, kind: str, ref: str | None, href: str | None, *, shortcut: bool = False) -> Row:
    return {
        "id": making.uuid(),
        "path": path,
        "depth": path.replace("\\/", "").count("/") + 1,
        "type": kind,
        "ref": ref,
        "href": href,
        "meta": {"created_at": iso(making.created), "created_by": 1} if ref else None,
        "shortcut": shortcut,
        "created_at": iso(making.created),
        "last_viewed_at": making.ago(hours=making.number) if making.number % 4 == 0 else None,
    }


EVALUATION_COUNT = 5


def make_evaluation(making: Making) -> Row:
    """An evaluation of AI answers (products/llm_analytics/backend/api/evaluations.py, autumn 2026)."""
    by_hog = making.number % 2 == 1
    return {
        "id": making.uuid(),
        "name": ("Is it polite?", "Shorter than a page", "Names a source", "No secrets", "Old check")[
            making.number % 5
        ],
        "description": "",
        "enabled": making.number != 3,
        "evaluation_type": "hog" if by_hog else "llm_judge",
        "evaluation_config": {"source": "return length(output) < 4000"} if by_hog else {"prompt": 'Say "yes" or "no".'},
        "output_type": "boolean",
        "output_config": {"allows_na": False},
        "conditions": [{"id": making.uuid("condition"), "rollout_percentage": 10.5, "properties": []}],
        "model_configuration": None
        if by_hog
        else {"provider": "openai", "model": "gpt-5-mini", "provider_key_id": None},
        "created_at": iso(making.created),
        "updated_at": iso(making.modified),
        "created_by": making.user(),
        "deleted": making.number == 4,
    }


#: More than a page.
ISSUE_COUNT = 115

_ERRORS = ("TypeError", "NetworkError", "ChunkLoadError", "ValueError", "エラー")


def make_issue(making: Making) -> Row:
    """An issue in the fields of ErrorTrackingIssueReadSerializer (products/error_tracking, autumn 2026)."""
    name = making.pick(_ERRORS)
    return {
        "id": making.uuid(),
        "status": making.pick(("active", "active", "resolved", "suppressed", "archived")),
        "name": name,
        "description": f"{name}: cannot read 'x' of undefined ({making.number})",
        "first_seen": iso(making.created),
        "assignee": {"id": making.user("assignee")["id"], "type": "user"} if making.chance(0.3) else None,
        "external_issues": [
            {
                "id": making.uuid("reference"),
                "integration": {"id": 3, "kind": "github", "display_name": "hedgebox"},
                "external_url": f"https://github.com/hedgebox/web/issues/{making.number}",
            }
        ]
        if making.chance(0.2)
        else [],
        "cohort": {"id": 101, "name": "Paying customers"} if making.number == 7 else None,
    }
