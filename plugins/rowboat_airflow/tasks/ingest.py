"""The tasks of the DAG `ingest`: detect, cut, stage, load, report."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk import Asset, AssetWatcher, Param, TriggerRule, get_current_context, task

from rowboat.airflow_client import DRY_RUN
from rowboat.catalog import tables
from rowboat.catalog.outline import Outline, write_outline
from rowboat.database import connections
from rowboat.database.connections import Connection, Steps, transaction
from rowboat.errors import FileRefused
from rowboat.ingest import discovery
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.large_files import parts, split
from rowboat.ingest.large_files.parts import Part
from rowboat.ingest.load import load_file
from rowboat.ingest.reports import FileReport, Run
from rowboat.ingest.run import (
    add_up_run,
    find_files,
    ingest_files,
    judge_absent,
    order_files,
    triage_files,
)
from rowboat.rendering import loads
from rowboat.settings import settings
from rowboat_airflow.connections import actor, use_connection
from rowboat_airflow.logs import percent, tell
from rowboat_airflow.retries import POLICY, RETRIES
from rowboat_airflow.tasks import lineage
from rowboat_airflow.watcher import RawDataChanged

log = logging.getLogger(__name__)

REPORT = "report"
GROUPS = 100  # of the files of one table: Airflow maps a task at most 1,024 times
FIRST = 100  # priority weight: parts of large files are staged before small files are loaded

RAW_DATA = Asset("raw_data", watchers=[AssetWatcher(name="raw_data", trigger=RawDataChanged())])  # type: ignore[no-untyped-call]
PARAMS = {
    "files": Param(
        None,
        type=["null", "array"],
        items={"type": "string"},
        title="Files",
        description="Names relative to raw_data, one per line. Empty: all files that changed.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Judge every row, but change nothing."
    ),
    "checksum": Param(
        False,
        type="boolean",
        title="Checksum",
        description="Also read files whose size and time have not changed.",
    ),
    "again": Param(
        False,
        type="boolean",
        title="Again",
        description="Load the files from their beginning again, also what is loaded: after a table "
        "was truncated, or got other types.",
    ),
}


def task_name(table: str, outline: list[Outline]) -> str:
    """Return a name for a table's tasks: without its schema if that is unambiguous."""
    short = table.rpartition(".")[2]
    alike = sum(each.table.rpartition(".")[2] == short for each in outline)
    return re.sub(r"[^\w-]", "_", short if alike == 1 else table)


@task.branch(retries=RETRIES, retry_policy=POLICY)
def detect(names: dict[str, str]) -> list[str]:
    """Find the files that changed, and return the tasks that are to run.

    `names` is table → name of its task group. A dry run is done here as a whole, in one transaction
    that is rolled back: separate tasks would not see each other's rows.
    """
    use_connection()
    context = get_current_context()
    run = _run(context)
    if run.dry_run:
        judged = ingest_files(_paths(context), run)
        _tell(judged)
        left = [each.to_json() for each in judged if each.state != "unchanged"]
        context["ti"].xcom_push(key=DRY_RUN, value=left)
        log.info("dry run: nothing was changed")
        return [REPORT]
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = tables.read_catalog(cursor)
            write_outline(catalog)
        named = _paths(context)
        found = find_files(named, catalog)
        # Only names go through XCom: each task reads the position of its file again.
        todo, reports = triage_files(connection, catalog, found, run)
        if not named:
            reports += judge_absent(Steps(connection), catalog, found, run)
        with transaction(connection) as cursor:
            parts.sweep_parts(cursor)  # parts that a killed run has left
            large = {file.name for file in todo if split.is_large_file(cursor, file)}
    _tell([report for report in reports if report.state != "unchanged" or report.notes])
    changed: dict[str, list[str]] = {}
    for file in order_files(todo, catalog):
        changed.setdefault(str(file.table and file.table.full_name), []).append(file.name)
    for table in [table for table in changed if table not in names]:
        log.warning("%s is new: its files are loaded after Airflow has parsed the DAG again", table)
        del changed[table]
    log.info("%d files changed", sum(map(len, changed.values())))
    context["ti"].xcom_push(key="changed", value=changed)
    context["ti"].xcom_push(key="large", value=sorted(large))
    wrong = {"failed", "unmatched"} if named else {"failed"}
    context["ti"].xcom_push(key="refused", value=[e.file for e in reports if e.state in wrong])
    return [
        REPORT,
        *(f"{names[table]}.files" for table in changed),
        *(f"{names[table]}.cut" for table in changed if large & set(changed[table])),
    ]


@task(retries=RETRIES, retry_policy=POLICY)
def files(table: str) -> list[list[str]]:
    """Return the changed files of one table in groups; one load is mapped to each group."""
    changed: dict[str, list[str]] = get_current_context()["ti"].xcom_pull("detect", key="changed")
    return group_files(changed[table])


def group_files(names: list[str]) -> list[list[str]]:
    """Return names in at most GROUPS groups, in the same order; each alone if there are few."""
    size = -(-len(names) // GROUPS)
    return [names[at : at + size] for at in range(0, len(names), size or 1)]


@task(priority_weight=FIRST, retries=RETRIES, retry_policy=POLICY)
def cut(table: str) -> list[dict[str, Any]]:
    """Cut the large files of one table into parts, each a whole number of records."""
    use_connection()
    ti = get_current_context()["ti"]
    large = set(ti.xcom_pull("detect", key="large"))
    found = []
    with connections.session("loader") as connection:
        for file in ti.xcom_pull("detect", key="changed")[table]:
            if file in large:
                with _left_to_the_load(file):
                    found += split.divide_file(connection, _locate(connection, file))
    log.info("%d parts", len(found))
    return [part.to_json() for part in found]


@task(
    map_index_template="{{ part_name }}",
    priority_weight=FIRST,
    retries=RETRIES,
    retry_policy=POLICY,
    show_return_value_in_logs=False,
)
def stage(part: dict[str, Any]) -> None:
    """Stage one part of a large file in a table of `rowboat_parts`, from which its load reads."""
    use_connection()
    wanted = Part.from_json(part)
    name = f"{wanted.file} from byte {wanted.first:,}"
    get_current_context()["part_name"] = name  # type: ignore[typeddict-unknown-key]  # for the map index
    with connections.session("loader") as connection, _left_to_the_load(wanted.file):
        made = split.stage_part(connection, _locate(connection, wanted.file), wanted)
        log.info("%s: %d rows staged", name, made.staged)


@task(
    map_index_template="{{ file_name }}",
    # Also after a failed load of the parent: rows without their parent wait in quarantine.
    trigger_rule=TriggerRule.ALL_DONE,
    max_active_tis_per_dagrun=1,  # of one table: in parallel, which file wins would be chance
    retries=RETRIES,
    retry_policy=POLICY,
    show_return_value_in_logs=False,  # so that the report is the last line of the log
)
def load(group: list[str]) -> list[dict[str, Any]]:
    """Load files from their positions on, one after the other; rejected rows fail no task, and a
    failed file keeps no other from being loaded.
    """
    use_connection()
    context = get_current_context()
    last = f" … {group[-1]}" if len(group) > 1 else ""
    context["file_name"] = f"{group[0]}{last}"  # type: ignore[typeddict-unknown-key]  # for the map index
    run = _run(context)
    run.progress = percent()
    done = []
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = tables.read_catalog(cursor)
        for file in group:
            found = discovery.find_file(settings().raw_data / file, catalog)
            if found.table is None:
                error = FileRefused(found.problem, found.remedy)
                done.append(FileReport(file, None, "failed", error=error.fact, hint=error.hint))
                continue
            with lineage.told(connection, {found.path: found.table.full_name}) as reports:
                report = load_file(connection, catalog, found, run)
                reports[found.path] = report.report
            done.append(report)
            log.info("%s", report)
    failed = [each for each in done if each.state == "failed"]
    if failed:
        facts = "\n".join(f"{each.file} {each.error}" for each in failed)
        raise FileRefused(facts, failed[0].hint if len(failed) == 1 else None)
    return [each.to_json() for each in done]


@task(task_id=REPORT, trigger_rule=TriggerRule.ALL_DONE, retries=RETRIES, retry_policy=POLICY)
def report() -> dict[str, int]:
    """Return the total counts of the run; fail it if a task failed."""
    context = get_current_context()
    ti, run_id = context["ti"], context["run_id"]
    use_connection()
    with connections.session("loader") as connection, transaction(connection) as cursor:
        totals = add_up_run(cursor, run_id)
        parts.sweep_parts(cursor)
    log.info("%s", totals)
    # This task runs whatever happened before it, so it must look at the others itself.
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[run_id]).get(run_id, {})
    failed = sorted(
        name for name, state in states.items() if state in ("failed", "upstream_failed")
    )
    if failed:
        raise FileRefused(
            f"{len(failed)} tasks of this run failed: {', '.join(failed)}",
            "see their logs; everything else has been loaded",
        )
    if refused := ti.xcom_pull("detect", key="refused"):
        raise FileRefused(
            f"{len(refused)} files could not be loaded: {', '.join(refused)}",
            "see the log of detect; everything else has been loaded",
        )
    return vars(totals)


def _run(context: Any) -> Run:
    """Return the actor and options of the DAG run; the nightly run reads every file."""
    params, dag_run = context["params"], context["dag_run"]
    return Run(
        actor=actor(context),
        run=context["run_id"],
        dry_run=params["dry_run"],
        checksum=params["checksum"] or dag_run.run_type == "scheduled",
        again=params["again"],
    )


def _locate(connection: Connection, file: str) -> FoundFile:
    with transaction(connection) as cursor:
        catalog = tables.read_catalog(cursor)
    return discovery.locate_file(settings().raw_data / file, catalog)


@contextmanager
def _left_to_the_load(file: str) -> Iterator[None]:
    """Log, but ignore, that a file cannot be read in parts: its load reads it, or fails."""
    try:
        yield
    except FileRefused as error:
        log.warning("%s is left to its load: %s", file, error.fact)


def _paths(context: Any) -> list[Any]:
    return [settings().raw_data / name for name in context["params"]["files"] or []]


def _tell(reports: list[FileReport]) -> None:
    """Log reports as a table."""
    if not reports:
        return
    tell(loads.ingest_table(reports, dry_run=False))
