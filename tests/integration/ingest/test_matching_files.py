"""Which files of raw_data belong to which table, and which to none."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.support.loading import problem

Declare = Callable[[str], None]


def test_file_of_no_table(boat: Boat) -> None:
    boat.write("invoices.csv", "1,a\n")
    assert problem(boat, "invoices.csv") == (
        "belongs to no table: its name begins with none of departments, jobs, hired_employees"
    )


def test_file_of_another_kind(boat: Boat) -> None:
    boat.write("departments.xlsx", "PK")
    assert problem(boat, "departments.xlsx") == (
        "does not end in .csv, .tsv, .txt, with or without .gz"
    )


def test_ambiguous_file(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("jobs.csv", "1\n")
    assert problem(boat, "jobs.csv") == (
        "belongs to hired_employees.jobs and s.jobs alike: put the schema in front of its name"
    )


def test_schema_in_front_of_the_name(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("s.jobs-may.csv", "7\n")
    boat.write("hired_employees.jobs/may.csv", "1,Cook\n")
    reports = boat.ingest()
    assert {name: each.table for name, each in reports.items()} == {
        "s.jobs-may.csv": "s.jobs",
        "hired_employees.jobs/may.csv": "hired_employees.jobs",
    }


@pytest.mark.parametrize(
    "name",
    [
        "departments-2021-02.csv",
        "Departments.CSV",
        "departments.tsv",
        "departments_new.txt",
        "departments/march.csv",
        "departments/2021/march.csv",
        "hired_employees.departments.csv",
    ],
)
def test_names_that_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert boat.ingest()[name].table == "hired_employees.departments"
    assert boat.departments() == [(1, "a")]


@pytest.mark.parametrize("name", ["departments2.csv", "the-departments.csv", "mydepartments/a.csv"])
def test_names_that_do_not_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert problem(boat, name).startswith("belongs to no table: ")


def test_hidden_and_unfinished_files_are_left_alone(boat: Boat) -> None:
    for name in (".departments.csv", "departments.csv.part", "departments.csv.tmp", "jobs.csv~"):
        boat.write(name, "1,a\n")
    assert boat.ingest() == {}
