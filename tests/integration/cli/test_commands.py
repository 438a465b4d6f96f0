"""The command line: words, exit codes, one JSON document on stdout, no password anywhere."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rowboat import __version__
from rowboat.cli.commands import main
from rowboat.settings import settings
from tests.conftest import Boat

SECRET = "s3kr1t-Pa55"
COUNTS = ("read", "inserted", "updated", "unchanged", "rejected")
FILE_KEYS = (
    "file", "table", "state", *COUNTS, "vanished", "vanished_keys", "notes", "reasons",
    "error", "hint",
)  # fmt: skip
DIRTY = [
    (2, b"two,fields,three"),
    (3, b"4,S\xe9verine"),
    (4, b'5,"quoted, ""twice""\nand\rbroken",more'),
    (6, b"x\0y,NUL"),
    (7, b"six,'; drop table jobs; --"),
]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give the signals back that the command line takes over."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(name) for name in names]
    yield
    for name, handler in zip(names, before, strict=True):
        signal.signal(name, handler)


def rowboat(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rowboat")


def document(*arguments: str | Path, code: int = 0) -> Any:
    """Run a command with --json: stdout is one document, stderr is silent."""
    result = rowboat(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (code, ""), result.output
    return json.loads(result.stdout)


def shown(*arguments: str | Path) -> str:
    result = rowboat(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def failure(*arguments: str | Path) -> str:
    """Run a command that fails: stdout is silent, stderr has the fact and the hint."""
    result = rowboat(*arguments)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    fact, hint = result.stderr.rstrip("\n").split("\n")
    assert document(*arguments, code=1) == {"error": fact, "hint": hint.removeprefix("HINT: ")}
    assert hint.startswith("HINT: ")
    return fact


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(commands(main))
NEEDED = {  # arguments without which a command is wrong use
    ("trace",): ["departments", "1"],
    **{("sql", each): ["departments"] for each in ("judge", "merge", "restore")},
    ("rejects", "discard"): ["--because", "a test"],
    ("pin",): ["20210101T000000Z"],
    ("restore",): ["departments"],
    ("undo",): ["1"],
    ("unload",): ["departments.csv"],
    ("metric",): ["quarters"],
    ("keys", "create"): ["a key", "--scope", "read"],
    ("keys", "revoke"): ["abcdefgh"],
}
LASTING = {("up",), ("serve",)}  # commands that go on until they are stopped


@pytest.fixture
def dirty(boat: Boat) -> Boat:
    """A boat that has loaded two departments and refused five lines."""
    lines = [b"1,Hull", *(raw for _, raw in DIRTY), b"2,Sail"]
    boat.write("departments.csv", b"\n".join(lines) + b"\n")
    assert boat.ingest()["departments.csv"].report.rejected == len(DIRTY)
    return boat


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_json(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    result = rowboat(*path, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: rowboat {' '.join(path)} ")
    assert "Write one JSON document to stdout." in result.stdout
    assert re.fullmatch(r"[A-Z].*\.", command.get_short_help_str(200))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


def test_the_whole_has_help_and_a_version() -> None:
    result = rowboat("--help")
    assert result.exit_code == 0
    assert all(path[0] in result.stdout for path in COMMANDS)
    assert rowboat("--version").stdout == f"rowboat, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["row"],
        ["rejects"],
        ["rejects", "eat"],
        ["ingest", "--wet-run"],
        ["migrate", "--to", "the end"],
        ["migrate", "--to", "-1"],
        ["migrate", "5"],
        ["status", "now"],
        ["rejects", "list", "--limit", "few"],
        ["rejects", "list", "--limit", "-1"],
        ["rejects", "list", "departments", "jobs"],
        ["trace"],
        ["trace", "departments.csv"],
        ["trace", "departments.csv:"],
        ["trace", "departments.csv:one"],
        ["trace", "departments.csv:0"],
        ["trace", "departments.csv:-1"],
        ["trace", "departments", "1", "2"],
    ],
    ids=" ".join,
)
def test_wrong_use(boat: Boat, arguments: list[str]) -> None:
    for form in (arguments, [*arguments, "--json"]):
        result = rowboat(*form)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Usage: rowboat" in result.stderr
        assert "Traceback" not in result.stderr


def test_ingest_document(boat: Boat) -> None:
    boat.write("departments.csv", "1,Hull\n2,Sail\n")
    boat.write("jobs.csv", "1,Cook\nx,Clerk\n")
    boat.write("notes.txt", "hello\n")
    found = document("ingest")
    assert set(found) == {"files", "totals"}
    assert [tuple(file) for file in found["files"]] == [FILE_KEYS] * 3
    assert found["totals"] == dict(zip(COUNTS, (4, 3, 0, 0, 1), strict=True))
    departments, jobs, notes = found["files"]
    assert list(departments.values()) == [
        *("departments.csv", "hired_employees.departments", "loaded"),
        *(2, 2, 0, 0, 0, 0, [], ["no header: columns by position (id, department)"], []),
        *(None, None),
    ]
    assert (jobs["state"], jobs["rejected"], jobs["error"]) == ("loaded", 1, None)
    assert jobs["reasons"] == ["1 × id is not an integer, e.g. 'x' in line 2"]
    assert list(notes.values()) == [
        *("notes.txt", None, "unmatched", 0, 0, 0, 0, 0, 0, [], [], []),
        "belongs to no table: its name begins with none of departments, jobs, hired_employees",
        "name it after its table, move it to a folder of that name, or remove it from raw_data",
    ]
    again = document("ingest")
    assert [file["state"] for file in again["files"]] == ["unchanged", "unchanged", "unmatched"]
    assert again["totals"] == dict.fromkeys(COUNTS, 0)


def test_ingest_of_a_file_that_cannot_be_loaded(boat: Boat) -> None:
    boat.write("departments.csv", "id,department,colour\n1,Hull,red\n")
    boat.write("jobs.csv", "1,Cook\n")
    found = document("ingest", code=1)
    departments, jobs = found["files"]
    error = 'the header names "colour", which is not a column of hired_employees.departments'
    assert (departments["state"], departments["error"]) == ("failed", error)
    assert departments["hint"] == "its columns are: id, department"
    assert (jobs["state"], jobs["inserted"]) == ("loaded", 1)
    result = rowboat("ingest")
    assert result.exit_code == 1
    assert f"departments.csv {error}\nHINT: its columns are: id, department\n" in result.stdout


def test_ingest_for_eyes(boat: Boat) -> None:
    boat.write("jobs.csv", "1,Cook\nx,Clerk\n")
    lines = [line.split() for line in shown("ingest").splitlines()]
    assert lines[0] == ["file", "table", "state", *COUNTS]
    assert lines[1] == ["jobs.csv", "jobs", "loaded", "with", "1", "refused", *"21001"]
    assert lines[2] == ["total", "2", "1", "0", "0", "1"]
    assert " ".join(lines[3]) == "jobs.csv: no header: columns by position (id, job)"
    assert " ".join(lines[4]) == "jobs.csv: 1 × id is not an integer, e.g. 'x' in line 2"
    assert " ".join(lines[5]) == "`rowboat rejects list` shows the rejected rows and why"


def test_ingest_dry_run(boat: Boat) -> None:
    boat.write("departments.csv", "1,Hull\n")
    boat.write("hired_employees.csv", "1,Ann,2021-01-01T00:00:00Z,1,1\n")
    found = document("ingest", "--dry-run")
    assert found["totals"] == dict(zip(COUNTS, (2, 1, 0, 0, 1), strict=True))
    assert "dry run: nothing was changed" in shown("ingest", "--dry-run")
    assert boat.query("select count(*) from hired_employees.departments") == [0]
    assert boat.query("select count(*) from ingest_status.ingest_status") == [0]


def test_ingest_of_paths(boat: Boat, tmp_path: Path) -> None:
    boat.write("departments.csv", "1,Hull\n")
    elsewhere = tmp_path / "jobs.csv"
    elsewhere.write_text("1,Cook\n")
    found = document("ingest", elsewhere)
    assert [file["file"] for file in found["files"]] == [str(elsewhere)]
    missing = tmp_path / "missing.csv"
    result = rowboat("ingest", missing)
    fact = f"{missing} cannot be read: no such file or directory\nHINT: check the path\n"
    assert (result.exit_code, result.stdout.endswith(fact)) == (1, True)


def test_ingest_checksum(boat: Boat) -> None:
    path = boat.write("jobs.csv", "1,Cook\n")
    document("ingest")
    before = path.stat()
    path.write_text("1,Look\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert document("ingest")["files"][0]["state"] == "unchanged"
    assert document("ingest", "--checksum")["totals"]["updated"] == 1


def test_migrate(boat: Boat) -> None:
    names = boat.query("select name from rowboat.migrations order by number")
    assert document("migrate") == {"ran": []}
    assert shown("migrate") == "the schema is up to date\n"
    assert document("migrate", "--to", "1") == {"ran": names[:0:-1]}
    assert shown("migrate") == "".join(f"ran {name}\n" for name in names[1:])


def test_the_schema_is_not_there(boat: Boat) -> None:
    document("migrate", "--to", "0")
    result = rowboat("status")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        'the database refused: relation "ingest_status.rejected_rows" does not exist\n'
        "HINT: `rowboat migrate` brings the schema up to date\n"
    )


def test_status(dirty: Boat) -> None:
    dirty.write("notes.txt", "hello\n")
    document("ingest")
    found = document("status")
    assert set(found) == {"tables", "files", "backup", "lost"}
    assert found["tables"][0] == {
        "table": "hired_employees.departments",
        "rows": 2,
        "exact": True,
        "rejected": 5,
    }
    assert [each["table"].partition(".")[2] for each in found["tables"]] == [
        *("departments", "jobs", "hired_employees")
    ]
    departments, notes = found["files"]
    assert {name: departments[name] for name in ("file_name", "state", *COUNTS)} == {
        "file_name": "departments.csv",
        "state": "loaded",
        **dict(zip(COUNTS, (7, 2, 0, 0, 5), strict=True)),
    }
    assert notes["state"] == "unmatched"
    assert found["backup"] is None
    text = shown("status")
    assert "departments.csv" in text
    assert "notes.txt belongs to no table" in text
    assert "no backup has been taken yet" in text


@pytest.mark.parametrize(
    ("change", "shown_files"),
    [
        (lambda raw: None, ["boats.csv", "departments-2.csv", "departments-10.csv"]),
        (lambda raw: (raw / "boats.csv").unlink(), ["departments-2.csv", "departments-10.csv"]),
        (lambda raw: (raw / "boats.csv").rename(raw / "x.csv"),
         ["departments-2.csv", "departments-10.csv"]),
        (lambda raw: (raw / "departments-2.csv").rename(raw / ".old"),
         ["boats.csv", "departments-10.csv"]),
        (lambda raw: raw.rename(raw.with_name("moved")),
         ["boats.csv", "departments-2.csv", "departments-10.csv"]),  # then nothing is known
    ],
)  # fmt: skip
def test_status_of_files_that_are_gone(
    boat: Boat, tmp_path: Path, change: Callable[[Path], object], shown_files: list[str]
) -> None:
    """They are not listed, but what they brought is there and can be traced."""
    for name in ("departments-10.csv", "departments-2.csv", "boats.csv"):
        boat.write(name, f"{len(name)},{name}\n")
    elsewhere = tmp_path / "jobs.csv"
    elsewhere.write_text("1,Cook\n")
    document("ingest")
    document("ingest", elsewhere)
    change(boat.raw)
    found = [file["file_name"] for file in document("status")["files"]]
    assert found == [str(elsewhere), *shown_files]
    assert boat.departments() == [(17, "departments-2.csv"), (18, "departments-10.csv")]
    assert document("trace", "departments", "17")["writer"]["file"] == "departments-2.csv"


def test_rejects_list(dirty: Boat) -> None:
    found = document("rejects", "list")
    assert [(each["line"], bytes.fromhex(each["raw_hex"])) for each in found] == DIRTY
    assert found[0]["table_name"] == "hired_employees.departments"
    assert found[0]["reasons"] == [
        {"rule": "shape", "column": None, "message": "has 3 fields instead of 2"}
    ]
    assert found[1]["raw"] == r"4,S\xe9verine"
    assert document("rejects", "list", "jobs") == []
    assert len(document("rejects", "list", "departments")) == 5
    text = shown("rejects", "list", "--limit", "2")
    assert "has 3 fields instead of 2" in text
    assert "3 more: show them with --limit, or write all with `rowboat rejects export`" in text
    assert shown("rejects", "list", "jobs") == "the quarantine is empty\n"
    assert failure("rejects", "list", "boats") == "there is no table boats"


def test_rejects_export_is_faithful(dirty: Boat, tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    assert document("rejects", "export", "--to", to) == {"file": str(to), "rows": 5}
    text = to.read_bytes().decode("utf-8", "surrogateescape")
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == ["table", "file", "line", "why", "reasons", "row"]
    assert [row[:3] for row in rows] == [
        ["hired_employees.departments", "departments.csv", str(line)] for line, _ in DIRTY
    ]
    assert [row[5].encode("utf-8", "surrogateescape") for row in rows] == [raw for _, raw in DIRTY]
    assert rows[0][3] == "has 3 fields instead of 2"
    assert json.loads(rows[0][4])[0]["rule"] == "shape"


def test_rejects_export_overwrites_nothing(dirty: Boat, tmp_path: Path) -> None:
    to = tmp_path / "mine.csv"
    to.write_text("mine")
    assert failure("rejects", "export", "--to", to) == f"{to} already exists"
    assert to.read_text() == "mine"
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "target.csv")
    assert failure("rejects", "export", "--to", link) == f"{link} already exists"
    nowhere = tmp_path / "no" / "folder.csv"
    fact = failure("rejects", "export", "--to", nowhere)
    assert fact == f"{nowhere} cannot be written: no such file or directory"
    assert rowboat("rejects", "export", "--to", tmp_path).exit_code == 2
    fresh = tmp_path / "fresh.csv"
    assert shown("rejects", "export", "jobs", "--to", fresh) == f"0 rows written to {fresh}\n"


def test_rejects_retry(boat: Boat) -> None:
    boat.write("jobs.csv", "1,Cook\n")
    boat.write("hired_employees.csv", "1,Ann,2021-01-01T00:00:00Z,1,1\n2,Bob,yesterday,1,1\n")
    document("ingest")
    boat.query("insert into hired_employees.departments values (1, 'Hull')")
    found = document("rejects", "retry", "hired_employees")
    assert found == {
        "hired_employees.hired_employees": dict(zip(COUNTS, (2, 1, 0, 0, 1), strict=True))
    }
    assert boat.query("select id from hired_employees.hired_employees") == [1]
    assert [line for line, *_ in boat.rejects()] == [2]
    assert set(document("rejects", "retry")) == {
        f"hired_employees.{name}" for name in ("departments", "jobs", "hired_employees")
    }
    text = shown("rejects", "retry", "hired_employees")
    assert text == (
        "hired_employees.hired_employees: read 1, inserted 0, updated 0, unchanged 0, rejected 1\n"
    )
    assert failure("rejects", "retry", "boats") == "there is no table boats"


def test_trace_of_a_row(dirty: Boat) -> None:
    found = document("trace", "departments", "2")
    assert found["table"] == "hired_employees.departments"
    assert (found["key"], found["fields"]) == (["2"], {"id": 2, "department": "Sail"})
    assert (found["writer"]["file"], found["writer"]["line"]) == ("departments.csv", 8)
    assert found["writer"]["load"]["actor"] == "tester"
    assert found["earlier"] == []
    text = shown("trace", "hired_employees.departments", "2")
    assert text.startswith("hired_employees.departments 2\n  id: 2\n  department: Sail\n")
    assert "written by departments.csv:8, load " in text
    assert (
        failure("trace", "departments", "9") == "hired_employees.departments has no row with id 9"
    )
    assert failure("trace", "departments", "1,2") == (
        "the key of hired_employees.departments is (id): 2 values were given"
    )
    assert failure("trace", "boats", "1") == "there is no table boats"


def test_trace_of_a_line(dirty: Boat) -> None:
    row = document("trace", "departments.csv:8")
    assert (row["file"], row["line"], row["key"]) == ("departments.csv", 8, ["2"])
    assert row["state"] == "is the present row"
    refused = document("trace", "departments.csv:2")
    assert refused["state"] == "is in quarantine"
    assert refused["reasons"][0]["message"] == "has 3 fields instead of 2"
    assert document("trace", "departments.csv:99")["state"] == "has not been read yet"
    assert document("trace", dirty.raw / "departments.csv:8")["key"] == ["2"]
    text = shown("trace", "departments.csv:2")
    assert text.startswith(
        "departments.csv:2 is in quarantine\n  shape: has 3 fields instead of 2\n"
    )
    assert failure("trace", "boats.csv:1") == "boats.csv is not known"


ADDRESSES = [
    f"postgresql://rower:{SECRET}@127.0.0.1:1/employee_data_db",
    f"postgresql://rower:{SECRET}@no-such-host.invalid/employee_data_db",
    f"host=127.0.0.1 port=1 dbname=employee_data_db password={SECRET}",
]
MISREAD = [
    f"postgresql://rower:50%{SECRET}@127.0.0.1:1/employee_data_db",
    f"postgresql://rower:{SECRET}/more@127.0.0.1:1/employee_data_db",
    f"postgresql://rower:12/{SECRET}@127.0.0.1:1/employee_data_db",
    f"postgresql://rower:half@{SECRET}@127.0.0.1:1/employee_data_db",
    f"postgresql://rower:{SECRET}@127.0.0.1:port/employee_data_db",
    f"postgresql://rower:{SECRET}@[::1/employee_data_db",
    f"mysql://rower:{SECRET}@127.0.0.1/employee_data_db",
    f"host=127.0.0.1 password=two {SECRET}",
]


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Settings of a test that has no database."""
    monkeypatch.setenv("ROWBOAT_HOME", str(tmp_path))
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("address", [*ADDRESSES, *MISREAD])
def test_no_password_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", address)
    settings.cache_clear()
    fact = failure("status")
    assert SECRET not in fact
    assert SECRET not in rowboat("status").output
    assert "half" not in fact
    if address in MISREAD:
        assert fact == "the address of the database cannot be read"
    else:
        assert fact.startswith("the database at ")
        assert " cannot be reached: " in fact


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("path", sorted(set(COMMANDS) - LASTING - {("check",)}), ids=" ".join)
def test_every_command_explains_a_lost_database(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", ADDRESSES[0])
    settings.cache_clear()
    assert failure(*path, *NEEDED.get(path, [])) == (
        "the database at 127.0.0.1:1 cannot be reached: "
        'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    )


@pytest.mark.usefixtures("unreachable")
def test_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWBOAT_CHUNK_BYTES", "many")
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", ADDRESSES[0])
    settings.cache_clear()
    fact = failure("ingest")
    assert fact.startswith("ROWBOAT_CHUNK_BYTES cannot be used: ")
    assert SECRET not in fact


def test_as_a_process(boat: Boat) -> None:
    boat.write("jobs.csv", "1,Cook\nx,Clerk\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("rowboat"), "ingest", "--json"],
        env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("loader")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["totals"]["inserted"] == 1
