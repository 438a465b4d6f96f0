"""Short ways to plan and to carry out unloads, with what must always hold checked on the way."""

from typing import Any

import pytest

from rowboat import unload
from rowboat.backup import shelf
from rowboat.errors import RowboatError
from rowboat.unload import TableUnload, Unloaded, UnloadOrder, UnloadPlan
from tests.conftest import Boat

RECORDS = (
    "ingest_status.ingest_status", "ingest_status.loads", "ingest_status.rejected_rows",
    "backup_status.restores", "backup_status.backup_status",
)  # fmt: skip


def content(boat: Boat, *tables: str) -> Any:
    """Return all rows of some tables, of those of the boat by default, as text."""
    names = tables or tuple(each.full_name for each in boat.catalog())
    return [boat.query(f"select t::text from {name} as t order by 1") for name in names]


def planned(boat: Boat, file: str) -> UnloadPlan:
    """Plan; that must change nothing."""
    before = content(boat), content(boat, *RECORDS), shelf.set_names()
    found = unload.plan_unload(boat.connect(), UnloadOrder(file, "tester"))
    assert (content(boat), content(boat, *RECORDS), shelf.set_names()) == before
    return found


def of_table(found: UnloadPlan) -> TableUnload:
    """Return the only table of a plan."""
    [table] = found.tables
    return table


def unloaded(boat: Boat, file: str) -> Unloaded:
    """Plan and unload; the plan must come true."""
    found = planned(boat, file)
    done = unload.unload_file(boat.connect(), UnloadOrder(file, "tester", found))
    assert done.plan == found
    return done


def refused(boat: Boat, order: UnloadOrder, kind: type[RowboatError]) -> str:
    """Let an unload be refused; nothing may have changed. Return what a user reads."""
    before = content(boat), content(boat, *RECORDS), shelf.set_names()
    with pytest.raises(kind) as raised:
        unload.unload_file(boat.connect(), order)
    assert (content(boat), content(boat, *RECORDS), shelf.set_names()) == before
    return str(raised.value)


def state(boat: Boat, file: str) -> str:
    """Return the state on record of a file."""
    [found] = boat.query(
        "select state from ingest_status.ingest_status where file_name = %s", (file,)
    )
    return str(found)
