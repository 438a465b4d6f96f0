"""Plain and odd cells side by side on the stage: rows, sentences and counts as if all were text."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat

Setting = Callable[[str, str], None]
HIRES = "hired_employees.hired_employees"
GOOD = 400


@pytest.fixture
def parents(boat: Boat) -> Boat:
    boat.ingest(boat.write("departments.csv", "1,Deck\n"), boat.write("jobs.csv", "1,Cox\n"))
    return boat


def lines(first: int = 1) -> list[str]:
    return [f"{n},Ann {n},2021-11-07T02:48:42Z,1,1" for n in range(first, first + GOOD)]


def test_odd_cells_are_judged_one_by_one(parents: Boat) -> None:
    rows = [
        *lines(),
        "1001,Bob,2021-11-07 03:48:42+01,1,1",  # odd, but a value
        "x2,Bob,2021-11-07T02:48:42Z,1,1",
        "1003,Bob,2021-02-30T02:48:42Z,1,1",
        '"1004",Bob,"2021-11-07T02:48:42Z",1,',
        "1005,Bob,yesterday,one,1",
        "1001,Bob,2021-11-07T02:48:42Z,1,1",
    ]
    report = parents.ingest(parents.write("hired_employees.csv", "\n".join([*rows, ""])))
    assert report["hired_employees.csv"].report.inserted == GOOD + 1
    assert parents.rejects() == [
        (GOOD + 2, rows[GOOD + 1].encode(), ["type: 'x2' is not an integer"]),
        (GOOD + 3, rows[GOOD + 2].encode(),
         ["type: '2021-02-30T02:48:42Z' is not a day of the calendar"]),
        (GOOD + 4, rows[GOOD + 3].encode(), ["required: job_id is empty"]),
        (GOOD + 5, rows[GOOD + 4].encode(),
         ["type: 'yesterday' is not an ISO 8601 timestamp", "type: 'one' is not an integer"]),
        (GOOD + 6, rows[GOOD + 5].encode(),
         ["duplicate: id 1001 occurs earlier in this file with other values"]),
    ]  # fmt: skip
    [(when, total)] = parents.query(
        f"select max(hired_date)::text, count(distinct hired_date) from {HIRES}"
    )
    assert (when, total) == ("2021-11-07 02:48:42+00", 1)


def test_a_rewritten_file_updates_what_differs(parents: Boat) -> None:
    """Odd and plain cells of equal rows are equal; keys of both are found in the table."""
    parents.ingest(parents.write("hired_employees.csv", "\n".join(lines())))
    again = lines()
    again[5] = again[5].replace("2021-11-07T02:48:42Z", "2021-11-07T04:48:42+02:00")  # the same
    again[6] = again[6].replace("2021-11-07T02:48:42Z", "2021-11-07T04:48:42+01:00")
    again[7] = again[7].replace("8,", "+8,", 1)  # the same
    again[8] = again[8].replace("9,", " 9.00 ,", 1)  # the same
    again[9] = again[9].replace("10,", "0x0a,", 1)
    report = parents.ingest(parents.write("hired_employees.csv", "\n".join(again)))
    counts = vars(report["hired_employees.csv"].report)
    assert counts == {
        "read": GOOD, "inserted": 0, "updated": 1, "unchanged": GOOD - 2, "rejected": 1,
    }  # fmt: skip
    assert [why for _, _, why in parents.rejects()] == [["type: '0x0a' is not an integer"]]


def test_equal_rows_of_earlier_chunks_are_remembered(parents: Boat, setting: Setting) -> None:
    """Whether keys grow or not: one that stood in an earlier chunk, unchanged, is a duplicate."""
    parents.ingest(parents.write("hired_employees.csv", "\n".join(lines())))
    setting("chunk_bytes", "4000")
    again = [*reversed(lines()), "390,Ann 390,2021-11-07T02:48:42Z,1,1", "391,Eve,2021-11-07,1,1"]
    report = parents.ingest(parents.write("hired_employees.csv", "\n".join(again)))
    counts = vars(report["hired_employees.csv"].report)
    assert counts == {
        "read": GOOD + 2, "inserted": 0, "updated": 0, "unchanged": GOOD, "rejected": 2,
    }  # fmt: skip
    assert [why for _, _, why in parents.rejects()] == [
        ["duplicate: id 390 occurs earlier in this file with the same values"],
        ["duplicate: id 391 occurs earlier in this file with other values"],
    ]


def test_odd_keys_are_keys(boat: Boat) -> None:
    """A key that is an integer once it is tidied is looked for in the table and in the file."""
    good = [f"{n},a" for n in range(GOOD)]
    boat.ingest(boat.write("departments.csv", "\n".join([*good, "500.0,b", "\u00a0501,c"])))
    rows = [*good, " 502 ,d", "+502,e", "501.00,f", "503,g", "503.,g", "500,b", "  ,h", "504.5,i"]
    report = boat.ingest(boat.write("departments.csv", "\n".join(rows)))
    counts = vars(report["departments.csv"].report)
    assert counts == {
        "read": GOOD + 8, "inserted": 2, "updated": 1, "unchanged": GOOD + 1, "rejected": 4,
    }  # fmt: skip
    assert [(line - GOOD, why) for line, _, why in boat.rejects()] == [
        (2, ["duplicate: id 502 occurs earlier in this file with other values"]),
        (5, ["duplicate: id 503 occurs earlier in this file with the same values"]),
        (7, ["required: id is empty"]),
        (8, ["type: '504.5' is not an integer"]),
    ]
    assert boat.departments()[-4:] == [(500, "b"), (501, "f"), (502, "d"), (503, "g")]
