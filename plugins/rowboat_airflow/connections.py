"""From an Airflow connection to the library: Airflow gives the address, the library opens it."""

from typing import Any

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


def actor(context: Any) -> str:
    """Tell who runs: the user who started the run, else what kind of run it is."""
    dag_run = context["dag_run"]
    user = getattr(dag_run, "triggering_user_name", None) or dag_run.run_type.value
    return f"airflow:{user}"
