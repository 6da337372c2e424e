"""dlt sources."""
