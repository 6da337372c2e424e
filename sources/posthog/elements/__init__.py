"""The elements of autocaptured events: what was clicked, and what it stood in, out of `elements_chain`."""

from __future__ import annotations

from sources.posthog.elements.chains import Elements, elements_of

__all__ = ["Elements", "elements_of"]
