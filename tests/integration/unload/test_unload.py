"""Unloading: exactly the rows that a file brought and that are unchanged since."""

from collections.abc import Callable

import pytest

from rowboat import unload
from rowboat.backup.recovery import restore
from rowboat.database.connections import transaction
from rowboat.errors import FileRefused, PlanChanged, UnloadRefused
from rowboat.rows.read import trace
from rowboat.unload import Changer, UnloadOrder
from tests.conftest import Boat
from tests.support.unloading import content, of_table, planned, refused, state, unloaded

DEPARTMENTS = "hired_employees.departments"
EMPLOYEES = "hired_employees.hired_employees"


def trace_state(boat: Boat, file: str, line: int) -> str:
    with transaction(boat.connect()) as cursor:
        return trace.trace_line(cursor, boat.catalog(), file, line).state


# What leaves, and what stays


def test_exactly_its_rows_leave(boat: Boat) -> None:
    boat.query(f"insert into {DEPARTMENTS} values (9, 'By hand')")
    boat.ingest(boat.write("departments-1.csv", "1,Hull\n2,Sail\n"))
    boat.ingest(boat.write("departments-2.csv", "3,Galley\n4,Deck\nx,y\n"))
    done = unloaded(boat, "departments-2.csv")
    assert boat.departments() == [(1, "Hull"), (2, "Sail"), (9, "By hand")]
    table = of_table(done.plan)
    assert (table.table, table.leaving, table.leaving_examples) == (DEPARTMENTS, 2, ["3", "4"])
    assert (table.updated, table.changed, table.lost, done.plan.refused) == (0, [], 0, 1)
    assert state(boat, "departments-2.csv") == "unloaded"
    assert state(boat, "departments-1.csv") == "loaded"
    assert boat.rejects() == []
    assert boat.query(
        "select discarded_because, discarded_by from ingest_status.rejected_rows"
    ) == [("its file was unloaded", "tester")]
    assert trace_state(boat, "departments-2.csv", 1) == trace.UNLOADED
    assert trace_state(boat, "departments-2.csv", 3) == trace.DISCARDED
    assert trace_state(boat, "departments-1.csv", 1) == trace.IS_ROW


def test_rows_that_were_changed_since_stay_with_those_who_changed_them(boat: Boat) -> None:
    rows = "".join(f"{n},D{n}\n" for n in range(1, 8))
    boat.ingest(boat.write("departments-1.csv", rows))
    boat.ingest(boat.write("departments-2.csv", "2,Two\n3,Three\n"))
    boat.query(f"update {DEPARTMENTS} set department = 'By hand' where id = 4")
    boat.query(f"delete from {DEPARTMENTS} where id = 5")
    done = unloaded(boat, "departments-1.csv")
    assert boat.departments() == [(2, "Two"), (3, "Three"), (4, "By hand")]
    table = of_table(done.plan)
    assert table.changed == [Changer("file", "departments-2.csv", "tester", 2)]
    assert (table.leaving, table.lost) == (3, 2)


def test_rows_that_the_file_updated_stay_as_they_are(boat: Boat) -> None:
    boat.ingest(boat.write("departments-1.csv", "1,Hull\n2,Sail\n"))
    boat.query(f"insert into {DEPARTMENTS} values (3, 'By hand')")
    boat.ingest(boat.write("departments-2.csv", "1,Hulk\n2,Sail\n3,Three\n4,Deck\n"))
    done = unloaded(boat, "departments-2.csv")
    assert boat.departments() == [(1, "Hulk"), (2, "Sail"), (3, "Three")]
    table = of_table(done.plan)
    assert (table.updated, sorted(table.updated_examples), table.leaving) == (2, ["1", "3"], 1)
    assert trace_state(boat, "departments-2.csv", 1) == trace.IS_ROW


def test_rows_that_others_changed_before_the_file_did_again_stay(boat: Boat) -> None:
    boat.ingest(boat.write("departments-1.csv", "1,Hull\n2,Sail\n"))
    boat.ingest(boat.write("departments-2.csv", "1,Hulk\n"))
    boat.ingest(boat.write("departments-1.csv", "1,Hulls\n2,Sail\n"))
    table = of_table(unloaded(boat, "departments-1.csv").plan)
    assert (table.leaving, table.updated, table.changed, table.lost) == (1, 1, [], 0)
    assert boat.departments() == [(1, "Hulls")]


def test_a_file_that_belonged_to_two_tables(boat: Boat, declare: Callable[[str], None]) -> None:
    declare("create schema lake; create table lake.boats (id integer primary key);")
    boat.ingest(boat.write("boats-x.csv", "id\n1\n2\n"))
    boat.query(
        "create table lake.boats_x (id integer primary key, boat integer references lake.boats"
        " on delete cascade); grant all on lake.boats_x to rowboat_loader"
    )
    boat.ingest(boat.write("boats-x.csv", "id,boat\n5,1\n6,2\n"))
    assert boat.query("select id from lake.boats_x") == [5, 6]
    done = unloaded(boat, "boats-x.csv")
    assert [(each.table, each.leaving, each.dependents) for each in done.plan.tables] == [
        ("lake.boats", 2, {}), ("lake.boats_x", 2, {}),
    ]  # fmt: skip
    assert content(boat, "lake.boats", "lake.boats_x") == [[], []]
    restore.restore_tables(boat.connect(), restore.undo_order(boat.connect(), done.id, "tester"))
    assert content(boat, "lake.boats", "lake.boats_x") == [["(1)", "(2)"], ["(5,1)", "(6,2)"]]


def test_keys_that_are_equal_but_written_differently(
    boat: Boat, declare: Callable[[str], None]
) -> None:
    declare("create schema lake; create table lake.boats (id numeric primary key, name text);")
    boat.query("insert into lake.boats values (1.0, 'Old'), (2.0, 'Old')")
    boat.ingest(boat.write("boats.csv", "id,name\n1.00,New\n3.00,New\n"))
    unloaded(boat, "boats.csv")
    assert boat.query("select id::text, name from lake.boats order by id") == [
        ("1.0", "New"), ("2.0", "Old"),
    ]  # fmt: skip


def test_rows_of_all_versions_and_tails_leave(boat: Boat) -> None:
    boat.query(f"insert into {DEPARTMENTS} values (8, 'By hand')")
    boat.write("departments.csv", "1,A\n2,B\n")
    boat.ingest()
    boat.write("departments.csv", "1,A\n2,B\n3,C\n")  # a tail
    boat.ingest()
    boat.write("departments.csv", "2,BB\n4,D\n8,Mine\n")  # rewritten: 2 is its own row
    boat.ingest()
    boat.write("departments.csv", "2,BBB\n4,D\n8,Mine\n")
    boat.ingest()
    done = unloaded(boat, "departments.csv")
    assert boat.departments() == [(8, "Mine")]
    assert (of_table(done.plan).leaving, of_table(done.plan).updated) == (4, 1)


def test_rows_that_waited_for_a_parent_or_were_retried_leave(boat: Boat) -> None:
    boat.ingest(boat.write("jobs.csv", "1,Cook\n"))
    boat.ingest(boat.write("hired_employees.csv", "1,Ann,2021-01-01,1,1\n2,Bo,2021-01-01,2,1\n"))
    boat.ingest(boat.write("departments.csv", "1,Hull\n"))
    assert boat.query(f"select id from {EMPLOYEES}") == [1]
    done = unloaded(boat, "hired_employees.csv")
    assert boat.query(f"select id from {EMPLOYEES}") == []
    boat.ingest(boat.write("departments-2.csv", "2,Sail\n"))  # row 2 was discarded
    assert (boat.query(f"select id from {EMPLOYEES}"), done.plan.refused) == ([], 1)


def test_a_table_without_a_key(boat: Boat, declare: Callable[[str], None]) -> None:
    declare("create schema lake; create table lake.notes (at date, text text);")
    boat.ingest(boat.write("notes-1.csv", "at,text\n2021-01-01,a\n2021-01-01,a\n"))
    boat.ingest(boat.write("notes-2.csv", "at,text\n2021-01-01,a\n2021-01-02,b\n"))
    done = unloaded(boat, "notes-1.csv")
    assert boat.query("select text from lake.notes order by 1") == ["a", "b"]
    assert of_table(done.plan).leaving_examples == ["(2021-01-01,a)"] * 2
    restore.restore_tables(boat.connect(), restore.undo_order(boat.connect(), done.id, "tester"))
    assert boat.query("select text from lake.notes order by 1") == ["a", "a", "a", "b"]


# Rows that refer to others


def test_rows_that_refer_to_leaving_ones_forbid_it(boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Hull\n2,Sail\n"), boat.write("jobs.csv", "1,A\n"))
    boat.ingest(
        boat.write("hired_employees-1.csv", "1,Ann,2021-01-01,1,1\n2,Bo,2021-01-01,1,1\n"),
        boat.write("hired_employees-2.csv", "3,Cy,2021-01-01,2,1\n"),
    )
    label = f"{EMPLOYEES} (department_id)"
    table = of_table(planned(boat, "departments.csv"))
    assert (table.dependents, table.actions) == ({label: 3}, {label: "deleted too"})
    assert refused(boat, UnloadOrder("departments.csv", "tester"), UnloadRefused) == (
        f"others refer to rows of {DEPARTMENTS} that departments.csv brought: 3 of {label}\n"
        "HINT: unload first what brought those: hired_employees-1.csv, hired_employees-2.csv"
    )
    for file in ("hired_employees-1.csv", "hired_employees-2.csv", "departments.csv"):
        unloaded(boat, file)
    assert boat.departments() == []


@pytest.mark.parametrize("action", ["restrict", "set null", "no action"])
def test_rows_written_in_sql_that_refer_to_leaving_ones(
    boat: Boat, declare: Callable[[str], None], action: str
) -> None:
    declare(
        "create schema lake; create table lake.boats (id integer primary key);"
        f"create table lake.oars (boat integer references lake.boats on delete {action});"
    )
    boat.ingest(boat.write("boats.csv", "id\n1\n2\n"))
    boat.query("insert into lake.oars values (2)")
    assert refused(boat, UnloadOrder("boats.csv", "tester"), UnloadRefused) == (
        "others refer to rows of lake.boats that boats.csv brought: 1 of lake.oars (boat)\n"
        "HINT: delete or change those rows first"
    )


def test_a_table_that_refers_to_itself(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        "create schema lake; create table lake.people ("
        "id integer primary key, boss integer references lake.people);"
    )
    boat.ingest(boat.write("people-1.csv", "id,boss\n1,\n2,1\n3,2\n"))
    boat.ingest(boat.write("people-2.csv", "id,boss\n4,3\n"))
    assert "unload first what brought those: people-2.csv" in refused(
        boat, UnloadOrder("people-1.csv", "tester"), UnloadRefused
    )
    unloaded(boat, "people-2.csv")
    unloaded(boat, "people-1.csv")
    assert boat.query("select id from lake.people") == []


def test_a_trigger_that_keeps_rows(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        "create schema lake; create table lake.boats (id integer primary key);"
        "create function lake.keep() returns trigger language plpgsql as $$ begin"
        " if old.id = 1 then return null; end if; return old; end $$;"
        "create trigger keep before delete on lake.boats for each row execute function lake.keep();"
    )
    boat.ingest(boat.write("boats.csv", "id\n1\n2\n"))
    assert "a trigger, rule or policy of lake.boats keeps rows from being deleted" in refused(
        boat, UnloadOrder("boats.csv", "tester"), UnloadRefused
    )


# What cannot be unloaded


def test_what_cannot_be_unloaded(boat: Boat) -> None:
    boat.ingest(boat.write("departments-1.csv", "1,Hull\n"), boat.write("notes.txt", "a\n"))
    assert refused(boat, UnloadOrder("no.csv", "tester"), FileRefused) == (
        "no.csv is not known\nHINT: `rowboat status` lists the files"
    )
    boat.query(f"update {DEPARTMENTS} set department = 'Else'")
    for file in ("departments-1.csv", "notes.txt"):
        fact = refused(boat, UnloadOrder(file, "tester"), UnloadRefused).splitlines()[0]
        assert fact == f"no row in the database is as {file} brought it"
    boat.ingest(boat.write("departments-2.csv", "2,Sail\n"))
    unloaded(boat, "departments-2.csv")
    assert refused(boat, UnloadOrder("departments-2.csv", "tester"), UnloadRefused) == (
        "departments-2.csv is unloaded already\nHINT: `rowboat ingest --again` loads it again"
    )


def test_more_rows_than_were_approved(boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Hull\n"))
    approved = planned(boat, "departments.csv")
    boat.ingest(boat.write("departments.csv", "1,Hull\n2,Sail\n"))
    order = UnloadOrder("departments.csv", "tester", approved)
    assert refused(boat, order, PlanChanged) == (
        "2 rows would leave instead of 1\nHINT: look at the new plan, then unload again"
    )


def test_a_row_that_was_changed_after_the_plan_stays(boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Hull\n2,Sail\n"))
    approved = planned(boat, "departments.csv")
    boat.query(f"update {DEPARTMENTS} set department = 'Else' where id = 1")
    done = unload.unload_file(boat.connect(), UnloadOrder("departments.csv", "tester", approved))
    assert (boat.departments(), done.plan.leaving) == ([(1, "Else")], 1)


def test_transaction_numbers_that_recur(boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Hull\n"))
    boat.query(
        "insert into ingest_status.loads (xid, table_name, source, source_name, actor, read,"
        " inserted, updated, unchanged, rejected)"
        " select (xid::text::numeric + 4294967296)::text::xid8, table_name, 'api', 'r', 'k',"
        " 0, 0, 0, 0, 0 from ingest_status.loads returning id"
    )
    assert "transaction IDs have wrapped around" in refused(
        boat, UnloadOrder("departments.csv", "tester"), UnloadRefused
    )
    assert content(boat, DEPARTMENTS) == [["(1,Hull)"]]
