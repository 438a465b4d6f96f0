"""Writes rows as CSV (RFC 4180), for programs or spreadsheets."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], safe: bool = False) -> str:
    """Return a header and rows as CSV; NULL is an empty cell.

    With `safe`, an apostrophe precedes text that a spreadsheet would take for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in ([*columns], *rows):
        cells = [_cell(value) for value in row]
        writer.writerow([guard_formula(cell) for cell in cells] if safe else cells)
    return text.getvalue()


def guard_formula(cell: Any) -> Any:
    """Return a cell, with an apostrophe before text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _cell(value: Any) -> Any:
    """Return booleans, times and nested values as JSON writes them, others unchanged."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value
