"""
### Backs up all tables and makes room on the shelf

#### When
Every night at 02:00 UTC; and by hand, with the form above *Trigger*: some tables only, or
a set that is pinned and stays whatever its age.

#### What
`take` writes one AVRO file for each table, all from one snapshot, into a new set under
`backups/`, then reads every row back and compares. `prune` takes the sets off the shelf that no
rule keeps; its log tells for each set why it stays or goes.

#### When it looks wrong
A set that is empty, or in which a table has lost many rows since its last
backup, is marked suspicious: nothing expires because of it. Look at `rowboat backups`.

#### When it fails
The log ends with what is wrong and what to do. A failed backup leaves nothing on
the shelf and makes no older one expire; clearing the task is always safe. A run that has not
succeeded two hours after it was queued is told as late (`ROWBOAT_ALERT_URL`).
"""

from airflow.sdk import DAG, CronTriggerTimetable

from rowboat_airflow.alerts import deadline, failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import backup_params, prune, take

with DAG(
    "backup",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf; take, verify, pin"),
    description="Backs up all tables as AVRO and makes room on the shelf",
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"),
    deadline=deadline(hours=2),
    catchup=False,
    max_active_runs=1,
    params=backup_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    take() >> prune()
