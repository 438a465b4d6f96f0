"""Faults of volumes and clocks, each made once: no room, no right to write, a clock that jumps."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import httpx
import psycopg2
from psycopg2 import sql

from rowboat.database import embedded
from tests.chaos.sandbox import NotRun, Yard, grow, read_only, volume, yard
from tests.chaos.system import until
from tests.chaos.workloads import JOBS, check_set
from tests.conftest import ROOT
from tests.support.postgres import USER

LARGE = 400_000  # lines
MIB = 1024  # KiB
DAY = 86_400  # seconds
FULL = "No space left on device"


def full_data(folder: Path, seed: int) -> str:
    """The volume of the embedded Postgres fills up in the middle of a load."""
    place = folder / "home"
    with volume(place, 130 * MIB), yard(folder) as here:
        small = here.hires(seed)
        here.does("ingest")
        large = here.hires(seed + 1, LARGE)
        said = [here.fails("ingest") for _ in range(3)]
        assert all(FULL in each or "cannot be reached" in each for each in said), said
        grow(place, 2048 * MIB)
        here.does("ingest")
        small.check()
        large.check()
    return f"a load of {LARGE:,} lines, 3 times: each line once when there was room"


def full_temporary(folder: Path, seed: int) -> str:
    """No room for Postgres's temporary tables in the middle of a load, nor for the API's files."""
    place = folder / "temporary"
    with volume(place, 4 * MIB), yard(folder) as here:
        os.chown(place, *_owner(here.home / "postgres" / "data"))
        place = place / "space"
        place.mkdir(mode=0o700)
        os.chown(place, *_owner(here.home / "postgres" / "data"))
        _as_superuser(here, sql.SQL("create tablespace small location {}"), str(place))
        _as_superuser(here, sql.SQL("grant create on tablespace small to public"))
        _as_superuser(here, sql.SQL("alter role rowboat_loader set temp_tablespaces = small"))
        one = here.hires(seed, 100_000)
        said = [here.fails("ingest") for _ in range(2)]
        assert all(FULL in each for each in said), said
        grow(place.parent, 1024 * MIB)
        here.does("ingest")
        one.check()
        own = folder / "own"
        with volume(own, 12), _serving(here, TMPDIR=str(own)) as api:
            until("the API answers", lambda: _answers(api))
    return "a load of 100,000 lines, twice: each line once when there was room; the API answers"


def full_shelf(folder: Path, seed: int) -> str:
    """The volume of the backups fills up in the middle of a set."""
    with yard(folder, ROWBOAT_BACKUP_CODEC="null") as here, volume(here.shelf, MIB):
        first = here.does("backup")["set"]
        here.hires(seed, 60_000)
        here.does("ingest")
        for _ in range(3):
            said = here.fails("backup")
            assert said == f"{here.shelf} cannot be written: {FULL}", said
            assert [each.name for each in here.shelf.iterdir()] == [first]
        check_set(here, first)
        # a restore takes a safety copy, for which there is no room either
        here.query(f"insert into {JOBS} values (999999, 'Stoker')")
        before = here.query(f"select count(*) from {JOBS}")
        hires = "hired_employees.hired_employees"
        assert FULL in here.fails("restore", hires, "--from", first, "--yes")
        assert here.query(f"select count(*) from {JOBS}") == before
        grow(here.shelf, 64 * MIB)
        check_set(here, here.does("backup")["set"])
        here.does("restore", JOBS, "--from", first, "--yes")
    return "3 backups and a restore: no half set, nothing changed; both done when there was room"


def read_only_folders(folder: Path, seed: int) -> str:
    """Folders that nobody may write to: of files, of backups, of the home."""
    with yard(folder) as here:
        one = here.hires(seed)
        with read_only(here.raw):
            here.does("ingest")
            one.check()
            with _serving(here) as api:
                until("the API answers", lambda: _answers(api))
                answer = api.post(
                    "/api/departments/file?name=x.csv", content="77,Dock\n",
                    headers={"Content-Type": "text/csv"},
                )  # fmt: skip
                assert (answer.status_code, "hint" in answer.json()) == (503, True), answer.text
        taken = here.does("backup")["set"]
        with read_only(here.shelf):
            assert "Read-only file system" in here.fails("backup")
            check_set(here, taken)
            here.query(f"insert into {JOBS} values (999999, 'Stoker')")
            assert here.does("restore", JOBS, "--plan")["delete"] == 1
            assert "Read-only file system" in here.fails("restore", JOBS, "--yes")
            assert here.query(f"select count(*) from {JOBS} where id = 999999") == [(1,)]
        here.does("restore", JOBS, "--yes")
    with read_only(here.home):
        said = here.fails("status")
        assert "Read-only file system" in said or "read-only" in said, said
    here.does("status")
    return "raw_data is read, an upload refused; a backup, a restore, a start fail in words"


def clock(folder: Path, seed: int) -> str:
    """The clock of the whole machine jumps back by two days, between works and within them."""
    library, offset = folder / "clock.so", folder / "offset"
    folder.chmod(0o755)
    _jump(offset, 0)
    try:
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", library, source], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRun(f"no C compiler: {error}") from None
    log = folder / "log"
    faked = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(offset)}
    here = Yard(folder, ROWBOAT_SETTLE="0.5", **faked)
    for path in (ROOT / "raw_data").glob("[dj]*.csv"):
        shutil.copy(path, here.raw)
    keeper = subprocess.Popen(
        [sys.executable, "-c", USER, here.home], env=here.environment, stdin=PIPE, stdout=PIPE
    )
    try:
        here.does("migrate")
        files = [here.hires(seed)]
        here.does("ingest")
        sets = [here.does("backup")["set"]]
        for number, command in enumerate(["ingest", "backup", "ingest", "backup"]):
            _jump(offset, 0)
            files += [here.hires(seed + number + 1, 40_000)]
            begun = here.start(command, log=log)
            _jump(offset, -2)  # in its middle; the next begins two days before
            assert begun.wait(300) == 0, log.read_text()
            here.does("ingest")
            sets += [here.does("backup")["set"]]
        for each in files:
            each.check()
        assert len(set(sets)) == len(sets)
        shown = here.does("backups")["sets"]
        for each in shown:
            check_set(here, each["name"])
        assert set(sets) <= {each["name"] for each in shown}
        here.query(f"insert into {JOBS} values (999999, 'Stoker')")
        here.does("restore", JOBS, "--yes")
        assert here.query(f"select count(*) from {JOBS} where id = 999999") == [(0,)]
        here.does("prune")
        for each in here.does("backups")["sets"]:
            check_set(here, each["name"])
    finally:
        keeper.communicate(b"\n", timeout=60)
    return f"{len(files)} files loaded, {len(shown)} sets, 4 jumps within works"


def _jump(offset: Path, days: int) -> None:
    """Set the clock of all who look at the file, now."""
    with offset.open("r+b" if offset.exists() else "w+b") as file:
        file.write(struct.pack("@l", days * DAY))


@contextmanager
def _serving(here: Yard, **environment: str) -> Iterator[httpx.Client]:
    """Run the API, and a client that may do everything."""
    port = embedded.free_port()
    key = here.does("keys", "create", "chaos", "--scope", "operate")["token"]
    log = here.folder / "serve.log"
    process = here.start("serve", log=log, ROWBOAT_API_PORT=str(port), **environment)
    address, headers = f"http://{embedded.HOST}:{port}", {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
            yield client
            assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(60)


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/health").is_success
    except httpx.TransportError:
        return False


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def _as_superuser(here: Yard, statement: sql.SQL, *values: str) -> None:
    connection = psycopg2.connect(here.address(embedded.SUPERUSER))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement.format(*map(sql.Literal, values)))
    connection.close()
