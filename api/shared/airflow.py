"""The connection of the application to Airflow, and runs and tasks as callers see them."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from flask import current_app, g
from pydantic import WithJsonSchema

from rowboat.airflow_client import Airflow, connect_to_airflow

_PATIENCE = 5  # seconds: a hanging Airflow must not occupy all threads

Time: TypeAlias = Annotated[str, WithJsonSchema({"format": "date-time", "type": "string"})]


@dataclass(kw_only=True)
class StartedRun:
    """A run of Airflow that was started; `url` returns its state."""

    run: str
    state: str
    url: str


@dataclass(kw_only=True)
class RunOutline:
    """A run of Airflow."""

    run: str
    state: str
    started: Time | None
    ended: Time | None


@dataclass(kw_only=True)
class RunTask:
    """A task of a run; `of` names what it works on if there are several such tasks."""

    task: str
    of: str | None
    state: str | None
    tries: int | None
    started: Time | None
    ended: Time | None


def airflow() -> Airflow:
    """Return the client of Airflow; there is one per process."""
    found = current_app.extensions.get("airflow")
    if found is None:
        found = current_app.extensions["airflow"] = connect_to_airflow(_PATIENCE)
    session: Airflow = found
    return session


def start_run(dag: str, **form: Any) -> str:
    """Start a run with a note that names the caller; return the run's ID."""
    note = f"for the key {g.caller.id} ({g.caller.name}), request {g.request}"
    return airflow().trigger(dag, note, **form)


def list_tasks(dag: str, run: str) -> list[RunTask]:
    """Return the first hundred tasks of a run."""
    return [
        RunTask(
            task=each["task_id"],
            of=each.get("rendered_map_index"),
            state=each["state"],
            tries=each.get("try_number"),
            started=each.get("start_date"),
            ended=each.get("end_date"),
        )
        for each in airflow().tasks(dag, run)
    ]


def outline_run(run: dict[str, Any]) -> RunOutline:
    """Return the part of a run, as Airflow describes it, that callers see."""
    return RunOutline(
        run=run["dag_run_id"],
        state=run["state"],
        started=run.get("start_date"),
        ended=run.get("end_date"),
    )
