"""Files that change while or after they are read."""

import os
import threading
from collections.abc import Callable

from rowboat.ingest.reports import FileReport
from tests.conftest import Boat, counts
from tests.support.loading import lines, position

Setting = Callable[[str, str], None]


def meddle(boat: Boat, change: Callable[[], object]) -> FileReport:
    """Ingest departments.csv and change something as soon as its first chunk has passed."""
    done = threading.Event()

    def progress(*_: object) -> None:
        if not done.is_set():
            done.set()
            change()

    report = boat.ingest(progress=progress)["departments.csv"]
    assert done.is_set()
    return report


def test_shrinking_file(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "65536")
    content = lines(1, 20_000)
    path = boat.write("departments.csv", content)
    report = meddle(boat, lambda: os.truncate(path, 300_000))
    assert (report.state, report.error, report.hint) == (
        "failed",
        "it shrank while it was read",
        "wait until it has been written, then run `rowboat ingest` again",
    )
    loaded = len(boat.departments())
    assert position(boat, "departments.csv") == (loaded, loaded, 0, 0, 0)
    path.write_bytes(content)
    again = boat.ingest()["departments.csv"]
    assert counts(again) == (20_000 - loaded, 20_000 - loaded, 0, 0, 0)
    assert position(boat, "departments.csv") == (20_000, 20_000, 0, 0, 0)


def test_growing_file(boat: Boat, setting: Setting) -> None:
    """What comes after the file was opened waits, an unfinished last line with it."""
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9) + b"000010,half")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b" a department\n" + lines(11, 12))

    assert counts(meddle(boat, grow)) == (9, 9, 0, 0, 0)
    assert counts(boat.ingest()["departments.csv"]) == (3, 3, 0, 0, 0)
    assert boat.departments()[8:] == [
        (9, "department 000009"),
        (10, "half a department"),
        (11, "department 000011"),
        (12, "department 000012"),
    ]
    assert position(boat, "departments.csv") == (12, 12, 0, 0, 0)


def test_file_that_vanishes_while_it_is_read(boat: Boat, setting: Setting) -> None:
    """The open file stays readable: it is loaded to its end."""
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9))
    assert counts(meddle(boat, path.unlink)) == (9, 9, 0, 0, 0)


def test_file_that_vanishes_before_it_is_read(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", lines(1, 9))
    child = boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n")
    reports = boat.ingest(progress=lambda *_: child.unlink(missing_ok=True))
    found = reports["hired_employees.csv"]
    assert (found.state, found.error, found.hint) == (
        "failed",
        "it vanished before it was read",
        "put it back",
    )
    assert counts(reports["departments.csv"]) == (9, 9, 0, 0, 0)


def test_file_that_is_replaced_while_it_is_read(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9))
    other = boat.raw / "new.part"
    other.write_bytes(lines(5, 15))
    assert counts(meddle(boat, lambda: other.replace(path))) == (9, 9, 0, 0, 0)
    report = boat.ingest()["departments.csv"]
    assert counts(report) == (11, 6, 0, 5, 0)
    assert report.vanished == ["[1]", "[2]", "[3]", "[4]"]


def test_other_content_of_the_same_size_and_time(boat: Boat) -> None:
    path = boat.write("departments.csv", "1,a\n")
    before = path.stat()
    boat.ingest()
    path.write_text("1,b\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert boat.ingest()["departments.csv"].state == "unchanged"
    assert boat.departments() == [(1, "a")]
    assert counts(boat.ingest(checksum=True)["departments.csv"]) == (1, 0, 1, 0, 0)
    assert boat.departments() == [(1, "b")]
    assert boat.ingest(checksum=True)["departments.csv"].state == "unchanged"


def test_same_content_of_another_time(boat: Boat) -> None:
    path = boat.write("departments.csv", "1,a\n")
    boat.ingest()
    os.utime(path, ns=(0, 0))
    assert boat.ingest()["departments.csv"].state == "unchanged"
    assert boat.query("select version, file_version from ingest_status.ingest_status") == [(1, "0")]
