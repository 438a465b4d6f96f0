"""Whatever goes wrong with a file ends with that file: the others load, and all of it is told."""

import logging
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from rowboat.errors import ConnectionLost
from rowboat.ingest import file_source
from tests.conftest import Boat, counts
from tests.support.loading import failure

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
DAYS = "create schema s; create table s.days (id integer primary key, day date, at timestamptz)"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Exception], None]:
    """Let a function that reads all files fail when a chunk holds some bytes."""
    real = file_source.find_typed_cells

    def break_at(word: bytes, error: Exception) -> None:
        def find(records: Any, *rest: Any) -> Any:
            if word in records.text:
                raise error
            return real(records, *rest)

        monkeypatch.setattr(file_source, "find_typed_cells", find)

    return break_at


def test_a_defect_is_told_of_its_file_alone(
    boat: Boat, broken: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    broken(b"unlucky", IndexError("index 13 is out of bounds"))
    boat.write("departments.csv", "1,unlucky\n")
    boat.write("departments-2.csv", "2,a\n")
    boat.write("jobs.csv", "3,b\n")
    with caplog.at_level(logging.ERROR):
        found = boat.ingest()
    assert {name: report.state for name, report in found.items()} == {
        "departments.csv": "failed", "departments-2.csv": "loaded", "jobs.csv": "loaded",
    }  # fmt: skip
    report = found["departments.csv"]
    assert report.error is not None
    assert report.error.startswith("was stopped by a defect of Rowboat: IndexError in ")
    assert report.hint is not None
    assert report.hint.startswith("please report it")
    assert boat.query("select error from ingest_status.ingest_status where state = 'failed'") == [
        report.error
    ]
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage() == "departments.csv: a defect of Rowboat"
    assert record.exc_info is not None
    assert boat.ingest()["departments.csv"].error == report.error


def test_what_is_in_is_told_when_a_file_fails_midway(
    boat: Boat, broken: Callable[..., None], setting: Setting
) -> None:
    setting("chunk_bytes", "64")
    broken(b"unlucky", RuntimeError())
    boat.write("departments.csv", "".join(f"{n},a\n" for n in range(100, 200)) + "1,unlucky\n")
    report = boat.ingest()["departments.csv"]
    assert report.state == "failed"
    inserted = boat.query("select count(*) from hired_employees.departments")[0]
    assert 0 < inserted < 100
    assert counts(report) == (inserted, inserted, 0, 0, 0)
    assert report.to_json()["inserted"] == inserted


def test_a_lost_database_is_no_fault_of_a_file(boat: Boat, broken: Callable[..., None]) -> None:
    broken(b"unlucky", ConnectionLost())
    boat.write("departments.csv", "1,unlucky\n")
    with pytest.raises(ConnectionLost):
        boat.ingest()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"id,departm\0ent\n1,a\n", "line 1, its header, has a NUL byte in it"),
        (b"\0\0\0\0\0\0\0\0", "line 1, its header, has a NUL byte in it"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "it is a zstd archive"),
        (b"PK\x03\x04\0\0", "it is a damaged zip archive"),
        (b"<!doctype html><p>Sign in", "it is a page of HTML or XML"),
    ],
)
def test_a_file_that_cannot_be_read(boat: Boat, content: bytes, error: str) -> None:
    boat.write("departments.csv", content)
    boat.write("jobs.csv", "3,b\n")
    assert boat.ingest()["jobs.csv"].state == "loaded"
    assert failure(boat, "departments.csv")[:2] == ("failed", error)


@pytest.mark.parametrize(
    "cells",
    ["02.03.2018,", "2018/03/02,", ",07-11-2021T02:48:42Z", ",2021-++-07T02:48:42Z",
     "2018-13-02,", ",2021-99-99T99:99:99Z"],
)  # fmt: skip
def test_cells_that_are_nearly_days(boat: Boat, declare: Declare, cells: str) -> None:
    declare(DAYS)
    boat.write("days.csv", f"id,day,at\n1,2018-03-02,2021-11-07T02:48:42Z\n2,{cells}\n")
    report = boat.ingest()["days.csv"]
    assert counts(report) == (2, 1, 0, 0, 1)


@pytest.mark.parametrize(
    "name", ["departments.csv", "departments.csv.zip", "departments-2.ZIP", "departments/x.tsv.zip"]
)
def test_a_zip_of_one_file_is_read_packed(boat: Boat, name: str) -> None:
    path = boat.write(name, "")
    for rows in ("1,a\n", "1,a\n2,b\n"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x/departments.csv", f"id,department\n{rows}")
        assert boat.ingest()[name].state == "loaded"
    assert boat.departments() == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("header", ["id,department\n", ""])
def test_a_column_that_was_renamed_under_a_loaded_file(
    boat: Boat, declare: Declare, header: str
) -> None:
    declare("create schema s; create table s.boats (id integer primary key, name text, port text)")
    header = header and "id,name,port\n"
    boat.write("boats.csv", f"{header}1,a,x\n")
    boat.ingest()
    boat.query("alter table s.boats rename column port to harbour")
    boat.write("boats.csv", f"{header}1,a,x\n2,b,y\n")
    assert failure(boat, "boats.csv")[:2] == (
        "failed",
        'its first rows were loaded into the column "port", which s.boats has no longer',
    )
    boat.write("boats.csv", "id,name,harbour\n1,a,x\n2,b,y\n")
    assert counts(boat.ingest()["boats.csv"]) == (2, 1, 0, 1, 0)


def test_rows_that_wait_keep_the_value_of_a_renamed_column(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.ports (id integer primary key);"
        "create table s.boats (id integer primary key, port integer references s.ports, name text)"
    )
    boat.write("boats.csv", "id,port,name\n1,5,precious\n2,5,\n")
    boat.ingest()
    boat.query("alter table s.boats rename column name to title")
    boat.write("ports.csv", "5\n")
    boat.ingest()
    assert boat.query("select * from s.boats") == []
    assert [raw for _, raw, _ in boat.rejects()] == [b"1,5,precious", b"2,5,"]
    boat.query("alter table s.boats rename column title to name")
    boat.write("ports.csv", "5\n6\n")
    boat.ingest()
    assert boat.query("select id, name from s.boats") == [(1, "precious"), (2, None)]


def test_a_table_that_takes_over_a_file_begins_it_anew(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.boat (id integer primary key, name text)")
    boat.write("boat-old.csv", "id,name\n1,a\n")
    boat.ingest()
    boat.query(
        'create table s."boat-old" (id integer, name text);'
        'grant all on s."boat-old" to rowboat_loader'
    )
    report = boat.ingest()["boat-old.csv"]
    assert (report.table, *counts(report)) == ("s.boat-old", 1, 1, 0, 0, 0)
    boat.write("boat-old.csv", "id,name\n1,a\n2,b\n")
    assert counts(boat.ingest()["boat-old.csv"]) == (1, 1, 0, 0, 0)
    assert boat.query("select count(*) from s.boat") == [1]


def test_a_refused_row_has_not_vanished(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,b\n3,c\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n2,\n")
    report = boat.ingest()["departments.csv"]
    assert (report.vanished, report.vanished_count) == (["[3]"], 1)


def test_what_is_found_and_left_out_is_told(boat: Boat) -> None:
    boat.write(
        "departments.csv", "Departments of May\n\n,Department,ID\n0,a,1\n0,b,x\n,Department,ID\n"
    )
    report = boat.ingest()["departments.csv"]
    assert report.notes == [
        "2 lines above the header left out", "column 1 left out: no name",
        "the header again in 1 line: left out",
    ]  # fmt: skip
    assert str(report).endswith(
        "; column 1 left out: no name; the header again in 1 line: left out;"
        " 1 × id is not an integer, e.g. 'x' in line 5"
    )
    assert [(line, raw) for line, raw, _ in boat.rejects()] == [(5, b"0,b,x")]
    boat.write("jobs.csv", "1,a\n")
    assert boat.ingest()["jobs.csv"].notes == ["no header: columns by position (id, job)"]
    boat.write("jobs.csv", "1,a\n2,b\n")
    assert boat.ingest()["jobs.csv"].notes == []


def test_the_watcher_knows_what_failed(boat: Boat) -> None:
    from rowboat_airflow.watcher import listing, news

    boat.write("departments.csv", "x,y\n")
    assert news(listing()) == ["departments.csv"]
    assert boat.ingest()["departments.csv"].state == "failed"
    assert news(listing()) == []
