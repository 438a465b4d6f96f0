"""Files under other names, files that are loaded again, and many tables at once."""

import gzip
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rowboat.database.connections import Connection, Role
from rowboat.ingest import run as ingest_run
from tests.conftest import Boat, counts
from tests.support.loading import utf16

Declare = Callable[[str], None]
LOGS = "create schema s; create table s.logs (at integer not null, word text)"


@pytest.fixture
def logs(boat: Boat, declare: Declare) -> Boat:
    """A table without a key, and a file of it that is loaded."""
    declare(LOGS)
    boat.write("logs-1.csv", "at,word\n1,a\n1,a\n2,b\n")
    boat.ingest()
    return boat


def rows(boat: Boat) -> list[tuple[int, str]]:
    return boat.query("select at, word from s.logs order by at, word")


ONCE = [(1, "a"), (1, "a"), (2, "b")]


@pytest.mark.parametrize("name", ["logs/done/1.csv", "logs-1.csv.gz", "logs-2.csv", "logs.tsv"])
def test_a_moved_file_is_not_loaded_twice(logs: Boat, name: str) -> None:
    old = logs.raw / "logs-1.csv"
    content = old.read_bytes()
    old.unlink()
    logs.write(name, gzip.compress(content) if name.endswith(".gz") else content)
    report = logs.ingest()[name]
    assert (report.state, report.notes) == (
        "unchanged", ["was logs-1.csv, whose rows are loaded: nothing is loaded twice"],
    )  # fmt: skip
    assert rows(logs) == ONCE
    assert logs.query("select file_name, state, inserted from ingest_status.ingest_status") == [
        (name, "loaded", 3)
    ]
    assert logs.query("select distinct source_name from ingest_status.loads") == [name]
    assert logs.ingest()[name].state == "unchanged"
    content += b"3,c\n"
    logs.write(name, gzip.compress(content) if name.endswith(".gz") else content)
    assert counts(logs.ingest()[name]) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("logs-1 (1).csv", b"at,word\n1,a\n1,a\n2,b\n"),
        ("logs-2.csv", b"\xef\xbb\xbfat,word\n1,a\n1,a\n2,b\n"),
        ("logs-2.csv", utf16("at,word\n1,a\n1,a\n2,b\n", "le", b"\xff\xfe")),
        ("logs-2.csv", utf16("at,word\n1,a\n1,a\n2,b\n", "be")),
        ("logs-1.csv.gz", gzip.compress(b"at,word\n1,a\n1,a\n2,b\n")),
    ],
    ids=["same", "byte-order mark", "UTF-16 with mark", "UTF-16", "gzip"],
)
def test_a_copy_is_not_loaded_twice(logs: Boat, name: str, content: bytes) -> None:
    logs.write(name, content)
    report = logs.ingest()[name]
    assert report.notes == ["has the same text as logs-1.csv: nothing is loaded twice"]
    assert rows(logs) == ONCE
    logs.write(name, b"at,word\n9,z\n")
    report = logs.ingest()[name]
    assert (report.state, rows(logs)) == ("failed", ONCE)


def test_a_link_is_not_loaded_twice(logs: Boat) -> None:
    os.link(logs.raw / "logs-1.csv", logs.raw / "logs-2.csv")
    (logs.raw / "logs-3.csv").symlink_to("logs-1.csv")
    logs.ingest()
    assert rows(logs) == ONCE


def test_other_text_of_the_same_size_is_loaded(logs: Boat) -> None:
    logs.write("logs-2.csv", "at,word\n1,a\n1,a\n2,c\n")
    assert counts(logs.ingest()["logs-2.csv"]) == (3, 3, 0, 0, 0)
    logs.write("jobs.csv", "id,job\n1,a\n")
    logs.write("departments.csv", "id,department\n1,a\n")
    logs.ingest()
    shutil.copy(logs.raw / "jobs.csv", logs.raw / "departments-2.csv")
    assert logs.ingest()["departments-2.csv"].state == "failed", "it is the copy of another table's"


def test_archiving_an_old_file_changes_nothing(boat: Boat) -> None:
    boat.write("departments-1.csv", "1,old\n2,x\n")
    boat.write("departments-2.csv", "1,new\n")
    boat.ingest()
    (boat.raw / "departments").mkdir()
    (boat.raw / "departments-1.csv").rename(boat.raw / "departments" / "done-1.csv")
    boat.ingest()
    assert boat.departments() == [(1, "new"), (2, "x")]


def test_an_emptied_table_knows_no_text(logs: Boat) -> None:
    logs.query("truncate s.logs")
    shutil.copy(logs.raw / "logs-1.csv", logs.raw / "logs-2.csv")
    assert counts(logs.ingest()["logs-2.csv"]) == (3, 3, 0, 0, 0)
    assert rows(logs) == ONCE


def test_a_truncated_table_is_loaded_again(logs: Boat) -> None:
    logs.query("truncate s.logs")
    report = logs.ingest()["logs-1.csv"]
    assert (report.state, report.notes) == (
        "unchanged",
        ["s.logs has been emptied: `rowboat ingest --again s.logs` loads its files again"],
    )
    report = logs.ingest(logs.raw / "logs-1.csv", again=True)["logs-1.csv"]
    assert (counts(report), rows(logs)) == ((3, 3, 0, 0, 0), ONCE)
    report = logs.ingest(logs.raw / "logs-1.csv", again=True)["logs-1.csv"]
    assert (report.state, rows(logs)) == ("failed", ONCE), "its rows are there"


def test_a_table_is_loaded_again_by_its_name(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,b\n")
    boat.write("departments-2.csv", "2,c\n")
    boat.write("jobs.csv", "1,x\n")
    boat.ingest()
    boat.query("delete from hired_employees.departments")
    boat.query("update hired_employees.jobs set job = 'y'")
    found = boat.ingest("departments", again=True)  # type: ignore[arg-type]
    assert {name: counts(each) for name, each in found.items()} == {
        "departments.csv": (2, 2, 0, 0, 0), "departments-2.csv": (1, 0, 1, 0, 0),
    }  # fmt: skip
    assert boat.departments() == [(1, "a"), (2, "c")]
    assert boat.query("select job from hired_employees.jobs") == ["y"]


def test_many_tables_share_few_connections(
    boat: Boat, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_run, "AT_ONCE", 2)
    names = [f"t{n:02}" for n in range(20)]
    tables = "".join(f"create table s.{name} (id integer primary key);" for name in names)
    declare(f"create schema s; {tables}")
    for name in names:
        boat.write(f"{name}.csv", "1\n")
    opened, most = 0, 0
    real = ingest_run.connections.session

    @contextmanager
    def session(role: Role) -> Iterator[Connection]:
        nonlocal opened, most
        opened += 1
        most = max(most, opened)
        with real(role) as connection:
            yield connection
        opened -= 1

    monkeypatch.setattr(ingest_run.connections, "session", session)
    found = boat.ingest()
    assert {each.state for each in found.values()} == {"loaded"}
    assert most == 2


# A last line without newline


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("1,a\n2,b", "1,a\n2,bcd\n3,e\n", [(1, "a"), (2, "bcd"), (3, "e")]),
        ("1,a\n2,b", "1,a\n2,b\n3,e\n", [(1, "a"), (2, "b"), (3, "e")]),
        ("1,a\n2", "1,a\n2,b\n", [(1, "a"), (2, "b")]),
        ("1,a\n2,b", "1,a\n2,bcd", [(1, "a"), (2, "bcd")]),
        ('1,a\n2,"b', '1,a\n2,"b\nc"\n', [(1, "a"), (2, "b\nc")]),
        ("1,a\r\n2,b\r", "1,a\r\n2,b\r\n3,e\r\n", [(1, "a"), (2, "b"), (3, "e")]),
        ("1,a\r", "1,a\r\n2,b\r\n", [(1, "a"), (2, "b")]),
        ("1,a\n22,b", "1,a\n22,bb\n", [(1, "a"), (22, "bb")]),
        ("1,a", "1,ab\n", [(1, "ab")]),
    ],
)
@pytest.mark.parametrize("key", ["", ", primary key (at)"])
def test_an_unfinished_last_line_heals(
    boat: Boat, declare: Declare, key: str, first: str, then: str, expected: list[tuple[int, str]]
) -> None:
    declare(f"create schema s; create table s.logs (at integer not null, word text{key})")
    boat.write("logs.csv", "at,word\n" * (first[0] != "1" or "\r" not in first) + first)
    boat.ingest()
    boat.write("logs.csv", "at,word\n" * (first[0] != "1" or "\r" not in first) + then)
    report = boat.ingest()["logs.csv"]
    assert (report.state, rows(boat)) == ("loaded", expected)
    assert boat.rejects() == []
    assert boat.query("select read, inserted, rejected from ingest_status.ingest_status") == [
        (len(expected), len(expected), 0)
    ]
    assert boat.query("select sum(read), sum(inserted) from ingest_status.loads") == [
        (len(expected), len(expected))
    ]


def test_a_key_that_was_cut_is_taken_back(boat: Boat) -> None:
    boat.write("departments.csv", "id,department\n7,x\n1,Sail")
    boat.ingest()
    boat.query("update hired_employees.departments set department = 'mine' where id = 7")
    boat.write("departments.csv", "id,department\n7,x\n1,Sails\n")
    boat.ingest()
    assert boat.departments() == [(1, "Sails"), (7, "mine")]


def test_a_last_line_that_somebody_changed_stays(logs: Boat) -> None:
    logs.write("logs-2.csv", "at,word\n5,e\n6,f")
    logs.ingest()
    logs.query("update s.logs set word = 'mine' where at = 6")
    logs.write("logs-2.csv", "at,word\n5,e\n6,ff\n")
    assert logs.ingest()["logs-2.csv"].state == "failed"
    assert (6, "mine") in rows(logs)


def test_a_last_line_is_waited_for(boat: Boat, setting: Callable[[str, str], None]) -> None:
    setting("settle", "0.2")
    path = boat.write("departments.csv", "1,a\n2,b")
    writer = threading.Timer(0.5, path.write_text, ["1,a\n2,bcd\n"])
    writer.start()
    boat.ingest()
    assert boat.departments() == [(1, "a"), (2, "bcd")]


def test_only_one_row_is_ever_taken_back(logs: Boat) -> None:
    """The last load may share its transaction with all others, as that of parts does."""
    logs.write("logs-2.csv", "at,word\n5,e\n6,f")
    logs.ingest()
    logs.query(
        "update ingest_status.loads set xid = (select min(xid) from ingest_status.loads)"
        " where source_name = 'logs-2.csv'"
    )
    logs.write("logs-2.csv", "at,word\n5,e\n6,ff\n")
    assert logs.ingest()["logs-2.csv"].state == "failed"
    assert rows(logs) == [*ONCE, (5, "e"), (6, "f")]
