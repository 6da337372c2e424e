"""Everything between the program and PostHog: requests, answers, limits, faults."""
