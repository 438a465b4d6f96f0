"""
### Loads what has changed in `raw_data` into Postgres

#### When
As soon as a file has changed and its size is stable, and within two minutes after a table has
changed of which rows or files were refused: these are judged again. Also every night at 03:30 UTC,
when all files are read, to find changes that size and time do not show. To start it by hand, use
the form under *Trigger*.

#### What
`detect` compares every file with its position in `ingest_status.ingest_status`. Each table has its
own tasks, ordered by foreign keys: parents are loaded before children, other tables in parallel,
with one mapped task for each file, one after the other (for each group of files, if there are more
than a hundred). A large file is `cut` into parts, which all workers `stage` at the same time; its
`load` then merges them in one transaction. A new table appears here by itself.

#### Rows
Valid rows are loaded. Rejected rows are kept in `ingest_status.rejected_rows` with their original
bytes and every reason (`rowboat rejects list`); they do not fail a task. Rows that only lack their
parent are loaded by themselves once the parent is there.

#### When it fails
A file that cannot be read fails its task at once; the log ends with the error and what to do.
After a lost connection the task is tried again. A load resumes where it stopped and loads every
row exactly once, so clearing a task is always safe.
"""

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, TaskGroup

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.outline import outline
from rowboat_airflow.tasks.ingest import (
    PARAMS,
    RAW_DATA,
    cut,
    detect,
    files,
    load,
    report,
    stage,
    task_name,
)

with DAG(
    "ingest",
    doc_md=documented(__doc__, "/files", "Every file with its state; upload one"),
    description="Loads what has changed in raw_data into Postgres",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("30 3 * * *", timezone="UTC"), assets=[RAW_DATA]
    ),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    tables = outline()
    names = {each.table: task_name(each.table, tables) for each in tables}
    found, end = detect(names), report()
    loads = {}
    for each in tables:
        with TaskGroup(names[each.table], tooltip=each.table):
            changed, parts = files(each.table), cut(each.table)
            loads[each.table] = load.expand(group=changed)
            stage.expand(part=parts) >> loads[each.table]
        found >> [changed, parts]
        [loads[parent] for parent in each.parents] >> loads[each.table] >> end
    found >> end
