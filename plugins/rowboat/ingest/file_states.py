"""Every file: as it lies in raw_data now, and how far it is loaded."""

from dataclasses import dataclass

from rowboat.catalog.tables import Catalog
from rowboat.database.connections import Cursor
from rowboat.ingest import discovery, position
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.position import Position
from rowboat.storage.file_names import PACKED

STATES = ("loading", "waiting", "failed", "unmatched", "loaded", "gone")


@dataclass(frozen=True)
class FileState:
    """A file of raw_data, or one that was there; `size` is None where it no longer is.

    It is `waiting` where it is new or has changed since it was loaded. `problem` tells why it is
    not loaded.
    """

    name: str
    table: str | None
    state: str
    size: int | None
    position: Position | None
    problem: str | None = None

    @property
    def packed(self) -> bool:
        """Tell whether its position counts other bytes than the file's own: those of its text."""
        return self.name.lower().endswith(PACKED)


def list_file_states(cursor: Cursor, catalog: Catalog) -> list[FileState]:
    """List what lies in raw_data, and what was loaded, by name; raises FileRefused."""
    known = position.all_positions(cursor)
    lying = [_lying(each, known.pop(each.name, None)) for each in discovery.scan_folder(catalog)]
    return sorted([*lying, *map(_elsewhere, known.values())], key=lambda each: each.name)


def _lying(found: FoundFile, before: Position | None) -> FileState:
    if found.table is None:
        return FileState(found.name, None, "unmatched", found.size, before, found.problem)
    state, problem = "waiting", None
    if before and before.state == "loading":
        state = "loading"
    elif before and before.covers(found.size, found.version):
        state = "loaded"
    elif before and before.state == "failed":
        problem = before.error
        if (before.file_size, before.file_version) == (found.size, found.version):
            state = "failed"
    return FileState(found.name, found.table.full_name, state, found.size, before, problem)


def _elsewhere(known: Position) -> FileState:
    """Return a file that is gone from raw_data, or that was never there: its name is absolute."""
    outside = known.file_name.startswith("/")
    size, state = (known.file_size, known.state) if outside else (None, "gone")
    return FileState(known.file_name, known.table_name, state, size, known, known.error)
