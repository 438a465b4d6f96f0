"""Large files in parts: staged apart, merged at once, and no different from what a stream gives."""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from threading import Thread

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import DatabaseRefused, FileChanged
from rowboat.ingest import discovery
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.large_files import parts, split
from rowboat.ingest.large_files.parts import Part
from tests.conftest import Boat
from tests.support.dirty_files import (
    EMPTY_TABLES,
    Result,
    account,
    departments,
    hires,
    load,
)
from tests.support.effort import tries
from tests.support.fuzzing import thorough

Setting = Callable[[str, str], None]
WHOLE = 2**23
LYING = (
    "select count(*) from pg_class"
    " where relnamespace = 'rowboat_parts'::regnamespace and relkind = 'r'"
)
POSITION = """
    select loaded_bytes, loaded_lines, prefix_sha256, last_id, read, inserted, updated, unchanged,
        rejected, version, state
    from ingest_status.ingest_status where table_name = %s
"""
some = settings(thorough, max_examples=tries(10, 30))


class Stager:
    """Cuts files into parts and stages them, as tasks do."""

    def __init__(self, boat: Boat) -> None:
        self.boat, self._catalog = boat, boat.catalog()
        self._connection = boat.connect()

    def found(self, name: str) -> FoundFile:
        return discovery.locate_file(self.boat.raw / name, self._catalog)

    def divide(self, name: str) -> list[Part]:
        """Cut a file; the parts come as another task gets them."""
        parts = split.divide_file(self._connection, self.found(name))
        return [Part.from_json(json.loads(json.dumps(part.to_json()))) for part in parts]

    def stage(self, parts: Sequence[Part]) -> int:
        """Stage parts; return how many rows lie there."""
        return sum(
            split.stage_part(self._connection, self.found(part.file), part).staged for part in parts
        )

    def lying(self) -> int:
        """Count the parts that lie there."""
        return int(self.boat.query(LYING)[0])


@pytest.fixture
def stager(boat: Boat, setting: Setting) -> Stager:
    """Chunks of 64 bytes, parts of 100."""
    setting("chunk_bytes", "64")
    setting("part_bytes", "100")
    return Stager(boat)


def check(stager: Stager, setting: Setting, table: str, content: bytes, *sizes: int) -> None:
    """Load a file into an empty table, by a stream and through parts; both give the same."""
    boat, full = stager.boat, f"hired_employees.{table}"
    setting("chunk_bytes", str(WHOLE))
    setting("part_bytes", str(WHOLE))
    streamed = load(boat, table, content)
    account(streamed, content)
    where = boat.query(POSITION, [full])
    boat.query(EMPTY_TABLES.format(table))
    for name, size in zip(("chunk_bytes", "part_bytes"), sizes, strict=True):
        setting(name, str(size))
    staged = stager.divide(f"{table}.csv") if len(content) >= 2 * sizes[1] else []
    stager.stage(staged)
    assert stager.lying() == len(staged)
    merged = load_again(boat, table)
    assert merged == streamed
    assert boat.query(POSITION, [full]) == where
    assert stager.lying() == 0, "the parts were merged"
    if staged:
        assert boat.query("select count(distinct xid) from ingest_status.loads")[0] <= 1, "at once"


def load_again(boat: Boat, table: str) -> Result:
    report = boat.ingest()[f"{table}.csv"]
    return Result(
        report.report,
        boat.query("select dialect from ingest_status.ingest_status")[0],
        boat.query(f"select * from hired_employees.{table} order by id"),
        boat.rejects(),
    )


def several(files: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Files long enough to be cut; what begins one of them is dirt within."""
    return st.lists(files, min_size=3, max_size=6).map(b"".join)


@some
@given(
    content=several(departments(quotes=True)), chunk=st.integers(64, 120), part=st.integers(64, 100)
)
@example(content=b'6,e"f\n' + b"7,g\n" * 40 + b'"8\n",h\n"9\n"\r\n', chunk=64, part=64)
@example(content=b'1,a"b\n2,"c\nd"\n3,"e\n4,f\n' + b"5,g\n" * 60, chunk=64, part=64)
@example(content=b"\xef\xbb\xbfid,department\r\n" + b"1,\xff\r\n2,a\r\n" * 20, chunk=64, part=64)
@example(content=b"\n" * 200 + b"id,department\n" + b"1,a\n" * 40 + b'"2,b', chunk=64, part=64)
def test_parts_do_not_show_in_departments(
    stager: Stager, setting: Setting, content: bytes, chunk: int, part: int
) -> None:
    check(stager, setting, "departments", content, chunk, part)


@some
@given(content=several(hires(quotes=True)), chunk=st.integers(64, 120), part=st.integers(64, 100))
def test_parts_do_not_show_in_hires(
    stager: Stager, setting: Setting, content: bytes, chunk: int, part: int
) -> None:
    boat = stager.boat
    for table in ("departments", "jobs"):
        boat.query(
            f"insert into hired_employees.{table} values (1, 'a'), (2, 'b'), (3, 'c')"
            " on conflict do nothing"
        )
    check(stager, setting, "hired_employees", content, chunk, part)


def lines(first: int, last: int) -> str:
    return "".join(f"{n},Department {n}\n" for n in range(first, last + 1))


FILE = "departments.csv"
LOADS = "select count(distinct xid) from ingest_status.loads"


def test_one_transaction_merges_all_parts(stager: Stager) -> None:
    stager.boat.write(FILE, "department,id\n" + "".join(f"D {n},{n}\n" for n in range(1, 101)))
    cut = stager.divide(FILE)
    assert len(cut) == 7
    assert (cut[0].first, cut[-1].last) == (len("department,id\n"), cut[0].size)
    assert stager.stage(cut) == 100
    assert stager.boat.departments() == []
    assert stager.boat.ingest()[FILE].report.inserted == 100
    assert stager.boat.query(LOADS) == [1]
    assert stager.boat.departments() == [(n, f"D {n}") for n in range(1, 101)]
    assert stager.boat.query("select sum(read) from ingest_status.loads") == [100]
    assert stager.lying() == 0


def test_an_appended_tail_and_a_rewritten_file_come_in_parts(stager: Stager) -> None:
    path = stager.boat.write(FILE, lines(1, 3))
    stager.boat.ingest()
    path.write_text(lines(1, 60))
    cut = stager.divide(FILE)
    assert cut[0].first == len(lines(1, 3))
    assert stager.stage(cut) == 57
    assert stager.boat.ingest()[FILE].report.inserted == 57
    path.write_text(lines(1, 59).replace("Department 7\n", "Seven\n"))
    assert stager.stage(stager.divide(FILE)) == 59
    newer = "update hired_employees.departments set department = 'newer' where id = 20"
    stager.boat.query(newer)
    report = stager.boat.ingest()[FILE]
    assert (report.report.updated, report.report.unchanged) == (1, 58)
    assert stager.boat.departments()[19] == (20, "newer")
    assert report.vanished == ["[60]"]
    assert stager.boat.query(LOADS) == [3]


def name(part: Part) -> str:
    return ".".join(part.table.strings)


def rewrite(stager: Stager) -> None:
    stager.boat.write(FILE, lines(1, 60))
    os.utime(stager.boat.raw / FILE, ns=(1, 1))


def truncate(stager: Stager) -> None:
    """As after a crash of the server: the table is empty, its comment is there."""
    stager.boat.query(f"truncate {name(stager.divide(FILE)[1])}", role="loader")


def drop(stager: Stager) -> None:
    stager.boat.query(f"drop table {name(stager.divide(FILE)[1])}", role="loader")


def constrain(stager: Stager) -> None:
    stager.boat.query("alter table hired_employees.departments add check (id <> 40)")


def index(stager: Stager) -> None:
    """A rule that cannot be judged in sets."""
    stager.boat.query(
        "create unique index on hired_employees.departments ((id / 59)) where id > 57"
    )


@pytest.mark.parametrize("spoil", [rewrite, truncate, drop, constrain, index])
def test_parts_that_no_longer_fit_are_not_used(
    stager: Stager, spoil: Callable[[Stager], None]
) -> None:
    stager.boat.write(FILE, lines(1, 60))
    stager.stage(stager.divide(FILE))
    spoil(stager)
    report = stager.boat.ingest()[FILE]
    refused = {constrain: [40], index: [60]}.get(spoil, [])
    assert [line for line, _, _ in stager.boat.rejects()] == refused
    assert [key for key, _ in stager.boat.departments()] == [
        n for n in range(1, 61) if n not in refused
    ]
    assert report.report.read == 60
    assert stager.boat.query(LOADS)[0] > 1, "it was streamed"
    assert stager.lying() > 0
    with transaction(stager.boat.connect()) as cursor:
        parts.sweep_parts(cursor)
    assert stager.lying() == 0


def test_a_rule_that_was_lifted_since_refuses_nothing(stager: Stager) -> None:
    alter = "alter table hired_employees.departments"
    stager.boat.query(f"{alter} add constraint odd check (id <> 40)")
    stager.boat.write(FILE, lines(1, 60))
    Stager(stager.boat).stage(stager.divide(FILE))
    stager.boat.query(f"{alter} drop constraint odd")
    assert stager.boat.ingest()[FILE].report.inserted == 60


def test_other_bytes_of_the_same_size_and_time_are_seen(stager: Stager) -> None:
    path = stager.boat.write(FILE, lines(1, 60))
    stager.stage(stager.divide(FILE))
    time = path.stat().st_mtime_ns
    path.write_text(lines(1, 60).replace("Department 33", "Abteilung 033"[:13]))
    os.utime(path, ns=(time, time))
    stager.boat.ingest()
    assert dict(stager.boat.departments())[33] == "Abteilung 033"


def test_a_changed_file_is_not_staged(stager: Stager) -> None:
    path = stager.boat.write(FILE, lines(1, 60))
    cut = stager.divide(FILE)
    path.write_text(lines(1, 61))
    with pytest.raises(FileChanged):
        stager.stage(cut[:1])
    assert stager.lying() == 0


def test_what_cannot_be_read_from_the_middle_is_not_cut(stager: Stager) -> None:
    stager.boat.write("departments.csv.gz", gzip.compress(lines(1, 600).encode()))
    stager.boat.write("departments-2.csv", lines(1, 600).encode("utf-16"))
    assert stager.divide("departments.csv.gz") == stager.divide("departments-2.csv") == []


def test_two_that_stage_one_part_at_once_leave_one(stager: Stager) -> None:
    stager.boat.write(FILE, lines(1, 60))
    cut = stager.divide(FILE)
    others = [Thread(target=Stager(stager.boat).stage, args=[cut]) for _ in range(2)]
    for other in others:
        other.start()
    stager.stage(cut)
    for other in others:
        other.join()
    assert stager.lying() == len(cut)
    assert stager.boat.ingest()[FILE].report.inserted == 60
    assert stager.boat.query(LOADS) == [1]


def test_a_trial_uses_parts_and_leaves_them(stager: Stager, setting: Setting) -> None:
    stager.boat.write(FILE, lines(1, 60) + "x\n" * 6)
    cut = stager.divide(FILE)
    stager.stage(cut)
    setting("reject_limit", "5")
    assert stager.boat.ingest()[FILE].state == "failed"
    assert (stager.boat.departments(), stager.lying()) == ([], len(cut))
    setting("reject_limit", "6")
    assert stager.boat.ingest(checksum=True)[FILE].report.inserted == 60
    assert (stager.boat.query(LOADS), stager.lying()) == ([1], 0)


def test_a_part_in_use_is_not_swept(stager: Stager) -> None:
    stager.boat.write(FILE, lines(1, 60))
    cut = stager.divide(FILE)
    stager.stage(cut)
    with transaction(stager.boat.connect()) as user, transaction(stager.boat.connect()) as sweeper:
        user.execute(f"select from {name(cut[0])}")
        parts.sweep_parts(sweeper)
    assert stager.lying() == 1


@pytest.mark.parametrize("role", ["api", "reader"])
def test_nobody_else_sees_parts(stager: Stager, role: connections.Role) -> None:
    stager.boat.write(FILE, lines(1, 60))
    cut = stager.divide(FILE)
    stager.stage(cut)
    with pytest.raises(DatabaseRefused, match="permission denied for schema rowboat_parts"):
        stager.boat.query(f"select from {name(cut[0])}", role=role)


def test_blanks_in_parts_are_told(stager: Stager) -> None:
    rows = "".join(f"{n},job {n}{' ' * (n in (25, 28))}\n" for n in range(10, 40))
    stager.boat.write("jobs.csv", f"id,job\n{rows}")
    assert stager.stage(stager.divide("jobs.csv")) == 30
    report = stager.boat.ingest()["jobs.csv"]
    assert report.notes == ["blanks around text are kept in job, e.g. 'job 25 ' in line 17"]
    assert stager.lying() == 0, "the parts were merged"
