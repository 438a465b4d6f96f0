"""Files, for the API and the console: start a load, report what a run did."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from flask import g, url_for
from pydantic import AfterValidator

from api.shared import forms
from api.shared.airflow import StartedRun, start_run
from api.shared.context import context, reading
from rowboat.door.passage import Report
from rowboat.errors import AirflowUnreachable, FileRefused, Forbidden
from rowboat.ingest import discovery, position
from rowboat.ingest.position import Position
from rowboat.ingest.run import add_up_run
from rowboat.settings import settings

DAG = "ingest"


def _below(name: str) -> str:
    """Reject a path that leads out of raw_data."""
    path = PurePosixPath(name)
    if not name.isprintable() or path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError("must be a name below raw_data")
    return name


class IngestForm(forms.Form):
    """The files to load (default: all that have changed), and how."""

    files: list[Annotated[str, AfterValidator(_below)]] | None = None
    dry_run: bool = False
    checksum: bool = False
    again: bool = False


@dataclass(kw_only=True)
class FileLoad:
    """The run that loads a file; without a run, `detail` and `hint` say why there is none yet."""

    run: str | None = None
    state: str | None = None
    url: str | None = None
    detail: str = ""
    hint: str = ""


@dataclass(kw_only=True)
class RunWork:
    """What a run loaded, and the positions of its files."""

    totals: Report
    files: list[Position]


def describe_work(run: str, conf: dict[str, Any] | None) -> RunWork:
    """Return what a run loaded, with the files that it loaded last or was asked to load."""
    asked = (conf or {}).get("files") or []
    with reading() as cursor:
        totals = add_up_run(cursor, run)
        known = position.all_positions(cursor).values()
    mine = [each for each in known if each.run == run or each.file_name in asked]
    return RunWork(totals=totals, files=visible_files(mine))


def start_ordered(order: IngestForm) -> StartedRun:
    """Start a run for a form; raises FileRefused, Forbidden."""
    _check(order.files or [])
    return start_ingest(**order.model_dump())


def start_ingest(**form: Any) -> StartedRun:
    """Start a run of the DAG ingest."""
    run = start_run(DAG, **form)
    return StartedRun(run=run, state="queued", url=url_for("ingest.one_run", run=run))


def start_loading(file: str) -> FileLoad:
    """Start a run that loads a file in raw_data.

    Without Airflow this is no error: the file is there, and the next run will load it.
    """
    try:
        return FileLoad(**vars(start_ingest(files=[file])))
    except AirflowUnreachable as error:
        hint = "the file is safe in raw_data and will be loaded once Airflow is back"
        return FileLoad(detail=error.fact, hint=hint)


def _check(files: list[str]) -> None:
    """Raise FileRefused or Forbidden unless each file belongs to a table that the key allows."""
    if g.caller.tables is not None and not files:
        raise Forbidden(f"the key {g.caller.id} is limited to some tables", "name the files")
    with reading() as cursor:
        catalog = context().catalog(cursor)
    for name in files:
        found = discovery.locate_file(settings().raw_data / name, catalog)
        if found.table is None:
            raise FileRefused(f"{name} {found.problem}", "name it after its table")
        g.caller.check(found.table.full_name)


def visible_files(found: list[Position]) -> list[Position]:
    """Return the files of tables that the caller may see."""
    return [
        each for each in found if g.caller.tables is None or g.caller.sees(each.table_name or "")
    ]
