"""Restoring: what a plan tells, what each mode does, what undo brings back."""

from collections.abc import Callable
from typing import Any

import pytest

from rowboat.backup import sets, shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import Mode
from rowboat.database.connections import transaction
from rowboat.errors import (
    RestoreRefused,
    UnknownSet,
    WouldCascade,
)
from rowboat.rows.read import trace
from tests.conftest import Boat
from tests.support.restoring import (
    BY_DEPARTMENT,
    DEPARTMENTS,
    EMPLOYEES,
    JOBS,
    carried_out,
    change,
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
Setting = Callable[[str, str], None]


# Modes


@pytest.mark.parametrize(
    ("mode", "counted", "after"),
    [
        ("replace", (1, 1, 1, 1, 0), [(1, "Hull"), (2, "Sail"), (3, "Galley")]),
        ("merge", (1, 1, 0, 1, 0), [(1, "Hull"), (2, "Sail"), (3, "Galley"), (4, "Deck")]),
        ("missing", (1, 0, 0, 2, 0), [(1, "Hull"), (2, "Rigging"), (3, "Galley"), (4, "Deck")]),
    ],
)
def test_modes(
    crew: Boat, mode: Mode, counted: tuple[int, ...], after: list[tuple[int, str]]
) -> None:
    held = take(crew)
    change(crew)
    before = digests(crew)
    done = carried_out(crew, order(crew, held, [DEPARTMENTS], mode))
    assert numbers(done.plan.tables[0]) == counted
    assert crew.departments() == after
    assert crew.query(f"select count(*) from {EMPLOYEES}") == [2]
    undone(crew, done)
    assert digests(crew) == before


def test_rows_that_are_equal_are_left_alone(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    before = dict(crew.query(f"select id, xmin::text from {DEPARTMENTS}"))
    carried_out(crew, order(crew, held, [DEPARTMENTS]))
    after = dict(crew.query(f"select id, xmin::text from {DEPARTMENTS}"))
    assert {key for key in after if before.get(key) == after[key]} == {1}


def test_nothing_to_do(crew: Boat) -> None:
    held = take(crew)
    done = carried_out(crew, order(crew, held))
    assert not done.plan.changes
    assert [numbers(each) for each in done.plan.tables] == [(0, 0, 0, n, 0) for n in (3, 1, 2)]


def test_an_empty_backup_empties_the_table(crew: Boat) -> None:
    crew.query("create table hired_employees.logs (at integer primary key)", role="owner")
    crew.query("grant all on hired_employees.logs to rowboat_loader")
    held = take(crew, "logs")
    crew.query("insert into hired_employees.logs values (1), (2)")
    done = carried_out(crew, order(crew, held))
    assert numbers(done.plan.tables[0]) == (0, 0, 2, 0, 0)
    assert crew.query("select * from hired_employees.logs") == []
    undone(crew, done)
    assert crew.query("select * from hired_employees.logs order by 1") == [1, 2]


def test_the_default_is_the_newest_verified_set(crew: Boat) -> None:
    take(crew)
    held = take(crew, "departments")
    done = carried_out(crew, order(crew, held, [DEPARTMENTS], "merge"))
    with transaction(crew.connect()) as cursor:
        assert sets.newest_set(cursor, [DEPARTMENTS]).name == held
        assert sets.newest_set(cursor, [EMPLOYEES]).name < held < done.safety


@pytest.mark.parametrize("mode", ["replace", "merge", "missing"])
def test_sequences_end_past_the_ids(crew: Boat, mode: Mode) -> None:
    crew.query(f"insert into {DEPARTMENTS} values (900, 'Lookout')")
    held = take(crew)
    crew.query(f"delete from {DEPARTMENTS} where id = 900")
    carried_out(crew, order(crew, held, [DEPARTMENTS], mode))
    assert crew.query(f"insert into {DEPARTMENTS} (department) values ('Next') returning id") == [
        901
    ]


def test_a_restored_row_names_its_set(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    carried_out(crew, order(crew, held, [DEPARTMENTS], run="nightly"))
    with transaction(crew.connect()) as cursor:
        table = crew.catalog().table("departments")
        found = [trace.trace_row(cursor, table, [key]).writer for key in ("1", "2", "3")]
    assert found[0] is None
    for origin in found[1:]:
        assert origin
        assert (origin.load["source"], origin.load["source_name"], origin.load["run"]) == (
            "backup", f"{held}/departments.avro", "nightly",
        )  # fmt: skip


def test_history(crew: Boat) -> None:
    held = take(crew)
    change(crew)
    first = carried_out(crew, order(crew, held, [DEPARTMENTS], cascade=True))
    second = undone(crew, first)
    with transaction(crew.connect()) as cursor:
        newest, before = restore.list_restores(cursor)
    assert (newest["id"], newest["undoes"], newest["source_name"]) == (
        second.id, first.id, first.safety,
    )  # fmt: skip
    assert before["tables"] == newest["tables"] == [DEPARTMENTS, EMPLOYEES]
    assert (before["actor"], before["mode"], before["cascades"]) == ("tester", "replace", True)
    assert before["report"] == first.plan.to_json()


# Foreign keys


def test_a_cascade_is_refused_with_its_count(crew: Boat) -> None:
    held = take(crew)
    crew.query(f"insert into {DEPARTMENTS} values (4, 'Deck'), (5, 'Empty')")
    crew.query(f"insert into {EMPLOYEES} select n, 'x', now(), 4, 1 from generate_series(3, 5) n")
    wanted = order(crew, held, [DEPARTMENTS])
    [found] = planned(crew, wanted).tables
    assert (found.delete, found.dependents, found.actions, found.touched) == (
        2, {BY_DEPARTMENT: 3}, {BY_DEPARTMENT: "deleted too"}, 3,
    )  # fmt: skip
    assert refused(crew, wanted, WouldCascade) == (
        f"deleting rows of {DEPARTMENTS} that the backup does not have would affect others:"
        f" 3 of {BY_DEPARTMENT}\n"
        "HINT: see them with --plan; --cascade affects them too, --mode merge deletes nothing"
    )


def test_undo_brings_the_children_of_a_cascade_back(crew: Boat) -> None:
    held = take(crew)
    crew.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    crew.query(f"insert into {EMPLOYEES} values (3, 'Cy', now(), 4, 1)")
    before = digests(crew)
    done = carried_out(crew, order(crew, held, [DEPARTMENTS], cascade=True))
    assert crew.query(f"select id from {EMPLOYEES} order by id") == [1, 2]
    assert [copy.table for copy in shelf.read_manifest(done.safety).tables] == [
        DEPARTMENTS,
        EMPLOYEES,
    ]
    again = undone(crew, done)
    assert digests(crew) == before
    undone(crew, again)
    assert crew.query(f"select id from {EMPLOYEES} order by id") == [1, 2]


def test_departments_are_restored_under_their_employees(crew: Boat) -> None:
    held = take(crew, "departments")
    crew.query(f"update {DEPARTMENTS} set department = department || '!'")
    before = crew.query(f"select xmin::text, * from {EMPLOYEES} order by id")
    carried_out(crew, order(crew, held))
    assert crew.query(f"select xmin::text, * from {EMPLOYEES} order by id") == before
    assert crew.departments() == [(1, "Hull"), (2, "Sail"), (3, "Galley")]


ACTIONS = """
create schema s;
create table s.parent (id integer primary key, word text);
create table s.child (
    id integer primary key, parent_id integer default 1 references s.parent on delete {}
);
create table s.grandchild (
    id integer primary key, child_id integer references s.child on delete cascade
);
"""


@pytest.mark.parametrize("action", ["no action", "restrict"])
def test_keys_that_let_nothing_go(boat: Boat, declare: Declare, action: str) -> None:
    declare(ACTIONS.format(action))
    boat.query("insert into s.parent values (1, 'a')")
    held = take(boat, "parent")
    boat.query("insert into s.parent values (2, 'b'), (3, 'c')")
    boat.query("insert into s.child values (1, 2), (2, 2), (3, 1)")
    for cascade in (False, True):
        wanted = order(boat, held, cascade=cascade)
        assert planned(boat, wanted).tables[0].dependents == {"s.child (parent_id)": 2}
        assert refused(boat, wanted, RestoreRefused) == (
            "2 rows of s.child (parent_id) refer to rows of s.parent that the backup does not have,"
            " and their foreign key does not allow deleting those\n"
            "HINT: restore that table too (--all), or use --mode merge, which deletes nothing"
        )
    carried_out(boat, order(boat, held, mode="merge"))
    boat.query("delete from s.child where parent_id = 2")
    carried_out(boat, order(boat, held))


@pytest.mark.parametrize(
    ("action", "what", "after", "below"),
    [
        ("cascade", "deleted too", [(2, 1)], 3),
        ("set null", "set to NULL", [(1, None), (2, 1)], None),
        ("set default", "set to its default", [(1, 1), (2, 1)], None),
    ],
)
def test_what_becomes_of_children(
    boat: Boat, declare: Declare, action: str, what: str, after: list[Any], below: int | None
) -> None:
    declare(ACTIONS.format(action))
    boat.query("insert into s.parent values (1, 'a')")
    held = take(boat, "parent")
    boat.query("insert into s.parent values (2, 'b')")
    boat.query("insert into s.child values (1, 2), (2, 1)")
    boat.query("insert into s.grandchild values (1, 1), (2, 1), (3, 1), (4, 2)")
    before = digests(boat)
    done = carried_out(boat, order(boat, held, cascade=True))
    [found] = done.plan.tables
    deep = {} if below is None else {"s.grandchild (child_id)": below}
    assert found.dependents == {"s.child (parent_id)": 1} | deep
    assert found.actions["s.child (parent_id)"] == what
    assert boat.query("select id, parent_id from s.child order by id") == after
    undone(boat, done)
    assert digests(boat) == before


def test_cascades_are_counted_however_deep(boat: Boat, declare: Declare) -> None:
    """A table below that refers to itself goes level by level."""
    declare(
        "create schema s; create table s.parent (id integer primary key);"
        "create table s.node (id integer primary key, root integer references s.parent on delete"
        " cascade, above integer references s.node on delete cascade)"
    )
    held = take(boat, "parent")
    boat.query("insert into s.parent values (1)")
    boat.query("insert into s.node values (1, 1, null), (2, null, 1), (3, null, 2), (4, null, 3)")
    before = digests(boat)
    done = carried_out(boat, order(boat, held, cascade=True))
    assert done.plan.tables[0].dependents == {"s.node (root)": 1, "s.node (above)": 3}
    assert boat.query("select * from s.node") == []
    undone(boat, done)
    assert digests(boat) == before


def test_children_that_rowboat_does_not_manage(crew: Boat, setting: Setting) -> None:
    """No safety copy would hold them."""
    held = take(crew)
    crew.query("create schema elsewhere")
    crew.query(
        f"create table elsewhere.desks (at integer references {DEPARTMENTS} on delete cascade)"
    )
    crew.query("grant usage on schema elsewhere to rowboat_loader")
    crew.query("grant select on elsewhere.desks to rowboat_loader")
    setting("schemas", "hired_employees")
    crew.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    crew.query("insert into elsewhere.desks values (4), (4)")
    assert "2 of elsewhere.desks (at)" in refused(
        crew, order(crew, held, [DEPARTMENTS]), WouldCascade
    )
    wanted = order(crew, held, [DEPARTMENTS], cascade=True)
    assert refused(crew, wanted, RestoreRefused) == (
        "2 rows of elsewhere.desks (at) would be deleted too, and no safety copy can contain them:"
        " Rowboat does not manage their table\n"
        "HINT: delete them yourself, or use --mode merge, which deletes nothing"
    )
    assert crew.query("select * from elsewhere.desks") == [4, 4]


# Whole sets


def test_a_whole_set_goes_parents_first(crew: Boat) -> None:
    held = take(crew)
    before = digests(crew)
    crew.query(f"delete from {DEPARTMENTS} where id in (1, 3)")
    crew.query(f"insert into {DEPARTMENTS} values (7, 'Keel')")
    crew.query(f"insert into {JOBS} values (9, 'Mate')")
    crew.query(f"insert into {EMPLOYEES} values (8, 'Di', now(), 7, 9)")
    crew.query(f"update {EMPLOYEES} set department_id = 7, job_id = 9 where id = 2")
    changed = digests(crew)
    done = carried_out(crew, order(crew, held))
    assert [(each.table, *numbers(each)) for each in done.plan.tables] == [
        (DEPARTMENTS, 2, 0, 1, 1, 0), (JOBS, 0, 0, 1, 1, 0), (EMPLOYEES, 1, 1, 1, 0, 0),
    ]  # fmt: skip
    assert all(each.touched == 0 for each in done.plan.tables)
    assert digests(crew) == before
    undone(crew, done)
    assert digests(crew) == changed
    [xids] = crew.query("select count(distinct xid) from ingest_status.loads group by run, source")
    assert xids == 2  # the restore is one transaction, the undoing another


def test_a_set_without_a_table_that_is_there(crew: Boat) -> None:
    held = take(crew, "departments")
    with pytest.raises(UnknownSet) as raised:
        order(crew, held, [EMPLOYEES])
    assert raised.value.fact == f"the set {held} has no {EMPLOYEES}"


def test_a_table_that_is_gone(crew: Boat) -> None:
    held = take(crew)
    wanted = order(crew, held)
    crew.query(f"drop table {EMPLOYEES}")
    with pytest.raises(RestoreRefused) as raised:
        restore.restore_tables(crew.connect(), wanted)
    assert str(raised.value) == (
        f"the database has no {EMPLOYEES}\n"
        "HINT: `rowboat migrate` creates tables; name those to restore"
    )
