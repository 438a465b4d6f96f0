"""
### Proves that the newest backup can be restored

#### When
Every Sunday at 04:00 UTC, after the nightly backup; and by hand, for any set.

#### What
The set is restored into a scratch schema by the way of every restore: each row is judged,
merged and read back, foreign keys included; the digests are compared with the set's. Then the
scratch schema is dropped. `rowboat status` shows how old the last proven restore is.

#### When it fails
The log tells which table differs or which rows break a rule of today. The
database is as it was; take another backup and look at the disk.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import drill_params, restore_on_trial

with DAG(
    "drill",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf, and when each was proven"),
    description="Restores the newest backup into a scratch schema and compares",
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params=drill_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    restore_on_trial()
