"""``/api/projects/`` and ``/api/users/@me/``: what a client asks to find its project and to test its key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .auth import PROJECT_TOKEN, Key, Project
from .dispatch import Action, Call
from .envelope import Reply, not_found, permission_denied, reply
from .lists.paging import by_offset
from .state import State


def _created_at() -> str:
    return "2024-02-09T10:00:00.000000Z"


#: Names of further projects, again and again.
_OTHERS = ("Hedgebox staging", "Marketing site", "内部ツール", 'Old "app"')

#: Fields of a project in lists (ProjectBackwardCompatBasicSerializer of posthog/api/project.py, autumn 2026).
_LISTED = (
    "id", "uuid", "organization", "project_id", "api_token", "name", "completed_snippet_onboarding",
    "has_completed_onboarding_for", "ingested_event", "is_demo", "timezone", "access_control",
)  # fmt: skip


def describe(state: State, project: Project) -> dict[str, Any]:
    """The project as its endpoint shows it (the fields that clients use)."""
    return {
        "id": project.id,
        "uuid": project.uuid,
        "organization": project.organization_id,
        "api_token": PROJECT_TOKEN,
        "name": project.name,
        "created_at": _created_at(),
        "project_id": project.id,
        "updated_at": "2026-11-02T08:30:00.123456Z",
        "completed_snippet_onboarding": True,
        "has_completed_onboarding_for": {"product_analytics": True},
        "ingested_event": True,
        "is_demo": False,
        "timezone": state.behaviour.project_timezone,
        "access_control": False,
        "anonymize_ips": False,
        "session_recording_opt_in": True,
        "person_on_events_querying_enabled": True,
        "event_retention_months": None,
        "events_retention_enforced": False,
    }


def _projects(call: Call) -> list[dict[str, Any]]:
    """What the key's owner sees: the project, and others that hold nothing here."""
    own = call.state.project
    others = [
        replace(
            own,
            id=own.id + number,
            name=_OTHERS[(number - 1) % len(_OTHERS)],
            uuid=f"{own.uuid[:-4]}{number:04x}",
        )
        for number in range(1, call.state.behaviour.other_projects + 1)
    ]
    described = [describe(call.state, project) for project in (own, *others) if _may_see(call.key, project)]
    listed = [{name: row[name] for name in _LISTED} for row in described]
    return [
        {**row, "api_token": f"{row['api_token']}_{row['id']}", "ingested_event": False} if row["id"] != own.id else row
        for row in listed
    ]


async def listing(call: Call) -> Reply:
    """GET /api/projects/: limit/offset, 100 a page."""
    return reply(by_offset(call, _projects(call)))


async def of_organization(call: Call) -> Reply:
    """GET /api/organizations/:id/projects/: the same, of one organization."""
    if call.params["organization_id"] not in ("@current", call.state.project.organization_id):
        raise not_found("Organization not found.")
    return reply(by_offset(call, _projects(call)))


def _may_see(key: Key, project: Project) -> bool:
    return (not key.scoped_teams or project.id in key.scoped_teams) and (
        not key.scoped_organizations or project.organization_id in key.scoped_organizations
    )


async def retrieve(call: Call) -> Reply:
    """GET /api/projects/:id/."""
    return reply(describe(call.state, call.project))


async def environments(call: Call) -> Reply:
    """GET /api/projects/:id/environments/: the feature was removed (PR#47870)."""
    raise permission_denied(f"Project {call.project.id} has one environment only: multiple environments were removed.")


async def me(call: Call) -> Reply:
    """GET /api/users/@me/: the owner of the key."""
    if call.params["user_id"] != "@me":
        raise not_found("Not found.")
    project = call.project
    organization = {
        "id": project.organization_id,
        "name": project.organization_name,
        "slug": "hedgebox-inc",
        "membership_level": 15,
    }
    team = {
        "id": project.id,
        "uuid": project.uuid,
        "organization": project.organization_id,
        "project_id": project.id,
        "api_token": PROJECT_TOKEN,
        "name": project.name,
        "timezone": call.state.behaviour.project_timezone,
    }
    return reply(
        {
            "date_joined": _created_at(),
            "uuid": "018d8e5a-7f3c-0002-7d3c-1c5e76f30003",
            "distinct_id": "sandbox-owner",
            "first_name": "Sandbox",
            "last_name": "Owner",
            "email": "owner@hedgebox.example",
            "is_email_verified": True,
            "is_staff": False,
            "team": team,
            "organization": {**organization, "teams": [team], "projects": [{"id": project.id}]},
            "organizations": [organization],
        }
    )


OF_ORGANIZATION = {"GET": Action(of_organization, ("project:read",))}
LISTING = {"GET": Action(listing, ("project:read",), any_url=True)}
RETRIEVE = {"GET": Action(retrieve, ("project:read",))}
ENVIRONMENTS = {"GET": Action(environments, ("project:read",))}
ME = {"GET": Action(me, ("user:read",), any_url=True)}
