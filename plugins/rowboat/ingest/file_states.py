"""The state of every file: as it is in raw_data now, and how far it is loaded."""

from dataclasses import dataclass

from rowboat.catalog.tables import Catalog
from rowboat.csvfile.dialect import Dialect
from rowboat.database.connections import Cursor
from rowboat.errors import FileRefused
from rowboat.ingest import discovery, position
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.position import Position
from rowboat.ingest.reports import told_state
from rowboat.storage.file_names import PACKED, natural_key

STATES = ("loading", "waiting", "failed", "unmatched", "loaded", "unloaded", "gone")


@dataclass(frozen=True)
class FileState:
    """A file that is in raw_data now, or was loaded earlier; `size` is None if it is gone.

    A file is `waiting` if it is new or has changed since it was loaded or unloaded. `problem` says
    why it is not loaded.
    """

    name: str
    table: str | None
    state: str
    size: int | None
    position: Position | None
    problem: str | None = None

    @property
    def outcome(self) -> str:
        """The state, and how many rows are refused of a file that is loaded."""
        return told_state(self.state, self.position.refused if self.position else 0)

    @property
    def notes(self) -> list[str]:
        """Sentences about how its columns were found, and what of it was left out."""
        known = self.position
        return Dialect.from_json(known.dialect).notes() if known and known.dialect else []

    @property
    def packed(self) -> bool:
        """Whether its position counts the bytes of its unpacked text, not those of the file."""
        return self.name.lower().endswith(PACKED)


def list_file_states(cursor: Cursor, catalog: Catalog) -> list[FileState]:
    """Return all files that are in raw_data or were loaded, by name; raises FileRefused."""
    known = position.all_positions(cursor)
    present = [
        _present(each, known.pop(each.name, None)) for each in discovery.scan_folder(catalog)
    ]
    return sorted(
        [*present, *map(_elsewhere, known.values())], key=lambda each: natural_key(each.name)
    )


def present_positions(cursor: Cursor) -> list[Position]:
    """Return the positions of all files but those that are gone, in natural order.

    If raw_data cannot be read now, nothing is known to be gone.
    """
    known = position.all_positions(cursor)
    try:
        present = {each.name for each in discovery.open_raw_data().entries()}
    except FileRefused:
        return list(known.values())
    return [each for name, each in known.items() if name in present or _is_outside(name)]


def _present(found: FoundFile, before: Position | None) -> FileState:
    if found.table is None:
        state = "failed" if found.remedy else "unmatched"
        return FileState(found.name, None, state, found.size, before, found.problem)
    state, problem = "waiting", None
    if before and before.state == "loading":
        state = "loading"
    elif before and before.covers(found.table.full_name, found.size, found.version):
        state = before.state
    elif before and before.state == "failed":
        problem = before.error
        if (before.file_size, before.file_version) == (found.size, found.version):
            state = "failed"
    return FileState(found.name, found.table.full_name, state, found.size, before, problem)


def _elsewhere(known: Position) -> FileState:
    """Return a file that is gone, or was loaded from elsewhere: then its name is absolute."""
    outside = _is_outside(known.file_name)
    size, state = (known.file_size, known.state) if outside else (None, "gone")
    return FileState(known.file_name, known.table_name, state, size, known, known.error)


def _is_outside(name: str) -> bool:
    return name.startswith("/")
