"""From an Airflow connection to the library: Airflow gives the address, the library opens it."""

from airflow.sdk import BaseHook

from rowboat import database

CONNECTION = "rowboat"


def use_connection() -> None:
    """Let the library use the database of Airflow's connection `rowboat` in this process."""
    database.use(BaseHook.get_connection(CONNECTION).get_uri())


async def use_connection_async() -> None:
    """The same inside the triggerer's event loop."""
    connection = await BaseHook.aget_connection(CONNECTION)
    database.use(connection.get_uri())
