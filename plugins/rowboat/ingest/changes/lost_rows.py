"""Notices tables that no longer hold what files brought: emptied, new, restored, or retyped."""

import re
from collections import defaultdict
from dataclasses import dataclass
from shlex import quote
from typing import Any

from psycopg2 import sql
from psycopg2.extras import Json

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor
from rowboat.database.statements import query
from rowboat.settings import settings

_TEXTS = {"text", "character varying"}
_WIDER = {
    "smallint": {"integer", "bigint", "numeric", "real", "double precision"},
    "integer": {"bigint", "numeric", "double precision"},
    "bigint": {"numeric"},
    "real": {"double precision"},
}


@dataclass(frozen=True)
class LostRows:
    """What became of the table of a loaded file, and how to load the file again."""

    fact: str
    hint: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.hint}"


@dataclass(frozen=True)
class _Brought:
    """A loaded file: rows inserted, good rows in all, and the oid of their table, if known."""

    file: str
    inserted: int
    good: int
    relation: int | None


def find_lost_rows(cursor: Cursor, catalog: Catalog) -> dict[str, LostRows]:
    """Return what became of the rows of loaded files, by file, if their table lacks some of them.

    A table that was created anew is taken for the old one, from then on, if it holds as many rows
    as the files brought: it was swapped, or the whole database was copied.
    """
    brought: dict[str, list[_Brought]] = defaultdict(list)
    cursor.execute(query("lost_rows.brought"))
    for table, *facts in cursor.fetchall():
        if table in catalog.by_name:
            brought[table].append(_Brought(*facts))
    lost = _retyped(cursor, [catalog.by_name[name] for name in brought]) | _restored(cursor)
    lost |= _emptied(cursor, catalog, brought)
    lost |= _created_anew(cursor, catalog, brought)
    files = [each.file for found in brought.values() for each in found]
    return {file: lost[file] for file in files if file in lost}


def _emptied(
    cursor: Cursor, catalog: Catalog, brought: dict[str, list[_Brought]]
) -> dict[str, LostRows]:
    """Return what became of files whose table is empty."""
    return {
        each.file: LostRows(f"{name} has been emptied", _load_table(name))
        for (name,) in _of_each(cursor, catalog, "lost_rows.empty", dict.fromkeys(brought, 0))
        for each in brought[name]
    }


def _created_anew(
    cursor: Cursor, catalog: Catalog, brought: dict[str, list[_Brought]]
) -> dict[str, LostRows]:
    """Return what became of files whose table is a new one that has fewer rows."""
    older = {
        name: [
            each.file for each in files if each.relation not in (None, catalog.by_name[name].oid)
        ]
        for name, files in brought.items()
    }
    wanted = {
        name: max(sum(each.inserted for each in brought[name]), *(e.good for e in brought[name]))
        for name, files in older.items()
        if files
    }
    counts = dict(_of_each(cursor, catalog, "lost_rows.count", wanted))
    if whole := [catalog.by_name[name] for name in counts if counts[name] == wanted[name]]:
        facts = {"names": [t.full_name for t in whole], "oids": [t.oid for t in whole]}
        cursor.execute(query("lost_rows.settle"), facts)
    return {
        file: LostRows(f"{name} has been created anew since {file} was loaded", _load_table(name))
        for name in counts
        if counts[name] < wanted[name]
        for file in older[name]
    }


def _load_table(name: str) -> str:
    return f"`rowboat ingest --again {quote(name)}` loads its files again"


def _load_file(name: str) -> str:
    return f"`rowboat ingest --again {quote(str(settings().raw_data / name))}` loads it again"


def _of_each(
    cursor: Cursor, catalog: Catalog, fragment: str, most: dict[str, int]
) -> list[tuple[Any, ...]]:
    """Return the rows that a fragment yields for tables, with the most rows to look at of each."""
    if not most:
        return []
    each = [
        query(
            fragment,
            full_name=sql.Literal(name),
            table=catalog.by_name[name].identifier,
            most=sql.Literal(number),
        )
        for name, number in most.items()
    ]
    cursor.execute(sql.SQL(" union all ").join(each))
    return cursor.fetchall()


def _retyped(cursor: Cursor, tables: list[Table]) -> dict[str, LostRows]:
    """Return what became of files of which a column has a type now that may hold less."""
    types = {each.full_name: {c.name: c.type for c in each.columns} for each in tables}
    cursor.execute(query("lost_rows.retyped"), {"types": Json(types)})
    return {
        file: LostRows(
            f"{name} of {table} is {now[name]} now, and was {then[name]} when {file} was loaded",
            _load_file(file),
        )
        for file, table, then, now in cursor.fetchall()
        for name in reversed(then)
        if name in now and not holds_all(now[name], then[name])
    }


def holds_all(type_: str, other: str) -> bool:
    """Return whether a type is known to hold all values of another, as Postgres writes both."""
    if type_ == other or type_ in _TEXTS or type_ in _WIDER.get(other, ()):
        return True
    (base, sizes), (other_base, other_sizes) = _parts(type_), _parts(other)
    if base != other_base or not other_sizes:
        return False
    if len(sizes) == len(other_sizes) == 2:  # digits in all, and after the point
        before, other_before = sizes[0] - sizes[1], other_sizes[0] - other_sizes[1]
        return before >= other_before and sizes[1] >= other_sizes[1]
    return not sizes or sizes >= other_sizes


def _parts(type_: str) -> tuple[str, list[int]]:
    """Return a type's name without its modifiers, and these."""
    sizes = [int(size) for size in re.findall(r"-?\d+(?=[,)])", type_)]
    return re.sub(r"\(.*?\)", "", type_), sizes


def _restored(cursor: Cursor) -> dict[str, LostRows]:
    """Return what became of files that were loaded after the backup to whose state their table was
    restored later.
    """
    cursor.execute(query("lost_rows.restored"))
    return {
        file: LostRows(
            f"{table} was restored on {at:%Y-%m-%d} to the state of {name}, from before {file} was "
            "last loaded",
            _load_file(file),
        )
        for file, table, name, at in cursor.fetchall()
    }
