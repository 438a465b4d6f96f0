"""Pruning: what goes is gone from shelf and record, what stays is as it was."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowboat.backup import retention, sets, shelf
from rowboat.backup.retention import prune_sets
from rowboat.database.connections import transaction
from rowboat.errors import ShelfUnusable
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import EMPLOYEES, HIRING, JOBS, take

GOES = "newer backups cover its day, week and month"


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("backups", str(tmp_path / "shelf"))
    for name, number in (("daily", "2"), ("weekly", "0"), ("monthly", "0"), ("least", "1")):
        setting(f"keep_{name}", number)
    backups.fill(boat)


def went(boat: Boat, dry_run: bool = False) -> list[str]:
    return [each.set for each in prune_sets(boat.connect(), dry_run) if not each.keep]


def test_what_goes_is_gone_and_what_stays_is_untouched(boat: Boat) -> None:
    first, second, third, fourth = backups.of_days_ago(boat, 40, 30, 20, 10)
    with transaction(boat.connect()) as cursor:
        sets.pin_set(cursor, first, True)
    before, shelved = backups.record(boat), backups.contents()
    dry = prune_sets(boat.connect(), dry_run=True)
    assert (backups.record(boat), backups.contents()) == (before, shelved)
    done = prune_sets(boat.connect())
    assert done == dry
    day = {name: f"daily {name[:4]}-{name[4:6]}-{name[6:8]}" for name in (third, fourth)}
    assert [str(each) for each in done] == [
        f"{first} is kept: pinned",
        f"{second} expires: {GOES}",
        f"{third} is kept: {day[third]}",
        f"{fourth} is kept: the newest verified, one of the last 1, {day[fourth]}",
    ]
    assert backups.names(boat) == [first, third, fourth]
    assert backups.record(boat) == [row for row in before if row[1] != second]
    assert backups.contents() == {
        path: content for path, content in shelved.items() if not path.startswith(second)
    }
    assert [*shelf.shelf_folder().glob(".*")] == []
    assert went(boat) == []


def test_unpinned_it_goes_when_its_time_comes(boat: Boat) -> None:
    old, *_ = backups.of_days_ago(boat, 40, 30, 20)
    for pinned, gone in ((True, []), (False, [old])):
        with transaction(boat.connect()) as cursor:
            sets.pin_set(cursor, old, pinned)
        assert went(boat) == gone


@pytest.mark.parametrize("where", ["record", "shelf"])
def test_killed_between_record_and_shelf_the_next_run_heals_it(
    boat: Boat, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """First the record forgets it, then it loses its name, then its files go."""
    old, *others = backups.of_days_ago(boat, 40, 30, 20)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    if where == "record":
        monkeypatch.setattr(shelf, "remove_set", killed)
    else:
        monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(Killed):
        prune_sets(boat.connect())
    monkeypatch.undo()
    assert {row[1] for row in backups.record(boat)} == {*others}
    left = [each.name for each in shelf.shelf_folder().iterdir() if each.name not in others]
    if where == "record":
        assert left == [old]
        assert next((each.state, each.counts) for each in backups.known(boat)) == ("whole", False)
        assert went(boat) == [old]
    else:
        assert left == [f".{old}.gone"]
        assert backups.names(boat) == others
        assert went(boat) == []
    assert backups.names(boat) == others
    assert {each.name for each in shelf.shelf_folder().iterdir()} == {*others}


def test_a_shelf_that_lets_nothing_go(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    old, *others = backups.of_days_ago(boat, 40, 30, 20)
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(ShelfUnusable) as raised:
        prune_sets(boat.connect())
    assert raised.value.fact == f"{shelf.shelf_folder()} cannot be written: Permission denied"
    monkeypatch.setattr(Path, "rename", rename)
    assert backups.names(boat) == [old, *others]
    assert went(boat) == [old]


def test_a_backup_that_cannot_be_proven_makes_none_go(boat: Boat) -> None:
    """Its bytes went wrong before it was ever verified, or its files are gone since."""
    old, older = backups.of_days_ago(boat, 40, 41)
    flipped, truncated, emptied = backups.of_days_ago(boat, 1.9, 1.8, 1.7)
    for name, change in ((flipped, b"?"), (truncated, b"")):
        path = shelf.set_path(name, "jobs.avro")
        path.write_bytes(path.read_bytes()[:-1] + change)
    shelf.set_path(emptied, "jobs.avro").unlink()
    boat.query(
        "update backup_status.backup_status set verified_at = null where set_name = %s", [flipped]
    )
    verdicts = {each.set: str(each) for each in prune_sets(boat.connect())}
    assert "the newest verified" in verdicts[old]
    assert " is kept: daily " in verdicts[older]
    assert verdicts[flipped] == f"{flipped} is kept: not verified, of the last 2 days"
    assert verdicts[truncated] == f"{truncated} is kept: damaged, of the last 2 days"
    assert verdicts[emptied] == f"{emptied} is kept: damaged, of the last 2 days"


def test_a_suspicious_backup_makes_none_go(boat: Boat) -> None:
    old = backups.of_days_ago(boat, 41, 40)
    boat.query(f"delete from {EMPLOYEES}")
    assert take(boat).suspicion is not None
    assert went(boat) == []
    new = take(boat).set  # as few rows again: it is what the data are now
    assert went(boat) == [old[0]]
    assert new in backups.names(boat)


def test_a_backup_of_one_table_makes_none_of_all_go(boat: Boat) -> None:
    whole = backups.of_days_ago(boat, 41, 40)
    for _ in range(5):
        take(boat, "jobs")
    gone = went(boat)
    assert len(gone) == 4
    assert backups.names(boat)[:2] == whole
    assert backups.known(boat)[-1].tables == {JOBS: 18}


def test_the_last_backups_of_a_dropped_table_stay(
    boat: Boat, declare: Callable[[str], None]
) -> None:
    declare("create table hired_employees.boats (id int primary key);")
    before = backups.of_days_ago(boat, 900, 800, 700)
    boat.query("drop table hired_employees.boats")
    after = backups.of_days_ago(boat, 60, 50, 40)
    assert went(boat) == [before[0], after[0]]
    with transaction(boat.connect()) as cursor:
        assert sets.newest_set(cursor, ["hired_employees.boats"]).name == before[2]
        assert sets.newest_set(cursor, HIRING).name == after[2]


def test_a_lost_record_loses_no_pin_and_no_set(boat: Boat) -> None:
    old, *others = backups.of_days_ago(boat, 40, 30, 20)
    with transaction(boat.connect()) as cursor:
        sets.pin_set(cursor, old, True)
    boat.query("truncate backup_status.backup_status")
    assert went(boat) == []
    assert [each.pinned for each in backups.known(boat)] == [True, False, False]
    assert all(each.counts for each in backups.known(boat))
    assert backups.names(boat) == [old, *others]


def test_a_shelf_that_is_not_mounted_loses_nothing_for_good(boat: Boat, tmp_path: Path) -> None:
    found = backups.of_days_ago(boat, 1, 0)
    shelf.shelf_folder().rename(tmp_path / "unmounted")
    assert went(boat) == []  # of the last two days
    boat.query("update backup_status.backup_status set taken_at = taken_at - interval '9 days'")
    assert sorted(went(boat)) == found  # only the record of them is there to go
    (tmp_path / "unmounted").rename(shelf.shelf_folder())
    assert went(boat) == []
    assert [each.counts for each in backups.known(boat)] == [True, True]


def test_pruning_waits_for_the_writer_of_the_shelf(boat: Boat) -> None:
    old, *others = backups.of_days_ago(boat, 40, 30, 20)
    writer = boat.connect()
    with sets.only_writer(writer):
        gone: list[list[str]] = []
        with backups.in_threads(lambda: gone.append(went(boat))):
            backups.until_waiting(boat)
            assert backups.names(boat) == [old, *others]
            writer.close()
    assert gone == [[old]]


def test_each_verdict_is_for_now(boat: Boat) -> None:
    name = take(boat).set
    (verdict,) = prune_sets(boat.connect())
    today = datetime.now(UTC)
    assert verdict == retention.Verdict(
        name, True, ["the newest verified", "one of the last 1", f"daily {today:%Y-%m-%d}"]
    )
