"""Newer stays newer: of a rewritten file only lines that it did not have before change rows."""

import gzip
from collections.abc import Callable

import pytest

from rowboat.ingest import file_pass
from tests.conftest import Boat, counts

Setting = Callable[[str, str], None]


def lines(*numbers: int, word: str = "old") -> str:
    return "".join(f"{n},{word} department {n}\n" for n in numbers)


@pytest.mark.parametrize("chunk_bytes", ["64", "4194304"])
def test_correcting_one_row_of_an_old_file_touches_that_row_alone(
    boat: Boat, setting: Setting, chunk_bytes: str
) -> None:
    """Rows changed from elsewhere stay; those that were deleted are inserted again."""
    setting("chunk_bytes", chunk_bytes)
    path = boat.write("departments-2.csv", lines(*range(1, 21)))
    boat.write("departments-10.csv", lines(1, 5, word="new"))
    boat.ingest()
    boat.query(
        "update hired_employees.departments set department = 'by hand' where id in (7, 20);"
        " delete from hired_employees.departments where id = 9"
    )
    path.write_text(path.read_text().replace("3,old", "3,right").replace("20,old", "20,right"))
    report = boat.ingest()["departments-2.csv"]
    assert counts(report) == (20, 1, 3, 16, 0)
    assert report.notes[1:] == [
        "3 rows changed from elsewhere since an earlier version of the file: left as they are, as "
        "their lines are the same (`rowboat ingest --again` loads them)"
    ]
    expected = {n: f"old department {n}" for n in range(1, 21)}
    expected |= {n: f"new department {n}" for n in (1, 5)} | {7: "by hand"}
    expected |= {n: f"right department {n}" for n in (3, 13, 20)}
    assert dict(boat.departments()) == expected


def test_line_that_changes_wins_over_newer_rows(boat: Boat) -> None:
    path = boat.write("departments-1.csv", lines(1, 2))
    boat.write("departments-2.csv", lines(1, 2, word="new"))
    boat.ingest()
    path.write_text(lines(2, 1, word="newest"))
    assert counts(boat.ingest()["departments-1.csv"]) == (2, 0, 2, 0, 0)
    path.write_text(lines(2, 1, word="newest") + lines(2))  # this line was in version 1 only
    assert counts(boat.ingest()["departments-1.csv"]) == (1, 0, 1, 0, 0)


def test_again_loads_all_lines(boat: Boat) -> None:
    path = boat.write("departments-1.csv", lines(1, 2))
    boat.ingest()
    boat.query("update hired_employees.departments set department = 'by hand'")
    assert counts(boat.ingest(path, again=True)["departments-1.csv"]) == (2, 0, 2, 0, 0)
    boat.query("update hired_employees.departments set department = 'by hand'")
    path.write_text(lines(2, 1))  # the lines that were loaded again are known
    report = boat.ingest()["departments-1.csv"]
    assert (counts(report), len(report.notes)) == ((2, 0, 0, 2, 0), 2)


@pytest.mark.parametrize("change", ["newlines", "order", "renamed", "packed"])
def test_what_is_no_correction_changes_nothing(boat: Boat, change: str) -> None:
    path = boat.write("departments-1.csv", lines(1, 2, 3))
    boat.write("departments-2.csv", lines(2, word="new"))
    boat.ingest()
    before = boat.departments()
    if change == "newlines":
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    elif change == "order":
        path.write_text(lines(3, 2, 1))
    elif change == "renamed":
        path = path.rename(path.with_name("departments-3.csv"))
    else:
        path.unlink()
        boat.write("departments-1.csv.gz", gzip.compress(lines(1, 2, 3).encode()))
    boat.ingest()
    assert boat.departments() == before
    if change == "renamed":  # what is known of the lines has moved along
        path.write_text(lines(4, 3, 2, 1))
        assert counts(boat.ingest()[path.name]) == (4, 1, 0, 3, 0)
        assert dict(boat.departments())[2] == "new department 2"


def test_interrupted_correction_remembers_what_was_there(
    boat: Boat, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = boat.write("departments-1.csv", lines(*range(1, 31)))
    boat.write("departments-2.csv", lines(*range(1, 31), word="new"))
    boat.ingest()
    setting("chunk_bytes", "64")
    path.write_text(path.read_text().replace("2,old", "2,right"))
    commits = 0

    def fail_midway(*_: object) -> None:
        nonlocal commits
        commits += 1
        if commits == 4:
            raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(file_pass.FilePass, "_tell", fail_midway)
        assert boat.ingest()["departments-1.csv"].state == "failed"
    assert boat.ingest()["departments-1.csv"].state == "loaded"
    right = {n for n, name in boat.departments() if name.startswith("right")}
    assert right == {2, 12, 22}
    versions = "select distinct version from ingest_status.record_hashes where file_id = 1"
    assert boat.query(versions) == [3]


def test_duplicate_of_an_old_line_is_still_told(boat: Boat) -> None:
    path = boat.write("departments.csv", lines(1, 2))
    boat.ingest()
    path.write_text(lines(1, 2) + lines(1, word="new"))  # newer than the first line
    boat.ingest()
    path.write_text(lines(3, 1, 2) + lines(1, word="new"))  # read at once: which is right?
    assert counts(boat.ingest()["departments.csv"]) == (4, 1, 0, 2, 1)
    assert boat.departments()[0] == (1, "new department 1")
    assert boat.rejects() == [
        (4, b"1,new department 1",
         ["duplicate: id 1 occurs earlier in this file with other values"]),
    ]  # fmt: skip


def test_nothing_is_kept_of_a_file_without_its_key(boat: Boat) -> None:
    boat.write("departments.csv", "department\na\nb\n")
    boat.ingest()
    assert boat.query("select count(*) from ingest_status.record_hashes") == [0]
