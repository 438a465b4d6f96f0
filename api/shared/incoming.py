"""Receives the file of a request into raw_data as a stream.

It is written once, to its final disk, and gets its name only when it is complete.
"""

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
_PIECE = 2**16  # bytes read at once
_MEMORY = 2**20  # bytes of a form kept in memory: a few pieces, and all fields but the file
Chosen = tuple[str, bool]
Choose = Callable[[str, Mapping[str, str]], Chosen]


def receive_body(name: str, overwrite: bool) -> Received:
    """Receive the body as a file; raises Problem (400) if the connection breaks before its end."""
    with upload.open_upload(name, overwrite) as arrival:
        for piece in _pieces():
            arrival.write(piece)
        # A broken connection looks like the end of the body; only the length tells them apart.
        if request.content_length not in (None, arrival.bytes):
            raise _broken()
        return arrival.keep()


def receive_form(choose: Choose) -> Received:
    """Receive the file of a multipart form; raises Problem (400, 422).

    `choose` gets the file's own name and the fields before it, and returns the name under which to
    keep it and whether it may replace another file. Nothing is written before that, so `choose`
    can check the caller's rights.
    """
    fields: dict[str, bytearray] = defaultdict(bytearray)
    arrival: UploadInProgress | None = None
    with ExitStack() as opened:
        for event in _events():
            if isinstance(event, Field):
                write = _bounded(fields, event.name)
            elif isinstance(event, File):
                if arrival:
                    raise Problem(422, "the form contains more than one file", "send one at a time")
                chosen = choose(event.filename, {name: _text(f) for name, f in fields.items()})
                arrival = opened.enter_context(upload.open_upload(*chosen))
                write = arrival.write
            elif isinstance(event, Data):
                write(event.data)
        if not arrival:
            raise Problem(422, "the form contains no file", "send one field of type file")
        return arrival.keep()


def _events() -> Iterator[Event]:
    """Yield the events of the multipart form; raises Problem (400) if it is incomplete."""
    boundary = request.mimetype_params.get("boundary", "").encode()
    decoder = MultipartDecoder(boundary, _MEMORY, max_parts=10)
    pieces = _pieces()
    try:
        while boundary and not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, NeedData):
                # None is the end of the body: the decoder raises ValueError if more was to come.
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
    """Return a function that appends to a field and limits the size of all fields together."""

    def add(data: bytes) -> None:
        fields[name] += data
        if sum(map(len, fields.values())) > _MEMORY:
            raise RequestEntityTooLarge

    return add


def _text(field: bytearray) -> str:
    return field.decode("utf-8", "replace")


def _broken() -> Problem:
    return Problem(400, "the body ended before it was complete", "send the file again")
