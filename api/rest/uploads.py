"""Takes files of any length into raw_data and has them loaded."""

import sys
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, g, request

from api.actions.ingest import start_loading
from api.shared import forms, incoming
from api.shared.access import scope
from api.shared.context import context, reading, the_table
from api.shared.incoming import FORM, Chosen
from api.shared.problems import Problem
from rowboat.ingest import upload
from rowboat.ingest.upload import Received

blueprint = Blueprint("uploads", __name__)

_ENDINGS = {"text/csv": ".csv", "application/gzip": ".csv.gz", "application/x-gzip": ".csv.gz"}


class UploadQuery(forms.Form, strict=False):
    """How the file is to be named, and whether it may replace another."""

    name: str | None = None
    overwrite: bool = False


@blueprint.post("/api/<table:table>/file")
@scope("operate")
def receive(table: str) -> tuple[dict[str, Any], int]:
    """Take a file as the body, or as the one of a form; then have it loaded."""
    request.max_content_length = sys.maxsize  # None would be the limit of all other views
    choice = forms.parse_query(UploadQuery)
    with reading() as cursor:
        found, catalog = the_table(cursor, table), context().catalog(cursor)

    def choose(given: str, _: Mapping[str, str]) -> Chosen:
        return upload.name_for_upload(choice.name or given, found, catalog), choice.overwrite

    received = _received(choose)
    return vars(received) | start_loading(received.file), 202


def _received(choose: incoming.Choose) -> Received:
    if request.content_encoding not in (None, "identity"):
        raise Problem(415, "the body is encoded", "send a packed file as application/gzip")
    if request.mimetype == FORM:
        return incoming.of_form(choose)
    if ending := _ENDINGS.get(request.mimetype):
        return incoming.of_body(*choose(f"upload-{g.request}{ending}", {}))
    raise Problem(415, f"a file comes as {', '.join([*_ENDINGS, FORM])}", "set Content-Type")
