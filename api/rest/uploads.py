"""Uploads: files of any size, kept in raw_data and loaded from there."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, g, request

from api.actions.ingest import start_loading
from api.shared import forms, incoming
from api.shared.access import scope
from api.shared.answers import answer_with
from api.shared.context import context, reading, the_table
from api.shared.incoming import FORM, Chosen
from api.shared.problems import Problem
from rowboat.ingest import upload
from rowboat.ingest.upload import Received

blueprint = Blueprint("uploads", __name__)

_ENDINGS = {"text/csv": ".csv", "application/gzip": ".csv.gz", "application/x-gzip": ".csv.gz"}


class UploadQuery(forms.Form, strict=False):
    """The name to give the file, and whether it may replace another."""

    name: str | None = None
    overwrite: bool = False


@dataclass(kw_only=True)
class UploadReceipt:
    """A file in raw_data and the run that loads it; `run` is null while Airflow does not answer."""

    file: str
    bytes: int
    sha256: str
    run: str | None
    state: str | None
    url: str | None
    detail: str = ""
    hint: str = ""


@blueprint.post("/api/<table:table>/file")
@scope("operate")
def receive(table: str) -> Response:
    """Upload a file as the body, or in a form, and start a run that loads it."""
    request.max_content_length = sys.maxsize  # None would mean the limit of all other views
    choice = forms.parse_query(UploadQuery)
    with reading() as cursor:
        found, catalog = the_table(cursor, table), context().catalog(cursor)

    def choose(given: str, _: Mapping[str, str]) -> Chosen:
        return upload.name_for_upload(choice.name or given, found, catalog), choice.overwrite

    received = _received(choose)
    load = start_loading(received.file)
    return answer_with(UploadReceipt(**vars(received), **vars(load)), 202)


def _received(choose: incoming.Choose) -> Received:
    if request.content_encoding not in (None, "identity"):
        hint = "send a compressed file with the Content-Type application/gzip instead"
        raise Problem(415, "Content-Encoding is not supported", hint)
    if request.mimetype == FORM:
        return incoming.receive_form(choose)
    if ending := _ENDINGS.get(request.mimetype):
        return incoming.receive_body(*choose(f"upload-{g.request}{ending}", {}))
    media = ", ".join([*_ENDINGS, FORM])
    raise Problem(415, f"a file is accepted as {media}", "set the header Content-Type")
