"""Finds the columns of a table that the fields of a header name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property

from rowboat.catalog.tables import Table

_IGNORED = "_-/."
_NAME_BYTES = 63  # Postgres cuts a longer identifier (NAMEDATALEN)
_PLACEHOLDER = re.compile(r"Unnamed: \d+")  # what pandas calls a column without a name


def fold_name(name: str) -> str:
    """Return a name as headers are compared: without case, blanks, `_ - / .` and invisible marks.

    NFC and NFD are alike (Unicode Standard Annex #15).
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    return "".join(sign for sign in folded if sign not in _IGNORED and not _is_invisible(sign))


def has_no_name(field: str) -> bool:
    """Return whether a field of a header names nothing."""
    return not strip_name(field) or bool(_PLACEHOLDER.fullmatch(field))


def strip_name(field: str) -> str:
    """Return a field without blanks and invisible marks around it (a byte-order mark)."""
    start, end = 0, len(field)
    while start < end and _is_invisible(field[start]):
        start += 1
    while start < end and _is_invisible(field[end - 1]):
        end -= 1
    return field[start:end]


class ColumnNames:
    """The columns of a table by their names: exact, without case, or folded."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, field: str) -> str | None:
        """Return the column that a field names: exactly, else if only one has a name like it."""
        name = strip_name(field)
        if name in self._table.by_name:
            return name
        for fold, columns in ((str.casefold, self._by_case), (fold_name, self._by_fold)):
            alike = columns.get(fold(name), [])
            if alike:
                return alike[0] if len(alike) == 1 else None
        # the column of so long a name has what Postgres left of it
        cut = name.encode()[:_NAME_BYTES].decode(errors="ignore")
        return cut if cut in self._table.by_name else None

    def columns(self, fields: Sequence[str]) -> list[str | None]:
        """Return the column that each field names."""
        return [None if has_no_name(field) else self.find(field) for field in fields]

    def nearest(self, field: str) -> str | None:
        """Return the column whose name is most like a field, if one is much like it."""
        found = get_close_matches(fold_name(field), self._by_fold, 1)
        return self._by_fold[found[0]][0] if found else None

    @cached_property
    def _by_case(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self._table.by_name:
            found[name.casefold()].append(name)
        return found

    @cached_property
    def _by_fold(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self._table.by_name:
            found[fold_name(name)].append(name)
        return found


def _is_invisible(sign: str) -> bool:
    # A tab is more likely a delimiter than a blank.
    return sign != "\t" and (sign.isspace() or unicodedata.category(sign) == "Cf")
