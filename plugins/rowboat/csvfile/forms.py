"""Tells cells from names by their form, to find out what the first line of a file is.

This is evidence, not a judgement: whether a cell is a value of its column, only the door decides.
"""

import re
from collections.abc import Sequence

from rowboat.catalog.tables import Column

_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_DAY = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{8}"
_TIME = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?"
_ZONE = r" ?([Zz]|UTC|[-+]\d{2}(:?\d{2})?)?"
_FORMS = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8"), re.compile(_NUMBER)),
    **dict.fromkeys(
        ("date", "timestamp", "timestamptz"), re.compile(rf"({_DAY})([Tt ]{_TIME})?{_ZONE}")
    ),
    **dict.fromkeys(("time", "timetz"), re.compile(_TIME + _ZONE)),
    "bool": re.compile(r"true|false|t|f|yes|no|y|n|on|off|1|0", re.IGNORECASE),
    "uuid": re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?"),
}
_TELLING = ("bool", "uuid")  # whatever has their form is no name where such a column is expected
_BARE = re.compile(r"[-+(]?[\d.,:/\s%()+-]*\d[\d.,:/\s%()+TZtz-]*")
_YEAR = re.compile(r"[12]\d{3}")
_OTHER = re.compile(r"[\d{\[(<\\+-]")  # how values of other types begin: arrays, ranges, JSON, …


def may_be_value(column: Column, cell: str) -> bool:
    """Return whether a cell has a form that values of its column have; an empty one has any."""
    form = _FORMS.get(column.base)
    return not cell.strip() or form is None or form.fullmatch(cell.strip()) is not None


def is_year(cell: str) -> bool:
    """Return whether a cell is a bare year, which is a number and often a name."""
    return _YEAR.fullmatch(cell.strip()) is not None


def is_value(column: Column, cell: str) -> bool:
    """Return whether a cell of a column that is not text is one of its values, and no name."""
    text = cell.strip()
    if column.is_text or not text or is_year(text):
        return False
    if column.labels:
        return text in column.labels
    if column.base in _FORMS:
        return may_be_value(column, text) and (column.base in _TELLING or _is_bare(text))
    return _OTHER.match(text) is not None


def are_alike(cells: Sequence[str]) -> bool:
    """Return whether cells, the first of which may be a name, have one form that no name has: all
    years, or numbers, dates or lists of words of the same shape.
    """
    if all(map(is_year, cells)):
        return True
    shapes = {_shape(cell) for cell in cells}
    return len(cells) > 1 and len(shapes) == 1 and ("," in cells[0] or _is_bare(cells[0]))


def _is_bare(cell: str) -> bool:
    return _BARE.fullmatch(cell.strip()) is not None and not is_year(cell)


def _shape(cell: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell.strip()))
