"""Reads the quarantine: lists, pages, counts and exports refused rows."""

import csv
import io
import json
import os
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from rowboat.csvfile.writer import guard_formula
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.errors import FileExists, UnknownRow, Unwritable

HINTS = {
    "shape": "give the row one value for each column; quote a text that holds the delimiter",
    "encoding": "write the marked characters anew, or save the file as UTF-8",
    "required": "give the column a value",
    "type": "write the value in the form that the column takes",
    "duplicate": "nothing, if the other row is the right one; else give this one a key of its own",
    "reference": "add the row that it refers to, and this one goes in by itself; or name another",
    "check": "change the value so that the rule holds",
}  # what to do about each rule


@dataclass(frozen=True)
class RejectFilter:
    """Selects open rows. Each field narrows the selection; None does not.

    `tables` are full names; a `fault` has a rule, a column (None: a rule of no column), or both;
    `source_name` is a file's name, or another source's; `id` selects one row.
    """

    tables: list[str] | None = None
    fault: dict[str, str | None] | None = None
    source_name: str | None = None
    id: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The values of the statement quarantine.which."""
        words = {
            name: json.dumps(word, ensure_ascii=False) for name, word in (self.fault or {}).items()
        }
        fault = {"fault": self.fault and json.dumps([self.fault])}
        return vars(self) | {"rule": None, "column": None} | words | fault


@dataclass(frozen=True)
class RejectGroup:
    """How many open rows of a table break a rule in a column."""

    table_name: str
    rule: str
    column: str | None
    rows: int


@dataclass(frozen=True)
class RejectCount:
    """How many chosen rows of a table are open; only those `cut` into cells can be retried."""

    table_name: str
    rows: int
    cut: int


@dataclass(frozen=True)
class Reject:
    """An open refused row: its origin, its original bytes, all reasons."""

    id: int
    table_name: str
    source: str
    source_name: str
    line: int
    raw: bytes
    reasons: list[dict[str, Any]]
    rejected_at: datetime

    @property
    def text(self) -> str:
        """The bytes as text; those that are no UTF-8 as \\xNN."""
        return self.raw.decode("utf-8", "backslashreplace")

    @property
    def place(self) -> str:
        """Where it came from, in words."""
        if self.source == "file":
            return f"{self.source_name}, line {self.line}"
        kind = "request" if self.source == "api" else self.source
        return f"{kind} {self.source_name}, row {self.line}"

    @property
    def why(self) -> str:
        """All reasons in one line."""
        return "; ".join(reason["message"] for reason in self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return it for one JSON document; the bytes also as hexadecimal."""
        return vars(self) | {"raw": self.text, "raw_hex": self.raw.hex()}


@dataclass(frozen=True)
class RejectStart(Reject):
    """A refused row of whose bytes only the first may be at hand; `size` counts all of them."""

    size: int


@dataclass(frozen=True)
class RejectDetail(Reject):
    """A refused row, open or settled: its cells if it could be cut, and how it was settled."""

    version: int | None
    fields: dict[str, str | None] | None
    settled_at: datetime | None
    settled_as: str | None
    discarded_because: str | None
    settler: str | None


def read_rejects(cursor: Cursor, table: str | None) -> list[Reject]:
    """Return the open refused rows of a table, or of all tables, by source and line."""
    cursor.execute(query("quarantine.list"), {"table": table})
    return [Reject(**(row | {"raw": bytes(row["raw"])})) for row in fetch_rows(cursor)]


def page_of_rejects(cursor: Cursor, which: RejectFilter, after: int, limit: int) -> list[Reject]:
    """Return up to `limit` of the chosen open rows, with ids greater than `after`."""
    values = which.values | {"after": after, "limit": limit}
    cursor.execute(query("quarantine.page", which=query("quarantine.which")), values)
    return [Reject(**(row | {"raw": bytes(row["raw"])})) for row in fetch_rows(cursor)]


def page_of_starts(
    cursor: Cursor, which: RejectFilter, after: int, limit: int, most: int
) -> list[RejectStart]:
    """Return a page of the chosen open rows, with the first `most` bytes of each."""
    values = which.values | {"after": after, "limit": limit, "most": most}
    cursor.execute(query("quarantine.begun", which=query("quarantine.which")), values)
    return [RejectStart(**(row | {"raw": bytes(row["raw"])})) for row in fetch_rows(cursor)]


def find_reject(cursor: Cursor, reject_id: int) -> RejectDetail:
    """Return a refused row, open or settled; raises UnknownRow."""
    cursor.execute(query("quarantine.one"), {"id": reject_id})
    found = fetch_rows(cursor)
    if not found:
        raise UnknownRow(f"there is no refused row {reject_id}", "go back to the list")
    return RejectDetail(**(found[0] | {"raw": bytes(found[0]["raw"])}))


def group_rejects(cursor: Cursor, tables: list[str] | None) -> tuple[list[RejectGroup], int]:
    """Return how many open rows of some tables, or of all, have each fault, and the number of open
    rows. A row with several faults counts in each.
    """
    cursor.execute(query("quarantine.groups"), {"tables": tables})
    found = fetch_rows(cursor)
    total = found[0]["total"] if found else 0
    names = [each.name for each in fields(RejectGroup)]
    return [RejectGroup(*(row[name] for name in names)) for row in found], total


def count_rejects(cursor: Cursor, which: RejectFilter) -> list[RejectCount]:
    """Count chosen open rows by table."""
    cursor.execute(query("quarantine.counts", which=query("quarantine.which")), which.values)
    return [RejectCount(**row) for row in fetch_rows(cursor)]


def count_settled(cursor: Cursor, tables: list[str] | None) -> dict[str, int]:
    """Return how many rows are no longer open, by what became of them: loaded, superseded or
    discarded.
    """
    cursor.execute(query("quarantine.settled"), {"tables": tables})
    return dict(cursor.fetchall())


def export_rejects(found: list[Reject], to: Path) -> None:
    """Write refused rows to a new CSV file: source, reasons, and the original row, byte for byte.

    Raises FileExists or Unwritable.
    """
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        raise FileExists(f"{to} already exists") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unwritable(f"{to} cannot be written: {reason}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(rejects_as_csv(found))


def rejects_as_csv(found: list[Reject], safe: bool = False, header: bool = True) -> bytes:
    """Return refused rows as CSV: source, reasons, and the original row, byte for byte.

    With safe=True an apostrophe is put before text that a spreadsheet would take for a formula.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow(["table", "file", "line", "why", "reasons", "row"])
    for each in found:
        raw = each.raw.decode("utf-8", "surrogateescape")
        reasons = json.dumps(each.reasons, ensure_ascii=False)
        cells = (each.table_name, each.source_name, each.line, each.why, reasons, raw)
        writer.writerow(map(guard_formula, cells) if safe else cells)
    return text.getvalue().encode("utf-8", "surrogateescape")
