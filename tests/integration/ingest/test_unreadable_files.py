"""Files and folders of raw_data that cannot be read: permissions, links, pipes, odd names."""

import os
from pathlib import Path
from typing import Any

import pytest

from rowboat.database import connections
from rowboat.errors import FileRefused
from tests.conftest import Boat, counts
from tests.support.loading import failure, problem, utf16


def test_text_without_an_end_is_refused(boat: Boat) -> None:
    boat.write("departments.csv", utf16("1,aaaa\n2,bbbb\n", "le") + b"x")
    assert failure(boat, "departments.csv") == (
        "failed",
        "its UTF-16-LE text ends in the middle of a character",
        "write the file again, whole",
    )


def test_unreadable_file(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    path = boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    opened = os.open

    def denied(name: str | Path, *values: Any, **options: Any) -> int:
        if Path(name) == path:
            raise PermissionError(13, "Permission denied")
        return opened(name, *values, **options)

    monkeypatch.setattr(os, "open", denied)
    reports = boat.ingest()
    assert (reports["departments.csv"].state, reports["departments.csv"].error) == (
        "failed",
        "it cannot be read: permission denied",
    )
    assert reports["departments.csv"].hint == "give the loading user the right to read it"
    assert counts(reports["jobs.csv"]) == (1, 1, 0, 0, 0)


def test_unreadable_folder(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    boat.write("jobs/may.csv", "1,b\n")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("jobs"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert raised.value.fact == f"the folder {boat.raw / 'jobs'} cannot be read: permission denied"


def test_folder_named_like_a_file(boat: Boat) -> None:
    boat.write("departments.csv/inner.csv", "1,a\n")
    assert problem(boat, "departments.csv") == "is a folder, not a file"


def test_links_out_of_raw_data(boat: Boat, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "departments.csv").write_text("1,a\n")
    (boat.raw / "departments.csv").symlink_to(outside / "departments.csv")
    (boat.raw / "jobs").symlink_to(outside)
    (boat.raw / "jobs-2.csv").symlink_to(outside / "nothing.csv")
    for name in ("departments.csv", "jobs"):
        assert problem(boat, name) == "is a link that leads out of raw_data"
    assert problem(boat, "jobs-2.csv") == "is a link that leads nowhere"
    named = boat.ingest(boat.raw / "departments.csv")["departments.csv"]
    assert (named.state, named.error) == ("unmatched", "is a link that leads out of raw_data")


def test_links_within_raw_data(boat: Boat) -> None:
    boat.write("departments/a.csv", "1,a\n")
    (boat.raw / "departments-2.csv").symlink_to(boat.raw / "departments" / "a.csv")
    (boat.raw / "jobs.csv").symlink_to(boat.raw / "nothing.csv")
    (boat.raw / "loop.csv").symlink_to(boat.raw / "loop.csv")
    (boat.raw / "departments-3").symlink_to(boat.raw / "departments")
    reports = boat.ingest()
    assert {name: (each.state, each.error) for name, each in reports.items()} == {
        "departments/a.csv": ("loaded", None),
        "departments-2.csv": ("loaded", None),
        "departments-3": ("unmatched", "is a folder, not a file"),
        "jobs.csv": ("unmatched", "is a link that leads nowhere"),
        "loop.csv": ("unmatched", "is a link that leads nowhere"),
    }
    assert boat.departments() == [(1, "a")]


def test_pipe(boat: Boat) -> None:
    os.mkfifo(boat.raw / "departments.csv")
    assert problem(boat, "departments.csv") == "is not an ordinary file"


def test_unprintable_name(boat: Boat) -> None:
    boat.write("departments\n.csv", "1,a\n")
    assert problem(boat, "departments\n.csv") == "has a name with unprintable characters"


def test_name_that_is_no_text(boat: Boat) -> None:
    (boat.raw / os.fsdecode(b"departments-\xff.csv")).write_text("1,a\n")
    boat.write("jobs.csv", "1,b\n")
    reports = boat.ingest()
    assert {name: (each.state, each.error) for name, each in reports.items()} == {
        "departments-\\xff.csv": ("unmatched", "has a name with unprintable characters"),
        "jobs.csv": ("loaded", None),
    }


def test_missing_raw_data(boat: Boat) -> None:
    boat.raw.rmdir()
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert (raised.value.fact, raised.value.hint) == (
        f"there is no folder {boat.raw}",
        "make it, or set ROWBOAT_RAW_DATA",
    )


def test_file_that_lies_elsewhere(boat: Boat, tmp_path: Path) -> None:
    path = tmp_path / "departments.csv"
    path.write_text("1,a\n")
    assert counts(boat.ingest(path)[str(path)]) == (1, 1, 0, 0, 0)
    with pytest.raises(FileRefused) as raised:
        boat.ingest(tmp_path / "nothing.csv")
    assert raised.value.fact == (
        f"{tmp_path / 'nothing.csv'} cannot be read: no such file or directory"
    )


def test_no_loader_no_rows(boat: Boat) -> None:
    """The loader may not drop what it fills."""
    with pytest.raises(connections.DatabaseRefused, match="must be owner of table departments"):
        boat.query("drop table hired_employees.departments", role="loader")
