"""The form for filters of rows: lines with a column, a comparison and a value; no script."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rowboat.catalog.tables import Table
from rowboat.rows.read import filters
from rowboat.rows.read.filters import Fault, shown_text
from rowboat.rows.read.listing_params import WORDS

Given = Sequence[tuple[str, str]]
COLUMN, COMPARISON, VALUE = _FIELDS = (
    ".column",
    ".comparison",
    ".value",
)  # with a dot, so that they differ from columns
COMPARISONS = {
    "eq": "is",
    "ne": "is not",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is more than",
    "gte": "is at least",
    "in": "is one of (separated by commas)",
    "prefix": "begins with",
    "null": "is NULL",
    "given": "is not NULL",
}


@dataclass
class FilterLine:
    """A filter as a line of the form, with its errors."""

    column: str = ""
    comparison: str = "eq"
    value: str = ""
    parameter: str = ""
    errors: list[str] = field(default_factory=list)


def build_lines(
    table: Table, given: Given, faults: Iterable[Fault]
) -> tuple[list[FilterLine], list[str]]:
    """Return the filters of an address as lines plus an empty one, and faults of no line."""
    found = [_line(table, *each) for each in given if each[0] not in WORDS]
    shown_ = [each for each in found if each]
    rest = list[str]()
    for fault in faults:
        mine = [each for each in shown_ if shown_text(each.parameter, "") == fault["column"]]
        told = mine[0].errors if mine else rest
        told.append(fault["message"] or "")
    return [*shown_, FilterLine()], rest


def read_parameters(given: Given) -> list[tuple[str, str]] | None:
    """Return the parameters of the API for a submitted form, or None if there was no form.

    Lines without a column are left out, and so is `after`: the page starts again at the first row.
    """
    fields = [[text for name, text in given if name == each] for each in _FIELDS]
    if not fields[0]:
        return None
    others = [
        (name, text) for name, text in given if name not in (*_FIELDS, "after") and text != ""
    ]
    return [_parameter(*line) for line in zip(*fields, strict=False) if line[0]] + others


def _line(table: Table, parameter: str, value: str) -> FilterLine | None:
    found = filters.find_filter(table, parameter)
    if found is None or found[1] not in COMPARISONS:
        return None
    column, comparison = found[0].name, found[1]
    if comparison == "null" and value in ("true", "false"):
        comparison, value = ("null" if value == "true" else "given"), ""
    return FilterLine(column, comparison, value, parameter)


def _parameter(column: str, comparison: str, value: str) -> tuple[str, str]:
    if comparison in ("null", "given"):
        return f"{column}.null", "true" if comparison == "null" else "false"
    return f"{column}.{comparison}", value
