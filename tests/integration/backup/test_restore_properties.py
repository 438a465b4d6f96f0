"""Whatever the rows were: a restore brings them back, and undoing brings back what it overwrote."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowboat.backup import shelf, take
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import Mode
from rowboat.backup.recovery.restore import Restored
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.database.connections import Cursor, Role, transaction
from rowboat.errors import RestoreRefused
from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.fuzzing import thorough

pytestmark = pytest.mark.usefixtures("shelf_of_its_own")

Declare = Callable[[str], None]


PROPERTY = """
create schema p;
create table p.parent (
    id integer primary key, name text unique, boss integer references p.parent,
    rank integer not null unique
);
create table p.child (
    id integer primary key, parent_id integer not null references p.parent on delete cascade,
    second_id integer references p.parent on delete set null, word text unique
);
"""

keys = st.integers(1, 5)
words = st.none() | st.sampled_from("abcde")


@st.composite
def states(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Draw parents and children that break no rule."""
    ids = draw(st.lists(keys, unique=True))
    ranks = draw(st.permutations([1, 2, 3, 4, 5]))
    names = draw(st.permutations([None, "a", "b", "c", "d"]))
    some = st.none() | st.sampled_from(ids) if ids else st.none()
    parents = [(id_, names[n], draw(some), ranks[n]) for n, id_ in enumerate(ids)]
    children: list[tuple[Any, ...]] = []
    for id_ in draw(st.lists(keys, unique=True)) if ids else []:
        word = draw(words)
        taken = {child[3] for child in children}
        given = None if word in taken else word
        children.append((id_, draw(st.sampled_from(ids)), draw(some), given))
    return parents, children


State = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def fill(cursor: Cursor, state: State) -> None:
    cursor.execute("delete from p.child")
    cursor.execute("update p.parent set boss = null")
    cursor.execute("delete from p.parent")
    for row in state[0]:
        cursor.execute("insert into p.parent values (%s, %s, null, %s)", (row[0], row[1], row[3]))
    for row in state[0]:
        cursor.execute("update p.parent set boss = %s where id = %s", (row[2], row[0]))
    for row in state[1]:
        cursor.execute("insert into p.child values (%s, %s, %s, %s)", row)


@pytest.mark.parametrize("role", ["loader", "owner"])
def test_any_state_comes_back_and_can_be_undone(boat: Boat, declare: Declare, role: Role) -> None:
    """The owner may not switch triggers off: rows that exchange values may then be refused."""
    declare(PROPERTY)
    both = ["p.parent", "p.child"]
    catalog = boat.catalog()
    connection = boat.connect(role)
    came_back = []

    def found() -> dict[str, str]:
        with transaction(connection) as cursor:
            return {name: take.digest_table(cursor, catalog.by_name[name]) for name in both}

    def fill_with(state: State) -> dict[str, str]:
        with transaction(connection) as cursor:
            fill(cursor, state)
        return found()

    def carried_out(wanted: RestoreOrder) -> Restored:
        wanted.expected = restore.plan_restore(connection, wanted)
        done = restore.restore_tables(connection, wanted)
        assert done.plan == wanted.expected
        return done

    @thorough
    @given(
        states(),
        states(),
        st.sampled_from([both, both, both, both[:1], both[1:]]),
        st.sampled_from(["replace", "replace", "merge", "missing"]),
        st.booleans(),
    )
    def holds(first: State, second: State, tables: list[str], mode: Mode, cascade: bool) -> None:
        old = fill_with(first)
        held = take.take_backup(connection, both).set
        new = fill_with(second)
        sources = {name: source_of_set(held, name) for name in tables}
        try:
            done = carried_out(RestoreOrder(sources, mode, "tester", cascade=cascade))
        except RestoreRefused:
            assert found() == new
            assert role == "owner" or len(tables) == 1
        else:
            whole = mode == "replace" and not any(each.rejected for each in done.plan.tables)
            assert whole or mode != "replace" or role == "owner" or tables == both[1:]
            if whole:
                assert {name: found()[name] for name in tables} == {n: old[n] for n in tables}
                came_back.append(tables)
            carried_out(restore.undo_order(connection, done.id, "tester"))
            assert found() == new
        for name in shelf.set_names():
            shelf.remove_set(name)

    holds()
    assert len(came_back) > tries(5, 15)
