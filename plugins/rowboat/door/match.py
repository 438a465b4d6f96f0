"""Where the rows of the stage meet those of the table: which keys it has, and with which values."""

from typing import Any

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Unique
from rowboat.csvfile.typed_cells import IntegerKeys
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door import stage
from rowboat.door.context import Bench, Sql
from rowboat.door.stage import same_key

_COMMA = sql.SQL(", ")


def match_keys(cursor: Cursor, bench: Bench, key: Unique) -> int:
    """Find the rows whose key the table has, and return how many of those are on the stage."""
    if not _may_match(cursor, bench):
        return 0
    within: Sql = sql.SQL("true")
    if bench.table.serial_key:
        within = query("match.within", column=sql.Identifier(bench.table.serial_key))
    is_seen = sql.SQL("e is not null" if bench.may_be_seen else "false")
    columns = [_plain(bench, name, sql.Identifier("t", name)) for name in bench.columns]
    values = [_plain(bench, name, bench.value(name)) for name in bench.columns]
    parts = {
        "differs": query("match.differs", columns=_COMMA.join(columns), values=_COMMA.join(values)),
        "own": query("match.own", is_seen=is_seen),
        "key": _COMMA.join(map(bench.value, key.columns)),
        "table": bench.table.identifier,
        "joined": bench.joined(key.columns, [sql.Identifier("t", name) for name in key.columns]),
        "seen": _seen(bench, key) if bench.may_be_seen else sql.SQL(""),
        "within": within,
    }
    least = bench.keys.least if bench.keys else None
    facts = {"own": bench.own, "least": least, "greatest": bench.greatest_known}
    if bench.rewritten and bench.keys and not bench.keys.repeated:
        _take_equal(cursor, bench, parts, facts)
    cursor.execute(query("match.match", **parts), facts)
    return cursor.rowcount


def _take_equal(cursor: Cursor, bench: Bench, parts: dict[str, Sql], facts: dict[str, Any]) -> None:
    """Take rows that equal the table's off the stage: nothing more is to be found about them, as
    the table keeps its rules.
    """
    bench.refused = stage.count_refused(cursor)
    cursor.execute(query("match.take_equal", good=bench.good, **parts), facts)
    bench.equal = cursor.rowcount
    bench.staged -= cursor.rowcount
    stage.go_on_with_rest(cursor)
    stage.prefer_set_lookups(cursor, bench.is_large)


def _may_match(cursor: Cursor, bench: Bench) -> bool:
    """Tell whether any key of the stage can be in the table; cheap for one integer key."""
    name = bench.table.serial_key
    if name is None:
        return True
    place = {"column": sql.Identifier(name), "table": bench.table.identifier}
    cursor.execute(query("match.greatest", **place))
    greatest = fetch_one(cursor)[0]
    if bench.keys is None:
        facts = {"greatest": greatest}
        cursor.execute(query("match.keys_range", value=bench.value(name)), facts)
        least, last, bench.greatest_known, repeated = fetch_one(cursor)
        bench.keys = IntegerKeys(least, last, repeated=repeated or [])
    elif greatest is not None:
        bench.greatest_known = bench.keys.until(greatest)
    return bench.greatest_known is not None


def _seen(bench: Bench, key: Unique) -> Sql:
    return query("match.seen", joined=same_key([bench.value(name) for name in key.columns]))


def _plain(bench: Bench, name: str, value: Sql) -> Sql:
    """SQL: a column's value to compare bit by bit; that of a domain as one of its base type."""
    return literals.base_value(value) if bench.table.by_name[name].is_domain else value
