"""All tables that PostHog's REST lists hold."""

from __future__ import annotations

from sources.posthog.tables.content import TABLES_OF_CONTENT
from sources.posthog.tables.definitions import TABLES_OF_DEFINITIONS
from sources.posthog.tables.features import TABLES_OF_FEATURES
from sources.posthog.tables.movement import TABLES_OF_MOVEMENT
from sources.posthog.tables.on_request import TABLES_ON_REQUEST
from sources.posthog.tables.workspace import TABLES_OF_WORKSPACE

CONFIGURATION_TABLES = (
    *TABLES_OF_WORKSPACE,
    *TABLES_OF_DEFINITIONS,
    *TABLES_OF_CONTENT,
    *TABLES_OF_FEATURES,
    *TABLES_OF_MOVEMENT,
    *TABLES_ON_REQUEST,
)
