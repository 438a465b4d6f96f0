"""Tables that no longer hold what files brought: emptied, created anew, or restored."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from rowboat.cli.commands import main
from rowboat.ingest.changes.lost_rows import holds_all
from tests.conftest import Boat
from tests.support.restoring import carried_out, order, take, undone

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
TABLES = """
create schema s;
create table s.t (id integer primary key, n text);
create table s.u (id integer primary key, n text);
"""
AGAIN = "`rowboat ingest --again s.t` loads its files again"


@pytest.fixture
def tables(boat: Boat, declare: Declare) -> Boat:
    """Two tables: one with two loaded files, the other with one."""
    declare(TABLES)
    boat.write("t-1.csv", "id,n\n1,a\n2,b\n")
    boat.write("t-2.csv", "id,n\n3,c\n")
    boat.write("u.csv", "id,n\n1,a\n")
    boat.ingest()
    return boat


def notes(boat: Boat, **options: bool) -> dict[str, list[str]]:
    """Ingest, which loads nothing; return the notes of each file that has some."""
    found = boat.ingest(**options)
    assert {each.state for each in found.values()} == {"unchanged"}
    return {name: each.notes for name, each in found.items() if each.notes}


def checked(part: str = "loaded rows") -> tuple[bool, str, str | None]:
    done = CliRunner().invoke(main, ["check", "--json"])
    [found] = [each for each in json.loads(done.stdout) if each["part"] == part]
    return found["ok"], found["fact"], found["hint"]


def test_nothing_is_lost(tables: Boat) -> None:
    tables.query("delete from s.t where id = 2; alter table s.u alter n set default 'x'")
    assert notes(tables) == {}
    assert checked() == (True, "no table is known to lack rows that were loaded", None)


def test_an_emptied_table_is_told(tables: Boat) -> None:
    tables.query("truncate s.t")
    told = f"s.t has been emptied: {AGAIN}"
    assert notes(tables) == {"t-1.csv": [told], "t-2.csv": [told]}
    assert checked() == (False, "s.t has been emptied", AGAIN)
    shown = CliRunner().invoke(main, ["status"]).stdout
    assert all(f"{name}: {told}" in shown for name in ("t-1.csv", "t-2.csv"))
    (tables.raw / "t-1.csv").unlink()
    (tables.raw / "t-2.csv").unlink()
    assert checked()[0], "the files are gone"


def test_a_table_that_is_created_anew_is_told(tables: Boat) -> None:
    tables.query(
        "drop table s.t; create table s.t (id integer primary key, n text);"
        "grant select, insert, update, delete on s.t to rowboat_loader"
    )
    expected = {
        name: [f"s.t has been created anew since {name} was loaded: {AGAIN}"]
        for name in ("t-1.csv", "t-2.csv")
    }
    assert notes(tables, dry_run=True) == expected
    tables.write("t-3.csv", "id,n\n7,g\n8,h\n")
    assert tables.ingest()["t-3.csv"].report.inserted == 2
    assert notes(tables) == expected, "rows of others do not make up for them"
    assert checked() == (
        False, "s.t has been created anew since t-1.csv was loaded (1 more: `rowboat status`)",
        AGAIN,
    )  # fmt: skip
    tables.ingest("s.t", again=True)  # type: ignore[arg-type]
    assert (notes(tables), tables.query("select count(*) from s.t")) == ({}, [5])


def test_a_table_that_was_swapped_holds_its_rows(tables: Boat) -> None:
    tables.query(
        "alter table s.t rename to old; create table s.t (like s.old including all);"
        "insert into s.t select * from s.old;"
        "grant select, insert, update, delete on s.t to rowboat_loader"
    )
    assert notes(tables) == {}
    assert tables.query(
        "select distinct relation = 's.t'::regclass from ingest_status.ingest_status"
        " where table_name = 's.t'"
    ) == [True]
    tables.query("delete from s.t where id = 1")
    assert notes(tables) == {}


def test_a_tail_does_not_hide_rows_that_are_lost(tables: Boat) -> None:
    tables.query("truncate s.t")
    tables.query(
        "drop table s.t; create table s.t (id integer primary key, n text);"
        "grant select, insert, update, delete on s.t to rowboat_loader"
    )
    tables.write("t-1.csv", "id,n\n1,a\n2,b\n9,x\n")
    tables.ingest()
    assert sorted(notes(tables)) == ["t-1.csv", "t-2.csv"]


def test_a_type_that_may_hold_less_is_told(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.t (id smallint primary key, n numeric(6,4), d date)")
    boat.write("t.csv", "id,n\n1,1.2345\n")
    boat.ingest()
    boat.query(
        "alter table s.t alter id type integer, alter n type numeric(9,4), alter d type text;"
    )
    assert notes(boat) == {}
    boat.query("alter table s.t alter n type numeric(6,2), alter id type bigint")
    again = f"`rowboat ingest --again {boat.raw / 't.csv'}` loads it again"
    assert notes(boat) == {
        "t.csv": [
            "n of s.t is numeric(6,2) now, and was numeric(6,4) when t.csv was loaded: " + again
        ]
    }
    boat.query("alter table s.t alter n type text; alter table s.t drop d")
    assert notes(boat) == {}
    boat.query("alter table s.t alter n type real using n::real")
    assert len(notes(boat)) == 1
    boat.ingest("s.t", again=True)  # type: ignore[arg-type]
    assert (notes(boat), boat.query("select n::text from s.t")) == ({}, ["1.2345"])


@pytest.mark.parametrize(
    ("type_", "other", "expected"),
    [
        ("bigint", "integer", True), ("integer", "bigint", False), ("real", "integer", False),
        ("text", "date", True), ("character varying(5)", "text", False),
        ("character varying(5)", "character varying(4)", True),
        ("character varying(4)", "character varying(5)", False),
        ("numeric", "numeric(6,2)", True), ("numeric(6,2)", "numeric", False),
        ("numeric(7,3)", "numeric(6,2)", True), ("numeric(6,3)", "numeric(6,2)", False),
        ("timestamp without time zone", "timestamp with time zone", False),
        ("timestamp with time zone", "timestamp(3) with time zone", True),
        ("timestamp(0) with time zone", "timestamp(3) with time zone", False),
    ],
)  # fmt: skip
def test_types_that_hold_all_of_another(type_: str, other: str, expected: bool) -> None:
    assert holds_all(type_, other) is expected


def test_a_table_restored_to_an_older_state_is_told(
    tables: Boat, setting: Setting, tmp_path: Path
) -> None:
    setting("backups", str(tmp_path / "backups"))
    first = take(tables)
    tables.write("t-3.csv", "id,n\n4,d\n")
    tables.write("u.csv", "id,n\n1,a\n2,b\n")
    tables.ingest()
    second = take(tables)
    tables.write("t-4.csv", "id,n\n5,e\n")
    tables.ingest()
    assert notes(tables) == {}
    done = carried_out(tables, order(tables, first, ["s.t"]))
    [day] = tables.query("select to_char(now(), 'YYYY-MM-DD')")

    def told(name: str, state: str) -> list[str]:
        return [
            f"s.t was restored on {day} to the state of {state}, from before {name} was last "
            f"loaded: `rowboat ingest --again {tables.raw / name}` loads it again"
        ]

    lost = {name: told(name, first) for name in ("t-3.csv", "t-4.csv")}
    assert notes(tables) == lost
    assert checked()[1].endswith("before t-3.csv was last loaded (1 more: `rowboat status`)")
    third = take(tables)
    tables.ingest(tables.raw / "t-3.csv", again=True)
    assert notes(tables) == {"t-4.csv": lost["t-4.csv"]}
    carried_out(tables, order(tables, third, ["s.t"]))
    assert notes(tables) == {"t-3.csv": told("t-3.csv", third), "t-4.csv": lost["t-4.csv"]}
    carried_out(tables, order(tables, second, ["s.t"]))
    assert notes(tables) == {"t-3.csv": told("t-3.csv", second), "t-4.csv": told("t-4.csv", second)}
    undone(tables, done)
    assert tables.query("select id from s.t order by id") == [1, 2, 3, 4, 5]
    assert sorted(notes(tables)) == ["t-3.csv"], "it was loaded again since then"
    tables.query(  # as in a copy on a server that has counted fewer transactions
        "update ingest_status.loads set xid = '9999999', finished_at = now() - interval '2 days'"
        " where source = 'file'; update backup_status.backup_status set snapshot = '99999:99999:'"
    )
    assert notes(tables) == {}
