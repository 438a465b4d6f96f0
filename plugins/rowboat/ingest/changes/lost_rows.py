"""Notices tables that no longer hold what files brought: emptied, created anew, or restored."""

from collections import defaultdict
from dataclasses import dataclass
from shlex import quote

from psycopg2 import sql

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor
from rowboat.database.statements import query
from rowboat.settings import settings


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
    lost = _restored(cursor) | _emptied_or_new(cursor, catalog, brought)
    files = [each.file for found in brought.values() for each in found]
    return {file: lost[file] for file in files if file in lost}


def _emptied_or_new(
    cursor: Cursor, catalog: Catalog, brought: dict[str, list[_Brought]]
) -> dict[str, LostRows]:
    """Return what became of files whose table is empty, or is a new one with fewer rows."""
    wanted = {}
    for name, files in brought.items():
        is_new = any(_is_older(each, catalog.by_name[name]) for each in files)
        most = max(sum(each.inserted for each in files), *(each.good for each in files))
        wanted[name] = most if is_new else 1
    found: dict[str, LostRows] = {}
    settled = []
    for name, rows in _count_rows(cursor, catalog, wanted).items():
        table = catalog.by_name[name]
        hint = f"`rowboat ingest --again {quote(name)}` loads its files again"
        older = [each.file for each in brought[name] if _is_older(each, table)]
        if rows < wanted[name]:
            found |= {
                file: LostRows(f"{name} has been created anew since {file} was loaded", hint)
                for file in older
            }
        else:
            settled += [table] if older else []
        if not rows:
            emptied = LostRows(f"{name} has been emptied", hint)
            found |= {each.file: emptied for each in brought[name] if each.file not in found}
    if settled:
        facts = {"names": [t.full_name for t in settled], "oids": [t.oid for t in settled]}
        cursor.execute(query("lost_rows.settle"), facts)
    return found


def _is_older(file: _Brought, table: Table) -> bool:
    return file.relation not in (None, table.oid)


def _count_rows(cursor: Cursor, catalog: Catalog, wanted: dict[str, int]) -> dict[str, int]:
    """Return how many rows tables have, counted up to as many as are wanted."""
    if not wanted:
        return {}
    counts = [
        query(
            "lost_rows.count",
            full_name=sql.Literal(name),
            table=catalog.by_name[name].identifier,
            most=sql.Literal(most),
        )
        for name, most in wanted.items()
    ]
    cursor.execute(sql.SQL(" union all ").join(counts))
    return dict(cursor.fetchall())


def _restored(cursor: Cursor) -> dict[str, LostRows]:
    """Return what became of files that were loaded after the backup to whose state their table was
    restored later.
    """
    cursor.execute(query("lost_rows.restored"))
    return {
        file: LostRows(
            f"{table} was restored on {at:%Y-%m-%d} to the state of {name}, from before {file} was "
            "last loaded",
            f"`rowboat ingest --again {quote(str(settings().raw_data / file))}` loads it again",
        )
        for file, table, name, at in cursor.fetchall()
    }
