"""Joins the staged rows to the table by key: which keys it has, and with which values."""

from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Unique
from rowboat.csvfile.typed_cells import IntegerKeys
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door import stage
from rowboat.door.context import StagedRows, Terms, without_verdict
from rowboat.door.stage import same_key
from rowboat.door.staged_columns import Sql, StagedColumns

_COMMA = sql.SQL(", ")


@dataclass(frozen=True)
class _Reach:
    """How far the keys of the stage reach into the table: the greatest that both may have."""

    keys: IntegerKeys | None = None
    greatest_known: int | None = None
    is_empty: bool = False


def match_keys(cursor: Cursor, terms: Terms, columns: StagedColumns) -> StagedRows:
    """Write into `match` the rows whose key the table has; return what is on the stage then.

    Rows of a rewritten file that equal the table's are taken off the stage first.
    """
    key = terms.table.key
    rows = StagedRows(terms, columns, terms.staged, terms.keys)
    if key is None or not columns.cover(key.columns):
        return rows
    reach = _reach_of_keys(cursor, terms, columns)
    rows = replace(rows, keys=reach.keys)
    if reach.is_empty:
        return rows
    parts = _statement_parts(terms, columns, key, reach)
    facts = {
        "own": list(terms.own),
        "least": reach.keys.least if reach.keys else None,
        "greatest": reach.greatest_known,
        "arrived": terms.arrived,
    }
    # If a key occurs twice in the cargo, the first of its rows decides about the others, even if it
    # equals the table's row. So it has to remain on the stage.
    if terms.rewritten and reach.keys and not reach.keys.repeated:
        rows = _take_equal(cursor, rows, parts, facts)
    cursor.execute(query("match.match", **parts), facts)
    return replace(rows, matched=cursor.rowcount)


def _statement_parts(
    terms: Terms, columns: StagedColumns, key: Unique, reach: _Reach
) -> dict[str, Sql]:
    table, serial = terms.table, terms.table.serial_key
    least = reach.keys.least if reach.keys else None
    may_be_seen = terms.seen_until is not None and (least is None or least <= terms.seen_until)
    ours = [columns.value(name) for name in key.columns]
    theirs = [sql.Identifier("t", name) for name in key.columns]
    there = [_comparable(columns, name, sql.Identifier("t", name)) for name in columns.names]
    here = [_comparable(columns, name, columns.value(name)) for name in columns.names]
    return {
        "differs": query("match.differs", columns=_COMMA.join(there), values=_COMMA.join(here)),
        "arrived": sql.SQL("true") if terms.arrived is None else query("match.arrived"),
        "own": query("match.own", is_seen=sql.SQL("e is not null" if may_be_seen else "false")),
        "key": _COMMA.join(ours),
        "table": table.identifier,
        "joined": columns.joined(key.columns, theirs),
        "seen": sql.SQL("\n{}").format(query("match.seen", joined=same_key(table, ours)))
        if may_be_seen
        else sql.SQL(""),
        "within": query("match.within", column=sql.Identifier(serial))
        if serial
        else sql.SQL("true"),
    }


def _take_equal(
    cursor: Cursor, rows: StagedRows, parts: dict[str, Sql], facts: dict[str, Any]
) -> StagedRows:
    """Take rows that equal the table's off the stage: nothing more can be wrong with them, as the
    table keeps its rules. Of a rewritten file these are nearly all.
    """
    good = without_verdict(stage.count_refused(cursor))
    cursor.execute(query("match.take_equal", good=good, **parts), facts)
    equal = cursor.rowcount
    rest = replace(rows, count=rows.count - equal, equal=equal)
    stage.go_on_with_rest(cursor)
    stage.prefer_set_lookups(cursor, rest.count)
    return rest


def _reach_of_keys(cursor: Cursor, terms: Terms, columns: StagedColumns) -> _Reach:
    """Find out whether any key of the stage can be in the table; cheap for one integer key.

    Most cargoes only append: their least key is beyond the table's greatest, and they need no join.
    """
    name = terms.table.serial_key
    if name is None:
        return _Reach(terms.keys)
    cursor.execute(
        query("match.greatest", column=sql.Identifier(name), table=terms.table.identifier)
    )
    greatest = fetch_one(cursor)[0]
    if terms.keys is not None:  # read while the file was cut, which costs the server nothing
        known = None if greatest is None else terms.keys.until(greatest)
        return _Reach(terms.keys, known, is_empty=known is None)
    cursor.execute(query("match.keys_range", value=columns.value(name)), {"greatest": greatest})
    least, last, known, repeated = fetch_one(cursor)
    return _Reach(IntegerKeys(least, last, repeated=repeated or []), known, is_empty=known is None)


def _comparable(columns: StagedColumns, name: str, value: Sql) -> Sql:
    """SQL: a column's value to compare bit by bit; that of a domain as one of its base type."""
    return literals.base_value(value) if columns.table.by_name[name].is_domain else value
