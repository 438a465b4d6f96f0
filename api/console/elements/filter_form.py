"""The form for filters of rows, without a script: lines of a column, a comparison and a value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rowboat.catalog.tables import Table
from rowboat.rows.read import filters
from rowboat.rows.read.filters import Fault, shown_text
from rowboat.rows.read.listing_params import WORDS

Given = Sequence[tuple[str, str]]
COLUMN, COMPARISON, VALUE = _FIELDS = ".column", ".comparison", ".value"  # no columns of a table
COMPARISONS = {
    "eq": "is",
    "ne": "is not",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is more than",
    "gte": "is at least",
    "in": "is one of (with commas between)",
    "prefix": "begins with",
    "null": "is NULL",
    "given": "is not NULL",
}


@dataclass
class Line:
    """One filter as the form shows it, and what is wrong with it."""

    column: str = ""
    comparison: str = "eq"
    value: str = ""
    parameter: str = ""
    errors: list[str] = field(default_factory=list)


def lines(table: Table, given: Given, faults: Iterable[Fault]) -> tuple[list[Line], list[str]]:
    """Return the filters of an address as lines, with an empty one, and the faults of no line."""
    found = [_line(table, *each) for each in given if each[0] not in WORDS]
    shown_ = [each for each in found if each]
    rest = list[str]()
    for fault in faults:
        mine = [each for each in shown_ if shown_text(each.parameter, "") == fault["column"]]
        told = mine[0].errors if mine else rest
        told.append(fault["message"] or "")
    return [*shown_, Line()], rest


def parameters(given: Given) -> list[tuple[str, str]] | None:
    """Return what a form that was sent asks for as the API's parameters; None where none was.

    A line without a column is left out, and the place in an order that may have changed.
    """
    fields = [[text for name, text in given if name == each] for each in _FIELDS]
    if not fields[0]:
        return None
    others = [
        (name, text) for name, text in given if name not in (*_FIELDS, "after") and text != ""
    ]
    return [_parameter(*line) for line in zip(*fields, strict=False) if line[0]] + others


def _line(table: Table, parameter: str, value: str) -> Line | None:
    found = filters.find_filter(table, parameter)
    if found is None or found[1] not in COMPARISONS:
        return None
    column, comparison = found[0].name, found[1]
    if comparison == "null" and value in ("true", "false"):
        comparison, value = ("null" if value == "true" else "given"), ""
    return Line(column, comparison, value, parameter)


def _parameter(column: str, comparison: str, value: str) -> tuple[str, str]:
    if comparison in ("null", "given"):
        return f"{column}.null", "true" if comparison == "null" else "false"
    return f"{column}.{comparison}", value
