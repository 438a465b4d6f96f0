"""The shelf of a test: take sets, age them, and compare what is stored with the record."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import fastavro
import pytest

from rowboat.backup import sets, shelf, verify
from rowboat.backup.sets import Set
from rowboat.backup.shelf import Manifest
from rowboat.backup.take import Taken, take_backup
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import RowboatError
from tests.conftest import Boat

DEPARTMENTS, JOBS, EMPLOYEES = (
    f"hired_employees.{name}" for name in ("departments", "jobs", "hired_employees")
)
HIRING = [DEPARTMENTS, EMPLOYEES, JOBS]


def fill(boat: Boat, hires: int = 20, first: int = 1) -> None:
    """Insert twelve departments, eighteen jobs (once) and some hires."""
    for table, column, most in ((DEPARTMENTS, "department", 12), (JOBS, "job", 18)):
        boat.query(
            f"insert into {table} (id, {column}) select n, 'Name ' || n"
            " from generate_series(1, %s) n on conflict do nothing",
            [most],
        )
    boat.query(
        f"insert into {EMPLOYEES} select n, 'Name ' || n, '2021-01-01T00:00Z'::timestamptz"
        " + n * interval '1 second', n %% 12 + 1, n %% 18 + 1 from generate_series(%s, %s) n",
        [first, first + hires - 1],
    )


def take(boat: Boat, *tables: str, pinned: bool = False) -> Taken:
    """Take a backup as the loader; nothing may be found wrong with it."""
    with closing(connections.connect(boat.uri("loader"))) as connection:
        taken = take_backup(connection, tables, pinned)
    assert taken.findings == []
    return taken


def known(boat: Boat) -> list[Set]:
    """Return the sets, oldest first."""
    connection = connections.connect(boat.uri("loader"))
    with closing(connection), transaction(connection) as cursor:
        return sets.read_sets(cursor)


def names(boat: Boat) -> list[str]:
    """Return the names of the sets, oldest first."""
    return [each.name for each in known(boat)]


def record(boat: Boat) -> list[tuple[Any, ...]]:
    """Return the whole record."""
    return boat.query("select * from backup_status.backup_status order by id")


def on_shelf() -> list[str]:
    """Return all paths on the shelf, folders with a slash at the end."""
    return sorted(
        f"{each.relative_to(shelf.shelf_folder())}{'/' * each.is_dir()}"
        for each in shelf.shelf_folder().rglob("*")
    )


def contents() -> dict[str, bytes]:
    """Return path → content of all files on the shelf."""
    files = [each for each in sorted(shelf.shelf_folder().rglob("*")) if each.is_file()]
    return {str(each.relative_to(shelf.shelf_folder())): each.read_bytes() for each in files}


def rows(name: str, file: str) -> list[dict[str, Any]]:
    """Decode a file of a set by other means than Rowboat's own."""
    with shelf.set_path(name, file).open("rb") as opened:
        return list(fastavro.reader(opened))  # type: ignore[arg-type]


def findings(boat: Boat, name: str | None = None) -> list[str]:
    """Verify a set and return what is wrong with it."""
    with closing(connections.connect(boat.uri("loader"))) as connection:
        return verify.verify_set(connection, name).findings


def rewrite(name: str, **changes: Any) -> None:
    """Change a set's manifest and correct its checksum."""
    manifest = replace(shelf.read_manifest(name), **changes)
    shelf.set_path(name, shelf.MANIFEST).write_bytes(manifest.to_bytes())


def spelled(manifest: Manifest, **changes: Any) -> bytes:
    """Spell a manifest with any content at all."""
    content = json.loads(manifest.to_bytes()) | changes
    del content["sha256"]
    return shelf._spelled(content)


def backdate(boat: Boat, name: str, days: float) -> str:
    """Make a set one that was taken so many days before now; return its new name."""
    taken = datetime.now(UTC) - timedelta(days=days)
    new = shelf.new_set_name(taken, names(boat))
    rewrite(name, set=new, taken_at=taken.isoformat())
    shelf.set_path(name).rename(shelf.set_path(new))
    boat.query(
        "update backup_status.backup_status set set_name = %s, taken_at = %s where set_name = %s",
        [new, taken, name],
    )
    return new


def of_days_ago(boat: Boat, *days: float, tables: tuple[str, ...] = ()) -> list[str]:
    """Take a backup for each of the ages."""
    return [backdate(boat, take(boat, *tables).set, each) for each in days]


def mode(path: Path) -> int:
    """Return a path's permissions."""
    return path.stat().st_mode & 0o7777


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < seconds, "it did not come true in time"
        time.sleep(0.01)


def until_waiting(boat: Boat, sessions: int = 1) -> None:
    """Wait until so many of the loader's sessions wait for a lock."""
    eventually(
        lambda: (
            boat.query(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and usename = 'rowboat_loader' and wait_event_type = 'Lock'",
                role="loader",
            )[0]
            >= sessions
        )
    )


@contextmanager
def in_threads(*works: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Do each work in a thread of its own beside the block; raises the first error of theirs."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        for thread in threads:
            thread.join(60)
    for error in errors:
        raise error


@contextmanager
def no_set_from(boat: Boat, kind: type[RowboatError]) -> Iterator[list[str]]:
    """Expect a backup to fail and leave everything as it was; gives [fact, hint]."""
    before = contents(), record(boat)
    said: list[str] = []
    with pytest.raises(RowboatError) as raised:
        yield said
    assert type(raised.value) is kind
    said += [raised.value.fact, raised.value.hint]
    assert (contents(), record(boat)) == before
    assert [each for each in shelf.shelf_folder().glob(".*") if shelf.shelf_folder().is_dir()] == []
