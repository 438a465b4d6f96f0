"""Recognises how a CSV file is written: delimiter, newline, header; the user need not say.

RFC 4180, extended by what people really send: `;`, tab and `|` as delimiters, CRLF and lone CR, a
byte-order mark, a header in any order.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rowboat.catalog.tables import Table
from rowboat.errors import FileRefused

SAMPLE_BYTES = 64 * 2**10
DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a file is written; `start` is the length of its byte-order mark in bytes.

    `first` is the byte at which the first line that is not blank begins. Without a `header` the
    `columns` are those of the table.
    """

    delimiter: str
    newline: str
    columns: tuple[str, ...]
    header: bool
    start: int
    first: int

    def to_json(self) -> dict[str, Any]:
        """Return the dialect as JSON, for the position of the file."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Dialect":
        """Return the dialect that `to_json` wrote."""
        return cls(**(kept | {"columns": tuple(kept["columns"])}))


def recognise_dialect(sample: bytes, table: Table) -> Dialect:
    """Recognise the dialect of a file from its first bytes (UTF-8) and the table's columns.

    Raises FileRefused for a header that does not fit the table.
    """
    start = len(BYTE_ORDER_MARK) if sample.startswith(BYTE_ORDER_MARK) else 0
    text = sample[start:].decode("utf-8", errors="replace")
    unquoted = re.sub(r'"[^"]*"', "", text)
    newline = "\r" if len(re.findall(r"\r(?!\n)", unquoted)) > unquoted.count("\n") else "\n"
    lines = [re.sub(r"[\r\n]", " ", line.rstrip("\r")) + "\n" for line in text.split(newline)]
    if len(lines) > 1:
        lines.pop()  # the sample may end within the last line
    delimiter = max(DELIMITERS, key=lambda each: _fit(lines, each, table))
    first = next((row for row in _rows(lines, delimiter) if row), [])
    header = _is_header(first, table)
    columns = _named(first, table) if header else tuple(each.name for each in table.settable)
    blank = len(sample[start:]) - len(sample[start:].lstrip(b"\r\n"))
    return Dialect(delimiter, newline, columns, header, start, start + blank)


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return list(csv.reader(lines[:100], delimiter=delimiter))


def _fit(lines: Sequence[str], delimiter: str, table: Table) -> tuple[int, int]:
    """Rate a delimiter by the column names in the first line, then by rows of the right width."""
    rows = _rows(lines, delimiter)
    names = sum(_column(field, table) is not None for field in rows[0]) if rows else 0
    return names, sum(len(row) == len(table.settable) for row in rows)


def _column(field: str, table: Table) -> str | None:
    """Return the column that a header field names, exactly or else ignoring case."""
    name = field.strip()
    if name in table.by_name:
        return name
    alike = [each for each in table.by_name if each.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _is_header(fields: Sequence[str], table: Table) -> bool:
    """Return whether half of the fields name columns, and none is empty or a number."""
    known = sum(_column(field, table) is not None for field in fields)
    values = any(re.fullmatch(r"\s*|[\d.,+-]+", field) for field in fields)
    return bool(fields) and 2 * known >= len(fields) and not values


def _named(header: Sequence[str], table: Table) -> tuple[str, ...]:
    names = [_column(field, table) for field in header]
    for field, name in zip(header, names, strict=True):
        if name is None:
            raise FileRefused(
                f'the header names "{field.strip()}", which is not a column of {table.full_name}',
                "its columns are: " + ", ".join(each.name for each in table.settable),
            )
        if names.count(name) > 1:
            raise FileRefused(f'the header names "{name}" twice', "name each column once")
        if not table.by_name[name].settable:
            raise FileRefused(
                f'the header names "{name}", which the database computes itself',
                "leave that column out of the file",
            )
    found = tuple(name for name in names if name is not None)
    missing = [each.name for each in table.columns if each.required and each.name not in found]
    if missing:
        raise FileRefused(
            f'the header lacks "{missing[0]}", which every row of {table.full_name} needs',
            "add the column to the file",
        )
    return found
