"""Passes Airflow's connections `rowboat` and `aws_default` on to the library."""

from contextlib import suppress
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from rowboat.address import S3Url
from rowboat.database import connections
from rowboat.settings import settings

CONNECTION = "rowboat"
AWS = "aws_default"


def use_connection() -> None:
    """Make the library use Airflow's connections in this process."""
    connections.use_database(BaseHook.get_connection(CONNECTION).get_uri())
    if _on_s3():
        with suppress(AirflowNotFoundException):
            _use_aws(BaseHook.get_connection(AWS))


async def use_connection_async() -> None:
    """Do as `use_connection` does, inside the triggerer's event loop."""
    connection = await BaseHook.aget_connection(CONNECTION)
    connections.use_database(connection.get_uri())
    await use_aws_async()


async def use_aws_async() -> None:
    """Make the library use `aws_default` if files or backups are on S3."""
    if _on_s3():
        with suppress(AirflowNotFoundException):
            _use_aws(await BaseHook.aget_connection(AWS))


def actor(context: Any) -> str:
    """Return the actor of a run: the user who started it, else the type of the run."""
    dag_run = context["dag_run"]
    user = getattr(dag_run, "triggering_user_name", None) or dag_run.run_type.value
    return f"airflow:{user}"


def _on_s3() -> bool:
    return any(isinstance(at, S3Url) for at in (settings().raw_data, settings().backups))


def _use_aws(connection: Connection) -> None:
    """Use a connection of type `aws`; AWS's usual chain supplies what it lacks."""
    # boto3 takes a noticeable time to import, and is not needed on a local disk.
    from rowboat.storage import s3

    extra = connection.extra_dejson
    s3.use_credentials(
        s3.Credentials(
            key=connection.login or extra.get("aws_access_key_id"),
            secret=connection.password or extra.get("aws_secret_access_key"),
            token=extra.get("aws_session_token"),
            region=extra.get("region_name"),
            endpoint=extra.get("endpoint_url"),
        )
    )
