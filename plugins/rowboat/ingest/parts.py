"""Parts of a large file, which tasks of their own stage, so that its load need only merge them.

A part is a stretch of the file between two record borders. Its table holds its rows as text, each
with what it shows by itself (cells and CHECKs); the table's comment tells what it was made of. A
part that is missing or no longer fits is not used: the load reads the file as ever.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import split_records
from rowboat.database.connections import Cursor
from rowboat.database.statements import query
from rowboat.door.stage import Cargo, Refused, Staged
from rowboat.errors import FileChanged, PartLost
from rowboat.ingest.discovery import FoundFile
from rowboat.storage.interfaces import OpenedFile
from rowboat.storage.opening import open_file

_SCHEMA = "rowboat_parts"


@dataclass(frozen=True)
class Part:
    """Bytes `first` to `last` of a file as it was: its size, its version, how it is written."""

    file: str
    size: int
    version: str
    dialect: Dialect
    first: int
    last: int

    @property
    def table(self) -> sql.Identifier:
        """The table of its rows."""
        return sql.Identifier(_SCHEMA, f"{_prefix(self.file)}{self.first}")

    def to_json(self) -> dict[str, Any]:
        """Return it as a task takes it."""
        return asdict(self) | {"dialect": self.dialect.to_json()}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Part":
        """Read what `to_json` wrote."""
        return cls(**(kept | {"dialect": Dialect.from_json(kept["dialect"])}))

    def records(self, at: int, text: bytes) -> Records:
        """Cut what of `text`, which lies at byte `at` of the file, is whole and of this part."""
        records = split_records(text, self.dialect, at_end=at + len(text) == self.size)
        records = records.until(min(records.consumed, self.last - at))
        if len(records) and int(records.ends[-1]) > records.consumed:
            raise FileChanged
        if self.dialect.header and at <= self.dialect.first and len(records):
            return records.without_first()
        return records


@dataclass(frozen=True)
class Chunk:
    """What of a part passes the door at once: `size` bytes with `newlines`, of which `staged` rows
    lie there and `refused` could not. To cut them one has to see `reach` bytes. `plain` columns lie
    there as values, but for cells of `odd` ones.
    """

    size: int
    reach: int
    newlines: int
    staged: int
    refused: int
    sha256: str
    plain: list[str]
    odd: list[str]


@dataclass
class StagedPart:
    """A part whose rows lie ready for a table of this form."""

    part: Part
    form: str
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def staged(self) -> int:
        """Number of rows in its table."""
        return sum(chunk.staged for chunk in self.chunks)

    def to_json(self) -> str:
        """Return it as the comment of its table."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "StagedPart":
        """Read what `to_json` wrote."""
        chunks = [Chunk(**each) for each in kept["chunks"]]
        return cls(Part.from_json(kept["part"]), kept["form"], chunks)


@dataclass
class WaitingChunk:
    """A chunk that waits to be merged: its bytes, and in its part the number before its rows."""

    part: Part
    chunk: Chunk
    text: bytes
    file: OpenedFile
    at: int
    before: int

    @property
    def newlines(self) -> int:
        """Number of newlines in `text`."""
        return self.chunk.newlines

    def cargo(self, lines: int) -> Cargo:
        """Return it as a cargo whose rows know their original bytes, and their lines, the first of
        which is `lines` + 1. Only where a row is refused is it cut again.
        """
        again: list[Records] = []

        def records() -> Records:
            if not again:
                text = read_exactly(self.file, self.at, self.chunk.reach)
                again.append(self.part.records(self.at, text))
            return again[0]

        def origin(index: int) -> tuple[int, bytes]:
            return lines + int(records().lines[index]) + 1, records().raw(index)

        refused = records().refused if self.chunk.refused else {}
        return Cargo(
            columns=self.part.dialect.columns,
            content=Staged(self.part.table, self.before),
            staged=self.chunk.staged,
            origin=lambda n: origin(int(records().staged()[n])),
            plain=frozenset(self.chunk.plain),
            odd={name: {} for name in self.chunk.odd},
            refused=[Refused(*origin(index), why) for index, why in sorted(refused.items())],
        )


def ready_parts(
    cursor: Cursor, found: FoundFile, file: OpenedFile, dialect: Dialect, first: int
) -> list[StagedPart]:
    """Return the parts of a file from byte `first` to its end, in order.

    Raises PartLost where one is missing or was made of another version of the file or the table.
    """
    assert found.table is not None
    cursor.execute(query("parts.lying"), {"file": _prefix(found.name)})
    lying = [StagedPart.from_json(facts) for (facts,) in cursor.fetchall()]
    known = {each.part.first: each for each in lying}
    chain: list[StagedPart] = []
    while first < file.size:
        each = known.get(first)
        if each is None:
            raise PartLost
        part = Part(found.name, file.size, file.version, dialect, first, each.part.last)
        if (each.part, each.form) != (part, table_digest(found.table)):
            raise PartLost
        chain.append(each)
        first = part.last
    return chain


def part_chunks(file: OpenedFile, staged: list[StagedPart]) -> Iterator[WaitingChunk]:
    """Give the chunks of parts in order; raises PartLost where the file's bytes are others."""
    for each in staged:
        at, before = each.part.first, 0
        for chunk in each.chunks:
            text = read_exactly(file, at, chunk.size)
            if hashlib.sha256(text).hexdigest() != chunk.sha256:
                raise PartLost
            yield WaitingChunk(each.part, chunk, text, file, at, before)
            at, before = at + chunk.size, before + chunk.staged


def drop_parts(cursor: Cursor, staged: list[StagedPart]) -> None:
    """Take away parts that have been merged."""
    names = sql.SQL(", ").join(each.part.table for each in staged)
    cursor.execute(query("parts.drop", parts=names))


def sweep_parts(cursor: Cursor) -> None:
    """Take away whatever parts there are, but for those that are in use."""
    cursor.execute(query("parts.sweep"))


def table_digest(table: Table) -> str:
    """Return a digest of all that is known of a table."""
    return hashlib.sha256(repr(table).encode()).hexdigest()


def read_exactly(file: OpenedFile, at: int, size: int) -> bytes:
    """Return `size` bytes of a file; raises FileChanged where it has fewer."""
    file.seek(at)
    parts, left = [], size
    while left and (block := file.read(left)):
        parts.append(block)
        left -= len(block)
    if left:
        raise FileChanged("it shrank while it was read")
    return b"".join(parts)


@contextmanager
def opened_unchanged(found: FoundFile, size: int, version: str) -> Iterator[OpenedFile]:
    """Open a file that is to be as it was; raises FileChanged."""
    try:
        file = open_file(found.path)
    except OSError:
        raise FileChanged from None
    with file:
        if (file.size, file.version) != (size, version):
            raise FileChanged
        yield file


def _prefix(file: str) -> str:
    return f"p{hashlib.sha256(file.encode()).hexdigest()[:24]}_"
