"""Rejected rows discarded at the console: one, or a group, with a reason."""

from collections.abc import Callable
from typing import Any

from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.pages import said, words
from tests.support.quarantine import DEPARTMENTS, EMPLOYEES, address

SignIn = Callable[..., Visitor]
WHY = "sent <twice>"


def discarded(boat: Boat) -> list[Any]:
    """Return (file, line, by whom, why) of the discarded rows."""
    return boat.query(
        "select source_name, line, discarded_by, discarded_because from ingest_status.rejected_rows"
        " where settled_as = 'discarded' order by source_name, line"
    )


def test_a_row_is_discarded_with_its_reason(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor, row = signed_in("write"), address(boat, 3)
    assert "Discard it" in words(visitor.get(row))
    answer = visitor.post_form(f"{row}/discard?table={DEPARTMENTS}", because=f" {WHY} ")
    assert answer.location == f"/quarantine?table={DEPARTMENTS}"
    assert said(visitor, answer) == "departments.csv, line 3 has been discarded."
    [key] = boat.query("select id from rowboat.keys")
    assert discarded(boat) == [("departments.csv", 3, key, WHY)]
    text = words(visitor.get(row))
    assert ", by a test: sent <twice>" in text
    assert "x,Sails" in text
    for form in ("Discard it", "Correct it"):
        assert form not in text
    assert "1 discarded" in words(visitor.get("/quarantine"))
    assert "3 rejected rows of departments.csv rejected, 1 of them discarded" in words(
        visitor.get("/file?name=departments.csv")
    )
    again = visitor.post_form(f"{row}/discard", because="again")
    assert said(visitor, again) == "This row can no longer be discarded."
    assert discarded(boat)[0][3] == WHY


def test_a_group_is_discarded_and_no_other_row(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor, group = signed_in(), f"table={EMPLOYEES}&rule=reference&column=department_id"
    page = visitor.get(f"/quarantine?{group}")
    assert "Discard all 2" in words(page)
    answer = visitor.post_form(f"/quarantine/discard?{group}", because=WHY, rows="2")
    assert said(visitor, answer) == "2 rows have been discarded."
    assert [each[:2] for each in discarded(boat)] == [
        ("hired_employees.csv", 1), ("hired_employees.csv", 2),
    ]  # fmt: skip
    assert len(boat.rejects()) == 3


def test_rows_that_were_not_shown_are_not_discarded(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor, group = signed_in(), f"/quarantine/discard?table={DEPARTMENTS}"
    for rows, status in (("2", 409), ("4", 409), ("x", 422)):
        answer = visitor.post_form(group, because=WHY, rows=rows)
        assert answer.status_code == status
    assert visitor.post_form("/quarantine/discard", because=WHY, rows="5").status_code == 422
    assert discarded(boat) == []


def test_a_reason_is_required(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor = signed_in()
    for path in (f"{address(boat, 3)}/discard", f"/quarantine/discard?table={DEPARTMENTS}"):
        for given in ({}, {"because": " "}, {"because": "\0"}):
            assert visitor.post_form(path, rows="3", **given).status_code == 422
    assert discarded(boat) == []


def test_who_may_discard(signed_in: SignIn, refused: None, boat: Boat) -> None:
    row, group = f"{address(boat, 3)}/discard", f"/quarantine/discard?table={DEPARTMENTS}"
    for visitor in (signed_in("read"), signed_in("write", ["hired_employees"])):
        for path in (row, group):
            assert visitor.post_form(path, because=WHY, rows="3").status_code == 403
    assert signed_in().post(row, data={"because": WHY}).status_code == 403
    assert discarded(boat) == []
    limited = signed_in("write", ["hired_employees"])
    by_file = "/quarantine/discard?file=departments.csv"
    assert limited.post_form(by_file, because=WHY, rows="3").status_code == 409


def test_rows_of_a_table_that_is_gone_are_discarded(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    boat.query("update ingest_status.rejected_rows set table_name = 'a.gone' returning id")
    visitor = signed_in()
    visitor.post_form(f"{address(boat, 3)}/discard", because=WHY)
    visitor.post_form("/quarantine/discard?table=a.gone", because=WHY, rows="4")
    assert len(discarded(boat)) == 5
