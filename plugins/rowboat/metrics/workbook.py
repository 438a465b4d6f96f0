"""Writes figures as a workbook (XLSX) for spreadsheets."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from rowboat.errors import ParameterRefused
from rowboat.metrics.figures import MetricFigures

_LONGEST = 1_048_575  # rows of a sheet below its header
_NAME = 31  # characters of a sheet's name


def workbook(found: MetricFigures) -> bytes:
    """Return a workbook with the rows in one sheet, and what they are about in another.

    Times are in UTC, as Excel has no time zones; no text becomes a formula. Raises ParameterRefused
    if a sheet cannot hold the rows.
    """
    import pandas as pd  # takes half a second, so not at import

    rows, columns = found.result.rows, list(found.result.columns)
    if len(rows) > _LONGEST:
        raise ParameterRefused(f"a sheet cannot hold {len(rows):,} rows", "ask for CSV")
    data = pd.DataFrame([[_cell(value) for value in row] for row in rows], None, columns, object)
    about = pd.DataFrame([[name, _cell(value)] for name, value in _about(found)], dtype=object)
    written, name = io.BytesIO(), found.metric.name[:_NAME]
    with pd.ExcelWriter(written, engine="openpyxl") as writer:
        data.to_excel(writer, sheet_name=name, index=False, freeze_panes=(1, 0))
        about.to_excel(writer, sheet_name="about " + name[:25], index=False, header=False)
        # pandas lets openpyxl guess, which takes "=…" for a formula and "#N/A" for an error.
        for sheet in writer.sheets.values():
            _unarm(sheet)
        _embolden(writer.sheets[name])
    return written.getvalue()


def _about(found: MetricFigures) -> list[tuple[str, Any]]:
    return [
        ("title", found.metric.title),
        ("about", found.metric.about),
        *found.values.items(),
        ("as of (UTC)", found.as_of),
        *((f"refused rows of {table}", rows) for table, rows in found.left_out.items()),
    ]


def _cell(value: Any) -> Any:
    """Return a value as openpyxl can write it."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)
    if value is None or isinstance(value, int | float | Decimal | date | time | timedelta):
        return value
    return ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", str(value))


def _embolden(sheet: Any) -> None:
    """Make the header bold."""
    from openpyxl.styles import Font

    for cell in sheet[1]:
        cell.font = Font(bold=True)


def _unarm(sheet: Any) -> None:
    """Mark cells that openpyxl took for formulas or errors as text."""
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type in {"f", "e"}:
                cell.data_type = "s"
