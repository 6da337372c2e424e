"""A local PostHog: the HTTP API, PostHog's own HogQL grammar, and real ClickHouse behind it."""
