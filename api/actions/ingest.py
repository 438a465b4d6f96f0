"""What the API and the console both do with files: start their load, describe them."""

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated, Any

from flask import g, url_for
from pydantic import AfterValidator

from api.shared import forms
from api.shared.airflow import start
from api.shared.context import context, reading
from rowboat.errors import AirflowUnreachable, FileRefused, Forbidden
from rowboat.ingest import discovery, position
from rowboat.ingest.position import Position
from rowboat.ingest.run import add_up_run
from rowboat.settings import settings

DAG = "ingest"
INWARD = ("id", "version", "dialect", "file_version", "prefix_sha256")


def _below(name: str) -> str:
    """Refuse what leads out of raw_data."""
    path = PurePosixPath(name)
    if not name.isprintable() or path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError("must be a name below raw_data")
    return name


class IngestForm(forms.Form):
    """What to load: these files, or all that changed."""

    files: list[Annotated[str, AfterValidator(_below)]] | None = None
    dry_run: bool = False
    checksum: bool = False


def describe_work(run: str, conf: dict[str, Any] | None) -> dict[str, Any]:
    """Tell what a run loaded, and how its files stand: those it took or was asked to take."""
    asked = (conf or {}).get("files") or []
    with reading() as cursor:
        totals = add_up_run(cursor, run)
        known = position.all_positions(cursor).values()
    mine = [each for each in known if each.run == run or each.file_name in asked]
    return {"totals": vars(totals), "files": describe_files(mine)}


def start_ordered(order: IngestForm) -> dict[str, Any]:
    """Start a run for an order; raises FileRefused or Forbidden."""
    _check(order.files or [])
    return start_ingest(**order.model_dump())


def start_ingest(**form: Any) -> dict[str, Any]:
    """Start a run and tell where its state is."""
    run = start(DAG, **form)
    return {"run": run, "state": "queued", "url": url_for("ingest.one_run", run=run)}


def start_loading(file: str) -> dict[str, Any]:
    """Have a file loaded; where Airflow does not answer, tell that it will be."""
    try:
        return start_ingest(files=[file])
    except AirflowUnreachable as error:
        hint = "the file is safe in raw_data: it is loaded as soon as Airflow is back"
        return {"run": None, "state": None, "url": None, "detail": error.fact, "hint": hint}


def _check(files: list[str]) -> None:
    """Raise FileRefused or Forbidden unless the files are there and the caller's own."""
    if g.caller.tables is not None and not files:
        raise Forbidden(f"the key {g.caller.id} does not hold for all tables", "name the files")
    with reading() as cursor:
        catalog = context().catalog(cursor)
    for name in files:
        found = discovery.locate_file(settings().raw_data / name, catalog)
        if found.table is None:
            raise FileRefused(f"{name} {found.problem}", "name it after its table")
        g.caller.check(found.table.full_name)


def describe_files(found: list[Position]) -> list[dict[str, Any]]:
    """Describe the files that the caller may see."""
    return [
        {name: value for name, value in asdict(each).items() if name not in INWARD}
        for each in found
        if g.caller.tables is None or g.caller.sees(each.table_name or "")
    ]
