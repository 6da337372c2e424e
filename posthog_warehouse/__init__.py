"""PostHog in your own warehouse: a dlt source, what it needs of destinations, and a program around both."""
