"""Metrics on the command line: table, CSV, JSON, the list, refusals."""

import csv
import io
import json
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner

from rowboat.cli import commands
from rowboat.metrics import definitions
from tests.conftest import Boat
from tests.support.figures import HIRES


def rowboat(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(commands.main, arguments, prog_name="rowboat")
    return done.exit_code, done.stdout_bytes.decode(), done.stderr


def test_metrics_on_the_line(crew: Boat) -> None:
    code, shown, _ = rowboat("metric", "quarters")
    assert code == 0
    lines = shown.splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["department", "job", "Q1", "Q2", "Q3", "Q4"],
        ["D", "J", "1", "0", "0", "0"],
        ["E", "K", "0", "1", "0", "0"],
    ]
    assert lines[-1].endswith(
        f"UTC; refused rows left out: {HIRES} 0, hired_employees.departments 0,"
        " hired_employees.jobs 0"
    )
    assert rowboat("metric", "quarters", "--format", "csv") == (
        0,
        "department,job,Q1,Q2,Q3,Q4\r\nD,J,1,0,0,0\r\nE,K,0,1,0,0\r\n",
        "",
    )
    for way in (["--json"], ["--format", "json"]):
        code, shown, said = rowboat("metric", "departments", "--set", "year=2021", *way)
        document = json.loads(shown)
        assert (code, said, document["metric"]) == (0, "", "departments")
        assert (document["parameters"], document["rows"]) == ({"year": 2021}, [])
        assert datetime.fromisoformat(document["as_of"]).utcoffset() == timedelta(0)


def test_other_years_and_wide_rows_on_the_line(crew: Boat) -> None:
    long = "L" * 300
    crew.query("update hired_employees.jobs set job = %s where id = 1", (long,))
    _, shown, _ = rowboat("metric", "quarters", "--format", "csv")
    assert [row[1] for row in csv.reader(io.StringIO(shown))] == ["job", long, "K"]
    code, shown, _ = rowboat("metric", "quarters", "--year", "2020", "--format", "csv")
    assert (code, shown) == (0, "department,job,Q1,Q2,Q3,Q4\r\n")


def test_the_list_on_the_line() -> None:
    code, shown, _ = rowboat("metric")
    assert code == 0
    assert "quarters: Hires by quarter\n" in shown
    assert "  year: The year of the hires. (default: 2021)\n" in shown
    _, shown, _ = rowboat("metric", "--json")
    assert json.loads(shown) == json.loads(
        json.dumps([each.document() for each in definitions.all_metrics().values()])
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 1, "there is no metric nothing\nHINT: `rowboat metric` lists them\n"),
        (["quarters", "--year", "0"], 1,
         "year is '0' and must be at least 1\nHINT: correct its value\n"),
        (["quarters", "--set", "yeer=1"], 1,
         "the metric quarters has no parameter 'yeer'\nHINT: it takes year\n"),
        (["quarters", "--set", "year"], 2, "Error: write --set NAME=VALUE\n"),
    ],
)  # fmt: skip
def test_refusals_on_the_line(boat: Boat, arguments: list[str], code: int, said: str) -> None:
    found, shown, complaint = rowboat("metric", *arguments)
    assert (found, shown) == (code, "")
    assert complaint.endswith(said)
