"""Takes the file of a request into raw_data as it comes: it is nowhere twice, and never half."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from api.shared.problems import Problem
from rowboat.ingest import upload
from rowboat.ingest.upload import Received, UploadInProgress

FORM = "multipart/form-data"
_PIECE = 2**16  # bytes
_MEMORY = 2**20  # bytes that a form may hold here: some pieces and what is no file
Chosen = tuple[str, bool]
Choose = Callable[[str, Mapping[str, str]], Chosen]


def of_body(name: str, overwrite: bool) -> Received:
    """Keep the body as a file; a connection that breaks is no end of it."""
    with upload.open_upload(name, overwrite) as arrival:
        for piece in _pieces():
            arrival.write(piece)
        if request.content_length not in (None, arrival.bytes):
            raise _broken()
        return arrival.keep()


def of_form(choose: Choose) -> Received:
    """Keep the one file of a form.

    `choose` is given the file's own name and the fields before it, and returns the name to keep it
    by and whether it may replace another: before that nothing of it is written.
    """
    fields: dict[str, bytearray] = defaultdict(bytearray)
    arrival: UploadInProgress | None = None
    with ExitStack() as opened:
        for event in _events():
            if isinstance(event, Field):
                write = _bounded(fields, event.name)
            elif isinstance(event, File):
                if arrival:
                    raise Problem(422, "the form has more than one file", "send one at a time")
                chosen = choose(event.filename, {name: _text(f) for name, f in fields.items()})
                arrival = opened.enter_context(upload.open_upload(*chosen))
                write = arrival.write
            elif isinstance(event, Data):
                write(event.data)
        if not arrival:
            raise Problem(422, "the form has no file", "send one field of the type file")
        return arrival.keep()


def _events() -> Iterator[Event]:
    """Read the form part by part."""
    boundary = request.mimetype_params.get("boundary", "").encode()
    decoder = MultipartDecoder(boundary, _MEMORY, max_parts=10)
    pieces = _pieces()
    try:
        while boundary and not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, NeedData):
                decoder.receive_data(next(pieces, None))
            else:
                yield event
    except ValueError:
        raise _broken() from None
    if not boundary:
        raise _broken()


def _pieces() -> Iterator[bytes]:
    try:
        while piece := request.stream.read(_PIECE):
            yield piece
    except OSError:
        raise _broken() from None


def _bounded(fields: dict[str, bytearray], name: str) -> Callable[[bytes], object]:
    """Return what adds to a field, as long as all of them are small."""

    def add(data: bytes) -> None:
        fields[name] += data
        if sum(map(len, fields.values())) > _MEMORY:
            raise RequestEntityTooLarge

    return add


def _text(field: bytearray) -> str:
    return field.decode("utf-8", "replace")


def _broken() -> Problem:
    return Problem(400, "the body ended before it was whole", "send the file again")
