"""The tasks of the DAGs `backup`, `verify` and `drill`."""

import logging
from typing import Any

from airflow.sdk import Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from rowboat.backup import retention, verify
from rowboat.backup.recovery import drill
from rowboat.backup.take import take_backup
from rowboat.catalog import migrations
from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.errors import BackupRefused
from rowboat.rendering import backups
from rowboat_airflow.connections import actor, use_connection
from rowboat_airflow.logs import percent, tell
from rowboat_airflow.outline import outline
from rowboat_airflow.retries import POLICY, RETRIES

log = logging.getLogger(__name__)


def tables() -> list[str]:
    """Return the full names of the tables that forms offer."""
    return [each.table for each in outline()]


def backup_params() -> dict[str, Param]:
    """Return the form of the DAG `backup`."""
    names = tables()
    return {
        "tables": Param(
            None,
            type=["null", "array"],
            items={"type": "string", **({"enum": names} if names else {})},
            examples=names,
            title="Tables",
            description="Tables to back up. Empty: all tables.",
        ),
        "pin": Param(
            False, type="boolean", title="Pin", description="Keep the set regardless of its age."
        ),
    }


def verify_params() -> dict[str, Param]:
    """Return the form of the DAG `verify`."""
    return {"set": set_param("the newest")}


def drill_params() -> dict[str, Param]:
    """Return the form of the DAG `drill`."""
    return {"set": set_param()}


def set_param(empty: str = "the newest verified") -> Param:
    """Return the field for a set; `empty` says which one is used if none is given."""
    return Param(
        None,
        type=["null", "string"],
        title="Set",
        description=f"Name of the set, as `rowboat backups` shows it. Empty: {empty}.",
    )


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def take() -> dict[str, Any]:
    """Back up the tables from one snapshot into a set, and read it back."""
    use_connection()
    context = get_current_context()
    params = context["params"]
    with connections.session("loader") as connection:
        _skip_what_was_before(connection, context)
        taken = take_backup(connection, params["tables"] or (), params["pin"], percent())
    tell(backups.taken_view(taken))
    if taken.findings:
        raise BackupRefused(f"the set {taken.set} cannot be read back: {taken.findings[0]}")
    return taken.to_json()


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def prune() -> list[dict[str, Any]]:
    """Delete the sets that no retention rule keeps; log why each is kept or deleted."""
    use_connection()
    with connections.session("loader") as connection:
        verdicts = retention.prune_sets(connection)
    tell(backups.verdicts_view(verdicts, dry_run=False))
    return [vars(each) for each in verdicts]


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def read_back() -> dict[str, Any]:
    """Read every file of the set, recompute counts and digests, and record the result."""
    use_connection()
    name = get_current_context()["params"]["set"]
    with connections.session("loader") as connection:
        found = verify.verify_set(connection, name, percent())
    tell(backups.checked_view(found))
    if not found.ok:
        raise BackupRefused(f"the set {found.set} is damaged: {found.findings[0]}")
    return found.to_json()


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def restore_on_trial() -> dict[str, Any]:
    """Restore the set into a scratch schema, compare digests, drop it, and record the result."""
    use_connection()
    context = get_current_context()
    name = context["params"]["set"]
    with connections.session("loader") as connection:
        _skip_what_was_before(connection, context)
        done = drill.run_drill(connection, actor(context), name, percent())
    tell(backups.drilled_view(done))
    if not done.ok:
        raise BackupRefused(f"the set {done.set} cannot be restored: {done.findings[0]}")
    return vars(done)


def _skip_what_was_before(connection: Connection, context: Any) -> None:
    """Skip a run that was due before the database existed.

    Airflow creates one for the last due time of a schedule when it first parses a DAG.
    """
    dag_run = context["dag_run"]
    with transaction(connection) as cursor:
        made = migrations.schema_age(cursor)
    if dag_run.run_type == "scheduled" and dag_run.logical_date < made:
        raise AirflowSkipException("the database did not exist yet when this run was due")
