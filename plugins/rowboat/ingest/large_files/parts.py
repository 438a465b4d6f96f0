"""Parts of a large file, staged by separate tasks, so that the load only needs to merge them.

A part is the piece of a file between two record borders. Its table holds its rows, each with the
verdicts that need no other row (cells and CHECKs). The table's comment records what it was made
from. If a part is missing or no longer fits, no part is used, and the load reads the file itself.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.record_hashes import Hashes, hash_records
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
    """Bytes `first` to `last` of a file that had this size, version and dialect."""

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
        """Return the part as JSON, as one task hands it to another."""
        return asdict(self) | {"dialect": self.dialect.to_json()}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Part":
        """Return the part that `to_json` wrote."""
        return cls(**(kept | {"dialect": Dialect.from_json(kept["dialect"])}))

    def records(self, at: int, text: bytes) -> Records:
        """Return the complete records of `text` that belong to this part.

        `at` is the byte of the file at which `text` begins. Raises FileChanged if a record crosses
        the end of the part, which was a border when the file was cut.
        """
        records = split_records(text, self.dialect, at_end=at + len(text) == self.size)
        # `text` may reach beyond the part: the splitter needs the bytes behind a doubtful quote.
        records = records.until(min(records.consumed, self.last - at))
        if len(records) and int(records.ends[-1]) > records.consumed:
            raise FileChanged
        return records


@dataclass(frozen=True)
class Chunk:
    """The piece of a part that passes the door at once.

    `size` bytes hold `newlines` newlines; `staged` rows are in the part's table, `refused` ones
    could not be staged. The splitter must read `reach` bytes (at least `size`) to repeat the cut.
    `plain` columns are staged as values, except for some cells of the `odd` ones among them.
    `headers` were left out; `blanks` are as in `TextChunk`.
    """

    size: int
    reach: int
    newlines: int
    staged: int
    refused: int
    sha256: str
    plain: list[str]
    odd: list[str]
    headers: int
    blanks: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass
class StagedPart:
    """A part whose rows are staged; `form` is the digest of the table that they are for."""

    part: Part
    form: str
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def staged(self) -> int:
        """Number of rows in the part's table."""
        return sum(chunk.staged for chunk in self.chunks)

    def to_json(self) -> str:
        """Return the staged part as JSON, for the comment of its table."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "StagedPart":
        """Return the staged part that `to_json` wrote."""
        chunks = [Chunk(**each) for each in kept["chunks"]]
        return cls(Part.from_json(kept["part"]), kept["form"], chunks)


@dataclass
class WaitingChunk:
    """A staged chunk to be merged: `text` is its bytes, from byte `at` of the file on.

    `before` rows of its part precede its own.
    """

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

    @property
    def headers(self) -> int:
        """Number of headers that were left out."""
        return self.chunk.headers

    @cached_property
    def records(self) -> Records:
        """The records of the chunk, which is cut again for them."""
        text = read_exactly(self.file, self.at, self.chunk.reach)
        return self.part.records(self.at, text)

    @property
    def hashes(self) -> Hashes:
        """The hashes of the records."""
        return hash_records(self.records)

    @property
    def blanks(self) -> dict[str, tuple[int, str]]:
        """Columns of text → the line (from 0) and the text of a cell with blanks around it."""
        return self.chunk.blanks

    def cargo(self, lines: int) -> Cargo:
        """Return the chunk as a cargo; `lines` of the file precede it.

        Its rows know their lines (from 1) and their original bytes.
        """

        def origin(index: int) -> tuple[int, bytes]:
            return lines + int(self.records.lines[index]) + 1, self.records.raw(index)

        refused = self.records.refused if self.chunk.refused else {}
        return Cargo(
            columns=self.part.dialect.columns,
            content=Staged(self.part.table, self.before),
            staged=self.chunk.staged,
            origin=lambda n: origin(int(self.records.staged()[n])),
            plain=frozenset(self.chunk.plain),
            odd={name: {} for name in self.chunk.odd},
            refused=[Refused(*origin(index), why) for index, why in sorted(refused.items())],
        )


def ready_parts(
    cursor: Cursor, found: FoundFile, file: OpenedFile, dialect: Dialect, first: int
) -> list[StagedPart]:
    """Return the parts of a file from byte `first` to its end, in order.

    Raises PartLost if one is missing or was made from another version of the file or the table.
    """
    assert found.table is not None
    cursor.execute(query("parts.staged"), {"file": _prefix(found.name)})
    staged = [StagedPart.from_json(facts) for (facts,) in cursor.fetchall()]
    known = {each.part.first: each for each in staged}
    chain: list[StagedPart] = []
    # The parts must be a chain without gaps from the position to the end. All of them or none: a
    # load that mixed parts with its own reading would have to prove that both cut alike.
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
    """Yield the chunks of parts in order; raises PartLost if the file has other bytes now."""
    for each in staged:
        at, before = each.part.first, 0
        for chunk in each.chunks:
            text = read_exactly(file, at, chunk.size)
            # A file can be rewritten in place with the same size and time; the digest tells.
            if hashlib.sha256(text).hexdigest() != chunk.sha256:
                raise PartLost
            yield WaitingChunk(each.part, chunk, text, file, at, before)
            at, before = at + chunk.size, before + chunk.staged


def drop_parts(cursor: Cursor, staged: list[StagedPart]) -> None:
    """Drop the tables of parts that have been merged."""
    names = sql.SQL(", ").join(each.part.table for each in staged)
    cursor.execute(query("parts.drop", parts=names))


def sweep_parts(cursor: Cursor) -> None:
    """Drop the tables of all parts, except those in use."""
    cursor.execute(query("parts.sweep"))


def table_digest(table: Table) -> str:
    """Return a digest of all that the catalog knows about a table."""
    # repr() of the nested dataclasses contains every column, key and CHECK: any change of the table
    # since the part was staged, and its verdicts may be wrong.
    return hashlib.sha256(repr(table).encode()).hexdigest()


def read_exactly(file: OpenedFile, at: int, size: int) -> bytes:
    """Return `size` bytes of a file from byte `at` on; raises FileChanged if it is shorter."""
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
    """Open a file that must have this size and version; raises FileChanged if it has not."""
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
