"""Parses the rows of a request: JSON (RFC 8259), JSON Lines, or CSV; keeps their original bytes."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeAlias

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.recognise import recognise_dialect
from rowboat.csvfile.records import Reason
from rowboat.csvfile.splitter import split_records
from rowboat.errors import BatchRefused, BodyRefused
from rowboat.rows.exact_json import (
    BLANK,
    Number,
    Repeated,
    items_of,
    members_of,
    read_json,
    too_deep,
    write_json,
)

_JSON = ("json", "jsonb")
MOST_ROWS = 1000
_MOST_NAMES = 100  # wrong fields of a row that get a reason each

Cell: TypeAlias = str | int | bytes | None


@dataclass(slots=True)
class IncomingRow:
    """One row of a request.

    `index` is its place in the request; `source` returns the original bytes of an index; `cells` is
    column → value, or None for a row that cannot be staged; `reasons` are faults found in parsing.
    A value is text, an integer, the binary form of a value that the database made, or None.
    """

    index: int
    source: Callable[[int], bytes]
    cells: Mapping[str, Cell] | None
    reasons: list[Reason] = field(default_factory=list)

    def raw(self) -> bytes:
        """Return the original bytes."""
        return self.source(self.index)


def rows_of_json(body: bytes, table: Table) -> list[IncomingRow]:
    """Parse an array of rows, or one row; raises BatchRefused, BodyRefused with line and column."""
    text = _text(body)
    value = read_json(text)
    if not isinstance(value, list):
        return [_Reader(table, text).row(0, lambda _: body, value)]
    _check_count(len(value))
    # Only rejected rows need their bytes, so the text is cut into items when one is asked for.
    reader, raw = _Reader(table, text), partial(_nth, cache(lambda: items_of(text)))
    return [reader.row(index, raw, each) for index, each in enumerate(value)]


def rows_of_tables(body: bytes, find: Callable[[str], Table]) -> dict[str, list[IncomingRow]]:
    """Parse an object of table → array of rows; `find` returns the table of a name.

    Raises BatchRefused, BodyRefused, and what `find` raises.
    """
    text = _text(body)
    value = read_json(text)
    if not isinstance(value, dict) or not all(isinstance(each, list) for each in value.values()):
        raise BodyRefused(
            "the body is not an object of arrays", 'send {"TABLE": [rows …], "OTHER": [rows …]}'
        )
    if isinstance(value, Repeated):
        raise BodyRefused(f"{value.names[0]} occurs twice", "name each table once")
    _check_count(sum(map(len, value.values())))
    found: dict[str, list[IncomingRow]] = {}
    raws = cache(lambda name: items_of(members_of(text)[name]))
    for name, rows in value.items():
        table = find(name)
        if table.full_name in found:
            raise BodyRefused(f"{name} names {table.full_name} again", "name each table once")
        reader, raw = _Reader(table, text), partial(_nth, partial(raws, name))
        found[table.full_name] = [reader.row(index, raw, row) for index, row in enumerate(rows)]
    return found


def rows_of_lines(body: bytes, table: Table) -> list[IncomingRow]:
    """Parse one JSON object per line; raises BatchRefused, BodyRefused with line and column."""
    text = _text(body)
    lines = [each for each in enumerate(text.split("\n"), 1) if each[1].strip(BLANK)]
    _check_count(len(lines))
    reader = _Reader(table, text)
    return [
        reader.row(
            index, lambda n: lines[n][1].removesuffix("\r").encode(), read_json(line, number)
        )
        for index, (number, line) in enumerate(lines)
    ]


def rows_of_csv(body: bytes, table: Table, known: Dialect | None = None) -> list[IncomingRow]:
    """Parse CSV as in files, with or without a header; raises BatchRefused, FileRefused.

    The dialect is recognised unless it is known.
    """
    # A file may end without newline until the next append; a request is complete.
    body = body + b"\n" if body and not body.endswith((b"\n", b"\r")) else body
    known = known or recognise_dialect(body, table)
    found = split_records(body[known.start :], known, at_end=True)
    _check_count(len(found))
    fields, rows = _fields(table, known), []
    for index in range(len(found)):
        reasons = found.refused.get(index)
        cells = None if reasons else fields(found.raw(index).decode())
        rows.append(IncomingRow(index, found.raw, cells, reasons or []))
    return rows


def row_of_texts(texts: Mapping[str, str | None], table: Table) -> IncomingRow:
    """Return one row of texts by column, which are judged unchanged."""
    body = json.dumps(texts, ensure_ascii=False).encode()
    row = IncomingRow(0, lambda _: body, None)
    row.cells = {
        name: None if text is None else _clean(row, table.by_name[name], text)
        for name, text in texts.items()
    }
    return row


def _fields(table: Table, known: Dialect) -> Callable[[str], dict[str, Cell]]:
    """Return a function that splits a record of CSV into cells.

    As in files, an empty field is NULL unless it is quoted and its column is of a text type, and so
    are blanks in others.
    """
    border = re.escape(known.delimiter)
    field_ = re.compile(f'(?:^|{border})(?:"((?:[^"]|"")*)"|([^{border}]*))')

    def cell(column: Column, quoted: str | None, plain: str) -> Cell:
        if quoted == "" and column.is_text:
            return ""
        text = plain if quoted is None else quoted.replace('""', '"')
        return text if text.strip(literals.BLANKS if literals.is_tidied(column) else "") else None

    def split(record: str) -> dict[str, Cell]:
        return {
            name: cell(table.by_name[name], *found.groups())
            for name, found in zip(known.fields, field_.finditer(record), strict=False)
            if name is not None
        }

    return split


def _check_count(rows: int) -> None:
    if not 0 < rows <= MOST_ROWS:
        raise BatchRefused(f"the request has {rows:,} rows")


def _text(body: bytes) -> str:
    try:
        # RFC 8259, section 8.1, allows parsers to ignore a byte order mark.
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BodyRefused(
            f"the body is not UTF-8 at byte {error.start}", "send JSON and CSV as UTF-8"
        ) from None


def _nth(raws: Callable[[], list[bytes]], index: int) -> bytes:
    return raws()[index]


class _Reader:
    """Makes rows of a table from JSON values.

    `_passing` is column → Python types whose values need no check here: their text says all that
    the judge must see. JSON columns are never among them, nor is any if the body has an escape, as
    only `\\u` can bring in NUL or half a surrogate pair. `_forms` are the names and types of rows
    that passed: most rows of a request have the same, and are then accepted by one lookup.
    """

    def __init__(self, table: Table, text: str) -> None:
        self._table = table
        self._columns = {column.name: column for column in table.settable}
        escapes = "\\u" in text
        self._passing: dict[str, set[type]] = {
            name: {type(None), *(k for k in (str, int, Number) if not _hides(column, k("0")))}
            for name, column in self._columns.items()
            if column.base not in _JSON and not escapes
        }
        self._forms = set[tuple[str | type, ...]]()

    def row(self, index: int, raw: Callable[[int], bytes], value: Any) -> IncomingRow:
        """Return one row, with its faults as reasons; raises BodyRefused for too deep nesting."""
        # `type(...) is dict` excludes Repeated, of which a name occurs twice.
        if type(value) is dict and _form(value) in self._forms:
            return IncomingRow(index, raw, value)
        row = IncomingRow(index, raw, None)
        if not isinstance(value, dict):
            row.reasons.append(Reason("shape", None, "a row must be an object of column to value"))
            return row
        row.cells = cells = dict[str, Cell]()
        if isinstance(value, Repeated):
            row.reasons += _named(value.names, lambda name: f"{_shown(name)} occurs twice")
        strange, passed = [], 0
        for name, cell in value.items():
            if type(cell) in self._passing.get(name, ()):
                cells[name] = cell
                passed += 1
            elif column := self._columns.get(name):
                try:
                    cells[name] = _cell(row, column, cell)
                except RecursionError:
                    raise too_deep() from None
            else:
                strange.append(name)
        if strange:
            row.reasons += _named(strange, self._foreign)
        if passed == len(value):
            self._forms.add(_form(value))
        return row

    def _foreign(self, name: str) -> str:
        if name in self._table.by_name:
            return f"{name} is set by the server"
        return f"{_shown(name)} is not a column of {self._table.full_name}"


def _form(row: dict[str, Any]) -> tuple[str | type, ...]:
    return (*row, *map(type, row.values()))


def _named(names: list[str], message: Callable[[str], str]) -> list[Reason]:
    """Return a reason for each of the first hundred names, and one for the rest.

    The limit keeps the answer to a hostile body from becoming many times as large as the body.
    """
    found = [Reason("shape", _shown(name), message(name)) for name in names[:_MOST_NAMES]]
    if more := len(names) - len(found):
        found.append(Reason("shape", None, f"{more:,} more fields are wrong in the same way"))
    return found


def _cell(row: IncomingRow, column: Column, value: Any) -> str | None:
    """Return a value as the text that is judged; add a reason if the text would hide its type."""
    if value is None:
        return None
    if _hides(column, value):
        message = f"{_shown(write_json(value))} is not {literals.literal_of(column).noun}"
        row.reasons.append(Reason("type", column.name, message))
    return _clean(row, column, _as_text(column, value))


def _clean(row: IncomingRow, column: Column, text: str) -> str:
    """Return a text that the database can store; add a reason if it had to be changed."""
    plain = _plain(text)
    if plain != text:
        message = f"{column.name} holds a NUL or half of a character"
        row.reasons.append(Reason("encoding", column.name, message))
    return plain


def _hides(column: Column, value: Any) -> bool:
    """Return whether a value that is not text would only be accepted because it became text."""
    if type(value) is str or column.base in _JSON:
        return False
    if column.base == "bool":
        return type(value) is not bool
    if isinstance(value, list) and column.element is not None:
        return any(
            _hides(column if isinstance(each, list) else column.parts[0], each)
            for each in value
            if each is not None
        )
    if type(value) in (int, Number) and column.category == "N":
        return False
    # For other types, the judge sees in the text that it is not a literal of the type.
    return literals.literal_of(column).form == "any"


def _as_text(column: Column, value: Any) -> str:
    if type(value) is str and column.base not in _JSON:
        return value
    if isinstance(value, list) and column.element is not None:
        return _array(value, column.element in _JSON)
    return write_json(value)


def _array(value: list[Any], of_json: bool) -> str:
    """Return an array as a Postgres literal (manual, "Array Input and Output Syntax")."""

    def item(each: Any) -> str:
        if each is None:
            return "NULL"
        if isinstance(each, list):
            return _array(each, of_json)
        text = each if type(each) is str and not of_json else write_json(each)
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(map(item, value)) + "}"


def _plain(text: str) -> str:
    """Return a text that Postgres can store: NUL and unpaired surrogates are replaced."""
    # The usual case, decided without a copy.
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _shown(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= 80 else text[:80] + "…"
