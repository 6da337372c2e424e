"""The record of the property columns: made while pages are taken apart, and loaded with them."""

from __future__ import annotations

from sources.posthog.tables.declaration import Column, MadeOfPages, Table, bigint, double, text, time

PROPERTY_COLUMNS = Table(
    name="property_columns",
    primary_key=("table_name", "key"),
    reads=MadeOfPages("the tables whose columns they are: a row is replaced whenever its column was read again"),
    description=(
        "One row per property that is a column of its own: of events, persons and groups. What a column does not hold "
        "is in the JSON column properties of the same row."
    ),
    columns=(
        Column("table_name", "text", "", "The table that the column belongs to.", nullable=False),
        Column("key", "text", "", "The property, as PostHog has it.", nullable=False),
        text("column_name", "The column: the key in snake_case, with a hash where two keys would have one name."),
        text("type", "What the column holds: bool, bigint, decimal, double, date, timestamp, json or text."),
        text("wanted_type", "What would hold all values seen: another type than `type` until the column is widened."),
        text("declared_type", "What PostHog declares: String, Numeric, Boolean, DateTime or Duration; NULL: nothing."),
        time("first_seen", "When a value was first read, UTC."),
        time("last_seen", "When a value was last read, UTC."),
        double("coverage", "The share of the rows counted that have a value, from 0 to 1."),
        bigint(
            "conflicts",
            "Values that the column does not hold: NULL there, whole in the JSON. An event counts once, with its "
            "window of sync_windows, however often it is read; a person or group each time that it has changed.",
        ),
    ),
)
