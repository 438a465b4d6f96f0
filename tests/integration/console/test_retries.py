"""Rejected rows judged again from the console: one, a group, a long group in steps."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from api.console import quarantine
from rowboat.ingest import rejudge
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.pages import said, words
from tests.support.quarantine import DEPARTMENTS, EMPLOYEES, ORPHANS, address

SignIn = Callable[..., Visitor]


def test_a_row_is_retried_unchanged(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor, row = signed_in(), address(boat, 1, "hired_employees.csv")
    assert said(visitor, visitor.post_form(f"{row}/retry")).endswith("is still refused.")
    boat.query("insert into hired_employees.departments values (5, 'Five') returning id")
    assert said(visitor, visitor.post_form(f"{row}/retry")) == (
        "hired_employees.csv, line 1 has been loaded."
    )
    assert boat.query("select id from hired_employees.hired_employees") == [1]


def test_a_group_is_retried_and_no_other_row(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("jobs.csv", "1,Rower\n"))
    boat.ingest(boat.write("hired_employees.csv", ORPHANS + "3,,2021-01-01T00:00:00Z,5,1\n4,Di\n"))
    boat.query("insert into hired_employees.departments values (5, 'Five') returning id")
    visitor = signed_in()
    group = f"table={EMPLOYEES}&rule=reference&column=department_id"
    assert "Retry all 3" in words(visitor.get(f"/quarantine?{group}"))
    assert "1 of them could not be split into cells" in words(
        visitor.get(f"/quarantine?table={EMPLOYEES}")
    )
    answer = visitor.post_form(f"/quarantine/retry?{group}")
    assert said(visitor, answer) == "3 rows judged again: 1 loaded, 2 still refused."
    assert boat.query("select id from hired_employees.hired_employees") == [1]
    text = words(visitor.get("/quarantine"))
    assert "1 loaded later" in text
    assert "required: employee_name 1" in text


def test_what_waited_for_a_retried_group_goes_in(
    signed_in: SignIn, boat: Boat, declare: Callable[[str], None]
) -> None:
    declare(
        "create schema lake; create table lake.lakes (id integer primary key);"
        "create table lake.boats (id integer primary key, lake integer references lake.lakes);"
        "create table lake.oars (id integer primary key, boat integer references lake.boats);"
    )
    boat.ingest(boat.write("boats.csv", "1,1\n"), boat.write("oars.csv", "1,1\n"))
    boat.query("insert into lake.lakes values (1)")
    assert signed_in().post_form("/quarantine/retry?table=lake.boats").status_code == 303
    assert boat.query("select id from lake.oars") == [1]


def test_a_long_retry_says_how_far_it_came_and_goes_on(
    signed_in: SignIn, refused: None, boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of one source pass together, so there are two."""
    boat.ingest(boat.write("hired_employees-2.csv", "3,Cy,2021-01-01T00:00:00Z,5,1\n"))
    boat.query("insert into hired_employees.departments values (5, 'F'), (6, 'S') returning id")
    monkeypatch.setattr(quarantine, "SECONDS", -1.0)
    monkeypatch.setattr(rejudge, "rejudge_children", lambda *_: None)
    visitor = signed_in()
    answer = visitor.post_form(f"/quarantine/retry?table={EMPLOYEES}")
    page = visitor.get(answer.location)
    assert "2 rows judged again: 2 loaded, 0 still refused. The others" in words(page)
    form = re.search(
        r'action="([^"]*)">\s*<input[^>]*>\s*<button>Continue with the rest<', page.text
    )
    assert form
    visitor.post_form(unescape(form.group(1)))
    assert boat.query("select count(*) from hired_employees.hired_employees") == [3]


def test_a_retry_does_not_overwrite_what_a_request_found_taken(
    signed_in: SignIn, client: Any, boat: Boat
) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n"))
    assert client.post("/api/departments", json=[{"id": 1, "department": "No"}]).status_code == 422
    visitor = signed_in()
    answer = visitor.post_form(f"/quarantine/retry?table={DEPARTMENTS}")
    assert said(visitor, answer) == "1 row judged again: 0 loaded, 1 still refused."
    assert boat.departments() == [(1, "Oars")]
