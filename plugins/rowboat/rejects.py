"""Reads the quarantine for people: as a list, as a CSV file."""

import csv
import io
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rowboat.database import Cursor, rows
from rowboat.errors import FileExists, Unwritable
from rowboat.queries import query


@dataclass(frozen=True)
class Reject:
    """An open refused row: where it came from, its original bytes, every reason."""

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
    def why(self) -> str:
        """All reasons in one line."""
        return "; ".join(reason["message"] for reason in self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return it for one JSON document; the bytes also as hexadecimal."""
        return vars(self) | {"raw": self.text, "raw_hex": self.raw.hex()}


def read(cursor: Cursor, table: str | None) -> list[Reject]:
    """Return the open refused rows of a table, or of all."""
    cursor.execute(query("quarantine.list"), {"table": table})
    return [Reject(**(row | {"raw": bytes(row["raw"])})) for row in rows(cursor)]


def page(cursor: Cursor, tables: list[str] | None, after: int, limit: int) -> list[Reject]:
    """Return open refused rows of some tables, or of all, whose ids come next after one."""
    values = {"tables": tables, "after": after, "limit": limit}
    cursor.execute(query("quarantine.page"), values)
    return [Reject(**(row | {"raw": bytes(row["raw"])})) for row in rows(cursor)]


def export(found: list[Reject], to: Path) -> None:
    """Write refused rows as CSV: where, why, and the row as it stood, byte for byte.

    Raises FileExists or Unwritable.
    """
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        raise FileExists(f"{to} is there already") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unwritable(f"{to} cannot be written: {reason}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(written(found))


def written(found: list[Reject]) -> bytes:
    """Return refused rows as CSV: where, why, and the row as it stood, byte for byte."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["table", "file", "line", "why", "reasons", "row"])
    for each in found:
        raw = each.raw.decode("utf-8", "surrogateescape")
        reasons = json.dumps(each.reasons, ensure_ascii=False)
        place = (each.table_name, each.source_name, each.line)
        writer.writerow([*place, each.why, reasons, raw])
    return text.getvalue().encode("utf-8", "surrogateescape")
