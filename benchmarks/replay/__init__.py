"""A server that replays answers of PostHog which were made beforehand, so that the server is not what is measured."""
