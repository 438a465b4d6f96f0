"""Short ways to back up, plan, restore and undo, with what must always hold checked on the way."""

from collections.abc import Iterable
from typing import Any

import pytest

from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import Mode, Plan, TablePlan
from rowboat.backup.recovery.restore import Restored
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.backup.take import digest_table, take_backup
from rowboat.database.connections import transaction
from rowboat.errors import RowboatError
from tests.conftest import Boat

DEPARTMENTS = "hired_employees.departments"
EMPLOYEES = "hired_employees.hired_employees"
JOBS = "hired_employees.jobs"
BY_DEPARTMENT = f"{EMPLOYEES} (department_id)"


def hire(boat: Boat) -> Boat:
    """Insert three departments, a job, and an employee of each of the first two departments."""
    boat.query(f"insert into {DEPARTMENTS} values (1, 'Hull'), (2, 'Sail'), (3, 'Galley')")
    boat.query(f"insert into {JOBS} values (1, 'Cook')")
    boat.query(
        f"insert into {EMPLOYEES} values"
        " (1, 'Ann', '2021-01-01', 1, 1), (2, 'Bob', '2021-02-01', 2, 1)"
    )
    return boat


def change(boat: Boat) -> None:
    """Update department 2, delete 3, insert 4."""
    boat.query(f"update {DEPARTMENTS} set department = 'Rigging' where id = 2")
    boat.query(f"delete from {DEPARTMENTS} where id = 3")
    boat.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")


def take(boat: Boat, *tables: str) -> str:
    """Back up and return the set."""
    taken = take_backup(boat.connect(), tables)
    assert taken.findings == []
    return taken.set


def order(
    boat: Boat, set_: str, tables: Iterable[str] = (), mode: Mode = "replace", **more: Any
) -> RestoreOrder:
    """Order tables of a set, all of them by default."""
    names = list(tables) or [copy.table for copy in shelf.read_manifest(set_).tables]
    return RestoreOrder({name: source_of_set(set_, name) for name in names}, mode, "tester", **more)


def planned(boat: Boat, wanted: RestoreOrder) -> Plan:
    """Plan; that must change nothing, not even a sequence."""
    before = everything(boat), sequences(boat), files()
    found = restore.plan_restore(boat.connect(), wanted)
    assert (everything(boat), sequences(boat), files()) == before
    assert Plan.from_json(found.to_json()) == found
    return found


def carried_out(boat: Boat, wanted: RestoreOrder) -> Restored:
    """Plan and restore; the plan must come true."""
    found = planned(boat, wanted)
    done = restore.restore_tables(boat.connect(), wanted)
    assert done.plan == found
    return done


def refused(boat: Boat, wanted: RestoreOrder, kind: type[RowboatError]) -> str:
    """Let a restore be refused; nothing may have changed. Return what a user reads."""
    before = everything(boat), files()
    with pytest.raises(kind) as raised:
        restore.restore_tables(boat.connect(), wanted)
    assert (everything(boat), files()) == before
    return str(raised.value)


def undone(boat: Boat, done: Restored, **more: Any) -> Restored:
    wanted = restore.undo_order(boat.connect(), done.id, "tester")
    for name, value in more.items():
        setattr(wanted, name, value)
    return carried_out(boat, wanted)


def files() -> list[str]:
    return sorted(str(each) for each in shelf.shelf_folder().rglob("*"))


def digests(boat: Boat) -> dict[str, str]:
    """Return table → digest of its rows."""
    with transaction(boat.connect()) as cursor:
        return {each.full_name: digest_table(cursor, each) for each in boat.catalog()}


def everything(boat: Boat) -> Any:
    """Return what a plan or a refused restore must leave as it is."""
    return digests(boat), boat.query(
        "select (select count(*) from ingest_status.loads),"
        " (select count(*) from ingest_status.rejected_rows),"
        " (select count(*) from backup_status.restores)"
    )


def sequences(boat: Boat) -> list[Any]:
    return boat.query("select schemaname, sequencename, last_value from pg_sequences order by 1, 2")


def numbers(found: TablePlan) -> tuple[int, int, int, int, int]:
    return found.insert, found.update, found.delete, found.unchanged, found.rejected
