"""All that this program uses of dlt's insides, in one room: names that dlt's documentation lacks, which any of its
versions may change.

A module for each part of dlt, without imports of each other, for a package that one of them needs may be missing. Above
each name stands why it is needed and what is asked of it; where dlt has a documented way, that is taken instead.
`tests/destinations/test_dlt_internals.py` holds each of them against the dlt that is installed, and sees to it that no
other module imports such names or touches what dlt keeps to itself. The source has a room of its own,
`sources.posthog.dlt_internals`, for it knows nothing of destinations.
"""
