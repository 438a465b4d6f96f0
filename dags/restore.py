"""
### Restores a table from a backup, after a person has approved the plan

#### When
By hand, with the form above *Trigger*: the table, the set (empty: the newest verified),
the mode, and whether deletes may touch other tables.

#### What
`plan` tells how many rows would be inserted, updated and deleted, and how many rows of
other tables foreign keys would touch; nothing is changed. `approve` shows these numbers under
*Required Actions* and waits for a person; without an answer within 24 hours it is rejected.
`safety_copy` backs up and verifies what is there. `apply` carries the plan out in one transaction:
readers see the old rows until they see the new ones. If the plan no longer holds, nothing is done.

#### Taking it back
The log of `report` names the command: `rowboat undo ID`.

#### When it fails
The log ends with what is wrong and what to do; the table is as it was.
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
