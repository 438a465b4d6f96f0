"""
### Restores a table from a backup, after a person has approved the plan

#### When
By hand, with the form under *Trigger*: the table, the set (empty: the newest verified), the mode,
and whether deletes may change other tables.

#### What
`plan` counts the rows that would be inserted, updated and deleted, and the rows of other tables
that foreign keys would change; it changes nothing. `approve` shows these numbers under *Required
Actions* and waits for a person; after 24 hours without an answer the plan is rejected.
`safety_copy` backs up and verifies the present rows. `apply` restores in one transaction: readers
see the old rows until they see the new ones. If the plan has become different, nothing is done.

#### How to undo it
The log of `report` names the command: `rowboat undo ID`.

#### When it fails
The log ends with the error and what to do. The table has not been changed.
"""

from airflow.sdk import DAG

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.restore import apply, approve, plan, report, restore_params, safety_copy

with DAG(
    "restore",
    doc_md=documented(__doc__, "/backups", "Restore a table, step by step"),
    description="Restores a table from a backup, after a person has approved the plan",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=restore_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    planned, approved = plan(), approve()
    safety = safety_copy(planned)
    done = apply(planned, safety)
    planned >> approved >> safety >> done >> report(done)
