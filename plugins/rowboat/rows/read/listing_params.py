"""Parses the parameters of a listing: filters, order, page or sample, count."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor
from rowboat.errors import AskRefused
from rowboat.rows.read import filters, ordering
from rowboat.rows.read.filters import Fault, Filter, FilterCells, parameter_fault, shown_text
from rowboat.rows.read.ordering import Ordering

LIMIT, MOST = 100, 1000
WORDS = ("order", "limit", "after", "sample", "count")


@dataclass(frozen=True)
class ListingParams:
    """What a listing contains; `after` is the position at which the previous page ended."""

    filters: tuple[Filter, ...]
    order: Ordering
    limit: int = LIMIT
    after: tuple[str | None, ...] | None = None
    sample: bool = False
    count: bool = False


def read_listing_params(
    cursor: Cursor, table: Table, given: Iterable[tuple[str, str]]
) -> ListingParams:
    """Parse parameters: names and values, in any order; raises AskRefused with every fault.

    Reserved words win over columns of the same name, which `column.eq` can still name.
    """
    words, others, faults = _sorted(list(given))
    parts: list[Filter | Ordering | Fault] = [filters.read_filter(table, *each) for each in others]
    parts.append(ordering.read_ordering(table, words.get("order", "")))
    faults += [each for each in parts if isinstance(each, dict)] + _misfits(words)
    found = tuple(each for each in parts if isinstance(each, Filter))
    by = next((each for each in parts if isinstance(each, Ordering)), None)
    after = by.place_of(words["after"]) if by and by.total and "after" in words else None
    if by and "after" in words and after is None:
        faults.append(parameter_fault("after", "type", _NO_PLACE))
    # All values are checked in one query, and all faults are reported together.
    faults += filters.judge_filters(cursor, [*_values(found), *_places(by, after)])
    if faults or by is None:
        raise AskRefused(errors=faults)
    size = int(words.get("sample") or words.get("limit") or LIMIT)
    chance, count = "sample" in words, words.get("count") == "true"
    return ListingParams(found, by, min(size, MOST), after, chance, count)


def _values(found: Iterable[Filter]) -> Iterator[FilterCells]:
    for each in found:
        if each.judged:
            yield FilterCells(each.parameter, each.column, each.values)


def _places(by: Ordering | None, after: Iterable[str | None] | None) -> Iterator[FilterCells]:
    for each, text in zip(by.by if by else (), after or (), strict=False):
        if text is not None:
            yield FilterCells("after", each.column, (text,), as_written=True)


def _sorted(
    given: list[tuple[str, str]],
) -> tuple[dict[str, str], list[tuple[str, str]], list[Fault]]:
    """Split parameters into reserved words and filters. Only `ne` may be repeated."""
    names = [name for name, _ in given]
    faults = [
        parameter_fault(name, "shape", f"{shown_text(name, '')} occurs {names.count(name)} times")
        for name in dict.fromkeys(names)
        if names.count(name) > 1 and not name.endswith(".ne")
    ]
    words = {name: text for name, text in given if name in WORDS}
    return words, [each for each in given if each[0] not in WORDS], faults


def _misfits(words: dict[str, str]) -> list[Fault]:
    """Return faults of reserved words: invalid values, and words that exclude each other."""
    faults = [
        parameter_fault(name, "type", f"{shown_text(words[name])} is not a positive integer")
        for name in ("limit", "sample")
        if name in words and not re.fullmatch("[1-9][0-9]{0,8}", words[name])
    ]
    if words.get("count", "true") not in ("true", "false"):
        faults.append(
            parameter_fault("count", "type", f"{shown_text(words['count'])} is not true or false")
        )
    if "sample" in words:
        faults += [
            parameter_fault(name, "shape", f"{name} cannot be combined with sample")
            for name in ("order", "limit", "after")
            if name in words
        ]
    return faults


_NO_PLACE = "after is not a position in this order: copy it from the link to the next page"
