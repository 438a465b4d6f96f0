"""Rejected rows corrected at the console, cell by cell or as one line."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from api.console import quarantine
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.pages import said, words
from tests.support.quarantine import address

SignIn = Callable[..., Visitor]


def settled(boat: Boat) -> list[Any]:
    """Return (raw, fields, how it was settled, by whom) of the rows that are."""
    return boat.query(
        "select convert_from(raw, 'LATIN1'), fields, settled_as, l.actor"
        " from ingest_status.rejected_rows as q"
        " left join ingest_status.loads as l on l.id = settled_by"
        " where settled_at is not null order by q.id"
    )


def test_a_row_is_corrected_cell_by_cell(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor = signed_in("write")
    page = visitor.get(address(boat, 3) + "?file=departments.csv").text
    assert re.findall(r'name="cell\.(\w+)" value="([^"]*)"', page) == [
        ("id", "x"), ("department", "Sails"),
    ]  # fmt: skip
    answer = visitor.post_form(
        address(boat, 3) + "?file=departments.csv",
        **{"cell.id": "5", "cell.department": "Sails"},
    )
    assert answer.location == "/quarantine?file=departments.csv"
    assert said(visitor, answer) == (
        "departments.csv, line 3 has been loaded as corrected: it is a new row."
    )
    assert boat.departments() == [(2, "Oars"), (5, "Sails")]
    [actor] = boat.query("select id from rowboat.keys")
    assert settled(boat)[0] == (
        "x,Sails", {"id": "5", "department": "Sails"}, "loaded", actor,
    )  # fmt: skip
    assert boat.query("select actor, action, after -> 0 ->> 'id' from rowboat.audit") == [
        (actor, "insert", "5")
    ]
    assert boat.query(
        "select inserted, rejected from ingest_status.ingest_status"
        " where file_name = 'departments.csv'"
    ) == [(2, 2)]


def test_what_waited_for_a_corrected_row_goes_in(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    cells = {"cell.id": "5", "cell.department": "Sails"}
    assert signed_in().post_form(address(boat, 3), **cells).status_code == 303
    assert boat.query("select id from hired_employees.hired_employees") == [1]


def test_a_settled_row_tells_how_and_by_whom(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor = signed_in()
    visitor.post_form(address(boat, 3), **{"cell.id": "5", "cell.department": "Seils"})
    text = words(visitor.get(address(boat, 3)))
    assert re.search(r"loaded later \d{4}-\S+ \S+ UTC , by a test", text), text
    assert "x,Sails" in text
    assert "As it was loaded id 5 department Seils" in text
    assert "Correct and retry" not in text
    assert "1 loaded later" in words(visitor.get("/quarantine?table=departments"))
    again = visitor.post_form(address(boat, 3), **{"cell.id": "6", "cell.department": "Again"})
    assert said(visitor, again) == "This row can no longer be corrected here."
    assert boat.departments() == [(2, "Oars"), (5, "Seils")]


def test_refused_again_nothing_is_lost(signed_in: SignIn, refused: None, boat: Boat) -> None:
    before = boat.rejects()
    answer = signed_in().post_form(address(boat, 3), **{"cell.id": "7.5", "cell.department": " "})
    assert answer.status_code == 422
    assert re.findall(r'name="cell\.(\w+)" value="([^"]*)"', answer.text) == [
        ("id", "7.5"), ("department", " "),
    ]  # fmt: skip
    assert re.findall(r'id="(cell-\d)-error">([^<]*)<', answer.text) == [
        ("cell-1", "&#39;7.5&#39; is not an integer"), ("cell-2", "department is blank"),
    ]  # fmt: skip
    assert 'aria-describedby="cell-1-error cell-1-hint" aria-invalid="true"' in answer.text
    assert (boat.rejects(), boat.departments()) == (before, [(2, "Oars")])
    assert boat.query("select count(*) from rowboat.audit") == [0]


def test_a_rule_that_only_the_database_knows(
    signed_in: SignIn, boat: Boat, declare: Callable[[str], None]
) -> None:
    declare(
        "create schema lake; create table lake.boats (id integer primary key, name text);"
        "create function lake.no() returns trigger language plpgsql as $$ begin"
        " if new.name = 'Titanic' then raise exception 'no such boat'; end if;"
        " return new; end $$;"
        "create trigger no before insert on lake.boats for each row execute function lake.no();"
    )
    boat.ingest(boat.write("boats.csv", "id,name\nx,Titanic\n"))
    cells = {"cell.id": "1", "cell.name": "Titanic"}
    answer = signed_in().post_form(address(boat, 2, "boats.csv"), **cells)
    assert answer.status_code == 422
    assert "nothing was changed. no such boat" in words(answer)


@pytest.mark.parametrize(
    ("line", "sent", "status", "departments"),
    [
        ("8,Masts", {"line": "8,Masts"}, 303, [(2, "Oars"), (8, "Masts")]),
        ("8", {"line": "8,"}, 422, [(2, "Oars")]),
        ("8", {"line": "8,a,b"}, 422, [(2, "Oars")]),
        ("8", {"line": "8,a\r\n9,b"}, 422, [(2, "Oars")]),
        ("8", {"line": ""}, 422, [(2, "Oars")]),
        ("8", {"line": '8,"a'}, 422, [(2, "Oars")]),
        ("8", {"line": "8,\0"}, 422, [(2, "Oars")]),
    ],
)
def test_what_cannot_be_cut_is_corrected_as_one_line(
    signed_in: SignIn, boat: Boat, line: str, sent: dict[str, str], status: int, departments: Any
) -> None:
    boat.ingest(boat.write("departments.csv", "2,Oars\n8\n"))
    visitor = signed_in()
    page = visitor.get(address(boat, 2)).text
    assert ">\n8</textarea>" in page
    assert "Columns: id, department" in page
    answer = visitor.post_form(address(boat, 2), **sent)
    assert (answer.status_code, boat.departments()) == (status, departments)
    if status == 422:
        typed = unescape(answer.text.partition("<textarea")[2].partition(">\n")[2])
        assert typed.startswith(sent["line"] + "</textarea>")
        assert "nothing was changed" in words(answer)


def test_bytes_of_another_code_page_are_offered_as_text(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor = signed_in()
    page = visitor.get(address(boat, 4))
    assert 'value="été"' in page.text
    assert "read as Windows-1252" in words(page)
    visitor.post_form(address(boat, 4), **{"cell.id": "3", "cell.department": "été"})
    assert boat.departments() == [(2, "Oars"), (3, "été")]
    assert settled(boat)[0][0] == "3,été"  # its bytes, read as Latin-1


def test_cells_stand_in_the_order_of_the_file_and_keep_their_newlines(
    signed_in: SignIn, boat: Boat
) -> None:
    boat.ingest(boat.write("departments.csv", 'department;id\n"a\nb";x\n'))
    visitor = signed_in()
    page = visitor.get(address(boat, 2)).text
    assert re.findall(r'name="cell\.(\w+)"', page) == ["department", "id"]
    visitor.post_form(address(boat, 2), **{"cell.department": "a\r\nb", "cell.id": "1"})
    assert boat.departments() == [(1, "a\nb")]


def test_rows_of_a_request_are_corrected_too(signed_in: SignIn, client: Any, boat: Boat) -> None:
    rows = [{"id": "x", "department": "Keel"}, {"id": 4, "departmnt": "Mast"}, 5]
    client.post("/api/departments", json=rows)
    [first, second, third] = boat.query("select id from ingest_status.rejected_rows order by id")
    visitor = signed_in()
    assert "row 0" in words(visitor.get(f"/quarantine/{first}"))
    cells = {"cell.id": "4", "cell.department": "Keel"}
    assert visitor.post_form(f"/quarantine/{first}", **cells).status_code == 303
    assert "&#34;departmnt&#34;" in visitor.get(f"/quarantine/{second}").text
    taken = visitor.post_form(f"/quarantine/{second}", line='{"id": 4, "department": "Mast"}')
    assert "id 4 is already in the table with other values" in words(taken)
    wrong = visitor.post_form(f"/quarantine/{second}", line='{"id": 4, ')
    assert "the body is not JSON" in words(wrong)
    fine = visitor.post_form(f"/quarantine/{second}", line='{"id": 6, "department": "Mast"}')
    other = visitor.post_form(f"/quarantine/{third}", line='{"department": "Stern"}')
    assert (fine.status_code, other.status_code) == (303, 303)
    assert boat.departments() == [(4, "Keel"), (6, "Mast"), (7, "Stern")]


def test_a_correction_updates_only_the_row_of_its_own_key(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n2,Sails\n"))
    boat.ingest(boat.write("departments-2.csv", "1, \n3, \n"))
    visitor = signed_in()
    stolen = {"cell.id": "2", "cell.department": "Masts"}
    answer = visitor.post_form(address(boat, 2, "departments-2.csv"), **stolen)
    assert "id 2 is already in the table with other values" in words(answer)
    cells = {"cell.id": "1", "cell.department": "Oars and masts"}
    done = visitor.post_form(address(boat, 1, "departments-2.csv"), **cells)
    assert said(visitor, done).endswith("it updated the row with its key.")
    assert boat.departments() == [(1, "Oars and masts"), (2, "Sails")]
    assert boat.query(
        "select action, before -> 0 ->> 'department', after -> 0 ->> 'department'"
        " from rowboat.audit"
    ) == [("update", "Oars", "Oars and masts")]


def test_two_who_correct_one_row_let_it_in_once(
    signed_in: SignIn, refused: None, boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second had the page open before the first was done."""
    first, second = signed_in(), signed_in()
    row, work = address(boat, 3), quarantine.writing

    def after_another(*given: Any) -> Any:
        monkeypatch.setattr(quarantine, "writing", work)
        first.post_form(row, **{"cell.id": "5", "cell.department": "First"})
        return work(*given)

    monkeypatch.setattr(quarantine, "writing", after_another)
    answer = second.post_form(row, **{"cell.id": "6", "cell.department": "Second"})
    assert answer.status_code == 404
    assert "has been settled meanwhile" in answer.text
    assert boat.departments() == [(2, "Oars"), (5, "First")]


def test_a_corrected_row_can_be_traced(
    signed_in: SignIn, refused: None, client: Any, boat: Boat
) -> None:
    signed_in().post_form(address(boat, 3), **{"cell.id": "5", "cell.department": "Sails"})
    writer = client.get("/api/departments/5/trace").get_json()["writer"]
    assert (writer["file"], writer["line"]) == ("departments.csv", 3)
