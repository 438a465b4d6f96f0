"""
### Brings back what a restore overwrote, after a person has approved the plan

#### When
By hand, with the form above *Trigger*: the number of the restore, as `rowboat backups`
shows it, and whether deletes may touch other tables.

#### What
The same as the DAG `restore` does, from the safety copy of that restore and for every
table that it touched: `plan` tells the numbers, `approve` waits for a person, `apply` carries it
out in one transaction. An undo can itself be undone.

#### When it fails
The log ends with what is wrong and what to do; the tables are as they were.
"""

from airflow.sdk import DAG

from rowboat_airflow.alerts import failed
from rowboat_airflow.console import documented
from rowboat_airflow.tasks.restore import apply, approve, plan, report, safety_copy, undo_params

with DAG(
    "undo",
    doc_md=documented(__doc__, "/backups", "The restores that can be undone"),
    description="Brings back what a restore overwrote, after a person has approved the plan",
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
