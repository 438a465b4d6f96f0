"""
### Proves that a backup is whole

#### When
By hand, with the form above *Trigger*: a set, or none for the newest. Every backup is read back
when it is taken; this tells whether it still is what it was.

#### What
Every file of the set is read to its end and every row decoded; sizes, sums and digests are compared
with the manifest and the record. `rowboat backups` then shows the set as verified.

#### When it fails
The log tells which file differs and how. The set no longer counts as verified: no restore takes it
by itself, and no other set goes because of it. Take another backup, and look at the disk.
"""

from airflow.sdk import DAG

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import read_back, verify_params

with DAG(
    "verify",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf, and when each was verified"),
    description="Reads a backup to its end and compares it with its manifest",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=verify_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    read_back()
