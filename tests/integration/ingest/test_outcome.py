"""What a load tells: a state that is true, and why rows were refused, summed up by kind."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from rowboat.cli.commands import main
from tests.conftest import Boat, counts
from tests.support.loading import failure

MANY = "id,department\n1,a\nx,\n7,\n2.5,c\n7,b,\u00e9\n8,z\n8,y\n9\n"


def test_reasons_are_summed_up_by_kind(boat: Boat) -> None:
    boat.write("departments.csv", MANY)
    report = boat.ingest()["departments.csv"]
    assert (report.state, report.outcome) == ("loaded", "loaded with 6 refused")
    assert report.reasons == [
        "2 × department is empty, e.g. in line 3",
        "2 × id is not an integer, e.g. 'x' in line 3",
        "1 × has 3 fields instead of 2, e.g. in line 6",
        "1 × id 8 occurs earlier in this file with other values, e.g. in line 8",
        "1 × has 1 field instead of 2, e.g. in line 9",
    ]
    assert report.to_json()["reasons"] == report.reasons


def test_only_some_kinds_are_shown(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n" + "".join(f"{',' * n}\n" for n in range(3, 12)))
    report = boat.ingest()["departments.csv"]
    assert len(report.reasons) == 9
    assert report.shown_reasons == [*report.reasons[:5], "4 more kinds of reasons"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            "id,department\n1,a,b\n2,c,d\n",
            "all 2 rows have 3 fields instead of 2",
        ),
        (
            "id,department\nx,a\n",
            "its only row is refused: 1 × id is not an integer, e.g. 'x' in line 2",
        ),
        (
            "id,department\nx,a\n1,\n2,b,c\ny,\n",
            "all 4 rows are refused: 2 × id is not an integer, e.g. 'x' in line 2;"
            " 2 × department is empty, e.g. in line 3;"
            " 1 × has 3 fields instead of 2, e.g. in line 4",
        ),
    ],
)
def test_a_file_of_refused_rows_has_failed(boat: Boat, content: str, error: str) -> None:
    boat.write("departments.csv", content)
    assert failure(boat, "departments.csv")[:2] == ("failed", error)
    assert boat.query("select state, error from ingest_status.ingest_status") == [("failed", error)]
    assert failure(boat, "departments.csv")[:2] == ("failed", error), "it is still so"
    boat.write("departments.csv", content + "9,good\n")
    report = boat.ingest()["departments.csv"]
    assert (report.state, report.error, report.report.inserted) == ("loaded", None, 1)


def test_a_file_whose_rows_are_corrected_has_not_failed(boat: Boat) -> None:
    boat.write("departments.csv", "id,department\n7,\n")
    assert boat.ingest()["departments.csv"].state == "failed"
    boat.query("alter table hired_employees.departments alter department drop not null")
    assert CliRunner().invoke(main, ["rejects", "retry"]).exit_code == 0
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert boat.query("select state, error from ingest_status.ingest_status") == [("loaded", None)]


def test_rows_that_wait_for_a_parent_have_not_failed(boat: Boat) -> None:
    boat.write("hired_employees.csv", "1,Ann,2021-01-01T00:00:00Z,7,7\n")
    report = boat.ingest()["hired_employees.csv"]
    assert (report.outcome, report.error) == ("loaded with 1 refused", None)
    boat.write("hired_employees.csv", "1,Ann,soon,7,7\n")
    assert boat.ingest()["hired_employees.csv"].state == "failed"


def test_a_refused_tail_of_a_good_file_is_told(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\nx,b\n")
    report = boat.ingest()["departments.csv"]
    assert (report.outcome, *counts(report)) == ("loaded with 1 refused", 1, 0, 0, 0, 1)
    assert report.reasons == ["1 × id is not an integer, e.g. 'x' in line 2"]


def test_a_dry_run_tells_the_same(boat: Boat) -> None:
    boat.write("departments.csv", "id,department\nx,a\n")
    boat.write("jobs.csv", "1,a\n,b\n")
    found = boat.ingest(dry_run=True)
    assert found["departments.csv"].state == "failed"
    assert found["jobs.csv"].reasons == ["1 × id is empty, e.g. in line 2"]
    assert boat.query("select * from ingest_status.ingest_status") == []


def test_blanks_around_text_are_told_once(
    boat: Boat, declare: Callable[[str], None], setting: Callable[[str, str], None]
) -> None:
    declare(
        "create schema s; create table s.t (id integer, a text, b varchar(20), c json, d date);"
        "create table s.u (a text)"
    )
    setting("chunk_bytes", "64")
    clean = "".join(f'{n},Ann B,"Lee, C",1,2021-01-01\n' for n in range(10))
    boat.write("t-1.csv", f'id,a,b,c,d\n{clean} 7 ,,,  1  , 2021-01-01 \n8,,"",1,\n')
    boat.write("t-2.csv", f'id,a,b,c,d\n{clean}1,Ann,"Lee\t",1,\n2, Ann,Lee,1,\n3,Bo ,x,1,\n')
    boat.write("t-3.tsv", "id\ta\tb\n1\t\t\n2\tx\t\n")
    boat.write("u.csv", "a\nx\n   \n")
    found = boat.ingest()
    assert {name: (each.state, each.notes) for name, each in found.items()} == {
        "t-1.csv": ("loaded", []),
        "t-2.csv": ("loaded", ["blanks around text are kept in b, a, e.g. 'Lee\t' in line 12"]),
        "t-3.tsv": ("loaded", []),
        "u.csv": ("loaded", ["blanks around text are kept in a, e.g. '   ' in line 3"]),
    }
    assert boat.query("select a from s.t where a like ' %'") == [" Ann"]
    boat.write("u.csv", "a\nx\n   \n" + "y\n" * 99 + "z \n")
    [note] = boat.ingest()["u.csv"].notes
    assert note == "blanks around text are kept in a, e.g. 'z ' in line 103"
