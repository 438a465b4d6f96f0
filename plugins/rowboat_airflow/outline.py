"""The tables that the DAGs are built from, on any machine that parses them."""

from contextlib import suppress

from airflow.sdk.exceptions import AirflowNotFoundException

from rowboat.catalog import tables
from rowboat.catalog.outline import Outline, outline_is_fresh, read_outline, write_outline
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import RowboatError
from rowboat_airflow.connections import use_connection


def outline() -> list[Outline]:
    """Return the outline; it is first renewed from the database if this machine's file is old.

    If the database cannot be reached, the old file is used. The outline is empty before the first
    migration.
    """
    # Airflow parses DAG files all the time: most parses must not connect to the database.
    if not outline_is_fresh():
        with suppress(AirflowNotFoundException, RowboatError):
            use_connection()
            with connections.session("loader") as connection, transaction(connection) as cursor:
                write_outline(tables.read_catalog(cursor))
    return read_outline()
