"""What is wrong with a HogQL text, said as PostHog says it."""

from __future__ import annotations


class HogQLError(Exception):
    """A HogQL text that PostHog refuses with 400 before ClickHouse sees it.

    Attributes:
        code: `hogql_syntax_error`, `hogql_query_error`, `type_mismatch`, or `invalid_input` of older servers.
        detail: the sentence for the user.
        start: where the fault begins in the text, in characters; None when it is not known.
        end: where it ends, exclusive.

    Source: posthog/hogql/errors.py and posthog/api/query.py, read in autumn 2026.
    """

    def __init__(
        self, detail: str, *, code: str = "hogql_query_error", start: int | None = None, end: int | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.start = start
        self.end = end
