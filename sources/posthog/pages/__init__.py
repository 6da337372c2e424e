"""Pages of rows between PostHog and dlt: as Arrow, in files, each key once."""
