"""psycopg2 and fastavro: a server-side cursor, written record by record, deflate."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fastavro
import psycopg2
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

SCHEMA = fastavro.parse_schema({
    "type": "record",
    "name": "hired_employees",
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "employee_name", "type": "string"},
        {"name": "hired_date", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "department_id", "type": "int"},
        {"name": "job_id", "type": "int"},
    ],
})  # fmt: skip


def backup(address: str, table: str, file: Path) -> None:
    """Write the table into the file; raises ValueError for a value that does not fit the schema."""
    with closing(psycopg2.connect(address)) as connection, file.open("wb") as out:
        fastavro.writer(out, SCHEMA, rows(connection, table), codec="deflate")


def rows(connection: Any, table: str) -> Iterator[dict[str, Any]]:
    """Yield the table's rows, fetched by the thousands."""
    with connection.cursor("backup", cursor_factory=RealDictCursor) as cursor:
        cursor.itersize = 10_000
        cursor.execute(
            sql.SQL("select id, employee_name, hired_date, department_id, job_id from {}").format(
                sql.Identifier(*table.split("."))
            )
        )
        yield from cursor
