"""Restoring tables of every kind: each kind of key, type and name, rings, values that move."""

from collections.abc import Callable

import pytest

from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import Mode
from rowboat.backup.recovery.restore import Restored
from rowboat.errors import RestoreRefused
from tests.conftest import Boat
from tests.support.restoring import carried_out, digests, numbers, order, refused, take, undone

pytestmark = pytest.mark.usefixtures("shelf_of_its_own")

Declare = Callable[[str], None]


def both_ways(boat: Boat, held: str, *tables: str, mode: Mode = "replace") -> Restored:
    """Restore and undo, each to the last bit, then restore again."""
    wanted = {copy.table: copy.digest for copy in shelf.read_manifest(held).tables}
    before = digests(boat)
    done = carried_out(boat, order(boat, held, tables, mode))
    after = digests(boat)
    if not any(each.rejected for each in done.plan.tables):
        assert {table: after[table] for table in tables or wanted} == {
            table: wanted[table] for table in tables or wanted
        }
    undone(boat, done)
    assert digests(boat) == before
    return carried_out(boat, order(boat, held, tables, mode))


# Tables of every kind

KINDS: dict[str, tuple[str, str, str]] = {
    "identity always": (
        "create table s.t (id integer generated always as identity primary key, n text)",
        "insert into s.t (n) values ('a'), ('b'), ('c')",
        "update s.t set n = 'z' where id = 1; delete from s.t where id = 2;"
        "insert into s.t (n) values ('d')",
    ),
    "identity always beside the key": (
        "create table s.t (id text primary key, n integer generated always as identity)",
        "insert into s.t values ('a'), ('b')",
        "delete from s.t where id = 'a'; insert into s.t values ('a')",
    ),
    "composite key": (
        "create table s.t (a integer, b text, c date, primary key (b, a))",
        "insert into s.t values (1, 'x', '2020-01-01'), (1, 'y', null), (2, 'x', null)",
        "update s.t set c = 'epoch' where b = 'y'; delete from s.t where a = 2;"
        "insert into s.t values (2, 'y')",
    ),
    "only a key": (
        "create table s.t (id numeric primary key)",
        "insert into s.t values (1.0), (2), ('NaN')",
        "update s.t set id = 1.00 where id = 1; delete from s.t where id = 2;"
        "insert into s.t values (3)",
    ),
    "no key": (
        "create table s.t (a integer, b text)",
        "insert into s.t values (1, 'x'), (1, 'x'), (null, null)",
        "delete from s.t where a = 1; insert into s.t values (null, null), (2, 'y')",
    ),
    "refers to itself": (
        "create table s.t (id integer primary key, boss integer references s.t, n text unique)",
        "insert into s.t values (1, null, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 4, 'd')",
        "delete from s.t where id = 3; insert into s.t values (9, 2, 'c'), (8, 9, 'x');"
        "update s.t set boss = 8 where id in (1, 4); insert into s.t values (7, 7, 'y')",
    ),
    "values that moved": (
        "create table s.t (id integer primary key, a text unique, b integer not null,"
        " unique nulls not distinct (b, a))",
        "insert into s.t values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, null, 4)",
        "delete from s.t where id = 1; update s.t set a = 'x' where id = 3;"
        "update s.t set a = 'c' where id = 2; update s.t set a = 'b' where id = 3;"
        "insert into s.t values (5, 'a', 1)",
    ),
    "partitions": (
        "create table s.t (id integer, at date, n text, primary key (id, at))"
        " partition by range (at);"
        "create table s.t_old partition of s.t for values from (minvalue) to ('2020-01-01');"
        "create table s.t_new partition of s.t for values from ('2020-01-01') to (maxvalue)",
        "insert into s.t values (1, '2019-01-01', 'a'), (2, '2021-01-01', 'b'),"
        " (3, '2021-01-01', 'c')",
        "delete from s.t where id = 2; update s.t set n = 'z' where id = 1;"
        "insert into s.t values (2, '2018-01-01', 'b'), (1, '2022-01-01', 'a')",
    ),
    "generated": (
        "create table s.t (id integer primary key, a integer,"
        " b integer generated always as (a * 2) stored unique)",
        "insert into s.t values (1, 1), (2, 2)",
        "update s.t set a = 5 where id = 1; delete from s.t where id = 2",
    ),
    "own types": (
        "create type s.mood as enum ('calm', '50%', 'it''s');"
        "create domain s.share as numeric(4,1) check (value between 0 and 100);"
        "create table s.t (id s.share primary key, m s.mood, ms s.mood[], s s.share not null)",
        "insert into s.t values (1, 'calm', '{50%,NULL}', 0), (2.5, null, null, 99.9)",
        "update s.t set m = 'it''s', s = 1 where id = 1; delete from s.t where id = 2.5;"
        "insert into s.t values (3, '50%', '{}', 7)",
    ),
    "rare values": (
        "create table s.t (id uuid primary key, n numeric, f float8, j jsonb, o json, t text[],"
        " ts timestamp, tz timestamptz, d date, i interval, y bytea, c char(4), v inet)",
        "insert into s.t values (gen_random_uuid(), 'NaN', '-0', '{\"a\": null}', '{ }',"
        " '{\"a,b\",NULL,\"\"}', '0044-03-15 01:02:03.000004 BC', '0001-01-01 BC',"
        " '4713-01-02 BC', '-1 year 2 days', '\\x00ff', 'ab', '::1/64'),"
        " (gen_random_uuid(), 1e-20, 'infinity', 'null', 'null', '{}', '294246-12-31', 'epoch',"
        " '5874897-12-31', '0', '', '', '10.0.0.1')",
        "update s.t set n = 0, f = 0, o = '{}', ts = 'epoch'",
    ),
    "odd names": (
        'create table s."Odd {t} at 5%.x" ("Key %s" integer primary key, "a ""b""" text unique,'
        ' "select" integer references s."Odd {t} at 5%.x", "{}" text, "n" integer, "c0" integer)',
        """insert into s."Odd {t} at 5%.x" values (1, 'a', null, '{}', 1, 2),"""
        """ (2, 'b', 1, '%', 3, 4)""",
        """delete from s."Odd {t} at 5%.x" where n = 3;"""
        """insert into s."Odd {t} at 5%.x" values (3, 'b', 1, '%%', 4, 5)""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_every_kind(boat: Boat, declare: Declare, kind: str) -> None:
    table, rows, change = KINDS[kind]
    declare(f"create schema s; {table}")
    boat.query(rows)
    [name] = [each.full_name for each in boat.catalog() if each.schema == "s"]
    held = take(boat, name)
    boat.query(change)
    done = both_ways(boat, held)
    assert numbers(done.plan.tables[0])[4] == 0
    assert not both_ways(boat, held).plan.tables[0].rejected


@pytest.mark.parametrize("mode", ["merge", "missing"])
def test_without_a_key_only_replace(boat: Boat, declare: Declare, mode: Mode) -> None:
    declare("create schema s; create table s.t (a integer)")
    held = take(boat, "s.t")
    assert refused(boat, order(boat, held, mode=mode), RestoreRefused) == (
        "s.t has no key, so its rows cannot be told apart\n"
        "HINT: use --mode replace, which deletes all rows and inserts those of the backup"
    )


RING = """
create schema s;
create table s.a (id integer primary key, n text unique, b integer);
create table s.b (id integer primary key, n text, a integer references s.a);
alter table s.a add foreign key (b) references s.b;
"""


def ring(boat: Boat, declare: Declare) -> str:
    declare(RING)
    boat.query("insert into s.a values (1, 'x', null), (2, 'y', null)")
    boat.query("insert into s.b values (1, 'x', 1), (2, 'y', 2); update s.a set b = id")
    held = take(boat, "s.a", "s.b")
    boat.query("update s.a set b = null; delete from s.b; delete from s.a where id = 1")
    boat.query("insert into s.a values (3, 'x', null); insert into s.b values (3, 'z', 3)")
    boat.query("update s.a set b = 3")
    return held


def test_a_ring_of_tables(boat: Boat, declare: Declare) -> None:
    held = ring(boat, declare)
    done = both_ways(boat, held)
    assert [numbers(each) for each in done.plan.tables] == [(1, 1, 1, 0, 0), (2, 0, 1, 0, 0)]


def test_a_ring_whose_rows_break_a_rule(boat: Boat, declare: Declare) -> None:
    held = ring(boat, declare)
    boat.query("alter table s.b add constraint odd check (n <> 'y')")
    for restoring in (restore.plan_restore, restore.restore_tables):
        with pytest.raises(RestoreRefused) as raised:
            restoring(boat.connect(), order(boat, held))
        assert str(raised.value) == (
            "1 rows of s.b would be rejected, and its tables refer to each other:"
            " breaks the rule odd: (n <> 'y'::text)\n"
            "HINT: restore into new tables (--into), or drop the rule first"
        )


def test_unique_values_move_between_parents_with_their_children(
    boat: Boat, declare: Declare
) -> None:
    declare(
        "create schema s; create table s.parent (id integer primary key, n text unique);"
        "create table s.child (id integer primary key, parent integer not null references s.parent)"
    )
    boat.query("insert into s.parent values (1, 'a'), (2, 'b'), (3, 'c')")
    boat.query("insert into s.child values (1, 1), (2, 2), (3, 3)")
    held = take(boat, "s.parent", "s.child")
    boat.query("insert into s.parent values (4, 'd'); update s.child set parent = 4 where id = 1")
    boat.query("delete from s.parent where id = 1; update s.parent set n = 'a' where id = 4")
    boat.query("update s.parent set n = 'x' where id = 2; update s.parent set n = 'b' where id = 3")
    boat.query("update s.parent set n = 'c' where id = 2")
    both_ways(boat, held)
