"""Asking the small sandbox for insights."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.api.insights.facts import Ask, asker


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """``ask("TrendsQuery", series=[...])`` gives the results."""
    return asker(http)
