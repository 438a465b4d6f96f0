"""Finds cells that are certainly values of their type, so that SQL need not judge their text.

A cell is plain if it is empty or has the most common form of its type and is in range: Postgres's
input function cannot refuse it. Other cells are odd. They may still be values, and are judged one
by one. If more than 5 % of the cells of a column are odd, the whole column is staged as text.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rowboat.catalog.literals import BLANKS
from rowboat.catalog.tables import Column
from rowboat.csvfile.records import QUOTE, Positions, Records

Marks = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_DIGITS = {"int2": 4, "int4": 9, "int8": 18}  # any integer of so many digits fits
_BITS = {"int2": 16, "int4": 32, "int8": 64}
# as in literals.sql, before it is tidied; more digits never fit
_INTEGER = re.compile(rf"[{BLANKS}]*([-+]?)0*([0-9]{{1,19}})(?:\.0*)?[{BLANKS}]*")
_MOST_ODD = 0.05
_WIDE = 300  # columns: so much text of up to 24 bytes, which is never moved to TOAST, fits a page
_ZERO, _MINUS = ord("0"), ord("-")
_TEXTS = {"text", "varchar"}
_IS_BLANK = np.isin(np.arange(256), list(b" \t\n\r\f\v"))
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True)
class _Cells:
    """The cells of a column: bytes `begins` to `ends` of `data`, without quotes around them.

    `others` marks the bytes of `data` that are not digits; it has one more, for the end.
    """

    data: Bytes
    begins: Positions
    ends: Positions
    others: Marks

    def has_digits(self, begins: Positions) -> Marks:
        """Return which cells have only digits from `begins` on; empty ones may be among them."""
        # reduceat() over begin, end, begin, … ORs the cells at even places, the gaps at odd ones.
        spans = np.column_stack([begins, self.ends]).ravel()
        return ~np.logical_or.reduceat(self.others, spans)[::2]

    def first(self, width: int, rows: Positions) -> npt.NDArray[np.uint8]:
        """Return the first bytes of the cells of some rows, as an array of (rows, width)."""
        found: Bytes = self.data[self.begins[rows, None] + np.arange(width)]
        return found

    def numbers(self) -> tuple[Numbers, Positions]:
        """Return the values and rows of cells that are not empty; all must be plain integers."""
        rows = np.flatnonzero(self.begins < self.ends)
        negative = self.data[self.begins[rows]] == _MINUS
        at, ends = self.begins[rows] + negative, self.ends[rows]
        found = np.zeros(len(rows), np.int64)
        for place in range(int((ends - at).max(initial=0))):
            more = np.flatnonzero(at + place < ends)
            found[more] = found[more] * 10 + (self.data[at[more] + place] - _ZERO)
        return np.where(negative, -found, found), rows


def may_be_typed(column: Column) -> bool:
    """Return whether values of the column's type can be recognised."""
    return column.base in _FORMS and not column.is_domain


def is_wide(columns: Collection[str]) -> bool:
    """Return whether these are so many columns that their cells, if each is staged in a column of
    its own, may exceed a page, or the number of columns that a table can have.
    """
    return len(columns) > _WIDE


@dataclass(frozen=True)
class IntegerKeys:
    """The integer keys of staged rows.

    `least`, `greatest` and its row `last` (from 1) are None if there is no key; `repeated` are the
    rows (from 1) of keys that occur more than once; `ordered` are all keys, sorted.
    """

    least: int | None = None
    greatest: int | None = None
    last: int | None = None
    repeated: list[int] = field(default_factory=list)
    ordered: Numbers | None = None

    def until(self, bound: int) -> int | None:
        """Return the greatest key up to a bound, or None."""
        assert self.ordered is not None
        at = np.searchsorted(self.ordered, bound, side="right")
        return int(self.ordered[at - 1]) if at else None


@dataclass(frozen=True)
class TypedCells:
    """The plain `columns` of some records.

    `odd` maps a plain column to its odd cells: number of the staged row (from 0) → text. `spans`
    are the bytes of all odd cells, quotes included. `keys` is None unless the key is plain.
    `blanks` maps a column of text to the line (from 0) and the text of the first cell with blanks
    around it.
    """

    columns: frozenset[str] = frozenset()
    odd: dict[str, dict[int, str]] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    keys: IntegerKeys | None = None
    blanks: dict[str, tuple[int, str]] = field(default_factory=dict)


def find_typed_cells(
    records: Records, columns: Mapping[str, Column], key: str | None = None
) -> TypedCells:
    """Find the plain columns of the records that can be staged, and their odd cells.

    `key` names the column of an integer key, if there is one.
    """
    names = records.dialect.columns
    found = {name: columns[name] for name in names if may_be_typed(columns[name])}
    texts = [name for name in names if columns[name].base in _TEXTS]
    if is_wide(names) or not (found or texts) or not len(records.staged()):
        return TypedCells()
    bounds = records.bounds()
    data = np.frombuffer(records.text, np.uint8)
    # Unsigned bytes wrap around, so one comparison finds what is below "0" and above "9".
    others = np.append(data - _ZERO > 9, True)
    staged, taken, odd = records.staged(), [], {}
    spans: list[tuple[int, int]] = []
    keys, blanks = None, {}
    for name in texts:
        cell_bounds = _unquoted(data, *bounds[records.dialect.fields.index(name)])
        if (first := _first_with_blanks(data, *cell_bounds)) is not None:
            index = int(staged[first])
            blanks[name] = int(records.lines[index]), records.fields(index)[name]
    for name, column in found.items():
        begins, ends = bounds[records.dialect.fields.index(name)]
        cells = _Cells(data, *_unquoted(data, begins, ends), others)
        is_plain = _FORMS[column.base](cells) | (cells.begins == cells.ends)
        rows = np.flatnonzero(~is_plain).tolist()
        # Each odd cell is a Python object and a row of an UPDATE; as text, all cost the same.
        if len(rows) > _MOST_ODD * len(begins):
            continue
        taken.append(name)
        if rows:
            odd[name] = {n: records.fields(int(staged[n]))[name] for n in rows}
            spans += zip(begins[rows].tolist(), ends[rows].tolist(), strict=True)
        if name == key:
            plain_ones = replace(cells, ends=np.where(is_plain, cells.ends, cells.begins))
            keys = _keys(*plain_ones.numbers(), odd.get(name, {}), _BITS[column.base])
    return TypedCells(frozenset(taken), odd, spans, keys, blanks)


def _keys(values: Numbers, rows: Positions, odd: Mapping[int, str], bits: int) -> IntegerKeys:
    """Return the keys of plain cells, and of those odd cells that are integers nevertheless."""
    matches = {n: _INTEGER.fullmatch(cell) for n, cell in odd.items()}
    integers = {n: int("".join(found.groups())) for n, found in matches.items() if found}
    bound = 1 << bits - 1
    others = {n: value for n, value in integers.items() if -bound <= value < bound}
    values = np.append(values, np.array([*others.values()], np.int64))
    if not len(values):
        return IntegerKeys(ordered=values)
    rows = np.append(rows, np.array([*others], np.int64))
    # Sorted once here, so that the server need not group the stage by key.
    ordered = np.sort(values)
    repeated = rows[np.isin(values, ordered[1:][ordered[1:] == ordered[:-1]])] + 1
    last = int(values.argmax())
    greatest, row = int(values[last]), int(rows[last]) + 1
    return IntegerKeys(int(ordered[0]), greatest, row, repeated.tolist(), ordered)


def _first_with_blanks(data: Bytes, begins: Positions, ends: Positions) -> int | None:
    """Return the first cell that begins or ends with a blank of ASCII."""
    edges = _IS_BLANK[data[np.minimum(begins, len(data) - 1)]] | _IS_BLANK[data[ends - 1]]
    rows = np.flatnonzero(edges & (begins < ends))
    return int(rows[0]) if len(rows) else None


def _unquoted(data: Bytes, begins: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Return the bounds of cells without the quotes around them."""
    # An empty cell may begin at the end of the data: minimum() keeps the index within it.
    quoted = (ends - begins >= 2) & (data[np.minimum(begins, len(data) - 1)] == QUOTE)
    return begins + quoted, ends - quoted


def _integer(digits: int) -> Callable[[_Cells], Marks]:
    def marks(cells: _Cells) -> Marks:
        last = len(cells.data) - 1
        begins = cells.begins + (cells.data[np.minimum(cells.begins, last)] == _MINUS)
        size = cells.ends - begins
        found: Marks = (size >= 1) & (size <= digits) & cells.has_digits(begins)
        return found

    return marks


def _date(cells: _Cells) -> Marks:
    return _marked(cells.ends - cells.begins == 10, lambda rows: _is_day(cells, rows))


def _timestamp(cells: _Cells) -> Marks:
    return _marked(cells.ends - cells.begins == 19, lambda rows: _is_moment(cells, rows))


def _timestamptz(cells: _Cells) -> Marks:
    is_utc = (cells.ends - cells.begins == 20) & (cells.data[cells.ends - 1] == ord("Z"))
    return _marked(is_utc, lambda rows: _is_moment(cells, rows))


def _marked(some: Marks, check: Callable[[Positions], Marks]) -> Marks:
    """Return `some` with only those rows left for which the check holds."""
    rows = np.flatnonzero(some)
    some[rows] = check(rows)
    return some


def _is_day(cells: _Cells, rows: Positions) -> Marks:
    """Return which cells begin with a day of the Gregorian calendar, such as 2024-02-29."""
    text = cells.first(10, rows)
    is_form = (text[:, [4, 7]] == _MINUS).all(axis=1) & _are_digits(text, (0, 1, 2, 3, 5, 6, 8, 9))
    year = _number(text, 0) * 100 + _number(text, 2)
    month, day = _number(text, 5), _number(text, 8)
    leaps = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)) & (month == 2)
    # Only digits make a month: other bytes would be an index outside of the table.
    days = _DAYS[np.where(is_form & (month <= 12), month, 0)] + leaps
    found: Marks = is_form & (year >= 1) & (day >= 1) & (day <= days)
    return found


def _is_moment(cells: _Cells, rows: Positions) -> Marks:
    """Return which cells begin with a day and a time, such as 2024-02-29T23:59:59."""
    text = cells.first(19, rows)
    between = (text[:, 10] == ord("T")) | (text[:, 10] == ord(" "))
    colons = (text[:, 13] == ord(":")) & (text[:, 16] == ord(":"))
    digits = _are_digits(text, (11, 12, 14, 15, 17, 18))
    in_range = (_number(text, 11) < 24) & (_number(text, 14) < 60) & (_number(text, 17) < 60)
    found: Marks = _is_day(cells, rows) & between & colons & digits & in_range
    return found


def _are_digits(text: Bytes, places: tuple[int, ...]) -> Marks:
    found: Marks = np.all(text[:, places] - _ZERO <= 9, axis=1)
    return found


def _number(text: Bytes, place: int) -> Positions:
    """Return the numbers that two digits from `place` on form."""
    pair = text[:, place : place + 2].astype(np.int64) - _ZERO
    found: Positions = pair[:, 0] * 10 + pair[:, 1]
    return found


_FORMS: dict[str, Callable[[_Cells], Marks]] = {
    **{base: _integer(digits) for base, digits in _DIGITS.items()},
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
}
