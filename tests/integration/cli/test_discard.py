"""Refused rows that are discarded: for a reason, for good, and never lost."""

import getpass
import json
from typing import Any

import pytest
from click.testing import CliRunner

from rowboat.cli.commands import main
from rowboat.database.connections import transaction
from rowboat.status import read_status
from tests.conftest import Boat, counts
from tests.support.quarantine import DEPARTMENTS, EMPLOYEES, ORPHANS

WHY = "only a test"


def rowboat(*arguments: str, code: int = 0) -> Any:
    """Run a command with --json and return its document."""
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def told_states(boat: Boat) -> dict[str, str]:
    """Return file → state as `rowboat status` shows it."""
    shown = CliRunner().invoke(main, ["status"]).stdout.splitlines()
    files = [line.split("  ") for line in shown if ".csv" in line]
    return {cells[0].strip(): [cell for cell in cells if cell][2].strip() for cells in files}


def open_rows(boat: Boat) -> dict[str, int]:
    with transaction(boat.connect()) as cursor:
        return {each.table: each.rejected for each in read_status(cursor).tables}


@pytest.fixture
def dirty(boat: Boat) -> Boat:
    """Two refused departments beside one that is loaded, and two employees without parents."""
    boat.write("departments.csv", "1,\n2,Oars\nx,Sails\n")
    boat.write("jobs.csv", "1,Rower\n")
    boat.write("hired_employees.csv", ORPHANS + "3,C,2021-01-01,2,1\n")
    boat.ingest()
    return boat


def test_discarded_rows_are_kept_with_reason_and_person_but_are_not_open(dirty: Boat) -> None:
    assert told_states(dirty)["departments.csv"] == "loaded with 2 refused"
    assert rowboat("rejects", "discard", "departments", "--because", f" {WHY} ") == {
        "discarded": 2, "tables": {DEPARTMENTS: 2},
    }  # fmt: skip
    assert dirty.query(
        "select line, convert_from(raw, 'UTF8'), settled_as, settled_at is null, discarded_by,"
        " discarded_because from ingest_status.rejected_rows where table_name = %s order by line",
        (DEPARTMENTS,),
    ) == [(line, raw, "discarded", False, getpass.getuser(), WHY)
          for line, raw in [(1, "1,"), (3, "x,Sails")]]  # fmt: skip
    assert [each["source_name"] for each in rowboat("rejects", "list")] == [
        "hired_employees.csv", "hired_employees.csv",
    ]  # fmt: skip
    assert (open_rows(dirty)[DEPARTMENTS], open_rows(dirty)[EMPLOYEES]) == (0, 2)
    assert told_states(dirty)["departments.csv"] == "loaded"
    assert told_states(dirty)["hired_employees.csv"] == "loaded with 2 refused"
    files = {each["file_name"]: each for each in rowboat("status")["files"]}
    assert (files["departments.csv"]["rejected"], files["departments.csv"]["discarded"]) == (2, 2)


def test_a_trace_says_who_discarded_a_line_and_why(dirty: Boat) -> None:
    rowboat("rejects", "discard", "departments", "--because", WHY)
    found = rowboat("trace", "departments.csv:3")
    assert found["state"] == "was refused, and discarded"
    assert (found["discarded"]["by"], found["discarded"]["because"]) == (getpass.getuser(), WHY)
    assert found["reasons"][0]["rule"] == "type"
    shown = CliRunner().invoke(main, ["trace", "departments.csv:3"]).stdout
    assert f"  by {getpass.getuser()} at 20" in shown
    assert f" UTC: {WHY}\n" in shown


def test_rows_are_chosen_by_number_and_by_file(dirty: Boat) -> None:
    first, second, *_ = [each["id"] for each in rowboat("rejects", "list", "departments")]
    assert f"\n{first}   departments.csv" in CliRunner().invoke(main, ["rejects", "list"]).stdout
    nothing = {"discarded": 0, "tables": {}}
    for other in (["jobs"], ["--file", "jobs.csv"], ["--id", "0"], ["jobs", "--id", str(first)]):
        assert rowboat("rejects", "discard", *other, "--because", WHY, code=1) == nothing
    ids = ["--id", str(first), "--id", str(second)]
    assert rowboat("rejects", "discard", *ids, "--because", WHY)["discarded"] == 2
    assert rowboat("rejects", "discard", *ids, "--because", WHY, code=1) == nothing
    shown = CliRunner().invoke(main, ["rejects", "discard", *ids, "--because", WHY])
    assert (shown.exit_code, shown.stdout) == (
        1, "no refused row matches: nothing was discarded\n",
    )  # fmt: skip
    by_file = ["--file", "hired_employees.csv", "--because", WHY]
    assert rowboat("rejects", "discard", *by_file)["tables"] == {EMPLOYEES: 2}


@pytest.mark.parametrize("reason", [[], ["--because", " "]], ids=str)
def test_a_reason_is_required(boat: Boat, reason: list[str]) -> None:
    result = CliRunner().invoke(main, ["rejects", "discard", *reason])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--because" in result.stderr


def test_they_never_come_back_by_themselves(dirty: Boat) -> None:
    shown = CliRunner().invoke(main, ["rejects", "discard", "--because", WHY]).stdout
    assert shown == "4 rows discarded\n"
    dirty.write("departments-2.csv", "5,Five\n6,Six\n")
    dirty.ingest()
    rowboat("rejects", "retry")
    assert dirty.query("select id from hired_employees.hired_employees") == [3]
    # a newer version of the file is judged anew
    dirty.write("hired_employees.csv", "3,C,2021-01-01,2,1\n1,Ann,2021-01-01,5,1\n9,,2021,,\n")
    assert counts(dirty.ingest()["hired_employees.csv"]) == (3, 1, 0, 1, 1)
    assert told_states(dirty)["hired_employees.csv"] == "loaded with 1 refused"


def test_a_file_of_discarded_rows_only_is_loaded(boat: Boat) -> None:
    boat.write("departments.csv", "1,\nx,Sails\n")
    assert boat.ingest()["departments.csv"].state == "failed"
    first, _ = rowboat("rejects", "list")
    rowboat("rejects", "discard", "--id", str(first["id"]), "--because", WHY)
    assert boat.ingest()["departments.csv"].state == "failed"  # one row is open
    rowboat("rejects", "discard", "--because", WHY)
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert told_states(boat) == {"departments.csv": "loaded"}


def test_a_discarded_line_that_goes_on_is_judged_anew(boat: Boat) -> None:
    boat.write("departments.csv", '2,Oars\n1,"Sai')
    boat.ingest()
    assert rowboat("rejects", "discard", "--because", WHY)["discarded"] == 1
    boat.write("departments.csv", '2,Oars\n1,"Sails"\n')
    boat.ingest()
    assert boat.departments() == [(1, "Sails"), (2, "Oars")]
    assert rowboat("trace", "departments.csv:2")["state"] == "is the present row"
    assert boat.query("select version, rejected, discarded from ingest_status.ingest_status") == [
        (1, 0, 0)
    ]
    assert told_states(boat) == {"departments.csv": "loaded"}
