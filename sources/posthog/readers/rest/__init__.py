"""The listing engine: tables that PostHog's REST lists hold."""
