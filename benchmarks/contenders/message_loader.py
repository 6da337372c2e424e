"""The least that an Airbyte destination has to do: the records of a connector's messages into a table, as JSON.

python -m contenders.message_loader MESSAGES DATABASE
"""

from __future__ import annotations

import sys

import duckdb

from contenders.measured import Measured


def main(messages: str, database: str) -> None:
    """Loads, and says what it took."""
    with Measured(), duckdb.connect(database) as connection:
        connection.execute("CREATE SCHEMA posthog")
        connection.execute(
            """
            CREATE TABLE posthog.events AS
            SELECT json ->> '$.record.data.id' AS id, json -> '$.record.data' AS data
            FROM read_json_objects(?, format = 'newline_delimited', maximum_object_size = 100_000_000)
            WHERE json ->> '$.type' = 'RECORD'
            """,
            [messages],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
