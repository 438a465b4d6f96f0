"""Files: list them with their states, upload and load them."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from flask import Blueprint, Response, g, render_template, request, url_for
from pydantic import Field

from api.actions import ingest
from api.console.elements import frame
from api.console.elements.words import size
from api.shared import forms, incoming
from api.shared.access import check_form, checks_form, scope
from api.shared.context import context, reading, the_table
from api.shared.incoming import FORM, Chosen
from api.shared.problems import Problem
from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import FileExists
from rowboat.ingest import file_states, outcome, upload
from rowboat.ingest.file_states import STATES, FileState
from rowboat.ingest.reports import MOST_REASONS

blueprint = Blueprint("files", __name__)

PAGE = 100  # files on a page
_KINDS = {
    "loaded": "good",
    "failed": "bad",
    "unmatched": "warn",
    "unloaded": "warn",
    "gone": "warn",
}


class FileQuery(forms.Form, strict=False):
    """Which files to show: those whose name contains `q`, of a state, last loaded by a run."""

    q: str = ""
    state: Literal[
        "", "loading", "waiting", "failed", "unmatched", "loaded", "unloaded", "gone"
    ] = ""
    run: str = ""
    page: int = Field(1, ge=1)

    def matches(self, file: FileState) -> bool:
        """Return whether a file has the wanted name and run; the state is not considered."""
        named = self.q.casefold() in file.name.casefold()
        run = file.position.run if file.position else None
        return named and (not self.run or run == self.run)


@blueprint.get("/files")
@scope("read")
def all() -> str:
    """List the files in raw_data, in pages."""
    ask = forms.parse_query(FileQuery)
    found, catalog = _files()
    asked = [each for each in found if ask.matches(each)]
    counts = Counter(each.state for each in asked)
    # A file that is gone is only listed if asked for: by its state, or by the run that loaded it.
    present = [each for each in found if each.state != "gone"]
    listed = asked if ask.run else [each for each in asked if each.state != "gone"]
    shown = [each for each in asked if each.state == ask.state] if ask.state else listed
    pages_ = max(1, -(-len(shown) // PAGE))
    page = min(ask.page, pages_)

    def address(**changes: Any) -> str:
        wanted = ask.model_dump() | {"page": 1} | changes
        return url_for(
            ".all", **{name: v for name, v in wanted.items() if v and (name, v) != ("page", 1)}
        )

    return render_template(
        "files.html",
        ask=ask, found=present, shown=shown[PAGE * (page - 1) : PAGE * page], many=len(shown),
        first=PAGE * (page - 1) + 1, page=page, pages=pages_, address=address,
        states=[(state, counts[state]) for state in STATES if counts[state]], kinds=_KINDS,
        asked=len(listed), tables=_tables(catalog), live=_pause(found),
    )  # fmt: skip


@blueprint.get("/file")
@scope("read")
def one() -> str:
    """Show the details of a file."""
    name = request.args.get("name", "")
    file = next((each for each in _files()[0] if each.name == name), None)
    if file is None:
        raise Problem(404, f"there is no file {name or '(no name)'}", "the page Files lists all")
    reasons = []
    if file.position and file.position.refused:
        with reading() as cursor:
            reasons = outcome.refused_rows(cursor, file.position)
    return render_template(
        "file.html", file=file, kinds=_KINDS, live=_pause([file]), reasons=reasons[:MOST_REASONS]
    )


@blueprint.post("/files")
@scope("operate")
@checks_form
def receive() -> Response:
    """Receive the file of the form as a stream and start a run that loads it."""
    request.max_content_length = sys.maxsize  # None would mean the limit of all other views
    if request.mimetype != FORM:
        raise Problem(415, "the form contains no file", "choose one, or drag it onto the form")
    try:
        received = incoming.receive_form(_choose)
    except FileExists as error:
        hint = "give it another name, or tick “Replace a file of the same name”"
        raise Problem(409, error.fact, hint) from None
    started = ingest.start_loading(received.file)
    arrived = f"{received.file} ({size(received.bytes)}) is in raw_data"
    if started.run is None:
        return frame.redirect_to(url_for(".all"), f"{arrived}. {started.detail}: {started.hint}.")
    return frame.redirect_to(
        _run(started.run), f"{arrived}; the run that loads it has been started."
    )


@blueprint.post("/files/ingest")
@scope("operate")
def load() -> Response:
    """Start a run that loads the given files, or all that have changed; or a dry run."""
    order = forms.fill_form(
        ingest.IngestForm,
        {
            "files": request.form.getlist("file") or None,
            "dry_run": "dry_run" in request.form,
            "checksum": "checksum" in request.form,
            "again": "again" in request.form,
        },
    )
    return frame.redirect_to(_run(ingest.start_ordered(order).run), "The run has been started.")


def _run(run: str) -> str:
    return url_for("console.runs.one", dag=ingest.DAG, run=run)


def _choose(given: str, fields: Mapping[str, str]) -> Chosen:
    """Return the name under which to keep a file, and whether it may replace another.

    `fields` are those before the file. The form token must be among them: nothing of the file is
    written before it has been checked.
    """
    check_form(fields.get("csrf", ""))  # raises before anything is written
    if not given:
        raise Problem(422, "no file was chosen", "choose one, or drag it onto the form")
    with reading() as cursor:
        catalog = context().catalog(cursor)
        wanted = fields.get("table")
        table = the_table(cursor, wanted) if wanted else upload.table_for_upload(given, catalog)
    g.caller.check(table.full_name)
    return upload.name_for_upload(given, table, catalog), "overwrite" in fields


def _files() -> tuple[list[FileState], Catalog]:
    """Return the files that the caller may see, and the catalog."""
    with reading() as cursor:
        catalog = context().catalog(cursor)
        found = file_states.list_file_states(cursor, catalog)
    if g.caller.tables is None:
        return found, catalog
    return [each for each in found if g.caller.sees(each.table or "")], catalog


def _tables(catalog: Catalog) -> list[Table]:
    return [each for each in catalog.in_order() if g.caller.sees(each.full_name)]


def _pause(found: list[FileState]) -> int | None:
    """Return the seconds after which the page refreshes, or None if nothing is about to change."""
    states = {each.state for each in found}
    return 2 if "loading" in states else 10 if "waiting" in states else None
