"""
### Proves that the newest backup can be restored

#### When
Every Sunday at 04:00 UTC, after the nightly backup. It can be started by hand for any set.

#### What
The set is restored into a scratch schema in the same way as any restore: each row is judged,
merged and read back, foreign keys included. Then the digests are compared with those of the set,
and the scratch schema is dropped. `rowboat status` shows the age of the last successful drill.

#### When it fails
The log says which table differs, or which rows break a present rule. The tables have not been
changed. Take another backup, and check the disk.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import drill_params, restore_on_trial

with DAG(
    "drill",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf, and when each was proven"),
    description="Restores the newest backup into a scratch schema and compares digests",
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params=drill_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    restore_on_trial()
