"""Files: how each stands, upload, and having them loaded."""

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
from rowboat.ingest import file_states, upload
from rowboat.ingest.file_states import STATES, FileState

blueprint = Blueprint("files", __name__)

PAGE = 100  # files
_KINDS = {"loaded": "good", "failed": "bad", "unmatched": "warn", "gone": "warn"}


class FileQuery(forms.Form, strict=False):
    """Which files: those whose name has `q` in it, of a state, touched last by a run."""

    q: str = ""
    state: Literal["", "loading", "waiting", "failed", "unmatched", "loaded", "gone"] = ""
    run: str = ""
    page: int = Field(1, ge=1)

    def holds(self, file: FileState) -> bool:
        """Tell whether a file's name and run are asked for."""
        named = self.q.casefold() in file.name.casefold()
        run = file.position.run if file.position else None
        return named and (not self.run or run == self.run)


@blueprint.get("/files")
@scope("read")
def all() -> str:
    """List the files, a page at a time."""
    ask = forms.parse_query(FileQuery)
    found, catalog = _files()
    asked = [each for each in found if ask.holds(each)]
    counts = Counter(each.state for each in asked)
    shown = [each for each in asked if each.state == ask.state] if ask.state else asked
    pages_ = max(1, -(-len(shown) // PAGE))
    page = min(ask.page, pages_)

    def address(**changes: Any) -> str:
        wanted = ask.model_dump() | {"page": 1} | changes
        return url_for(
            ".all", **{name: v for name, v in wanted.items() if v and (name, v) != ("page", 1)}
        )

    return render_template(
        "files.html",
        ask=ask, found=found, shown=shown[PAGE * (page - 1) : PAGE * page], many=len(shown),
        first=PAGE * (page - 1) + 1, page=page, pages=pages_, address=address,
        states=[(state, counts[state]) for state in STATES if counts[state]], kinds=_KINDS,
        asked=len(asked), tables=_tables(catalog), live=_pause(found),
    )  # fmt: skip


@blueprint.get("/file")
@scope("read")
def one() -> str:
    """Show all that is known of one file."""
    name = request.args.get("name", "")
    file = next((each for each in _files()[0] if each.name == name), None)
    if file is None:
        raise Problem(404, f"there is no file {name or '(nothing)'}", "the page Files lists them")
    return render_template("file.html", file=file, kinds=_KINDS, live=_pause([file]))


@blueprint.post("/files")
@scope("operate")
@checks_form
def receive() -> Response:
    """Take the file of the form as it comes, and have it loaded."""
    request.max_content_length = sys.maxsize  # None would be the limit of all other views
    if request.mimetype != FORM:
        raise Problem(415, "the form has no file", "choose one, or drag it onto the form")
    try:
        received = incoming.of_form(_choose)
    except FileExists as error:
        hint = "give it another name, or tick “Replace a file of the same name”"
        raise Problem(409, error.fact, hint) from None
    started = ingest.start_loading(received.file)
    arrived = f"{received.file} ({size(received.bytes)}) is in raw_data"
    if started["run"] is None:
        return frame.go(url_for(".all"), f"{arrived}. {started['detail']}: {started['hint']}.")
    return frame.go(_run(started), f"{arrived}; the run that loads it has been started.")


@blueprint.post("/files/ingest")
@scope("operate")
def load() -> Response:
    """Have files loaded, or all that changed; or only judged."""
    order = forms.fill_form(
        ingest.IngestForm,
        {
            "files": request.form.getlist("file") or None,
            "dry_run": "dry_run" in request.form,
            "checksum": "checksum" in request.form,
        },
    )
    return frame.go(_run(ingest.start_ordered(order)), "The run has been started.")


def _run(started: dict[str, Any]) -> str:
    return url_for("console.runs.one", dag=ingest.DAG, run=started["run"])


def _choose(given: str, fields: Mapping[str, str]) -> Chosen:
    """Return the name by which to keep a file; the form's token must have come before it."""
    check_form(fields.get("csrf", ""))
    if not given:
        raise Problem(422, "no file was chosen", "choose one, or drag it onto the form")
    with reading() as cursor:
        catalog = context().catalog(cursor)
        wanted = fields.get("table")
        table = the_table(cursor, wanted) if wanted else upload.table_for_upload(given, catalog)
    g.caller.check(table.full_name)
    return upload.name_for_upload(given, table, catalog), "overwrite" in fields


def _files() -> tuple[list[FileState], Catalog]:
    """Return the files that the caller may see."""
    with reading() as cursor:
        catalog = context().catalog(cursor)
        found = file_states.list_file_states(cursor, catalog)
    if g.caller.tables is None:
        return found, catalog
    return [each for each in found if g.caller.sees(each.table or "")], catalog


def _tables(catalog: Catalog) -> list[Table]:
    return [each for each in catalog.in_order() if g.caller.sees(each.full_name)]


def _pause(found: list[FileState]) -> int | None:
    """Return the seconds after which to look again; None where nothing is about to happen."""
    states = {each.state for each in found}
    return 2 if "loading" in states else 10 if "waiting" in states else None
