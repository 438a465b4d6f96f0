"""Opens a file at its position, cuts the rest into chunks and makes each a cargo."""

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rowboat.address import Address
from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.recognise import recognise_dialect, sample_of
from rowboat.csvfile.record_hashes import Hashes, hash_records
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import split_records
from rowboat.csvfile.text import FileText, Prefix
from rowboat.csvfile.typed_cells import find_typed_cells
from rowboat.door.stage import Cargo, Refused
from rowboat.ingest.position import Position
from rowboat.settings import settings

Item = TypeVar("Item")


@dataclass(frozen=True)
class Opening:
    """A file opened at its position: `prefix` has been read, `text` continues after it.

    `before` is the recorded position, None for a new file. A `rewritten` file starts at its first
    byte again, as does one that now belongs to another `table`. If `last_line_grew`, text follows a
    last line that had no newline when it was loaded.
    """

    text: FileText
    prefix: Prefix
    table: Table
    before: Position | None = None
    rewritten: bool = False
    last_line_grew: bool = False

    @property
    def is_tail(self) -> bool:
        """Whether all that precedes is loaded, so that only appended text can follow."""
        return self.before is not None and self.before.is_complete and not self.rewritten

    @property
    def is_continued(self) -> bool:
        """Whether its beginning was read in an earlier pass, and is not read again."""
        return self.before is not None and self.before.loaded_bytes > 0 and not self.rewritten

    @property
    def replaces_rows(self) -> bool:
        """Whether the table has rows of an earlier version of the file."""
        return (
            self.rewritten
            and self.before is not None
            and self.before.table_name == self.table.full_name
            and self.before.read > self.before.rejected
        )

    def begin(self, others: Iterable[Table] = ()) -> Dialect:
        """Return how the file is written, and read on to its first record.

        A partly loaded file keeps its dialect: a sample from its middle has no header. `others` are
        the tables that a header which does not fit may be meant for. Raises FileRefused.
        """
        if self.before and self.before.dialect and self.is_continued:
            dialect = Dialect.from_json(self.before.dialect)
            dialect.check_columns(self.table)
        else:
            sample, is_whole = sample_of(self.text.peek, settings().record_bytes)
            dialect = recognise_dialect(sample, self.table, is_whole, self.text.name, others)
        if not self.prefix.size:
            self.prefix.extend(self.text.read(dialect.start))
        return dialect


def open_at_position(
    path: Address, before: Position | None, table: Table, again: bool = False
) -> Opening:
    """Open a file and read on to its position, if the loaded bytes are still the same.

    With `again`, or if it belonged to another table, it is opened as if it had been rewritten.

    An interrupted pass that had found equal rows starts again too: only its session knew which ones
    these were, and without them a repeated key cannot be told from an update. A file that goes on
    after it was unloaded starts again, as nothing of its beginning is in the table.
    """
    text = FileText(path)
    if before is None or before.loaded_bytes == 0:
        return Opening(text, Prefix(), table, before)
    if again or before.table_name != table.full_name:
        return Opening(text, Prefix(), table, before, rewritten=True)
    prefix = text.prefix(before.loaded_bytes)
    interrupted = not before.is_complete and before.unchanged > 0
    # Text appended to an unfinished last line would change a row that has been loaded.
    grew = not prefix.ends_line and text.peek(1) != b""
    continues = not grew or text.peek(1) in (b"\n", b"\r")
    same = (prefix.size, prefix.sha256) == (before.loaded_bytes, before.prefix_sha256)
    goes_on = before.unloaded_from is not None and text.peek(1) != b""
    if same and continues and not interrupted and not goes_on:
        return Opening(text, prefix, table, before, last_line_grew=grew)
    text.close()
    return Opening(FileText(path), Prefix(), table, before, True, same and grew)


def cut_text(
    text: FileText, cut: Callable[[bytes, bool], tuple[Item, int]]
) -> Generator[Item, None, None]:
    """Yield what `cut` makes of a text, holding about ROWBOAT_CHUNK_BYTES of it at a time.

    `cut` is given the bytes at hand and whether the file ends with them. It returns an item and the
    number of bytes used up; the others begin the next piece. A record that is longer than what is
    at hand is given more. The unfinished last record of a file that is still growing is left for
    the next load.
    """
    size = settings().chunk_bytes
    pending, more, consumed = b"", True, 0
    while more or pending:
        if more and (not consumed or len(pending) < size):
            held = len(pending)
            pending += text.read(size)
            more = len(pending) - held == size
        item, consumed = cut(pending, not more and text.still())
        if consumed:
            yield item
        elif not more:
            return
        pending = pending[consumed:]
        del item  # it may hold the bytes of its chunk: free them before the next ones are read


@dataclass(frozen=True)
class TextChunk:
    """Records cut from a file's text, which pass the door together; `made` is their cargo.

    `blanks` maps columns to the line (from 0) and the text of a cell with blanks around it.
    """

    records: Records
    hashes: Hashes
    table: Table
    source: FileText
    made: Cargo | None = None
    blanks: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def text(self) -> memoryview:
        """The bytes that the records use up, blank lines and headers included."""
        return memoryview(self.records.text)[: self.records.consumed]

    @property
    def newlines(self) -> int:
        """Number of newlines in `text`."""
        return self.records.newlines

    @property
    def headers(self) -> int:
        """Number of headers that were left out."""
        return self.records.headers

    def cargo(self, lines: int) -> Cargo:
        """Return the records as a cargo; `lines` of the file precede them.

        Its rows know their lines (from 1) and their original bytes.
        """
        records = self.records
        made, staged = self.made or stageable_cargo(records, self.table)[0], records.staged()

        def origin(index: int) -> tuple[int, bytes]:
            return lines + int(records.lines[index]) + 1, self.source.original(records.raw(index))

        refused = [Refused(*origin(index), why) for index, why in sorted(records.refused.items())]
        return replace(made, origin=lambda n: origin(int(staged[n])), refused=refused)

    def head(self, count: int) -> "TextChunk":
        """Return the first `count` records as a chunk of their own."""
        if count >= len(self):
            return self
        records, hashes = self.records.head(count), self.hashes[:count]
        return replace(self, records=records, hashes=hashes, made=None)

    def tail(self, count: int) -> "TextChunk":
        """Return the records after the first `count`."""
        records, hashes = self.records.tail(count), self.hashes[count:]
        return replace(self, records=records, hashes=hashes, made=None)

    def without_row(self, message: str) -> "TextChunk":
        """Return a chunk of one record as one whose record is refused with a message."""
        self.records.refuse(0, "check", message)
        return replace(self, made=None)


def text_chunks(opened: Opening, dialect: Dialect, table: Table) -> Iterator[TextChunk]:
    """Yield the chunks of a file from its position on, each with its cargo.

    Raises FileRefused as `split_records` does.
    """

    def cut(pending: bytes, at_end: bool) -> tuple[Records, int]:
        records = split_records(pending, dialect, at_end)
        if at_end and len(records) > 1 and pending[-1:] not in (b"\n", b"\r"):
            # The last line may go on one day: alone in its transaction, it can be taken back.
            records = records.head(len(records) - 1)
        return records, records.consumed

    for records in cut_text(opened.text, cut):
        made, blanks = stageable_cargo(records, table)
        yield TextChunk(records, hash_records(records), table, opened.text, made, blanks)
        del records, made  # as in `cut_text`


def stageable_cargo(records: Records, table: Table) -> tuple[Cargo, dict[str, tuple[int, str]]]:
    """Return those records of a chunk that can be staged as a cargo, and columns with blanks."""
    found = find_typed_cells(records, table.by_name, table.serial_key)
    csv = records.copy_text(found.spans)
    cargo = Cargo(
        columns=records.dialect.columns,
        content=lambda: io.BytesIO(csv),
        staged=len(records) - len(records.refused),
        delimiter=records.dialect.delimiter,
        plain=found.columns,
        odd=found.odd,
        keys=found.keys,
    )
    return cargo, found.blanks


def read_ahead(items: Iterator[Item]) -> Generator[Item]:
    """Yield from an iterator, while a thread makes the item after the one that is in use."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
            del item  # two items at a time are in memory, not three
