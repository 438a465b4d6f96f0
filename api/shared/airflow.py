"""The application's session with Airflow, and what every operation asks of it."""

from typing import Any

from flask import current_app, g

from rowboat.airflow_client import Airflow, connect_to_airflow

_PATIENCE = 5  # seconds: a hanging Airflow must not hold the threads of all others


def airflow() -> Airflow:
    """Return the session, one for the whole process."""
    found = current_app.extensions.get("airflow")
    if found is None:
        found = current_app.extensions["airflow"] = connect_to_airflow(_PATIENCE)
    session: Airflow = found
    return session


def start(dag: str, **form: Any) -> str:
    """Start a run for the caller, whom its note names; return its id."""
    note = f"for the key {g.caller.id} ({g.caller.name}), request {g.request}"
    return airflow().trigger(dag, note, **form)


def tasks(dag: str, run: str) -> list[dict[str, Any]]:
    """Return a run's tasks: name, what it works on, state, tries, times."""
    return [
        {
            "task": each["task_id"],
            "of": each.get("rendered_map_index"),
            "state": each["state"],
            "tries": each.get("try_number"),
            "started": each.get("start_date"),
            "ended": each.get("end_date"),
        }
        for each in airflow().tasks(dag, run)
    ]


def outline(run: dict[str, Any]) -> dict[str, Any]:
    """Return what callers see of a run of Airflow."""
    return {
        "run": run["dag_run_id"],
        "state": run["state"],
        "started": run.get("start_date"),
        "ended": run.get("end_date"),
    }
