"""Recognises how a CSV file is written, from its beginning and the columns of its table.

A header is recognised or the file is refused: it is never taken for a row, nor a row for it. What
could be read in two ways is refused with both readings.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import BYTE_ORDER_MARK, Dialect
from rowboat.csvfile.forms import are_alike, is_value, may_be_value
from rowboat.csvfile.header import ColumnNames, has_no_name, strip_name
from rowboat.errors import FileRefused

SAMPLE_BYTES = 64 * 2**10
DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
_ROWS = 100  # records of the sample that are looked at
_ABOVE = 25  # records among which the header must be
_SHOWN = 60  # characters of a line in a sentence
_SEP = re.compile(rb'"?sep=(.)"?[ \t]*\r*', re.IGNORECASE)  # what Excel writes and reads
_LETTERS = re.compile(r"[\w\s]")


def sample_of(peek: Callable[[int], bytes], most: int) -> tuple[bytes, bool]:
    """Return the beginning of a text, with its first two lines whole unless that takes more than
    `most` bytes, and whether that is all of the text.
    """
    size = SAMPLE_BYTES
    while True:
        sample = peek(size)
        if len(sample) < size:
            return sample, True
        if size >= most or len(re.findall(rb"[\r\n]+", sample)) >= 2:
            return sample, False
        size *= 2


def recognise_dialect(
    sample: bytes,
    table: Table,
    is_whole: bool = True,
    file_name: str = "",
    others: Iterable[Table] = (),
) -> Dialect:
    """Recognise the dialect of a file from its first bytes (UTF-8) and the table's columns.

    `is_whole` says that no more bytes follow. `others` are tables to which a file may belong whose
    header does not fit. Raises FileRefused if it cannot be told what the first line is, or a header
    does not fit.
    """
    found = _Sample(sample, table, is_whole)
    if not found.lines:
        above = sample.count(found.newline.encode())
        return Dialect(",", found.newline, found.positions, None, False, len(sample), above)
    reading = _choose(found, file_name)
    if reading.header is not None:
        return _by_header(found, reading, reading.header)
    return _by_position(found, reading, others)


@dataclass(frozen=True)
class _Record:
    """A record of the sample: its line, from 1, its bytes, its fields under some delimiter."""

    line: int
    begin: int
    end: int
    fields: list[str]

    def shown(self) -> str:
        text = " | ".join(self.fields)
        return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


class _Sample:
    """The first lines of a file, and the table that they are for."""

    def __init__(self, sample: bytes, table: Table, is_whole: bool) -> None:
        self.bytes, self.table = sample, table
        self.names = ColumnNames(table)
        self.positions = tuple(each.name for each in table.settable)
        self.mark = len(BYTE_ORDER_MARK) if sample.startswith(BYTE_ORDER_MARK) else 0
        unquoted = re.sub(rb'"[^"]*"', b"", sample)
        # at the very end, the line feed of a CR may still have to come
        lone = len(re.findall(rb"\r(?!\r*(?:\n|\Z))", unquoted))
        self.newline = "\r" if lone > unquoted.count(b"\n") else "\n"
        lines = sample[self.mark :].split(self.newline.encode())
        if len(lines) > 1 and (not is_whole or not lines[-1]):
            lines.pop()  # the sample may end within the last line
        self.lines = lines if any(line.strip(b"\r\n") for line in lines) else []
        declared = _SEP.fullmatch(lines[0]) if lines else None
        self.declared = declared[1].decode("latin-1") if declared else None

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins, and where the one after the last would."""
        starts = [self.mark]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def records(self, delimiter: str) -> list[_Record]:
        """Return the first records that are not blank, nor the line that declares the delimiter."""
        texts = (
            re.sub(r"[\r\n]", " ", line.rstrip(b"\r").decode(errors="replace")) + "\n"
            for line in self.lines
        )
        reader = csv.reader(texts, delimiter=delimiter)
        found: list[_Record] = []
        before = 0
        for fields in reader:
            begin, end = self.starts[before], self.starts[reader.line_num] - 1
            is_blank = not fields or (self.declared and before == 0)
            if not is_blank:
                found.append(_Record(before + 1, begin, min(end, len(self.bytes)), fields))
            before = reader.line_num
            if len(found) == _ROWS:
                break
        return found


class _Reading:
    """What the sample holds if a delimiter is the right one."""

    def __init__(self, sample: _Sample, delimiter: str) -> None:
        self.delimiter, self._sample = delimiter, sample
        self.records = sample.records(delimiter)
        self.columns = [sample.names.columns(each.fields) for each in self.records[:_ABOVE]]

    @cached_property
    def best(self) -> int:
        """The record that names most columns, the first of several."""
        return max(range(len(self.columns)), key=lambda at: (self.named(at), -at), default=0)

    def named(self, at: int) -> int:
        """Return how many columns a record names."""
        return len({name for name in self.columns[at] if name is not None})

    @cached_property
    def header(self) -> int | None:
        """The record that is the header: every field of it that has a text names a column."""
        if not self.columns or not self.named(self.best):
            return None
        pairs = zip(self.records[self.best].fields, self.columns[self.best], strict=True)
        is_header = all(name is not None or has_no_name(field) for field, name in pairs)
        return self.best if is_header else None

    @cached_property
    def rows(self) -> int:
        """How many records could be rows, by the header or by position."""
        if self.header is None:
            return sum(is_row(self._sample.table, each.fields) for each in self.records)
        names = self.columns[self.header]
        by_name = self._sample.table.by_name
        return sum(
            fits(each.fields, len(names))
            and all(
                name is None or may_be_value(by_name[name], cell)
                for name, cell in zip(names, each.fields, strict=False)
            )
            for each in self.records[self.header + 1 :]
        )

    @property
    def rank(self) -> tuple[int, int]:
        """How well the delimiter explains the sample."""
        return (self.named(self.best) if self.columns else 0), self.rows

    def splits_alike(self) -> bool:
        """Return whether all records have the same number of fields, more than one."""
        sizes = {len(each.fields) for each in self.records}
        return len(sizes) == 1 and sizes != {1}

    def is_single(self) -> bool:
        """Return whether the delimiter occurs nowhere."""
        return all(len(each.fields) == 1 for each in self.records)


def fits(fields: Sequence[str], width: int) -> bool:
    """Return whether a record has so many fields, or one more at its end that is empty."""
    return len(fields) == width or (len(fields) == width + 1 and not fields[-1])


def is_row(table: Table, fields: Sequence[str]) -> bool:
    """Return whether fields could be a row of the table, by position."""
    columns = table.settable
    return fits(fields, len(columns)) and all(
        may_be_value(column, cell) and (bool(cell) or not column.required)
        for column, cell in zip(columns, fields, strict=False)
    )


def _choose(sample: _Sample, file_name: str) -> _Reading:
    """Return the reading for which there is most evidence; raises FileRefused for a tie."""
    if sample.declared:
        if _LETTERS.match(sample.declared) and sample.declared != "\t":
            raise FileRefused(
                f"its first line declares {sample.declared!r} as the delimiter",
                "separate the fields by a comma, semicolon, tab or bar",
            )
        return _Reading(sample, sample.declared)
    readings = [_Reading(sample, delimiter) for delimiter in DELIMITERS]
    # A line that holds no delimiter is one field under any of them: that proves nothing for a table
    # of one column, if another delimiter cuts every line alike.
    if any(each.splits_alike() for each in readings):
        readings = [each for each in readings if each.rank[0] or not each.is_single()] or readings
    best = max(each.rank for each in readings)
    first, *rest = [each for each in readings if each.rank == best]
    rest = [each for each in rest if _cells(each) != _cells(first)]
    if not rest:
        return first
    is_tsv = re.search(r"\.tsv(\.gz|\.zip)?$", file_name, re.IGNORECASE)
    by_ending = [each for each in (first, *rest) if is_tsv and each.delimiter == "\t"]
    if by_ending:
        return by_ending[0]
    if not best[1]:  # none makes rows of the records, so none can be loaded wrong
        return max((first, *rest), key=lambda each: sum(len(r.fields) for r in each.records))
    shown = "; or by ".join(
        f"{_NAMES[each.delimiter]}: {each.records[0].shown()}" for each in (first, *rest)
    )
    raise FileRefused(
        f"it can be read in {len(rest) + 1} ways. Line {first.records[0].line} by {shown}",
        "put a header with the names of the columns into its first line",
    )


def _cells(reading: _Reading) -> list[list[str]]:
    return [each.fields for each in reading.records]


def _by_header(sample: _Sample, reading: _Reading, at: int) -> Dialect:
    """Return the dialect of a file whose header is record `at`; raises FileRefused."""
    header = reading.records[at]
    for above in reading.records[:at]:
        if is_row(sample.table, above.fields) and _has_value(sample.table, above.fields):
            raise FileRefused(
                f"its header is in line {header.line}, but line {above.line} may be a row: "
                f"{above.shown()}",
                "put the header above all rows",
            )
    _check_text(header)
    _check_names(sample.table, [name for name in reading.columns[at] if name is not None])
    raw = sample.bytes[header.begin : header.end].rstrip(b"\r")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise FileRefused(
            f"its header is not UTF-8: it has the byte 0x{raw[error.start]:02x}",
            "save the file as UTF-8",
        ) from None
    return Dialect(
        reading.delimiter,
        sample.newline,
        tuple(reading.columns[at]),
        text,
        _may_be_row(sample.table, reading.columns[at], header.fields),
        min(header.end + 1, len(sample.bytes)),
        header.line - 1,
    )


def _may_be_row(table: Table, names: Sequence[str | None], fields: Sequence[str]) -> bool:
    """Return whether a row may look like the header: its only name is a value of its column."""
    named = [
        (table.by_name[name], field) for name, field in zip(names, fields, strict=True) if name
    ]
    return len(named) == 1 and not named[0][0].is_text and may_be_value(*named[0])


def _check_text(record: _Record) -> None:
    if any("\0" in field for field in record.fields):
        raise FileRefused(
            f"line {record.line}, its header, has a NUL byte in it",
            "write the file again: this one is damaged, or no text",
        )


def _check_names(table: Table, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise FileRefused(f'the header names "{name}" twice', "name each column once")
        if not table.by_name[name].settable:
            raise FileRefused(
                f'the header names "{name}", which the database computes itself',
                "leave that column out of the file",
            )
    missing = [each.name for each in table.columns if each.required and each.name not in names]
    if missing:
        raise FileRefused(
            f'the header lacks "{missing[0]}", which every row of {table.full_name} needs',
            "add the column to the file",
        )


def _by_position(sample: _Sample, reading: _Reading, others: Iterable[Table]) -> Dialect:
    """Return the dialect of a file whose first line is a row; raises FileRefused if that is not
    certain.
    """
    first = next(
        (at for at, each in enumerate(reading.records) if not _is_comment(sample, each)), 0
    )
    at = reading.best if _names_half(reading, reading.best) else first
    record = reading.records[at]
    is_data = _is_data(sample.table, reading.records[first:])
    names_some = at < len(reading.columns) and reading.named(at)
    if names_some or not is_data:
        _check_text(record)
    if names_some:
        raise _unknown_names(sample, record, reading.columns[at], others)
    if not is_data:
        raise FileRefused(
            f"line {record.line} names no column of {sample.table.full_name}, and may be a header "
            f"or a row: {record.shown()}",
            "name the columns in the first line; " + _listed(sample, record, record.fields, others),
        )
    fields: tuple[str | None, ...] = sample.positions
    widths = [len(each.fields) for each in reading.records if fits(each.fields, len(fields))]
    if widths and min(widths) > len(fields):  # every record ends with a delimiter
        fields = (*fields, None)
    return Dialect(
        reading.delimiter, sample.newline, fields, None, False, record.begin, record.line - 1
    )


def _is_comment(sample: _Sample, record: _Record) -> bool:
    return record.fields[0].startswith("#") and not _has_value(sample.table, record.fields)


def _names_half(reading: _Reading, at: int) -> bool:
    """Return whether a record names so many columns that it must be meant as a header."""
    filled = sum(not has_no_name(field) for field in reading.records[at].fields)
    return reading.named(at) > 1 and filled <= 2 * reading.named(at)


def _has_value(table: Table, fields: Sequence[str]) -> bool:
    return any(map(is_value, table.settable, fields))


def _is_data(table: Table, records: Sequence[_Record]) -> bool:
    """Return whether the first of these records is a row for certain, and no header."""
    first = records[0].fields
    return _has_value(table, first) or any(
        are_alike([each.fields[at] for each in records if each.fields[at:]])
        for at in range(len(first))
    )


def _unknown_names(
    sample: _Sample, record: _Record, columns: Sequence[str | None], others: Iterable[Table]
) -> FileRefused:
    """Return the error of a header that names some columns, and others that do not exist."""
    pairs = zip(record.fields, columns, strict=True)
    unknown = [
        strip_name(field) for field, name in pairs if name is None and not has_no_name(field)
    ]
    names = ", ".join(f'"{field}"' for field in unknown)
    what = "is not a column" if len(unknown) == 1 else "are not columns"
    return FileRefused(
        f"the header names {names}, which {what} of {sample.table.full_name}",
        _listed(sample, record, unknown, others),
    )


def _listed(
    sample: _Sample, record: _Record, unknown: Sequence[str], others: Iterable[Table]
) -> str:
    """Return the columns that a header may name, which may be meant, and what tables it fits."""
    nearest = {field: sample.names.nearest(field) for field in unknown}
    meant = [f'; "{field}" may be "{name}"' for field, name in nearest.items() if name]
    fitting = [
        each.full_name
        for each in others
        if each != sample.table and all(ColumnNames(each).columns(record.fields))
    ]
    table = f"; the header fits {' and '.join(fitting)}" if fitting else ""
    return f"its columns are: {', '.join(sample.positions)}{''.join(meant)}{table}"
