"""How many rows a table has: counted if it is small, else as the planner estimates."""

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query

EXACT_UP_TO = 1_000_000  # rows; above it counting costs more than the answer is worth


def count_rows(cursor: Cursor, table: Table, exact_up_to: int = EXACT_UP_TO) -> tuple[int, bool]:
    """Return how many rows a table has, and whether that is exact: estimated above a limit."""
    about = estimate_rows(cursor, table)
    if about > exact_up_to:
        return about, False
    cursor.execute(query("sizes.count", table=table.identifier))
    return fetch_one(cursor)[0], True


def estimate_rows(cursor: Cursor, table: Table) -> int:
    """Return about how many rows a table has; -1 if Postgres does not know yet."""
    name = sql.Literal(table.identifier.as_string(cursor))
    cursor.execute(query("sizes.estimate", table=name))
    found: int = fetch_one(cursor)[0]
    return found
