"""The HTTP side of the sandbox: PostHog's endpoints, envelopes, throttles, and the control API."""
