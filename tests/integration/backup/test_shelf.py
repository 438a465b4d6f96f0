"""What may lie on a shelf: sets of strangers and of wrong clocks, links, leftovers, no order."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from rowboat.backup import retention, sets, shelf, verify
from rowboat.backup.take import take_backup
from rowboat.database.connections import transaction
from rowboat.database.statements import read_statements
from rowboat.errors import BackupRefused, UnknownSet
from rowboat.settings import settings
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import DEPARTMENTS, EMPLOYEES, JOBS, take


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("backups", str(tmp_path / "shelf"))
    backups.fill(boat)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the clock of the next backups."""

    def change(moment: str) -> None:
        now = f"select pg_current_snapshot()::text, '{moment}'::timestamptz, '18.0'"
        monkeypatch.setitem(read_statements("backup"), "moment", now)

    return change


STRANGE: dict[str, Callable[[dict[str, Any]], None]] = {
    "a file elsewhere": lambda it: it["tables"][0].update(file="../../victim.avro"),
    "an absolute file": lambda it: it["tables"][0].update(file="/etc/passwd"),
    "a hidden file": lambda it: it["tables"][0].update(file=".hidden"),
    "no file": lambda it: it["tables"][0].update(file=""),
    "a NUL in a file": lambda it: it["tables"][0].update(file="a\0b"),
    "the manifest as a file": lambda it: it["tables"][0].update(file="manifest.json"),
    "a file twice": lambda it: it["tables"][0].update(file=it["tables"][1]["file"]),
    "a table twice": lambda it: it["tables"][0].update(table=it["tables"][1]["table"]),
    "no tables": lambda it: it.update(tables=[]),
    "tables that are none": lambda it: it.update(tables=[1]),
    "another set": lambda it: it.update(set="20200101T000000Z"),
    "less than no rows": lambda it: it["tables"][0].update(rows=-1),
    "more rows than there are numbers": lambda it: it["tables"][0].update(rows=2**63),
    "rows in words": lambda it: it["tables"][0].update(rows="12"),
    "a share of a row": lambda it: it["tables"][0].update(rows=12.0),
    "an id that is none": lambda it: it["tables"][0].update(last_id=2**64),
    "bytes that are none": lambda it: it["tables"][0].update(bytes=None),
    "a NUL in a name": lambda it: it["tables"][0].update(table="a\0b"),
    "half a character": lambda it: it["tables"][0].update(digest="\ud800"),
    "a list for a name": lambda it: it["tables"][0].update(table=["jobs"]),
    "yesterday": lambda it: it.update(taken_at="yesterday"),
    "no time zone": lambda it: it.update(taken_at="2026-01-01T00:00:00"),
    "another time zone": lambda it: it.update(taken_at="2026-01-01T00:00:00+05:00"),
    "before the flood": lambda it: it.update(taken_at="0001-01-01T00:00:00+00:00"),
    "an unknown purpose": lambda it: it.update(purpose="fun"),
    "something more": lambda it: it.update(more=1),
    "something more of a table": lambda it: it["tables"][0].update(more=1),
    "something less": lambda it: it.pop("snapshot"),
    "no format": lambda it: it.pop("format"),
}


@pytest.mark.parametrize("strangeness", STRANGE)
def test_a_strange_manifest_is_damaged_and_disturbs_nothing(
    boat: Boat, tmp_path: Path, strangeness: str
) -> None:
    """Its checksum is right: somebody made it so."""
    name = take(boat).set
    (tmp_path / "victim.avro").write_text("mine")
    boat.query("delete from backup_status.backup_status")
    content = json.loads(shelf.set_path(name, shelf.MANIFEST).read_bytes())
    del content["sha256"]
    STRANGE[strangeness](content)
    shelf.set_path(name, shelf.MANIFEST).write_bytes(shelf._spelled(content))
    with pytest.raises(BackupRefused) as refused:
        shelf.read_manifest(name)
    assert refused.value.fact == f"the manifest of {name} is damaged"
    assert backups.findings(boat, name) == [f"the manifest of {name} is damaged"]
    good = take(boat).set
    assert [(each.name, each.state, each.counts) for each in backups.known(boat)] == [
        (name, "damaged", False), (good, "whole", True)
    ]  # fmt: skip
    assert [each.keep for each in retention.prune_sets(boat.connect())] == [True, True]
    with transaction(boat.connect()) as cursor:
        assert sets.newest_set(cursor).name == good
    assert (tmp_path / "victim.avro").read_text() == "mine"


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"1", b"\xff", b"[" * 100_000, b"{", b'{"sha256": 1}', b"1" * 5_000]
)
def test_a_manifest_that_is_none(boat: Boat, raw: bytes) -> None:
    name = take(boat).set
    shelf.set_path(name, shelf.MANIFEST).write_bytes(raw)
    with pytest.raises(BackupRefused) as refused:
        shelf.read_manifest(name)
    assert refused.value.fact == f"the manifest of {name} is damaged"
    assert [(each.state, each.counts) for each in backups.known(boat)] == [("damaged", False)]


def test_a_manifest_of_a_later_version(boat: Boat) -> None:
    name = take(boat).set
    where = shelf.set_path(name, shelf.MANIFEST)
    where.write_bytes(backups.spelled(shelf.read_manifest(name), format="2", more=[1]))
    with pytest.raises(BackupRefused) as refused:
        shelf.read_manifest(name)
    assert (refused.value.fact, refused.value.hint) == (
        f"the set {name} has format 2, this version reads 1",
        "use the version of Rowboat that wrote it",
    )


def test_a_manifest_without_end(boat: Boat) -> None:
    name = take(boat).set
    with shelf.set_path(name, shelf.MANIFEST).open("r+b") as file:
        file.truncate(64 * 2**20 + 1)
    assert backups.findings(boat, name) == [f"the manifest of {name} is too large"]


def test_names_that_are_none(boat: Boat) -> None:
    take(boat)
    for name in ("..", ".", "", "../shelf", "/etc", "a\0b", "nothing"):
        with pytest.raises(UnknownSet):
            shelf.read_manifest(name)
        with pytest.raises(UnknownSet), transaction(boat.connect()) as cursor:
            sets.pin_set(cursor, name, True)
        if name:
            with pytest.raises(UnknownSet):
                verify.verify_set(boat.connect(), name)


def test_a_damaged_set_can_be_pinned(boat: Boat) -> None:
    name = take(boat).set
    shelf.set_path(name, shelf.MANIFEST).write_bytes(b"?")
    boat.query("delete from backup_status.backup_status")
    for pinned in (True, False):
        with transaction(boat.connect()) as cursor:
            sets.pin_set(cursor, name, pinned)
        assert [(each.state, each.pinned) for each in backups.known(boat)] == [("damaged", pinned)]


def test_links_are_no_sets(boat: Boat, tmp_path: Path) -> None:
    name = take(boat).set
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shelf.set_path(name), elsewhere)
    (shelf.shelf_folder() / "latest").symlink_to(name)
    (shelf.shelf_folder() / "20200101T000000Z").symlink_to(elsewhere)
    (shelf.shelf_folder() / "lost").symlink_to("nowhere")
    assert backups.names(boat) == [name]
    retention.prune_sets(boat.connect())
    shutil.rmtree(shelf.set_path(name))
    shelf.set_path(name).symlink_to(elsewhere)
    assert [each.state for each in backups.known(boat)] == ["missing"]
    boat.query("update backup_status.backup_status set taken_at = taken_at - interval '1 year'")
    assert [each.keep for each in retention.prune_sets(boat.connect())] == [False]
    assert len([*elsewhere.iterdir()]) == 4
    assert shelf.set_path(name).is_symlink()
    take(boat)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_of_its_own(boat: Boat, tmp_path: Path, kind: str) -> None:
    name = take(boat).set
    path = shelf.set_path(name, "jobs.avro")
    path.rename(tmp_path / "jobs.avro")
    if kind == "link":
        path.symlink_to(tmp_path / "jobs.avro")
    elif kind == "pipe":
        os.mkfifo(path)  # who opens it waits for a writer
    else:
        path.mkdir()
    assert backups.findings(boat, name)[0] == "jobs.avro: is no file of the set's own"
    assert [each.state for each in backups.known(boat)] == ["damaged"]


def test_only_leftovers_are_cleaned(boat: Boat, tmp_path: Path) -> None:
    name = take(boat).set
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").touch()
    for leftover in (".20200101T000000Z.part", ".20200101T000000Z.gone"):
        (shelf.shelf_folder() / leftover / "folder").mkdir(parents=True)
        (shelf.shelf_folder() / leftover / "file").touch()
    stay = [".notes", ".jobs.avro.part", ".link.part", "a.part", "README", f"{name}.part"]
    for other in stay:
        (shelf.shelf_folder() / other).touch()
    (shelf.shelf_folder() / ".link.part").unlink()
    (shelf.shelf_folder() / ".link.part").symlink_to(mine)
    other = take(boat).set
    assert sorted(each.name for each in shelf.shelf_folder().iterdir()) == sorted(
        [name, other, *stay]
    )
    assert (mine / "file").exists()
    assert backups.names(boat) == [name, other]


def test_a_set_of_a_clock_that_was_ahead(boat: Boat, at: Callable[[str], None]) -> None:
    """It is not taken for the newest, and lets no other expire."""
    old = backups.of_days_ago(boat, 3, 2, 1)
    ahead = [f"20{year}-01-01T00:00:00Z" for year in range(70, 82)]
    for moment in ahead:
        at(moment)
        take(boat)
    at("now")
    new = take(boat).set
    found = backups.known(boat)
    assert [each.name for each in found][:4] == [*old, new]
    assert {each.state for each in found[4:]} == {"dated in the future"}
    with transaction(boat.connect()) as cursor:
        assert sets.newest_set(cursor, [JOBS]).name == new
    assert verify.verify_set(boat.connect()).set == new
    assert all(each.keep for each in retention.prune_sets(boat.connect()))
    then = datetime(2071, 1, 2, tzinfo=UTC)
    verdicts = retention.judge_sets(found, then, settings())
    assert "dated in the future, of the last 7 days" in verdicts[-1].reasons


@pytest.mark.parametrize(("hours", "state"), [(23, "whole"), (25, "dated in the future")])
def test_a_clock_that_is_a_little_ahead(boat: Boat, hours: int, state: str) -> None:
    name = backups.backdate(boat, take(boat).set, -hours / 24)
    (found,) = backups.known(boat)
    assert (found.name, found.state) == (name, state)


def test_a_clock_that_goes_back(boat: Boat, at: Callable[[str], None]) -> None:
    """Names follow the clock as the times do, and none comes twice: not even that of a lost set."""
    at("2026-03-01T12:00:00Z")
    first = take(boat).set
    at("2026-03-01T11:00:00.9Z")
    second = take(boat).set
    shutil.rmtree(shelf.set_path(first))
    at("2026-03-01T14:00:00.1+02:00")
    third = take(boat).set
    fourth = take(boat).set
    expected = ["20260301T110000Z", *(f"20260301T120000Z{more}" for more in ("", "-002", "-003"))]
    assert [second, first, third, fourth] == expected == backups.names(boat)
    assert [each.counts for each in backups.known(boat)] == [True, False, True, True]
    assert sorted(backups.names(boat)) == backups.names(boat)


def test_a_loss_is_measured_from_the_backup_before(boat: Boat, at: Callable[[str], None]) -> None:
    """Not from one that the clock puts after it, and also when the record is made again."""
    at("2026-03-02T00:00:00Z")
    take(boat)
    backups.fill(boat, hires=100, first=100)
    at("2026-03-03T00:00:00Z")
    take(boat)
    at("2026-03-01T00:00:00Z")
    boat.query(f"delete from {EMPLOYEES} where id > 20")
    assert take(boat).suspicion is None
    boat.query("delete from backup_status.backup_status where taken_at < '2026-03-03'")
    at("2026-03-04T00:00:00Z")
    word = f"{EMPLOYEES} has 20 rows, the last backup 120"
    assert take(boat).suspicion == word
    assert [each.suspicion for each in backups.known(boat)] == [None, None, None, word]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_time_zones(boat: Boat, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        name = take(boat).set
        (found,) = backups.known(boat)
        verdicts = retention.prune_sets(boat.connect())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.name == name == f"{found.taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    assert abs(datetime.now(UTC) - found.taken_at) < timedelta(minutes=1)
    assert f"daily {found.taken_at.astimezone(UTC):%Y-%m-%d}" in verdicts[0].reasons


def test_a_set_of_another_machine(boat: Boat, at: Callable[[str], None], tmp_path: Path) -> None:
    """Copied onto the shelf it is taken on record, and counts when it is proven, not before."""
    at("2026-01-02T00:00:00Z")
    theirs = take(boat).set
    shutil.move(shelf.set_path(theirs), tmp_path / theirs)
    boat.query("delete from backup_status.backup_status")
    at("2026-01-01T00:00:00Z")
    ours = take(boat).set
    half = tmp_path / "shelf" / theirs
    half.mkdir()
    shutil.copyfile(tmp_path / theirs / "jobs.avro", half / "jobs.avro")
    assert backups.names(boat) == [ours]  # as long as it is copied
    shutil.copyfile(tmp_path / theirs / shelf.MANIFEST, half / shelf.MANIFEST)
    assert [each.state for each in backups.known(boat)] == ["whole", "damaged"]
    shutil.copytree(tmp_path / theirs, half, dirs_exist_ok=True)
    with transaction(boat.connect()) as cursor:
        assert sets.newest_set(cursor).name == ours
    assert backups.findings(boat) == []
    with transaction(boat.connect()) as cursor:
        assert sets.newest_set(cursor).name == theirs
    renamed = shelf.shelf_folder() / "before-the-move"
    shelf.set_path(ours).rename(renamed)
    assert {each.name: each.state for each in backups.known(boat)} == {
        ours: "missing", theirs: "whole", renamed.name: "damaged"
    }  # fmt: skip


@pytest.fixture
def verifying(boat: Boat) -> Callable[[str, Callable[[], object]], list[str]]:
    """Does something in the middle of a verification and returns what that finds."""

    def verify_while(name: str, work: Callable[[], object]) -> list[str]:
        done: list[str] = []

        def progress(*_: object) -> None:
            if not done:
                done.append(name)
                work()

        return verify.verify_set(boat.connect(), name, progress).findings

    return verify_while


def test_pruned_while_it_is_verified(
    boat: Boat,
    setting: Callable[[str, str], None],
    verifying: Callable[[str, Callable[[], object]], list[str]],
) -> None:
    for name, number in (("daily", "1"), ("weekly", "1"), ("monthly", "2"), ("least", "1")):
        setting(f"keep_{name}", number)
    old, *_ = backups.of_days_ago(boat, 1000, 70, 35, 0)
    with pytest.raises(UnknownSet) as gone:
        verifying(old, lambda: retention.prune_sets(boat.connect()))
    assert gone.value.fact == f"the set {old} was removed while it was read"
    assert old not in backups.names(boat)


def test_verified_twice_at_once_and_recorded_by_one(
    boat: Boat, verifying: Callable[[str, Callable[[], object]], list[str]]
) -> None:
    name = take(boat).set
    boat.query("delete from backup_status.backup_status")
    assert verifying(name, lambda: backups.findings(boat, name)) == []
    assert [each.counts for each in backups.known(boat)] == [True]


def test_a_set_that_is_being_published_is_left_to_its_writer(boat: Boat) -> None:
    """The writer knows more of it: that it is pinned."""
    name = take(boat).set
    boat.query("delete from backup_status.backup_status")
    with sets.only_writer(boat.connect()):
        boat.query("delete from backup_status.backup_status")
        assert backups.findings(boat, name) == []
        assert backups.record(boat) == []
    assert backups.findings(boat, name) == []
    assert len(backups.record(boat)) == 3


def test_verify_beside_backups_and_prune_disturbs_none(boat: Boat) -> None:
    over, turns = Event(), [0, 0]

    def verify_all(number: int) -> None:
        while not over.is_set():
            for name in backups.names(boat):
                with suppress(UnknownSet):  # it went
                    assert backups.findings(boat, name) == []
            turns[number] += 1

    with backups.in_threads(lambda: verify_all(0), lambda: verify_all(1)):
        try:
            for turn in range(10):
                assert take_backup(boat.connect(), pinned=bool(turn % 2)).findings == []
                retention.prune_sets(boat.connect())
            backups.eventually(lambda: min(turns) > 3)
        finally:
            over.set()
    assert [each.pinned for each in backups.known(boat) if each.pinned] == [True] * 5
    assert all(each.counts for each in backups.known(boat))
    assert boat.query(f"select count(*) from {DEPARTMENTS}") == [12]
