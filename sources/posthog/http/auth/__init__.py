"""How the program shows PostHog who it is."""
