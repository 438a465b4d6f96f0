"""Restoring into tables that changed since, of every kind; and files of doubtful origin."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest

from rowboat.backup import shelf
from rowboat.backup.recovery.restore import Restored
from rowboat.backup.recovery.source import source_of_file
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.errors import BackupRefused, RestoreRefused, RowRefused
from tests.conftest import Boat
from tests.support.restoring import (
    carried_out,
    digests,
    numbers,
    order,
    planned,
    refused,
    take,
    undone,
)

pytestmark = pytest.mark.usefixtures("shelf_of_its_own")

Declare = Callable[[str], None]


# Columns that changed since


def drifted(boat: Boat, declare: Declare, was: str, change: str, rows: str) -> Restored:
    """Back up s.t (id, a …), change its columns, empty it and restore."""
    declare(f"create schema s; create table s.t (id integer primary key, a {was})")
    boat.query(f"insert into s.t values {rows}")
    held = take(boat)
    boat.query("delete from s.t where id > 1; " + change)
    return carried_out(boat, order(boat, held, ["s.t"], "merge"))


def test_an_added_column(boat: Boat, declare: Declare) -> None:
    done = drifted(
        boat, declare, "text", "alter table s.t add b text default 'new', add c integer;"
        "update s.t set b = 'own', c = 7, a = 'later'", "(1, 'x'), (2, 'y')",
    )  # fmt: skip
    assert done.plan.tables[0].drift == [
        "b was added since: new rows get its default, others keep theirs",
        "c was added since: new rows get its default, others keep theirs",
    ]
    assert boat.query("select * from s.t order by id") == [
        (1, "x", "own", 7), (2, "y", "new", None),
    ]  # fmt: skip


def test_an_added_column_that_is_required(boat: Boat, declare: Declare) -> None:
    with pytest.raises(RestoreRefused) as raised:
        drifted(boat, declare, "text", "delete from s.t; alter table s.t add b text not null",
                "(1, 'x')")  # fmt: skip
    assert str(raised.value) == (
        "s.t requires b, which the backup does not have\n"
        "HINT: give the column a default, then restore"
    )


def test_a_dropped_column(boat: Boat, declare: Declare) -> None:
    done = drifted(boat, declare, "text, b text", "alter table s.t drop a", "(1, 'x', 'y')")
    assert done.plan.tables[0].drift == ["a is no longer in the table: left out"]
    assert numbers(done.plan.tables[0]) == (0, 0, 0, 1, 0)


def test_the_key_that_is_new(boat: Boat, declare: Declare) -> None:
    with pytest.raises(RestoreRefused) as raised:
        drifted(boat, declare, "text", "alter table s.t drop id, add k serial primary key",
                "(1, 'x')")  # fmt: skip
    assert str(raised.value) == (
        "the backup does not have the key of s.t\nHINT: restore it with --into a new table"
    )


@pytest.mark.parametrize(
    ("was", "is_", "good", "stored", "bad", "reason"),
    [
        ("integer", "bigint", "7", "7", None, None),
        ("bigint", "integer", "7", "7", "5000000000",
         "'5000000000' is out of the range of integer"),
        ("integer", "text", "-7", "-7", None, None),
        ("text", "integer", "'7'", "7", "'seven'", "'seven' is not an integer"),
        ("real", "double precision", "1.5", "1.5", None, None),
        ("date", "timestamp", "'0044-03-15 BC'", "0044-03-15 00:00:00 BC", None, None),
        ("timestamp", "date", "'2021-01-01'", "2021-01-01", "'2021-01-01 15:30'",
         "'2021-01-01T15:30:00.000000' is more than date holds"),
        ("timestamptz", "timestamptz(0)", "'2021-01-01 15:30:01'", "2021-01-01 15:30:01+00",
         "'2021-01-01 15:30:01.6'",
         "'2021-01-01T15:30:01.600000+00' is more than timestamp(0) with time zone holds"),
        ("varchar(9)", "varchar(3)", "'abc'", "abc", "'abcd'",
         "'abcd' is longer than character varying(3) holds"),
        ("numeric(9,3)", "numeric(9,1)", "1.5", "1.5", "1.25",
         "'1.250' is more digits than numeric(9,1) holds"),
        ("numeric", "numeric(9,1)", "1.5", "1.5", "'NaN'",
         "'NaN' is more than numeric(9,1) holds"),
        ("time", "time(0)", "'12:00'", "12:00:00", "'12:00:00.6'",
         "'12:00:00.600000' is more than time(0) without time zone holds"),
        ("timetz", "timetz(1)", "'12:00+01'", "12:00:00+01", "'12:00:00.66+01'",
         "'12:00:00.66+01' is more than time(1) with time zone holds"),
        ("interval", "interval(0)", "'1 day'", "P1D", "'1.5 s'",
         "'PT1.5S' is more than interval(0) holds"),
        ("numeric(9,3)[]", "numeric(9,1)[]", "'{1.5}'", "{1.5}", "'{1.25}'",
         "'{\"1.250\"}' holds '1.250', which is more digits than numeric(9,1) holds"),
        ("varchar(9)[]", "varchar(3)[]", "'{abc}'", "{abc}", "'{\"abc \"}'",
         "'{\"abc \"}' holds 'abc ', which is longer than character varying(3) holds"),
        ("real[]", "double precision[]", "'{16777216,NaN}'", "{16777216,NaN}", None, None),
        ("boolean", "text", "true", "true", None, None),
        ("uuid", "text", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None, None),
        ("integer[]", "text[]", "'{1,NULL,3}'", "{1,NULL,3}", None, None),
        ("bytea", "text", r"'\xff00'", r"\xff00", None, None),
    ],
    ids=lambda each: str(each)[:12],
)  # fmt: skip
def test_a_type_that_changed(
    boat: Boat, declare: Declare, was: str, is_: str, good: str, stored: str,
    bad: str | None, reason: str | None,
) -> None:  # fmt: skip
    rows = f"(1, {good})" + (f", (2, {bad})" if bad else "")
    change = f"delete from s.t; alter table s.t alter a type {is_} using null"
    done = drifted(boat, declare, was, change, rows)
    [found] = done.plan.tables
    assert [each.split(" ")[0] for each in found.drift] == ["a"]
    assert found.drift[0].endswith(": judged as text")
    assert numbers(found) == (1, 0, 0, 0, 1 if bad else 0)
    assert boat.query("select a::text from s.t") == [stored]
    assert [why for _, _, why in boat.rejects()] == ([[f"type: {reason}"]] if bad else [])


def test_a_label_that_is_gone(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create type s.mood as enum ('calm', 'wild', 'odd');"
        "create table s.t (id integer primary key, a s.mood)"
    )
    boat.query("insert into s.t values (1, 'calm'), (2, 'wild'), (3, 'odd')")
    held = take(boat)
    boat.query(
        "alter type s.mood rename to old; create type s.mood as enum ('odd', 'calm', 'new');"
        "delete from s.t where id = 2; alter table s.t alter a type s.mood using a::text::s.mood"
    )
    done = carried_out(boat, order(boat, held, ["s.t"]))
    assert numbers(done.plan.tables[0]) == (0, 0, 0, 2, 1)
    assert boat.rejects()[0][2] == ["type: 'wild' is not one of odd, calm, new"]


# Rules that came since

RULED = """
create schema s;
create table s.kin (id integer primary key);
create table s.t (id integer primary key, a text, b integer);
"""


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("add constraint low check (b < 9)", "check: breaks the rule low: (b < 9)"),
        ("alter a set not null", "required: a is empty"),
        ("add unique (b)", "duplicate: b 9 belongs to another row"),
        ("add foreign key (b) references s.kin", "reference: s.kin has no id 9"),
    ],
)
def test_rows_that_break_a_rule_of_today(
    boat: Boat, declare: Declare, rule: str, reason: str
) -> None:
    """They stay in quarantine, in the words of every other source; the old row stays as it is."""
    declare(RULED)
    boat.query("insert into s.kin values (1), (2)")
    boat.query("insert into s.t values (1, 'a', 1), (2, 'b', 2), (3, null, 9), (4, 'd', 9)")
    held = take(boat)
    boat.query(
        "update s.t set (a, b) = ('new', 2) where id = 3; delete from s.t where id in (2, 4)"
    )
    boat.query(f"alter table s.t {rule}")
    before = digests(boat)
    done = carried_out(boat, order(boat, held, ["s.t"]))
    [found] = done.plan.tables
    refused_ids = [q["id"] for q in boat.query("select fields from ingest_status.rejected_rows")]
    assert found.rejected == len(refused_ids) > 0
    assert {tuple(why) for _, _, why in boat.rejects()} == {(reason,)}
    assert [each["example"] for each in found.reasons] == [reason.partition(": ")[2]]
    assert sum(each["rows"] for each in found.reasons) == found.rejected
    rows = dict(boat.query("select id, a from s.t"))
    assert set(rows) == {1, 2, 3, 4} - ({int(n) for n in refused_ids} - {3})
    if "3" in refused_ids:
        assert rows[3] == "new"
    assert boat.query("select source, source_name from ingest_status.rejected_rows limit 1") == [
        ("backup", f"{held}/t.avro")
    ]
    undone(boat, done)
    assert digests(boat) == before


def test_refused_parents_refuse_their_children(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.parent (id integer primary key, a integer);"
        "create table s.child (id integer primary key, parent integer references s.parent)"
    )
    boat.query("insert into s.parent values (1, 1), (2, 9), (3, 9)")
    boat.query("insert into s.child values (1, 1), (2, 2), (3, 3)")
    held = take(boat)
    boat.query("delete from s.child; delete from s.parent where id = 2; update s.parent set a = 1")
    boat.query("alter table s.parent add check (a < 9)")
    done = carried_out(boat, order(boat, held, ["s.parent", "s.child"]))
    assert [numbers(each) for each in done.plan.tables] == [(0, 0, 0, 1, 2), (2, 0, 0, 0, 1)]
    assert boat.query("select id from s.child order by 1") == [1, 3]
    assert ["reference: s.parent has no id 2"] in [why for *_, why in boat.rejects()]


@pytest.mark.parametrize("cascade", [False, True])
def test_a_refused_row_keeps_the_old_one_and_that_its_parent(
    boat: Boat, declare: Declare, cascade: bool
) -> None:
    declare(
        "create schema s; create table s.parent (id integer primary key);"
        "create table s.child (id integer primary key, a integer,"
        " parent integer references s.parent on delete cascade)"
    )
    boat.query("insert into s.parent values (1); insert into s.child values (1, 9, 1), (2, 1, 1)")
    held = take(boat)
    boat.query("insert into s.parent values (2); update s.child set (a, parent) = (1, 2)")
    boat.query("alter table s.child add check (a < 9)")
    before = digests(boat)
    wanted = order(boat, held, ["s.parent", "s.child"], cascade=cascade)
    assert planned(boat, wanted).tables[0].dependents == {"s.child (parent)": 1}
    if cascade:
        done = carried_out(boat, wanted)
        assert boat.query("select * from s.child") == [(2, 1, 1)]
        undone(boat, done)
        assert digests(boat) == before
    else:
        assert "1 of s.child (parent)" in refused(boat, wanted, RestoreRefused)


def test_a_refused_row_keeps_its_unique_value(boat: Boat, declare: Declare) -> None:
    """And so on: what waited for that value is refused, and what waited for the value of that."""
    declare("create schema s; create table s.t (id integer primary key, a text unique, b integer)")
    boat.query("insert into s.t values (1, 'x', 1), (2, 'a', 1), (3, 'c', 9), (4, 'b', 1)")
    held = take(boat)
    boat.query("delete from s.t; alter table s.t add constraint low check (b < 9)")
    boat.query("insert into s.t values (1, 'a', 1), (2, 'b', 1), (3, 'x', 1), (4, 'd', 1)")
    done = carried_out(boat, order(boat, held, ["s.t"]))
    assert numbers(done.plan.tables[0]) == (0, 0, 0, 0, 4)
    assert [why for *_, why in boat.rejects()] == [
        ["duplicate: a x belongs to another row"],
        ["duplicate: a a belongs to another row"],
        ["check: breaks the rule low: (b < 9)"],
        ["duplicate: a b belongs to another row"],
    ]


def test_what_was_refused_twice_is_quarantined_once(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.t (id integer primary key)")
    boat.query("insert into s.t values (1), (9)")
    held = take(boat, "s.t")
    boat.query("delete from s.t; alter table s.t add check (id < 9)")
    for _ in range(3):
        carried_out(boat, order(boat, held))
    assert len(boat.rejects()) == 1
    states = "select settled_as from ingest_status.rejected_rows order by id"
    assert boat.query(states) == ["superseded", "superseded", None]


def test_a_rule_that_only_the_database_knows(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, a integer,"
        " b integer generated always as (a * 2) stored)"
    )
    boat.query("insert into s.t values (1, 1), (2, 9)")
    held = take(boat)
    boat.query("delete from s.t where id = 2; alter table s.t add constraint low check (b < 9)")
    assert refused(boat, order(boat, held, ["s.t"]), RowRefused).startswith(
        'new row for relation "t" violates check constraint "low"\nHINT: '
    )


# Files that come from elsewhere


def written(path: Path, schema: dict[str, Any], rows: list[dict[str, Any]]) -> Path:
    """Write a file with exactly this schema, in one block."""
    parsed, sync = fastavro.parse_schema(schema), bytes(16)
    block, file = io.BytesIO(), io.BytesIO()
    for row in rows:
        fastavro.schemaless_writer(block, parsed, row)
    file.write(b"Obj\1")
    header = {"avro.schema": json.dumps(schema).encode()}
    fastavro.schemaless_writer(file, {"type": "map", "values": "bytes"}, header)
    file.write(sync)
    if rows:
        fastavro.schemaless_writer(file, "long", len(rows))
        fastavro.schemaless_writer(file, "bytes", block.getvalue())
        file.write(sync)
    path.write_bytes(file.getvalue())
    return path


def exported(boat: Boat, tmp_path: Path, rows: list[tuple[Any, ...]]) -> Path:
    """Write departments as another program would, by the schema of a backup."""
    held = take(boat)
    schema = next(
        copy.schema for copy in shelf.read_manifest(held).tables if "departments" in copy.table
    )
    names = [field["name"] for field in schema["fields"]]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return written(tmp_path / "foreign.avro", schema, records)


def from_file(path: Path, table: str = "hired_employees.departments", **more: Any) -> RestoreOrder:
    return RestoreOrder({table: source_of_file(path, table)}, "replace", "tester", **more)


def test_a_file_on_its_own(boat: Boat, tmp_path: Path) -> None:
    path = exported(boat, tmp_path, [(1, "Hull"), (2, "Sail")])
    boat.query("insert into hired_employees.departments values (3, 'Deck')")
    done = carried_out(boat, from_file(path))
    assert (numbers(done.plan.tables[0]), done.plan.set) == ((2, 0, 1, 0, 0), str(path))
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]


def test_a_file_whose_rows_are_wrong(boat: Boat, tmp_path: Path) -> None:
    rows = [(1, "Hull"), (1, "Keel"), (2, " "), (2, "Sail"), (1, "Hull")]
    done = carried_out(boat, from_file(exported(boat, tmp_path, rows)))
    assert numbers(done.plan.tables[0]) == (2, 0, 0, 0, 3)
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]
    assert [(line, json.loads(raw), why) for line, raw, why in boat.rejects()] == [
        (2, {"id": "1", "department": "Keel"},
         ["duplicate: id 1 occurs earlier in this backup with other values"]),
        (3, {"id": "2", "department": " "}, ["check: department is blank"]),
        (5, {"id": "1", "department": "Hull"},
         ["duplicate: id 1 occurs earlier in this backup with the same values"]),
    ]  # fmt: skip


def failure(path: Path, table: str = "hired_employees.departments") -> str:
    with pytest.raises(BackupRefused) as raised:
        from_file(path, table)
    return raised.value.fact


def test_files_that_are_none_of_the_table(boat: Boat, tmp_path: Path) -> None:
    path = exported(boat, tmp_path, [(1, "Hull")])
    unlike = "foreign.avro has a schema that Rowboat does not write for hired_employees.jobs"
    assert failure(path, "hired_employees.jobs") == unlike
    held = shelf.read_manifest(shelf.set_names()[0])
    schema = next(copy.schema for copy in held.tables if "departments" in copy.table)
    other = written(path, schema | {"namespace": "elsewhere"}, [])
    assert failure(other) == unlike.replace(".jobs", ".departments")
    record = {"type": "record", "name": "departments", "fields": [{"name": "id", "type": "int"}]}
    assert failure(written(path, record, [])).startswith("foreign.avro has a schema that")
    path.write_bytes(b"id,department\n1,Hull\n")
    assert failure(path) == "foreign.avro is not an AVRO container file"
    path.unlink()
    assert failure(path) == f"{path} cannot be read: No such file or directory"
    path.mkdir()
    assert failure(path) == f"{path} cannot be read: Is a directory"


def test_a_file_that_lies_about_its_types(boat: Boat, tmp_path: Path) -> None:
    """Text that is declared an integer is judged as text."""
    held = take(boat)
    schema = next(c.schema for c in shelf.read_manifest(held).tables if "departments" in c.table)
    id_, name = schema["fields"]
    lie = schema | {"fields": [id_ | {"type": "string", "base": "text"}, name]}
    rows = [{"id": "abcd", "department": "x"}, {"id": "7", "department": "y"}]
    carried_out(boat, from_file(written(tmp_path / "lie.avro", lie, rows)))
    assert boat.departments() == [(7, "y")]
    assert boat.rejects()[0][2] == ["type: 'abcd' is not an integer"]


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_file_that_changes_after_it_was_read(boat: Boat, tmp_path: Path, what: str) -> None:
    path = exported(boat, tmp_path, [(1, "Hull"), (2, "Sail")])
    wanted = from_file(path)
    if what == "changed":
        path.write_bytes(path.read_bytes().replace(b"Hull", b"Hulk"))
        why = "changed after it was checked\nHINT: run it again"
    else:
        path.unlink()
        why = f"cannot be read: No such file or directory\nHINT: {BackupRefused.hint}"
    assert refused(boat, wanted, BackupRefused) == f"{path} {why}"
