"""Takes files of any length into raw_data and has them loaded."""

import io
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, g, request
from werkzeug.formparser import FormDataParser

from api import forms
from api.access import scope
from api.context import context, reading, the_table
from api.errors import Problem
from api.ingest import started
from rowboat import upload
from rowboat.upload import Arrival, Received
from rowboat_airflow.client import AirflowUnreachable

blueprint = Blueprint("uploads", __name__)

_ENDINGS = {"text/csv": ".csv", "application/gzip": ".csv.gz", "application/x-gzip": ".csv.gz"}
_FORM = "multipart/form-data"
_PIECE = 2**16  # bytes
_MEMORY = 2**20  # bytes that the parser of forms may hold: some pieces and what is no file
Namer = Callable[[str], str]


class Choice(forms.Form, strict=False):
    """How the file is to be named, and whether it may replace another."""

    name: str | None = None
    overwrite: bool = False


@blueprint.post("/api/<table:table>/file")
@scope("operate")
def receive(table: str) -> tuple[dict[str, Any], int]:
    """Take a file as the body, or as the one of a form; then have it loaded."""
    request.max_content_length = sys.maxsize  # None would be the limit of all other views
    choice = forms.query(Choice)
    with reading() as cursor:
        found, catalog = the_table(cursor, table), context().catalog(cursor)

    def name(given: str) -> str:
        return upload.name_for(choice.name or given, found, catalog)

    received = _received(name, choice.overwrite)
    return vars(received) | _load(received.file), 202


def _received(name: Namer, overwrite: bool) -> Received:
    if request.content_encoding not in (None, "identity"):
        raise Problem(415, "the body is encoded", "send a packed file as application/gzip")
    with ExitStack() as opened:
        if request.mimetype == _FORM:
            return _of_form(name, overwrite, opened).keep()
        if ending := _ENDINGS.get(request.mimetype):
            arrival = opened.enter_context(
                upload.arriving(name(f"upload-{g.request}{ending}"), overwrite)
            )
            _of_body(arrival)
            return arrival.keep()
    raise Problem(415, f"a file comes as {', '.join([*_ENDINGS, _FORM])}", "set Content-Type")


def _of_body(arrival: Arrival) -> None:
    """Write the body as it comes; a connection that breaks is no end of the file."""
    while True:
        try:
            piece = request.stream.read(_PIECE)
        except OSError:
            raise _broken() from None
        if not piece:
            break
        arrival.write(piece)
    if request.content_length not in (None, arrival.bytes):
        raise _broken()


def _of_form(name: Namer, overwrite: bool, opened: ExitStack) -> Arrival:
    """Write the one file of a form as it comes: it is nowhere twice."""
    arrivals: list[Arrival] = []

    def begin(filename: str | None, **_: Any) -> "_Sink":
        if arrivals:
            raise Problem(422, "the form has more than one file", "send one at a time")
        arrivals.append(opened.enter_context(upload.arriving(name(filename or ""), overwrite)))
        return _Sink(arrivals[0])

    parser = FormDataParser(
        begin,  # type: ignore[arg-type]  # it is called by names
        max_form_memory_size=_MEMORY, max_form_parts=10, silent=False,
    )  # fmt: skip
    try:
        parser.parse(request.stream, _FORM, request.content_length, request.mimetype_params)
    except (ValueError, OSError):
        raise _broken() from None
    if not arrivals:
        raise Problem(422, "the form has no file", "send one field of the type file")
    return arrivals[0]


class _Sink(io.RawIOBase):
    """Lets the parser of forms write into an arrival."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival

    def write(self, data: Any) -> int:
        """Add bytes."""
        return self._arrival.write(bytes(data))

    def seek(self, *_: int) -> int:
        """Stay: the parser goes back to the beginning when it has ended."""
        return 0


def _broken() -> Problem:
    return Problem(400, "the body ended before it was whole", "send the file again")


def _load(file: str) -> dict[str, Any]:
    try:
        return started(files=[file])
    except AirflowUnreachable as error:
        hint = "the file is safe in raw_data: it is loaded as soon as Airflow is back"
        return {"run": None, "state": None, "url": None, "detail": error.fact, "hint": hint}
