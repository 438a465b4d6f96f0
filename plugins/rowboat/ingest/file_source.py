"""Opens a file where its position stands, and makes its records a cargo."""

import io
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from rowboat.address import Address
from rowboat.catalog.tables import Table
from rowboat.csvfile import dialect
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.records import Records
from rowboat.csvfile.text import FileText, Prefix
from rowboat.csvfile.typed_cells import find_typed_cells
from rowboat.door.stage import Cargo, Refused
from rowboat.ingest.position import Position

Item = TypeVar("Item")


def open_at_position(path: Address, before: Position | None) -> tuple[FileText, Prefix, bool]:
    """Open a file where its position stands; tell whether it was rewritten and starts anew.

    An interrupted pass that had found equal rows starts anew too: which ones, only that session
    knew, and without them a key that stands twice could not be told from an update.
    """
    text = FileText(path)
    if before is None or before.loaded_bytes == 0:
        return text, Prefix(), False
    prefix = text.prefix(before.loaded_bytes)
    interrupted = before.state != "loaded" and before.unchanged > 0
    goes_on = prefix.last in (b"\n", b"\r") or text.peek(1) in (b"", b"\n", b"\r")
    same = (prefix.size, prefix.sha256) == (before.loaded_bytes, before.prefix_sha256)
    if same and goes_on and not interrupted:
        return text, prefix, False
    text.close()
    return FileText(path), Prefix(), True


def dialect_of(text: FileText, before: Position | None, rewritten: bool, table: Table) -> Dialect:
    """Return how a file is written: as before, where a part of it is loaded."""
    if before and before.dialect and before.loaded_bytes and not rewritten:
        return Dialect.from_json(before.dialect)
    return dialect.recognise_dialect(text.peek(dialect.SAMPLE_BYTES), table)


def locate_rows(text: FileText, records: Records, made: Cargo, lines: int) -> Cargo:
    """Let the rows of a cargo that was made of a chunk know their lines and original bytes."""
    staged = records.staged()

    def origin(index: int) -> tuple[int, bytes]:
        return lines + int(records.lines[index]) + 1, text.original(records.raw(index))

    refused = [Refused(*origin(index), why) for index, why in sorted(records.refused.items())]
    return replace(made, origin=lambda n: origin(int(staged[n])), refused=refused)


def stageable_cargo(records: Records, table: Table) -> Cargo:
    """Make those records of a chunk that can be staged a cargo."""
    found = find_typed_cells(records, table.by_name, table.serial_key)
    csv = records.copy_text(found.spans)
    return Cargo(
        columns=records.dialect.columns,
        content=lambda: io.BytesIO(csv),
        staged=len(records) - len(records.refused),
        delimiter=records.dialect.delimiter,
        plain=found.columns,
        odd=found.odd,
        keys=found.keys,
    )


def read_ahead(items: Iterator[Item]) -> Generator[Item]:
    """Give what an iterator gives; a thread makes the next while the last one is worked with."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
            del item
