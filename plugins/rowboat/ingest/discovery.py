"""Lists the folder of CSV files and finds the table that each file belongs to."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from rowboat.address import Address
from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import FileRefused
from rowboat.settings import settings
from rowboat.storage import opening
from rowboat.storage.file_names import SUFFIXES, natural_key, stem_of
from rowboat.storage.interfaces import Folder, StoredFile

_SEPARATOR = r"[\s._-]"
# What may follow a table's name: a date or a number, or a text that is set off. Not a letter, and
# not "_" and a letter: jobs_history is most likely another table. A number ends with its last
# digit, so t12 is not a file of t1.
_BEGINS = rf"(?={_SEPARATOR}*\Z|[\s.(-]|_+\d|(?<!\d)\d)"
_WHOLE = rf"(?={_SEPARATOR}*\Z)"


@dataclass(frozen=True)
class FoundFile:
    """A file as it was when the folder was read.

    `name` is relative to raw_data, or absolute if the file is elsewhere. If the file cannot be
    loaded, `table` is None and `problem` says why; if it cannot be read at all, `remedy` says what
    to do, and if it is missing, `version` is empty.
    """

    name: str
    path: Address
    size: int
    version: str
    table: Table | None = None
    problem: str | None = None
    remedy: str | None = None


def scan_folder(catalog: Catalog) -> list[FoundFile]:
    """Return every file of raw_data in natural order, without those left alone.

    Raises FileRefused if the folder itself cannot be read.
    """
    found = sorted(open_raw_data().entries(), key=lambda each: natural_key(each.name))
    return [_found(each, catalog) for each in found]


def find_file(path: Address, catalog: Catalog) -> FoundFile:
    """Return a file that the user named, with its table, even if there is no such file."""
    return _found(open_raw_data().entry(path), catalog)


def locate_file(path: Address, catalog: Catalog) -> FoundFile:
    """Return a file that the user named, with its table; raises FileRefused if it is missing."""
    found = find_file(path, catalog)
    if found.remedy:
        raise FileRefused(f"{found.path} {found.problem}", found.remedy)
    return found


def open_raw_data() -> Folder:
    """Return the folder that ROWBOAT_RAW_DATA names."""
    return opening.open_folder(settings().raw_data)


def match_table(name: str, catalog: Catalog) -> tuple[Table | None, str | None]:
    """Return the table that a file belongs to, or else the reason why it belongs to none.

    A folder in a folder named after a schema, or a file in it, names one of its tables. Else the
    innermost folder that has a table's name decides, else the beginning of the file's own name.
    """
    *folders, last = unicodedata.normalize("NFC", name).split("/")  # macOS writes é as two letters
    own = stem_of(last)
    if own is None:
        return None, f"does not end in {', '.join(SUFFIXES)}, with or without .gz or .zip"
    places = _places(folders, own, catalog)
    for place in places:
        candidates = _candidates(place, catalog)
        if len(candidates) == 1:
            return candidates[0], None
        if candidates:
            names = " and ".join(table.full_name for table in candidates)
            return None, f"belongs to {names} alike: {_how_to_choose(candidates)}"
    return None, f"belongs to no table: {_why_none(own, places, catalog)}"


def _found(file: StoredFile, catalog: Catalog) -> FoundFile:
    table, problem = (None, file.problem) if file.problem else match_table(file.name, catalog)
    return FoundFile(file.name, file.path, file.size, file.version, table, problem, file.remedy)


@dataclass(frozen=True)
class _Place:
    """A part of a path that may name a table of some schemas, and how the name must end in it."""

    part: str
    end: str
    schemas: set[str]

    def may_name(self, table: Table) -> bool:
        """Whether the table is of one of the schemas; without schemas, it is."""
        return not self.schemas or table.schema in self.schemas


def _places(folders: Sequence[str], own: str, catalog: Catalog) -> list[_Place]:
    """Return the places that may name the table, the one that counts most first."""
    schemas, places = set[str](), list[_Place]()
    for folder in folders:
        places.insert(0, _Place(folder, _WHOLE, schemas))
        schemas = _schemas_called(folder, catalog) or schemas
    places.append(_Place(own, _BEGINS, schemas))
    if folders and not folders[0]:
        # A file elsewhere: its folders were not named for Rowboat, so its own name comes first.
        return [places.pop(), _Place(own, _BEGINS, set()), *places]
    return sorted(places, key=lambda place: not place.schemas)


def _schemas_called(folder: str, catalog: Catalog) -> set[str]:
    if folder in catalog.schemas:
        return {folder}
    return {schema for schema in catalog.schemas if _pattern(_WHOLE, schema).match(folder)}


def _how_to_choose(candidates: list[Table]) -> str:
    if len({table.name.casefold() for table in candidates}) == 1:
        return "put the schema in front of its name"
    return "move it to a folder named after its table"


def _why_none(own: str, places: list[_Place], catalog: Catalog) -> str:
    meant = [place for place in places if place.end == _BEGINS][-1]
    names = [table.name for table in catalog.in_order() if meant.may_name(table)]
    ends = [found.end() for name in names if (found := _pattern("", name).match(own))]
    if not ends:
        return f"its name begins with none of {', '.join(names)}"
    return f"its name begins with {own[: max(ends)]} but goes on with {own[max(ends) :]}"


@dataclass(frozen=True)
class _Fit:
    """A table whose name, as in `name`, is in a path, as `text` has it."""

    text: str
    name: str
    table: Table

    @property
    def as_written(self) -> bool:
        """Whether the names differ in case and in which separators they have, but in no more."""
        return (
            re.sub(_SEPARATOR, "_", self.text).casefold()
            == re.sub(_SEPARATOR, "_", self.name).casefold()
        )


def _candidates(place: _Place, catalog: Catalog) -> list[Table]:
    fits = [
        _Fit(found[0], ".".join(name), table)
        for name, table in catalog.names.get(place.part.casefold()[:1], ())
        if (found := _pattern(place.end, *name).match(place.part)) and place.may_name(table)
    ]
    longest, written = _longest(fits), _longest([each for each in fits if each.as_written])
    if written and len(longest[0].text) == len(written[0].text):
        longest = []
    # Else one table fits as it is written, and another with more of the name if separators do not
    # count: t-1 is a file of t, or one of t1.
    return [each.table for each in written + longest]


def _longest(fits: list[_Fit]) -> list[_Fit]:
    most = max((len(each.text) for each in fits), default=0)
    longest = [each for each in fits if len(each.text) == most]
    return [each for each in longest if each.text == each.name] or longest


@cache
def _pattern(end: str, *names: str) -> re.Pattern[str]:
    """Return what finds a name at the start of a part of a path; separators may differ or lack."""
    letters = [re.sub(_SEPARATOR, "", name) or name for name in names]
    loose = [f"{_SEPARATOR}*".join(map(re.escape, each)) for each in letters]
    return re.compile(r"\.".join(loose) + end, re.IGNORECASE)
