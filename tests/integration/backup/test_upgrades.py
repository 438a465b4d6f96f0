"""Databases and backups of earlier versions, brought to this one: no row becomes another."""

import shutil

import pytest

from rowboat.backup import sets, shelf, take, verify
from rowboat.backup.recovery import drill, restore
from rowboat.catalog import migrations, tables
from rowboat.database.connections import transaction
from tests.conftest import ROOT, Boat
from tests.support.restoring import DEPARTMENTS, EMPLOYEES, digests, hire, order

pytestmark = pytest.mark.usefixtures("shelf_of_its_own")

GOLDEN = ROOT / "tests" / "golden"  # sets as each version wrote them; none is ever made anew
FIRST_WITH_TABLES, FIRST_WITH_RESTORES = 2, 3


def test_rows_of_the_first_schema(boat: Boat) -> None:
    """Rows that were there before all later migrations are the same after them."""
    migrations.migrate(boat.connect("owner"), FIRST_WITH_TABLES)
    hire(boat)
    before = {name: seen(boat, name) for name in (DEPARTMENTS, EMPLOYEES)}
    assert len(migrations.migrate(boat.connect("owner"))) >= 8
    assert {name: seen(boat, name) for name in before} == before
    again = boat.ingest(boat.write("departments.csv", "3,Galley\n4,Deck\n"))
    counts = vars(again["departments.csv"].report)
    assert (counts["unchanged"], counts["inserted"]) == (1, 1)


def test_a_set_of_an_earlier_schema(boat: Boat) -> None:
    """What was taken before the later migrations is verified, drilled and restored after them."""
    hire(boat)
    migrations.migrate(boat.connect("owner"), FIRST_WITH_RESTORES)
    before = digests(boat)
    taken = take.take_backup(boat.connect("owner"))
    assert taken.findings == []
    migrations.migrate(boat.connect("owner"))
    assert digests(boat) == before
    assert verify.verify_set(boat.connect(), taken.set).ok
    assert drill.run_drill(boat.connect(), "tester", taken.set).ok
    boat.query(f"truncate {EMPLOYEES}")
    boat.query(f"update {DEPARTMENTS} set department = 'Rigging'")
    restore.restore_tables(boat.connect(), order(boat, taken.set))
    assert digests(boat) == before


@pytest.mark.parametrize("version", sorted(path.name for path in GOLDEN.glob("[0-9]*")))
def test_sets_of_every_version(boat: Boat, version: str) -> None:
    """They are taken on record, verified, and restored to the digests that their manifests name."""
    shutil.copytree(GOLDEN / version, shelf.shelf_folder())
    [name] = shelf.set_names()
    with transaction(boat.connect()) as cursor:
        sets.adopt_sets(cursor)
    assert verify.verify_set(boat.connect(), name).ok
    restore.restore_tables(boat.connect(), order(boat, name))
    wanted = {copy.table: copy.digest for copy in shelf.read_manifest(name).tables}
    assert len(wanted) == 3
    assert digests(boat) == wanted
    assert boat.query(f"select employee_name from {EMPLOYEES} order by id") == [
        "Ann", "Žofie \"Žo\" O'Neil, jr.", "two\nlines \\ and a tab\t", "\U0001f6a3 rowing",
    ]  # fmt: skip


def seen(boat: Boat, table: str) -> str:
    """Return the digest of a table's rows, whatever else the database has."""
    with transaction(boat.connect("owner")) as cursor:
        return take.digest_table(cursor, tables.read_catalog(cursor).table(table))
