"""What may be asked of a table's rows: filters, an order, a page or a sample, a count."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor
from rowboat.errors import AskRefused
from rowboat.rows.read import filters, ordering
from rowboat.rows.read.filters import Cells, Fault, Filter, fault, shown
from rowboat.rows.read.ordering import Order

LIMIT, MOST = 100, 1000
WORDS = ("order", "limit", "after", "sample", "count")


@dataclass(frozen=True)
class Ask:
    """What is asked for; `after` is the place where the page before ended."""

    filters: tuple[Filter, ...]
    order: Order
    limit: int = LIMIT
    after: tuple[str | None, ...] | None = None
    sample: bool = False
    count: bool = False


def read(cursor: Cursor, table: Table, given: Iterable[tuple[str, str]]) -> Ask:
    """Read parameters: names and values, in any order.

    Words win over columns of the same name, which `column.eq` names all the same. Raises AskRefused
    with every fault.
    """
    words, others, faults = _sorted(list(given))
    parts: list[Filter | Order | Fault] = [filters.read(table, *each) for each in others]
    parts.append(ordering.read(table, words.get("order", "")))
    faults += [each for each in parts if isinstance(each, dict)] + _misfits(words)
    found = tuple(each for each in parts if isinstance(each, Filter))
    by = next((each for each in parts if isinstance(each, Order)), None)
    after = by.place_of(words["after"]) if by and by.total and "after" in words else None
    if by and "after" in words and after is None:
        faults.append(fault("after", "type", _NO_PLACE))
    faults += filters.judge(cursor, [*_values(found), *_places(by, after)])
    if faults or by is None:
        raise AskRefused(errors=faults)
    size = int(words.get("sample") or words.get("limit") or LIMIT)
    chance, count = "sample" in words, words.get("count") == "true"
    return Ask(found, by, min(size, MOST), after, chance, count)


def _values(found: Iterable[Filter]) -> Iterator[Cells]:
    for each in found:
        if each.judged:
            yield Cells(each.parameter, each.column, each.values)


def _places(by: Order | None, after: Iterable[str | None] | None) -> Iterator[Cells]:
    for each, text in zip(by.by if by else (), after or (), strict=False):
        if text is not None:
            yield Cells("after", each.column, (text,), as_written=True)


def _sorted(
    given: list[tuple[str, str]],
) -> tuple[dict[str, str], list[tuple[str, str]], list[Fault]]:
    """Tell words from filters; what stands twice makes sense for `ne` only."""
    names = [name for name, _ in given]
    faults = [
        fault(name, "shape", f"{shown(name, '')} stands {names.count(name)} times")
        for name in dict.fromkeys(names)
        if names.count(name) > 1 and not name.endswith(".ne")
    ]
    words = {name: text for name, text in given if name in WORDS}
    return words, [each for each in given if each[0] not in WORDS], faults


def _misfits(words: dict[str, str]) -> list[Fault]:
    """Find words whose values are none, or that do not go together."""
    faults = [
        fault(name, "type", f"{shown(words[name])} is not a whole number from 1 on")
        for name in ("limit", "sample")
        if name in words and not re.fullmatch("[1-9][0-9]{0,8}", words[name])
    ]
    if words.get("count", "true") not in ("true", "false"):
        faults.append(fault("count", "type", f"{shown(words['count'])} is not true or false"))
    if "sample" in words:
        faults += [
            fault(name, "shape", f"{name} does not go with sample")
            for name in ("order", "limit", "after")
            if name in words
        ]
    return faults


_NO_PLACE = "after is no place in this order: take it from the link to the next page, as it is"
