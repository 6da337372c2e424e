"""What is measured against each other: each a program of its own that loads a project's events into a DuckDB file."""
