"""The tasks of the DAGs `restore` and `undo`: plan, approve, safety_copy, apply, report."""

import logging
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, get_current_context, task

from rowboat.backup import sets
from rowboat.backup.recovery import restore, source
from rowboat.backup.recovery.plan import MODES, Plan, TablePlan
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.catalog.tables import read_catalog
from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.door.passage import Report
from rowboat.rendering import backups
from rowboat_airflow.connections import actor, use_connection
from rowboat_airflow.logs import percent, tell, text
from rowboat_airflow.retries import POLICY, RETRIES
from rowboat_airflow.tasks import lineage
from rowboat_airflow.tasks.backup import set_param, tables

log = logging.getLogger(__name__)

PATIENCE = timedelta(hours=24)  # for which a plan waits for approval before it is rejected
_MEANING = {mode: f"{mode}: {does}" for mode, does in MODES.items()}


def restore_params() -> dict[str, Param]:
    """Return the form of the DAG `restore`."""
    names = tables()
    return {
        "table": Param(type="string", title="Table", enum=names or [""]),
        "set": set_param(),
        "mode": Param(
            "replace", type="string", enum=list(MODES), values_display=_MEANING, title="Mode"
        ),
        "cascade": _cascade_param(),
    }


def undo_params() -> dict[str, Param]:
    """Return the form of the DAG `undo`."""
    return {
        "restore": Param(
            type="integer",
            minimum=1,
            title="Restore",
            description="Number of the restore, as `rowboat backups` shows it.",
        ),
        "cascade": _cascade_param(),
    }


def _cascade_param() -> Param:
    return Param(
        False,
        type="boolean",
        title="Cascade",
        description="Let deletes change rows of other tables through foreign keys.",
    )


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def plan() -> dict[str, Any]:
    """Return what the restore would do; nothing is changed."""
    use_connection()
    context = get_current_context()
    with connections.session("loader") as connection:
        found = restore.plan_restore(connection, _order(connection, context))
    shown = backups.plan_view(found)
    tell(shown)
    context["ti"].xcom_push(key="text", value=text(shown))
    return found.to_json()


def approve(
    subject: str = "Restore {{ params.table }} ({{ params.mode }})?",
) -> ApprovalOperator:
    """Wait until a person approves the plan; without an answer it is rejected."""
    return ApprovalOperator(
        task_id="approve",
        subject=subject,
        body="```\n{{ ti.xcom_pull(task_ids='plan', key='text') }}\n```",
        defaults=ApprovalOperator.REJECT,
        response_timeout=PATIENCE,
        retries=RETRIES,
        retry_policy=POLICY,
    )


@task(retries=RETRIES, retry_policy=POLICY)
def safety_copy(planned: dict[str, Any]) -> str:
    """Back up and verify the rows that the restore may overwrite; return the set's name."""
    use_connection()
    context = get_current_context()
    with connections.session("loader") as connection:
        name = restore.back_up_first(connection, _order(connection, context, planned))
    log.info("the present rows are backed up in the set %s", name)
    return name


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def apply(planned: dict[str, Any], safety: str) -> dict[str, Any]:
    """Restore in one transaction; fails if the plan is no longer the same."""
    use_connection()
    context = get_current_context()
    with connections.session("loader") as connection:
        order = _order(connection, context, planned)
        order.safety = safety
        into = {each.path: table for table, each in order.sources.items()}
        with lineage.told(connection, into) as reports:
            done = restore.restore_tables(connection, order)
            reports |= {order.sources[each.table].path: _report(each) for each in done.plan.tables}
    tell(backups.restored_view(done))
    return done.to_json()


@task(retries=RETRIES, retry_policy=POLICY, show_return_value_in_logs=False)
def report(done: dict[str, Any]) -> dict[str, Any]:
    """Log what was done and the command that undoes it."""
    for each in done.get("tables", [done]):
        log.info(
            "%s is restored from %s: %s inserted, %s updated, %s deleted, %s unchanged, "
            "%s rejected",
            each["table"], done["set"], each["insert"], each["update"], each["delete"],
            each["unchanged"], each["rejected"],
        )  # fmt: skip
    log.info("`rowboat undo %s` brings back the rows from before", done["id"])
    return done


def _report(did: TablePlan) -> Report:
    """Return the counts of a restored table as a load's report."""
    counts = did.insert, did.update, did.unchanged, did.rejected
    return Report(sum(counts), *counts)


def _order(
    connection: Connection, context: Any, planned: dict[str, Any] | None = None
) -> RestoreOrder:
    """Return the restore that the form asks for; after the plan, from the plan's set."""
    params, who = context["params"], actor(context)
    if "restore" in params:
        order = restore.undo_order(connection, params["restore"], who)
    else:
        order = _restore_order(connection, params, who, planned)
    order.run, order.cascade = context["run_id"], params["cascade"]
    # The restore compares what it finds with what the person has approved.
    order.expected = Plan.from_json(planned) if planned else None
    order.progress = percent()
    return order


def _restore_order(
    connection: Connection, params: Any, who: str, planned: dict[str, Any] | None
) -> RestoreOrder:
    with transaction(connection) as cursor:
        table = read_catalog(cursor).table(params["table"]).full_name
        name = planned["set"] if planned else params["set"]
        found = sets.find_set(cursor, name) if name else sets.newest_set(cursor, [table])
    return RestoreOrder(
        {table: source.source_of_set(found.name, table, percent())}, params["mode"], who
    )
