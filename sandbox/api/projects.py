"""``/api/projects/`` and ``/api/users/@me/``: what a client asks to find its project and to test its key."""

from __future__ import annotations

from typing import Any

from .auth import PROJECT_TOKEN, Key, Project
from .dispatch import Action, Call, integer
from .envelope import Reply, not_found, permission_denied, reply
from .state import State


def _created_at() -> str:
    return "2024-02-09T10:00:00.000000Z"


def describe(state: State, project: Project) -> dict[str, Any]:
    """The project as its endpoint shows it (the fields that clients use)."""
    return {
        "id": project.id,
        "uuid": project.uuid,
        "organization": project.organization_id,
        "api_token": PROJECT_TOKEN,
        "name": project.name,
        "created_at": _created_at(),
        "completed_snippet_onboarding": True,
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


async def listing(call: Call) -> Reply:
    """GET /api/projects/: limit/offset, 100 a page."""
    limit = integer(call.arguments, "limit", 100) or 100
    offset = integer(call.arguments, "offset", 0)
    keys = ("id", "uuid", "organization", "api_token", "name", "timezone", "is_demo", "ingested_event")
    visible = [project for project in (call.state.project,) if _may_see(call.key, project)]
    page = visible[offset : offset + limit]
    more = offset + limit < len(visible)
    return reply(
        {
            "count": len(visible),
            "next": call.url({"limit": limit, "offset": offset + limit}) if more else None,
            "previous": call.url({"limit": limit, "offset": max(0, offset - limit)}) if offset else None,
            "results": [
                {key: value for key, value in describe(call.state, project).items() if key in keys} for project in page
            ],
        }
    )


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


LISTING = {"GET": Action(listing, ("project:read",), any_url=True)}
RETRIEVE = {"GET": Action(retrieve, ("project:read",))}
ENVIRONMENTS = {"GET": Action(environments, ("project:read",))}
ME = {"GET": Action(me, ("user:read",), any_url=True)}
