"""Rows that tests of several resources need."""

import pytest

from tests.conftest import Boat
from tests.support import quarantine


@pytest.fixture
def parents(boat: Boat) -> None:
    """Departments 1 and 2, job 1."""
    boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b')")
    boat.query("insert into hired_employees.jobs values (1, 'j')")


@pytest.fixture
def employees(boat: Boat) -> None:
    """Six employees of three departments."""
    boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b,c'), (3, '=d')")
    boat.query("insert into hired_employees.jobs values (1, 'j')")
    boat.query(
        "insert into hired_employees.hired_employees"
        " select n, 'e' || n, '2021-01-01Z'::timestamptz + n * interval '1 day', 1 + n % 3, 1"
        " from generate_series(1, 6) as n"
    )


@pytest.fixture
def refused(boat: Boat) -> None:
    """Three refused departments, one of them not UTF-8, and two employees without parents."""
    quarantine.refuse(boat)
