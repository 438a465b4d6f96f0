"""
### Backs up all tables and deletes expired sets

#### When
Every night at 02:00 UTC. To start it by hand, use the form under *Trigger*: back up only some
tables, or pin the set so that it is kept regardless of its age.

#### What
`take` writes one AVRO file for each table, all from one snapshot, into a new set under `backups/`;
then it reads every row back and compares. `prune` deletes the sets that no retention rule keeps;
its log says for each set why it is kept or deleted.

#### When a set is suspicious
A set is marked suspicious if it is empty, or if a table has lost many rows since its last backup.
It causes no other set to expire. See `rowboat backups`.

#### When it fails
The log ends with the error and what to do. A failed backup leaves nothing on the shelf and causes
no older set to expire; clearing the task is always safe. If a run has not succeeded two hours
after it was queued, an alert is sent (`ROWBOAT_ALERT_URL`).
"""

from airflow.sdk import DAG, CronTriggerTimetable

from rowboat_airflow.alerts import deadline, failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import backup_params, prune, take

with DAG(
    "backup",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf; take, verify, pin"),
    description="Backs up all tables as AVRO and deletes expired sets",
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"),
    deadline=deadline(hours=2),
    catchup=False,
    max_active_runs=1,
    params=backup_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    take() >> prune()
