"""Files and folders of raw_data that cannot be read: permissions, links, pipes, odd names."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowboat.database import connections
from rowboat.errors import FileRefused
from rowboat.ingest import file_states
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


@pytest.mark.parametrize("folder", ["jobs", "jobs/2021", "departments", "shop"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "permission denied"),
        (errno.ELOOP, "too many levels of symbolic links"),
        (errno.EIO, "input/output error"),
        (errno.ESTALE, "stale file handle"),
    ],
)
def test_unreadable_folder(
    boat: Boat, folder: str, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported as failed, in the database too; the rest is loaded."""
    boat.write(f"{folder}/may.csv", "1,b\n")
    boat.write("jobs/july.csv", "2,c\n")
    boat.write("departments-2.csv", "3,d\n")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path) == str(boat.raw / folder):
            raise OSError(number, os.strerror(number))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    reports = boat.ingest()
    found = reports.pop(folder)
    assert (found.state, found.error) == ("failed", f"cannot be read: {words}")
    assert found.hint == "give the loading user the right to read it, or remove it from raw_data"
    others = {"jobs/july.csv", "departments-2.csv"} - {f"{folder}/july.csv"}
    assert {name: each.state for name, each in reports.items()} == dict.fromkeys(others, "loaded")
    query = "select state, error from ingest_status.ingest_status where file_name = %s"
    assert boat.query(query, [folder]) == [("failed", found.error)]
    assert states(boat)[folder] == "failed"
    monkeypatch.setattr(os, "scandir", scandir)
    assert f"{folder}/may.csv" in boat.ingest()
    assert states(boat)[folder] == "gone"


def states(boat: Boat) -> dict[str, str]:
    """File → state, as the console shows them."""
    with connections.transaction(boat.connect()) as cursor:
        found = file_states.list_file_states(cursor, boat.catalog())
    return {each.name: each.state for each in found}


def test_unreadable_raw_data(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert (raised.value.fact, raised.value.hint) == (
        f"the folder {boat.raw} cannot be read: permission denied",
        "give the loading user the right to read it",
    )


def test_folder_that_is_removed_meanwhile(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    boat.write("jobs/may.csv", "1,b\n")
    boat.write("departments.csv", "1,a\n")
    scandir = os.scandir

    def removed(path: Any) -> Any:
        if str(path).endswith("jobs"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed)
    assert {name: each.state for name, each in boat.ingest().items()} == {
        "departments.csv": "loaded"
    }


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("x" * 300, "cannot be read: file name too long"),
        ("jobs.csv", "is a link that leads nowhere"),  # to itself
        ("departments.csv/x", "is a link that leads nowhere"),
        (".", "is a folder, not a file"),
        ("..", "is a link that leads out of raw_data"),
    ],
)
@pytest.mark.parametrize("name", ["jobs.csv", "jobs"])
def test_bad_link(boat: Boat, name: str, target: str, words: str) -> None:
    boat.write("departments.csv", "1,a\n")
    (boat.raw / name).symlink_to(target.replace("jobs.csv", name))
    reports = boat.ingest()
    assert reports[name].error == words
    assert reports[name].state == ("failed" if "cannot" in words else "unmatched")
    assert reports["departments.csv"].state == "loaded"


@pytest.fixture
def deep(boat: Boat) -> Iterator[Boat]:
    """A boat whose folder is deeper than the system takes; Python could not remove it."""
    here = os.open(boat.raw, os.O_RDONLY)
    for _ in range(2_200):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    yield boat
    subprocess.run(["rm", "-r", boat.raw / "d"], check=True)


def test_folders_at_any_depth(deep: Boat) -> None:
    """Those with a path that the system takes are read, and the first one below is reported."""
    deep.write("departments.csv", "1,a\n")
    reports = deep.ingest()
    assert reports.pop("departments.csv").state == "loaded"
    [folder] = reports.values()
    assert (folder.state, folder.error) == ("failed", "cannot be read: file name too long")
    assert set(folder.file.split("/")) == {"d"}


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
        "departments-2.csv": ("unchanged", None),
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


def test_no_loader_no_rows(boat: Boat) -> None:
    """The loader may not drop what it fills."""
    with pytest.raises(connections.DatabaseRefused, match="must be owner of table departments"):
        boat.query("drop table hired_employees.departments", role="loader")
