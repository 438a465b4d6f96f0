"""
### Brings back the rows that a restore overwrote, after a person has approved the plan

#### When
By hand, with the form under *Trigger*: the number of the restore, as `rowboat backups` shows it,
and whether deletes may change other tables.

#### What
It works like the DAG `restore`, but takes the rows from the safety copy of that restore, for every
table that the restore changed: `plan` shows the numbers, `approve` waits for a person, and `apply`
restores in one transaction. An undo can itself be undone.

#### When it fails
The log ends with the error and what to do. The tables have not been changed.
"""

from airflow.sdk import DAG

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.restore import apply, approve, plan, report, safety_copy, undo_params

with DAG(
    "undo",
    doc_md=documented(__doc__, "/backups", "The restores that can be undone"),
    description="Brings back the rows that a restore overwrote, after a person's approval",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=undo_params(),
    tags=["rowboat"],
    default_args={"owner": "rowboat", "on_failure_callback": failed},
):
    planned, approved = plan(), approve("Undo restore {{ params.restore }}?")
    safety = safety_copy(planned)
    done = apply(planned, safety)
    planned >> approved >> safety >> done >> report(done)
