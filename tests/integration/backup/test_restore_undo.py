"""Restoring: plans that no longer hold, undoing, the safety copy, new tables."""

import pytest

from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.errors import PlanChanged, RestoreRefused, UnknownRestore, UnknownSet, WouldCascade
from tests.conftest import Boat
from tests.support.restoring import (
    BY_DEPARTMENT,
    DEPARTMENTS,
    EMPLOYEES,
    JOBS,
    carried_out,
    change,
    digests,
    order,
    planned,
    refused,
    take,
    undone,
)

pytestmark = pytest.mark.usefixtures("shelf_of_its_own")


# Plans that no longer hold


def test_a_plan_that_no_longer_holds(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    wanted = order(crew, held, [DEPARTMENTS])
    wanted.expected = planned(crew, wanted)
    crew.query(f"insert into {DEPARTMENTS} select n, 'New' from generate_series(10, 12) as n")
    assert refused(crew, wanted, PlanChanged) == (
        f"the plan for {DEPARTMENTS} no longer holds: delete 1 is now 4\n"
        "HINT: look at the new plan, then restore again"
    )
    wanted.expected = planned(crew, wanted)
    restore.restore_tables(crew.connect(), wanted)


def test_a_row_that_came_to_a_child_after_the_plan(crew: Boat) -> None:
    held = take(crew)
    crew.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    crew.query(f"insert into {EMPLOYEES} values (3, 'Cy', now(), 4, 1)")
    wanted = order(crew, held, [DEPARTMENTS], cascade=True)
    wanted.expected = planned(crew, wanted)
    crew.query(f"insert into {EMPLOYEES} values (4, 'Di', now(), 4, 1)")
    fact = refused(crew, wanted, PlanChanged).splitlines()[0]
    assert fact == (
        f"the plan for {DEPARTMENTS} no longer holds: rows of {BY_DEPARTMENT} 1 is now 2"
    )


def test_the_plan_of_another_restore(crew: Boat) -> None:
    held = take(crew)
    wanted = order(crew, held, [DEPARTMENTS])
    for other in (order(crew, held), order(crew, held, [JOBS]),
                  order(crew, held, [DEPARTMENTS], "merge")):  # fmt: skip
        wanted.expected = planned(crew, other)
        assert refused(crew, wanted, PlanChanged).splitlines()[0] == (
            "the plan is that of another restore; nothing was changed"
        )


# Undoing


def test_undo_of_nothing(crew: Boat) -> None:
    with pytest.raises(UnknownRestore) as raised:
        restore.undo_order(crew.connect(), 7, "tester")
    assert raised.value.fact == "there is no restore 7"


def test_undo_after_the_safety_copy_is_gone(crew: Boat) -> None:
    done = carried_out(crew, order(crew, take(crew), [DEPARTMENTS]))
    shelf.remove_set(done.safety)
    with pytest.raises(UnknownSet) as raised:
        restore.undo_order(crew.connect(), done.id, "tester")
    assert str(raised.value) == (
        f"the safety copy of restore {done.id}, {done.safety}, is no longer on the shelf\n"
        "HINT: restore from another backup: `rowboat backups` lists them"
    )


def test_undo_may_not_take_new_children_along(crew: Boat) -> None:
    held = take(crew)
    crew.query(f"delete from {DEPARTMENTS} where id = 3")
    done = carried_out(crew, order(crew, held, [DEPARTMENTS]))
    crew.query(f"insert into {EMPLOYEES} values (3, 'Cy', now(), 3, 1)")
    wanted = restore.undo_order(crew.connect(), done.id, "tester")
    assert f"1 of {BY_DEPARTMENT}" in refused(crew, wanted, WouldCascade)
    undone(crew, done, cascade=True)
    assert crew.query(f"select id from {EMPLOYEES} order by id") == [1, 2]


# The safety copy


def test_a_safety_copy_that_was_taken_already(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    wanted = order(crew, held, [DEPARTMENTS])
    wanted.safety = restore.back_up_first(crew.connect(), wanted)
    assert restore.restore_tables(crew.connect(), wanted).safety == wanted.safety


@pytest.mark.parametrize("what", ["stale", "gone", "damaged"])
def test_a_safety_copy_that_is_of_no_use_is_taken_anew(crew: Boat, what: str) -> None:
    held = take(crew)
    change(crew)
    wanted = order(crew, held, [DEPARTMENTS])
    wanted.safety = restore.back_up_first(crew.connect(), wanted)
    if what == "stale":
        crew.query(f"update {DEPARTMENTS} set department = 'Late' where id = 1")
    elif what == "gone":
        shelf.remove_set(wanted.safety)
    else:
        path = shelf.set_path(wanted.safety, "departments.avro")
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    before = digests(crew)
    done = restore.restore_tables(crew.connect(), wanted)
    assert done.safety != wanted.safety
    undone(crew, done)
    assert digests(crew) == before


# Into a new table


def test_into_a_table_beside_the_old(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    before = digests(crew)
    owner = crew.connect("owner")
    report = restore.restore_into(
        owner, source_of_set(held, DEPARTMENTS), "departments", "then", "tester"
    )
    assert (report.read, report.inserted) == (3, 3)
    assert {name: found for name, found in digests(crew).items() if "then" not in name} == before
    assert crew.query("select * from hired_employees.then order by id", role="reader") == [
        (1, "Hull"), (2, "Sail"), (3, "Galley"),
    ]  # fmt: skip
    statement = "insert into hired_employees.then (department) values ('x') returning id"
    assert crew.query(statement, role="loader") == [4]


@pytest.mark.parametrize("name", ["departments", "departments_pkey", "departments_id_seq", "seen"])
def test_into_a_name_that_is_taken(crew: Boat, name: str) -> None:
    held = take(crew)
    crew.query("create view hired_employees.seen as select 1")
    with pytest.raises(RestoreRefused) as raised:
        restore.restore_into(
            crew.connect("owner"), source_of_set(held, DEPARTMENTS), "departments", name, "tester"
        )
    assert str(raised.value) == (
        f"hired_employees.{name} is there already\nHINT: name another table with --into"
    )


def test_run_that_is_tried_again_restores_once(crew: Boat) -> None:
    """Its first answer was lost: what it did is told again, not done again."""
    set_ = take(crew)
    change(crew)
    wanted = order(crew, set_, [DEPARTMENTS], run="manual__1")
    first = restore.restore_tables(crew.connect(), wanted)
    crew.query(f"insert into {DEPARTMENTS} values (5, 'Since')")
    assert restore.restore_tables(crew.connect(), wanted) == first
    assert crew.query(f"select department from {DEPARTMENTS} where id = 5") == ["Since"]
    assert crew.query("select count(*) from backup_status.restores") == [1]
