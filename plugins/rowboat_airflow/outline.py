"""The outline of the catalog that DAGs follow, on whatever machine they are read."""

from contextlib import suppress

from airflow.sdk.exceptions import AirflowNotFoundException

from rowboat.catalog import tables
from rowboat.catalog.outline import Outline, outline_is_fresh, read_outline, write_outline
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import RowboatError
from rowboat_airflow.connections import use_connection


def outline() -> list[Outline]:
    """Read the outline; first anew from the database where this machine's file is old or missing.

    Where the database cannot be asked, the old file serves; empty before the first migration.
    """
    if not outline_is_fresh():
        with suppress(AirflowNotFoundException, RowboatError):
            use_connection()
            with connections.session("loader") as connection, transaction(connection) as cursor:
                write_outline(tables.read_catalog(cursor))
    return read_outline()
