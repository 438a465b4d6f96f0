"""What a load of one file is given, what passes the door at once, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from rowboat.catalog.tables import Catalog, Table
from rowboat.csvfile.dialect import count
from rowboat.csvfile.record_hashes import Hashes
from rowboat.csvfile.records import Records
from rowboat.csvfile.text import Prefix
from rowboat.database.connections import Cursor, Steps
from rowboat.door.merge import hold_parents, skip_triggers
from rowboat.door.passage import Passage, Report
from rowboat.door.stage import Cargo
from rowboat.errors import Stopped
from rowboat.ingest.changes.earlier_records import find_arrived
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.position import Position
from rowboat.ingest.reports import FileReport, Run

_SHOWN = 80  # characters of a cell in a sentence


@dataclass(frozen=True)
class LoadSetup:
    """What is to be loaded, how its transactions keep parents from being deleted, and whether its
    rows may be deleted and inserted anew.

    `catalog` has all tables, to one of which the header may belong. `report` is kept true while the
    file is loaded: if the load fails midway, it tells what is in.
    """

    steps: Steps
    found: FoundFile
    table: Table
    run: Run
    catalog: Catalog
    report: FileReport
    skips_triggers: bool = False
    holds_parents: bool = False
    displaces: bool = False

    def hold_parents(self, cursor: Cursor) -> None:
        """Lock the parents, as the first statement of a transaction.

        REPEATABLE READ takes its snapshot at the first SELECT or change, LOCK not included. So a
        parent deleted before the lock is seen as deleted, and none can be deleted after it.
        """
        if self.skips_triggers:
            skip_triggers(cursor, self.table)
        elif self.holds_parents:
            hold_parents(cursor, self.table)

    def check_stop(self) -> None:
        """Raise Stopped if the run is to end."""
        if self.run.stop.is_set():
            raise Stopped


class LoadChunk(Protocol):
    """What passes the door at once: a `TextChunk`, or a `WaitingChunk` of a part."""

    @property
    def text(self) -> bytes | memoryview:
        """The bytes that its records use up."""

    @property
    def newlines(self) -> int:
        """Number of newlines in `text`."""

    @property
    def headers(self) -> int:
        """Number of headers that were left out."""

    @property
    def records(self) -> Records:
        """Its records."""

    @property
    def hashes(self) -> Hashes:
        """The hashes of its records."""

    @property
    def blanks(self) -> Mapping[str, tuple[int, str]]:
        """Columns of text → the line (from 0) and the text of a cell with blanks around it."""

    def cargo(self, lines: int) -> Cargo:
        """Return its records as a cargo; `lines` of the file precede them."""


@dataclass
class Seen:
    """What is told of the chunks of a pass: `headers` that were left out, and for columns of text
    the line (from 1) and the text of the first cell with blanks around it.
    """

    headers: int = 0
    blanks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, chunk: LoadChunk, lines: int) -> None:
        """Add a chunk; `lines` of the file precede it."""
        self.headers += chunk.headers
        for name, (line, cell) in chunk.blanks.items():
            self.blanks.setdefault(name, (lines + line + 1, cell))

    def notes(self) -> list[str]:
        """Return sentences about them."""
        found = []
        if self.headers:
            found.append(f"the header again in {count(self.headers, 'line')}: left out")
        if self.blanks:
            line, cell = min(self.blanks.values())
            shown = cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}…"
            columns = ", ".join(self.blanks)
            found.append(
                f"blanks around text are kept in {columns}, e.g. '{shown}' in line {line:,}"
            )
        return found


@dataclass(frozen=True)
class LoadStep:
    """The next chunk as a cargo; `prefix` and `loaded_lines` are those of the text up to its end.

    `lines` of the file precede it. `hashes` are those of its records, None if there is no key by
    which rows could be told from those of an earlier version.
    """

    cargo: Cargo
    hashes: Hashes | None
    prefix: Prefix
    lines: int
    loaded_lines: int


@dataclass(frozen=True)
class LoadProgress:
    """How far a pass has come, as of its last committed transaction.

    It is never changed: a chunk returns the next one. To undo chunks that were rolled back is to
    keep the one from before them. `above` is the number of lines above the first record. `earlier`
    are the sorted hashes of the records of earlier versions, None if there are none.
    """

    prefix: Prefix
    position: Position
    passage: Passage
    total: Report
    above: int
    has_key: bool
    earlier: Hashes | None

    @property
    def lines(self) -> int:
        """Number of lines that precede the next chunk."""
        # An unfinished last line is counted as loaded; the chunk after it begins with its newline.
        in_line = not self.prefix.ends_line and self.position.loaded_bytes > 0
        return self.position.loaded_lines - in_line if self.position.loaded_bytes else self.above

    def step(self, chunk: LoadChunk) -> LoadStep:
        """Return the next step. It hashes the chunk, so call it before any lock is taken."""
        prefix = self.prefix.copy()
        prefix.extend(chunk.text)
        lines = self.lines
        loaded_lines = lines + chunk.newlines + (not prefix.ends_line)
        cargo = chunk.cargo(lines)
        hashes = chunk.hashes if self.has_key else None
        if hashes is not None and self.earlier is not None:
            arrived = find_arrived(hashes[chunk.records.staged()], self.earlier)
            cargo = replace(cargo, arrived=arrived)
        return LoadStep(cargo, hashes, prefix, lines, loaded_lines)
