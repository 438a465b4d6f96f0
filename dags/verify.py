"""
### Proves that a backup is intact

#### When
By hand, with the form under *Trigger*: a set, or none for the newest. Every backup is read back
when it is taken; this DAG shows whether it is still intact.

#### What
Every file of the set is read completely and every row decoded; sizes, checksums and digests are
compared with the manifest and the record. `rowboat backups` then shows the set as verified.

#### When it fails
The log says which file differs and how. The set no longer counts as verified: a restore does not
choose it by default, and it causes no other set to expire. Take another backup, and check the
disk.
"""

from airflow.sdk import DAG

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.backup import read_back, verify_params

with DAG(
    "verify",
    doc_md=documented(__doc__, "/backups", "The sets on the shelf, and when each was verified"),
    description="Reads a backup completely and compares it with its manifest",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=verify_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    read_back()
