"""Cuts text into records, and finds those that cannot be staged before COPY would fail on them.

The work is done on whole columns of byte positions (numpy), not record by record: 200 MB take half
a second. As in RFC 4180, a newline ends a record if the number of quotes before it is even. If a
quote is in a place that the RFC does not allow, counting would misread every record after it. Such
a chunk is scanned record by record instead, and a record that breaks the grammar ends with its
line.
"""

import csv
import io
import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

from rowboat.csvfile.dialect import BYTE_ORDER_MARK, Dialect, count
from rowboat.csvfile.header import fold_name
from rowboat.csvfile.records import LF, QUOTE, Positions, Reason, Records
from rowboat.errors import FileRefused
from rowboat.settings import settings

_OPEN = "the quote that opens a field is never closed"
_NUL_FOUND = "contains a NUL byte, which Postgres cannot store in text"
_CR, _NUL = 0x0D, 0x00
_LOWER = 0x20  # the bit that tells a letter of ASCII from its capital
_TELLING = 16  # bytes of a header by which most other records are ruled out
_SHOWN = 60  # bytes of a field in a sentence


def split_records(text: bytes, dialect: Dialect, at_end: bool) -> Records:
    """Cut the complete records of `text`.

    Unless `at_end`, what follows the last border is left for the next chunk. The header is left
    out, wherever it is. Raises FileRefused for a line longer than ROWBOAT_RECORD_BYTES, and if
    quotes in a file with tabs may be text.
    """
    records = _cut(text, dialect, at_end)
    records = records.without_headers(_find_headers(records))
    _find_wrong_shapes(records)
    _find_wrong_bytes(records)
    return records


def find_border(text: bytes, dialect: Dialect, at_end: bool) -> int:
    """Return how many bytes of `text` `split_records` would use up, at less cost."""
    if b'"' not in text and not at_end:
        consumed = text.rfind(dialect.newline.encode()) + 1
        if len(text) - consumed <= settings().record_bytes:
            return consumed
    return _cut(text, dialect, at_end).consumed


def _cut(text: bytes, dialect: Dialect, at_end: bool) -> Records:
    records = _cut_regular(text, dialect, at_end)
    too_long = settings().record_bytes
    if records is None or (not at_end and len(text) - records.consumed > too_long):
        records = _cut_irregular(text, dialect, at_end)
    return records


def _cut_regular(text: bytes, dialect: Dialect, at_end: bool) -> Records | None:
    """Cut by counting quotes; return None if a quote is in a place that is not allowed."""
    data = np.frombuffer(text, np.uint8)
    newlines = np.flatnonzero(data == ord(dialect.newline))
    borders = newlines
    if b'"' in text:
        quotes = np.flatnonzero(data == QUOTE)
        borders = newlines[_outside(newlines, quotes)]
        if at_end and len(quotes) % 2:
            return None
        # What follows the last border is not judged: its quotes may be closed by the next chunk.
        reach = len(text) if at_end else int(borders[-1]) + 1 if len(borders) else 0
        if not _quotes_are_regular(data, quotes[: np.searchsorted(quotes, reach)], dialect):
            return None
    if at_end and len(text) and (not len(borders) or borders[-1] != len(text) - 1):
        borders = np.append(borders, len(text))
    consumed = min(int(borders[-1]) + 1, len(text)) if len(borders) else 0
    starts = np.append(0, borders[:-1] + 1) if len(borders) else borders
    return _records(text, dialect, starts, borders, newlines, consumed)


def _records(
    text: bytes,
    dialect: Dialect,
    starts: Positions,
    ends: Positions,
    newlines: Positions,
    consumed: int,
) -> Records:
    """Return the records of these bounds, without blank lines and the CR of CRLF or CR CR LF."""
    if dialect.newline == "\n" and b"\r" in text:
        data = np.frombuffer(text, np.uint8)
        for _ in range(2):
            ends = ends - ((ends > starts) & (data[np.maximum(ends, 1) - 1] == _CR))
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    used = int(np.searchsorted(newlines, consumed))
    lines = np.searchsorted(newlines, starts)
    return Records(text, dialect, starts, ends, lines, consumed, used)


def _outside(positions: Positions, quotes: Positions) -> npt.NDArray[np.bool_]:
    """Return which positions are outside quotes: those with an even number of quotes before."""
    outside: npt.NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 0
    return outside


def _quotes_are_regular(data: npt.NDArray[np.uint8], quotes: Positions, dialect: Dialect) -> bool:
    """Return whether the quotes of each field enclose all of it.

    Quotes open and close in turns, so `""` within a field closes it and opens it again.
    """
    opening, closing = quotes[::2], quotes[1::2]
    borders = (ord(dialect.delimiter), ord(dialect.newline), QUOTE)
    before = data[opening[opening > 0] - 1]
    following = closing[closing < len(data) - 1] + 1
    regular = np.isin(data[following], borders)
    if dialect.newline == "\n":
        last = len(data) - 1
        ends_line = (following == last) | (data[np.minimum(following + 1, last)] == LF)
        doubled = (data[np.minimum(following + 1, last)] == _CR) & (
            data[np.minimum(following + 2, last)] == LF
        )
        regular |= (data[following] == _CR) & (ends_line | doubled)
    return bool(np.isin(before, borders).all() and regular.all())


def _find_headers(records: Records) -> Positions:
    """Return the records that repeat the header, as files do that were appended to one another."""
    dialect = records.dialect
    if dialect.header is None or dialect.may_be_row or not len(records):
        return np.zeros(0, np.int64)
    header = dialect.header.encode()
    names = [fold_name(each) for each in _cells(dialect.header, dialect)]
    data = np.frombuffer(records.text, np.uint8)
    begins = records.starts
    if BYTE_ORDER_MARK in records.text:
        marked = [records.text.startswith(BYTE_ORDER_MARK, at) for at in begins.tolist()]
        begins = begins + len(BYTE_ORDER_MARK) * np.array(marked)
    # Only records that begin as the header does are split, whether or not their names are quoted.
    slack = 2 * len(names) + 2
    some = np.flatnonzero(np.abs(records.ends - begins - len(header)) <= slack)
    for at, byte in enumerate(header.lstrip(b'"')[:_TELLING]):
        if not chr(byte).isalnum():
            break
        places = begins[some] + (data[begins[some]] == QUOTE) + at
        here = data[np.minimum(places, len(data) - 1)]
        some = some[here | _LOWER == byte | _LOWER]
    found = [
        index
        for index in some.tolist()
        if [fold_name(each) for each in _cells(_text(records, index), dialect)] == names
    ]
    return np.array(found, np.int64)


def _text(records: Records, index: int) -> str:
    return records.raw(index).decode("utf-8", "replace")


def _cells(record: str, dialect: Dialect) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline=""), delimiter=dialect.delimiter), [])


def _find_wrong_shapes(records: Records) -> None:
    """Refuse records with too few or too many fields, or with a stray CR or LF in them, and find
    the fields that are used.
    """
    if not len(records):
        return
    data = np.frombuffer(records.text, np.uint8)
    quotes = np.flatnonzero(data == QUOTE) if b'"' in records.text else None
    if quotes is not None and not _every_record_is_balanced(records, quotes):
        delimiters = _delimiters_one_by_one(records)
    else:
        delimiters = np.flatnonzero(data == ord(records.dialect.delimiter))
        delimiters = _unquoted(delimiters, quotes)
        if quotes is not None and records.dialect.delimiter == "\t":
            _refuse_swallowed(records, data, quotes)
    _find_used_fields(records, delimiters)
    stray = b"\r" if records.dialect.newline == "\n" else b"\n"
    if stray in records.text[: records.consumed]:
        _find_stray(records, data, stray, quotes)


def _unquoted(positions: Positions, quotes: Positions | None) -> Positions:
    return positions if quotes is None else positions[_outside(positions, quotes)]


def _find_used_fields(records: Records, delimiters: Positions) -> None:
    """Refuse records of the wrong width, and note where the used fields of the others are.

    A record may end with one more field that is empty, or lack the last one if that has no name:
    both come from a delimiter at the end of only some lines.
    """
    fields = records.dialect.fields
    records.delimiters = delimiters
    if _all_have(records, delimiters, len(fields)) and fields and fields[-1] is not None:
        return
    first = np.searchsorted(delimiters, records.starts)
    counts = np.searchsorted(delimiters, records.ends) - first + 1
    expected = len(fields)
    has_more = np.zeros(len(records), dtype=bool)
    for index in np.flatnonzero(counts == expected + 1).tolist():
        last = delimiters[first[index] + expected - 1] + 1
        has_more[index] = records.text[last : records.ends[index]] in (b"", b'""')
    may_be_fewer = bool(fields) and fields[-1] is None
    is_right = (counts == expected) | has_more | ((counts == expected - 1) & may_be_fewer)
    for index in np.flatnonzero(~is_right).tolist():
        if index not in records.refused:
            found = count(int(counts[index]), "field")
            records.refuse(index, "shape", f"has {found} instead of {expected}")
    used = records.dialect.used
    if used == expected and not has_more.any():
        return
    ends = records.ends.copy()
    has_surplus = is_right & (counts > used)
    ends[has_surplus] = delimiters[first[has_surplus] + used - 1]
    # Of each record only the delimiters between used fields are kept.
    owners = np.searchsorted(records.starts, delimiters, side="right") - 1
    place = np.arange(len(delimiters)) - first[np.maximum(owners, 0)]
    records.delimiters = delimiters[(owners >= 0) & (place < used - 1)]
    records.last_ends = ends


def _all_have(records: Records, delimiters: Positions, fields: int) -> bool:
    """Return whether all records have so many fields, if that is cheap to find out."""
    wanted = fields - 1
    inside = delimiters[: np.searchsorted(delimiters, records.consumed)]
    if not wanted or len(inside) != wanted * len(records):
        return False
    # If the first and last delimiter of each row are within its record, all are.
    rows = inside.reshape(-1, wanted)
    return bool((rows[:, 0] >= records.starts).all() and (rows[:, -1] < records.ends).all())


def _refuse_swallowed(records: Records, data: npt.NDArray[np.uint8], quotes: Positions) -> None:
    """Raise FileRefused if a record may as well be several rows whose quotes are text.

    Files with tabs are often written so (the media type text/tab-separated-values has no quotes):
    then each line of the record has the right number of fields.
    """
    newline, tabs = records.dialect.newline.encode(), len(records.dialect.fields) - 1
    newlines = np.flatnonzero(data[: records.consumed] == ord(newline))
    for index, _ in _positions_in(records, newlines[~_outside(newlines, quotes)]):
        lines = records.raw(index).split(newline)
        if tabs and all(line.count(b"\t") == tabs for line in lines):
            shown = lines[0][:_SHOWN].decode("utf-8", "replace").replace("\t", " | ")
            raise FileRefused(
                "a quote opens in one line and closes in a later one, and both may be rows: "
                f"{shown}",
                'write a quote that is text twice, and the field in quotes: "6"" deck"',
            )


def _every_record_is_balanced(records: Records, quotes: Positions) -> bool:
    return bool(_outside(records.starts, quotes).all() and _outside(records.ends, quotes).all())


def _delimiters_one_by_one(records: Records) -> Positions:
    """Return the delimiters outside quotes where quotes cannot be counted over the whole text."""
    delimiter = re.escape(records.dialect.delimiter.encode())
    found: list[int] = []
    for index, start in enumerate(records.starts.tolist()):
        raw = records.raw(index)
        if b'"' in raw:
            raw = re.sub(rb'"[^"]*"', lambda quoted: bytes(len(quoted[0])), raw)
        found += [start + each.start() for each in re.finditer(delimiter, raw)]
    return np.array(found, np.int64)


def _find_stray(
    records: Records, data: npt.NDArray[np.uint8], stray: bytes, quotes: Positions | None
) -> None:
    name = "carriage return" if stray == b"\r" else "line feed"
    for index, position in _positions_in(records, np.flatnonzero(data == ord(stray))):
        within = records.text.count(b'"', int(records.starts[index]), position) % 2
        if quotes is None or not within:
            _refuse_once(records, index, "shape", f"a {name} is inside an unquoted field")


def _find_wrong_bytes(records: Records) -> None:
    """Refuse records that contain a NUL or are not UTF-8."""
    text = memoryview(records.text)[: records.consumed]
    if b"\0" in records.text:
        data = np.frombuffer(text, np.uint8)
        for index, _ in _positions_in(records, np.flatnonzero(data == _NUL)):
            _refuse_once(records, index, "encoding", _NUL_FOUND)
    if records.text.isascii() or _is_utf8(text):
        return
    for index in range(len(records)):
        if not _is_utf8(raw := records.raw(index)):
            records.refuse(index, "encoding", _wrong_byte(raw))


def _is_utf8(data: bytes | memoryview) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wrong_byte(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}"
    return "is not UTF-8"


def _positions_in(records: Records, positions: Positions) -> Iterator[tuple[int, int]]:
    """Yield (index of the record, position) for each position that is within a record."""
    owners = np.searchsorted(records.starts, positions, side="right") - 1
    for owner, position in zip(owners.tolist(), positions.tolist(), strict=True):
        if owner >= 0 and position < records.ends[owner]:
            yield owner, position


def _refuse_once(records: Records, index: int, rule: str, message: str) -> None:
    if Reason(rule, None, message) not in records.refused.get(index, ()):
        records.refuse(index, rule, message)


@cache
def _patterns(delimiter: str, newline: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return patterns of a complete record with its newline, and of as many fields as follow."""
    # Possessive quantifiers (*+, ++): no backtracking, so hostile input takes linear time.
    d = re.escape(delimiter.encode())
    n = re.escape(newline.encode())
    ending = rb"(\r{0,2}\n|\r{0,2}\Z)" if newline == "\n" else rb"(" + n + rb"|\Z)"
    field = rb'(?:"(?:[^"]++|"")*+"(?!")|[^"' + d + n + rb"]*+)"
    fields = field + rb"(?:" + d + field + rb")*+"
    return re.compile(fields + ending), re.compile(fields)


def _cut_irregular(text: bytes, dialect: Dialect, at_end: bool) -> Records:
    """Cut record by record; one that breaks the grammar ends with its line and is refused."""
    scanner = _Scanner(text, dialect, at_end)
    starts: list[int] = []
    ends: list[int] = []
    faults: dict[int, str] = {}
    position = 0
    while position < len(text) and (found := scanner.scan(position)):
        end, after, broken = found
        if broken:
            faults[position] = broken
        starts.append(position)
        ends.append(end)
        position = after
    newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(dialect.newline))
    bounds = np.array(starts, np.int64), np.array(ends, np.int64)
    records = _records(text, dialect, *bounds, newlines, position)
    # `_records` has left out blank lines, so a record is found again by where it starts.
    indexes = np.searchsorted(records.starts, [*faults]).tolist()
    for index, fault in zip(indexes, faults.values(), strict=True):
        records.refuse(index, "shape", fault)
    return records


# One scanned record: where it ends, where the next one starts, and what is wrong with it. A plain
# tuple, because an irregular chunk makes one for each of its records.
_Scanned = tuple[int, int, str | None]


class _Scanner:
    """Reads single records of a text whose quotes cannot be counted."""

    def __init__(self, text: bytes, dialect: Dialect, at_end: bool) -> None:
        self._text, self._dialect, self._at_end = text, dialect, at_end
        self._newline = dialect.newline.encode()
        self._whole, self._fields = _patterns(dialect.delimiter, dialect.newline)

    def scan(self, position: int) -> _Scanned | None:
        """Return the record at a position, or None if only the text of the next chunk can tell.

        Raises FileRefused for a line longer than any record may be.
        """
        match = self._whole.match(self._text, position)
        if match and (self._at_end or match[1].endswith(self._newline)):
            return match.start(1), match.end(), None
        return self._scan_faulty(position)

    def _scan_faulty(self, position: int) -> _Scanned | None:
        """Return what breaks the grammar as a record that ends with its line."""
        text = self._text
        match = self._fields.match(text, position)
        stop = match.end() if match else position
        fault = _fault(text, stop, self._dialect)
        end = text.find(self._newline, position)
        # A quote may be closed, and one at the very end may be doubled, by the next chunk. That is
        # waited for only while the record can still be one of allowed length.
        is_open = end < 0 or fault == _OPEN or stop >= len(text) - 1
        if is_open and not self._at_end and len(text) - position <= settings().record_bytes:
            return None
        if end < 0:
            end = len(text)
            if end - position > settings().record_bytes:
                raise FileRefused(
                    f"a line is longer than {settings().record_bytes:,} bytes",
                    "check whether it is a CSV file at all; if so, raise ROWBOAT_RECORD_BYTES",
                )
        return end, min(end + 1, len(text)), fault


def _fault(text: bytes, position: int, dialect: Dialect) -> str:
    """Return how a record breaks the grammar at a position."""
    stopper = text[position : position + 1]
    if stopper != b'"':
        return "text follows a closing quote"
    before = text[position - 1 : position] if position else b""
    if not before or before in (dialect.delimiter.encode(), b"\n", b"\r"):
        return _OPEN
    return "a quote is inside an unquoted field"
