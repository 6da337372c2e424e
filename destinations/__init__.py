"""How each destination is configured, and what it needs beyond dlt."""
