"""Lists the folder of CSV files and finds the table that each file belongs to."""

from dataclasses import dataclass

from rowboat.address import Address
from rowboat.catalog.tables import Catalog, Table
from rowboat.settings import settings
from rowboat.storage import opening
from rowboat.storage.file_names import SUFFIXES, stem_of
from rowboat.storage.interfaces import Folder, StoredFile


@dataclass(frozen=True)
class FoundFile:
    """A file as it was when the folder was read.

    `name` is relative to raw_data, or absolute if the file is elsewhere. If the file cannot be
    loaded, `table` is None and `problem` says why.
    """

    name: str
    path: Address
    size: int
    version: str
    table: Table | None = None
    problem: str | None = None


def scan_folder(catalog: Catalog) -> list[FoundFile]:
    """Return every file of raw_data by name, without hidden and unfinished ones.

    Raises FileRefused if the folder itself cannot be read.
    """
    found = sorted(open_raw_data().entries(), key=lambda each: each.name)
    return [_found(each, catalog) for each in found]


def locate_file(path: Address, catalog: Catalog) -> FoundFile:
    """Return a file that the user named, with its table; raises FileRefused if it is missing."""
    return _found(open_raw_data().entry(path), catalog)


def open_raw_data() -> Folder:
    """Return the folder that ROWBOAT_RAW_DATA names."""
    return opening.open_folder(settings().raw_data)


def match_table(name: str, catalog: Catalog) -> tuple[Table | None, str | None]:
    """Return the table that a file belongs to, or else the reason why it belongs to none.

    Its own name must begin with the table's name, or one of its folders, the innermost first, must
    have that name. The longest name wins. Case matters only if two tables differ in nothing else.
    """
    *folders, last = name.split("/")
    own = stem_of(last)
    if own is None:
        return None, f"does not end in {', '.join(SUFFIXES)}, with or without .gz"
    folders = [part for part in reversed(folders) if part not in ("", ".")]
    for part, whole in [(own, False), *((folder, True) for folder in folders)]:
        candidates = _candidates(part, whole, catalog)
        if len(candidates) == 1:
            return candidates[0], None
        if candidates:
            names = " and ".join(table.full_name for table in candidates)
            return None, f"belongs to {names} alike: put the schema in front of its name"
    known = ", ".join(table.name for table in catalog.in_order())
    return None, f"belongs to no table: its name begins with none of {known}"


def _found(file: StoredFile, catalog: Catalog) -> FoundFile:
    table, problem = (None, file.problem) if file.problem else match_table(file.name, catalog)
    return FoundFile(file.name, file.path, file.size, file.version, table, problem)


def _candidates(part: str, whole: bool, catalog: Catalog) -> list[Table]:
    names = [
        (name, table)
        for name, folded, table in catalog.names
        if part[: len(name)].casefold() == folded and _ends(part[len(name) :], whole)
    ]
    longest = max((len(name) for name, _ in names), default=0)
    found = [(name, table) for name, table in names if len(name) == longest]
    exact = [table for name, table in found if part.startswith(name)]
    return exact or [table for _, table in found]


def _ends(rest: str, whole: bool) -> bool:
    return not rest or (not whole and not rest[0].isalnum())
