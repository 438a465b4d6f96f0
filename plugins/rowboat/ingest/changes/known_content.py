"""Recognises a file whose text was loaded under another name: moved, packed, linked or copied."""

from dataclasses import replace
from hashlib import sha256

from rowboat.catalog.tables import Catalog
from rowboat.csvfile.dialect import BYTE_ORDER_MARK, Dialect
from rowboat.csvfile.text import BLOCK, FileText
from rowboat.database.connections import Cursor
from rowboat.ingest import discovery, position
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.reports import Run
from rowboat.settings import settings
from rowboat.storage.file_names import PACKED

_MARK = len(BYTE_ORDER_MARK)


def take_known(cursor: Cursor, found: FoundFile, catalog: Catalog, run: Run) -> str | None:
    """Record a new file as loaded if another file brought all rows of it into its table; return a
    sentence about that, or None. A table that has been emptied since is loaded anew.

    If the other file is gone, this one is its continuation and gets its history.
    """
    assert found.table is not None
    candidates = position.loaded_positions(cursor, found.table, _possible_sizes(found))
    if not candidates:
        return None
    digests, size = _digests(found)
    known = next(
        (each for each in candidates if (each.loaded_bytes, each.prefix_sha256) in digests), None
    )
    if known is None or known.dialect is None:
        return None
    dialect = Dialect.from_json(known.dialect)
    shift = size - known.loaded_bytes  # one of the two may have a byte-order mark
    known = replace(
        known,
        loaded_bytes=size,
        prefix_sha256=next(sha for length, sha in digests if length == size),
        dialect=replace(dialect, start=dialect.start + shift).to_json(),
    )
    is_moved = not discovery.find_file(settings().raw_data / known.file_name, catalog).version
    if is_moved:
        position.rename_file(cursor, known, found.name, found.size, found.version)
        return f"was {known.file_name}, whose rows are loaded: nothing is loaded twice"
    position.copy_position(cursor, known, found.name, found.size, found.version, run.who)
    return f"has the same text as {known.file_name}: nothing is loaded twice"


def _possible_sizes(found: FoundFile) -> list[int] | None:
    """Return the sizes in bytes that a file's text may have; None if it is packed.

    Only a file that may be another one is opened, as that costs a request if it is an object. In
    UTF-16 a character has two bytes; other characters than those of ASCII are not reckoned with.
    """
    if found.name.lower().endswith(PACKED):
        return None
    whole, half = found.size, found.size // 2
    return [size + more for size in (whole, half, half - 1) for more in (-_MARK, 0, _MARK)]


def _digests(found: FoundFile) -> tuple[list[tuple[int, str]], int]:
    """Return size and sha256 of a file's text, without and with a byte-order mark, and the size
    that it has as it is.
    """
    bare, marked = sha256(), sha256(BYTE_ORDER_MARK)
    with FileText(found.path) as text:
        has_mark = text.peek(_MARK) == BYTE_ORDER_MARK
        if has_mark:
            text.read(_MARK)
        size = 0
        while block := text.read(4 * BLOCK):
            size += len(block)
            bare.update(block)
            marked.update(block)
    digests = [(size, bare.hexdigest()), (size + _MARK, marked.hexdigest())]
    return digests, size + _MARK * has_mark
