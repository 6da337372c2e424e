"""HogQL: what the server at hand understands of it, and how it is written."""
