"""The folder of CSV files: what lies there, and to which table each file belongs."""

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

    `name` is relative to raw_data (absolute where it lies elsewhere); `table` is None and
    `problem` says why, where it cannot be loaded.
    """

    name: str
    path: Address
    size: int
    version: str
    table: Table | None = None
    problem: str | None = None


def scan_folder(catalog: Catalog) -> list[FoundFile]:
    """List every file of raw_data by name; hidden and unfinished ones are left out.

    Raises FileRefused where the folder itself cannot be read.
    """
    found = sorted(open_raw_data().entries(), key=lambda each: each.name)
    return [_found(each, catalog) for each in found]


def locate_file(path: Address, catalog: Catalog) -> FoundFile:
    """Find the table of one file that the user named; raises FileRefused where there is none."""
    return _found(open_raw_data().entry(path), catalog)


def open_raw_data() -> Folder:
    """Return the folder that ROWBOAT_RAW_DATA names."""
    return opening.open_folder(settings().raw_data)


def match_table(name: str, catalog: Catalog) -> tuple[Table | None, str | None]:
    """Return the table whose name a file or one of its folders begins with, or why there is none.

    The longest name wins; case counts only where two tables differ by nothing else.
    """
    *folders, last = name.split("/")
    own = stem_of(last)
    if own is None:
        return None, f"is not one of {', '.join(SUFFIXES)}, packed (.gz) or not"
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


def _found(lying: StoredFile, catalog: Catalog) -> FoundFile:
    table, problem = (None, lying.problem) if lying.problem else match_table(lying.name, catalog)
    return FoundFile(lying.name, lying.path, lying.size, lying.version, table, problem)


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
