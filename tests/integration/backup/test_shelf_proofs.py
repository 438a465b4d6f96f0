"""Proofs of the shelf: killed at any moment no half set is there; one wrong byte is found."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from rowboat.backup import sets, shelf, verify
from rowboat.backup.take import take_backup
from rowboat.storage.disk_shelf import DiskAside
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import DEPARTMENTS, EMPLOYEES, JOBS, take
from tests.support.effort import tries

SEED = 20_240_229
KILLS, FLIPS, HIRES = tries(12, 50), tries(200, 1_000), 50_000

# For each number on stdin a backup in a process of its own, which dies by itself before that step
# of those that outlive it (0: at none); answers with its process id, then with its exit code.
TAKES = """
import os, signal, sys
from pathlib import Path
import psycopg2
from psycopg2.extensions import connection
from rowboat.backup import take; from rowboat.database import connections
left = 0
def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def watched(work):
    def watching(*args, **more):
        if work is not opens or args[1:] == ("xb",):
            step()
        return work(*args, **more)
    return watching
opens = Path.open
class Mortal(connection):
    commit = watched(connection.commit)
for name in ("mkdir", "open", "chmod", "rename"):
    setattr(Path, name, watched(getattr(Path, name)))
os.fsync = watched(os.fsync)
connect = psycopg2.connect
psycopg2.connect = lambda *args, **more: connect(*args, **more, connection_factory=Mortal)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        with connections.session("loader") as opened:
            left = int(line)
            take.take_backup(opened)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("backups", str(tmp_path / "shelf"))


@pytest.fixture
def taker(boat: Boat, _shelf: None) -> Iterator["subprocess.Popen[str]"]:
    """A process that takes backups in children of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES],
        env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("loader")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        _, complained = process.communicate(timeout=30)
        assert (process.returncode, complained) == (0, "")


def begin(taker: "subprocess.Popen[str]", step: int = 0) -> int:
    """Begin a backup and return its process."""
    assert taker.stdin
    taker.stdin.write(f"{step}\n")
    taker.stdin.flush()
    return answer(taker)


def answer(taker: "subprocess.Popen[str]") -> int:
    assert taker.stdout
    return int(taker.stdout.readline())


class Witness:
    """Looks at the shelf after each kill; has every whole set verified once."""

    def __init__(self, boat: Boat) -> None:
        self.boat, self.connection = boat, boat.connect()
        self.proven: set[str] = set()
        self.leftovers = 0

    def look(self) -> None:
        """Check that no half set is listed, and that the next writer finds everything in order."""
        listed = backups.known(self.boat)
        assert {each.state for each in listed} <= {"whole"}
        hidden = {each.name for each in shelf.shelf_folder().glob("*") if each.name.startswith(".")}
        assert {each.name for each in shelf.shelf_folder().glob("*")} - hidden == {
            each.name for each in listed
        }
        for each in listed:
            if each.name not in self.proven:
                assert verify.verify_set(self.connection, each.name).findings == []
                self.proven.add(each.name)
        self.leftovers += len(hidden)
        with sets.only_writer(self.connection):
            assert [*shelf.shelf_folder().glob(".*")] == []
        recorded = self.boat.query("select distinct set_name from backup_status.backup_status")
        assert set(recorded) == {each.name for each in listed}


@pytest.mark.slow
def test_killed_at_random_moments_it_leaves_no_half_set(
    boat: Boat, taker: "subprocess.Popen[str]", record_property: Callable[[str, object], None]
) -> None:
    backups.fill(boat, hires=HIRES)
    witness = Witness(boat)
    durations = []
    for _ in range(3):
        start = time.monotonic()
        begin(taker)
        assert answer(taker) == 0
        durations.append(time.monotonic() - start)
        witness.look()
    rng, kills, whole = random.Random(SEED), 0, min(durations)
    while kills < KILLS:
        pid = begin(taker)
        moment = whole * (kills + rng.random()) / KILLS
        with suppress(subprocess.TimeoutExpired):  # nothing is awaited but the moment
            taker.wait(moment)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        kills += answer(taker) == -signal.SIGKILL
        witness.look()
    record_property("seconds of a backup", round(whole, 2))
    record_property("leftovers of killed backups", witness.leftovers)
    assert witness.leftovers > KILLS / 10  # else the moments say little
    assert take(boat).findings == []


def test_killed_before_each_step_that_lasts_it_leaves_no_half_set(
    boat: Boat, taker: "subprocess.Popen[str]"
) -> None:
    backups.fill(boat, hires=200)
    witness, named = Witness(boat), []
    for step in count(1):
        begin(taker, step)
        code = answer(taker)
        witness.look()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        named.append(len(witness.proven))
    assert named[0] == 0
    assert len(named) > 20
    assert 1 <= named[-1] < len(named) / 2  # some steps come after the set has its name
    assert witness.leftovers > len(named) / 3


@pytest.fixture
def whole(boat: Boat) -> str:
    """A verified set with few rows."""
    backups.fill(boat)
    name = take(boat).set
    assert proven(boat, name)
    return name


def proven(boat: Boat, name: str) -> bool:
    """Tell whether a set is on record as verified, and so whether it counts."""
    (found,) = [each for each in backups.known(boat) if each.name == name]
    assert found.counts == (found.verified_at is not None and found.state == "whole")
    return found.verified_at is not None


@pytest.mark.slow
def test_every_flipped_byte_is_found(boat: Boat, whole: str) -> None:
    rng, connection, found = random.Random(SEED), boat.connect(), 0
    files = sorted(shelf.set_path(whole).iterdir())
    originals = {path: path.read_bytes() for path in files}
    assert len(files) == 4
    for turn in range(FLIPS):
        path = files[turn % len(files)]
        content = bytearray(originals[path])
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        path.write_bytes(content)
        checked = verify.verify_set(connection, whole)
        found += not checked.ok
        path.write_bytes(originals[path])
        if turn < 2 * len(files):
            assert not proven(boat, whole)
            assert verify.verify_set(connection, whole).ok
            assert proven(boat, whole)
    assert found == FLIPS
    assert verify.verify_set(connection, whole).ok
    assert proven(boat, whole)


def check_found(boat: Boat, name: str, *expected: str) -> None:
    """Expect findings, and the set no longer to be on record as proven."""
    assert backups.findings(boat, name) == [*expected]
    assert not proven(boat, name)


def test_truncated_file_and_what_is_behind_its_end(boat: Boat, whole: str) -> None:
    path = shelf.set_path(whole, "jobs.avro")
    content = path.read_bytes()
    wrong = "jobs.avro: is not byte for byte the file that was written"
    for changed, findings in (
        (content[:-1], ["jobs.avro: ends before its end: it is truncated", wrong]),
        (content[:100], ["jobs.avro: ends before its end: it is truncated", wrong]),
        (b"", ["jobs.avro: is not an AVRO container file", wrong]),
        (content + b"\0", ["jobs.avro: ends before its end: it is truncated", wrong]),
    ):
        path.write_bytes(changed)
        check_found(boat, whole, *findings)
        assert backups.known(boat)[0].state == "damaged"
        path.write_bytes(content)
        assert backups.findings(boat, whole) == []
        assert proven(boat, whole)


def test_missing_file_and_missing_set(boat: Boat, whole: str, tmp_path: Path) -> None:
    path, aside = shelf.set_path(whole, "jobs.avro"), tmp_path / "aside"
    path.rename(aside)
    check_found(boat, whole, "jobs.avro: cannot be read: No such file or directory")
    aside.rename(path)
    assert backups.findings(boat, whole) == []
    nowhere = f"there is no set {whole} in {shelf.shelf_folder()}"
    shelf.set_path(whole, shelf.MANIFEST).rename(aside)
    check_found(boat, whole, nowhere)
    aside.rename(shelf.set_path(whole, shelf.MANIFEST))
    shutil.move(shelf.set_path(whole), aside)
    check_found(boat, whole, nowhere)
    check_found(boat, whole, *backups.findings(boat))  # by default: the newest that should be
    shutil.move(aside, shelf.set_path(whole))
    assert backups.findings(boat, whole) == []
    assert proven(boat, whole)


def test_manifest_of_another_set(boat: Boat, whole: str) -> None:
    boat.query(f"insert into {JOBS} values (99, 'Another')")
    other = take(boat).set
    manifest = shelf.set_path(whole, shelf.MANIFEST)
    before = manifest.read_bytes()
    shutil.copyfile(shelf.set_path(other, shelf.MANIFEST), manifest)
    check_found(boat, whole, f"the manifest of {whole} is damaged")
    manifest.write_bytes(before)
    backups.rewrite(whole, tables=shelf.read_manifest(other).tables)
    byte, recorded = (
        "is not byte for byte the file that was written",
        "the manifest is not that of the set that was recorded",
    )
    check_found(
        boat,
        whole,
        *(f"{name}.avro: {each}" for name in ("departments", "hired_employees")
          for each in (byte, recorded)),
        "jobs.avro: has 18 rows, not the 19 it should have",
        f"jobs.avro: {byte}",
        f"jobs.avro: {recorded}",
    )  # fmt: skip
    assert backups.known(boat)[0].state == "damaged"
    manifest.write_bytes(before)
    backups.rewrite(whole, tables=shelf.read_manifest(whole).tables[:2])
    check_found(boat, whole, f"the manifest lacks {JOBS}")
    manifest.write_bytes(before)
    assert backups.findings(boat, whole) == []
    assert [proven(boat, name) for name in (whole, other)] == [True, True]


def test_swapped_files_and_files_of_another_set(boat: Boat, whole: str) -> None:
    first, second = shelf.set_path(whole, "jobs.avro"), shelf.set_path(whole, "departments.avro")
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    byte = "is not byte for byte the file that was written"
    check_found(
        boat,
        whole,
        f"departments.avro: has a schema that Rowboat does not write for {DEPARTMENTS}",
        f"departments.avro: {byte}",
        f"jobs.avro: has a schema that Rowboat does not write for {JOBS}",
        f"jobs.avro: {byte}",
    )
    first.write_bytes(contents[0])
    second.write_bytes(contents[1])
    other = take(boat).set  # of the same rows
    shutil.copyfile(shelf.set_path(other, "jobs.avro"), first)
    check_found(boat, whole, f"jobs.avro: {byte}")
    first.write_bytes(contents[0])
    assert backups.findings(boat, whole) == []


def test_a_whole_copy_of_a_set_under_its_own_name_elsewhere_is_not_it(
    boat: Boat, whole: str
) -> None:
    """A set of the same second, copied from another machine over this one."""
    boat.query(f"update {EMPLOYEES} set employee_name = 'Zoe' where id = 1")
    other = take(boat).set
    backups.rewrite(other, set=whole, taken_at=shelf.read_manifest(whole).taken_at)
    shutil.rmtree(shelf.set_path(whole))
    shutil.move(shelf.set_path(other), shelf.set_path(whole))
    check_found(
        boat,
        whole,
        *(f"{file}.avro: the manifest is not that of the set that was recorded"
          for file in ("departments", "hired_employees", "jobs")),
    )  # fmt: skip


def test_what_is_found_right_after_a_backup_is_told(
    boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk keeps something else than was written: the set is there and does not count."""
    backups.fill(boat)
    publish = shelf.publish_set

    def flipping(aside: DiskAside, *more: object) -> None:
        path = aside.path / "jobs.avro"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        publish(aside, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(shelf, "publish_set", flipping)
    taken = take_backup(boat.connect())
    assert taken.findings[0] == "jobs.avro: has a block that does not end in its marker"
    assert not proven(boat, taken.set)
