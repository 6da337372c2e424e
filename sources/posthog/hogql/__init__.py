"""The hogql engine: windows planned into leaves, keys into ranges, and both fetched by HogQL queries."""
