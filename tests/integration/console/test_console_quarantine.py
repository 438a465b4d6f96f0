"""The pages of the quarantine: groups, rows exactly as they came, corrections, retries, CSV."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from api.console import quarantine
from rowboat.ingest import rejudge
from tests.conftest import Boat
from tests.integration.conftest import Visitor

SignIn = Callable[..., Visitor]
DEPARTMENTS, EMPLOYEES = "hired_employees.departments", "hired_employees.hired_employees"
ORPHANS = "1,Ann,2021-01-01T00:00:00Z,5,1\n2,Bo,2021-01-01T00:00:00Z,6,1\n"


@pytest.fixture
def refused(boat: Boat) -> None:
    """Three refused departments, one of them no UTF-8, and two employees without parents."""
    boat.ingest(boat.write("departments.csv", b"1,\n2,Oars\nx,Sails\n3,\xe9t\xe9\n"))
    boat.ingest(boat.write("jobs.csv", "1,Rower\n"))
    boat.ingest(boat.write("hired_employees.csv", ORPHANS))


def shown(answer: TestResponse) -> str:
    """Return a page without its tags, each run of blanks as one."""
    assert answer.status_code in (200, 422), answer.text
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", "<" + main)).split())


def row_id(boat: Boat, line: int, file: str = "departments.csv") -> int:
    """Return the id of the newest refused row of a line."""
    found: list[int] = boat.query(
        "select id from ingest_status.rejected_rows where source_name = %s and line = %s"
        " order by id desc", (file, line),
    )  # fmt: skip
    return found[0]


def address(boat: Boat, line: int, file: str = "departments.csv") -> str:
    """Return the address of that row's page."""
    return f"/quarantine/{row_id(boat, line, file)}"


def said(visitor: Visitor, answer: TestResponse) -> str:
    """Follow a form's answer and return what the next page says of it."""
    assert answer.status_code == 303, shown(answer)
    found = re.search(r'role="status">([^<]*)<', visitor.get(answer.location).text)
    assert found
    return unescape(found.group(1))


def settled(boat: Boat) -> list[Any]:
    """Return (raw, fields, how it was settled, by whom) of the rows that are."""
    return boat.query(
        "select convert_from(raw, 'LATIN1'), fields, settled_as, l.actor"
        " from ingest_status.rejected_rows as q"
        " left join ingest_status.loads as l on l.id = settled_by"
        " where settled_at is not null order by q.id"
    )


def test_groups_count_by_table_rule_and_column(signed_in: SignIn, refused: None) -> None:
    answer = signed_in("write").get("/quarantine")
    assert "5 rows could not be loaded" in shown(answer)
    groups = re.findall(r'<th scope="row"><a href="([^"]+)">([^<]+)</a></th>\s*'
                        r'<td class="number">(\d+)</td>', answer.text)  # fmt: skip
    assert [(unescape(link), words, n) for link, words, n in groups] == [
        (f"/quarantine?{urlencode({'table': table, 'rule': rule, 'column': column})}", words, n)
        for table, rule, column, words, n in [
            (DEPARTMENTS, "encoding", "", "encoding", "1"),
            (DEPARTMENTS, "required", "department", "required: department", "1"),
            (DEPARTMENTS, "type", "id", "type: id", "1"),
            (EMPLOYEES, "reference", "department_id", "reference: department_id", "2"),
        ]
    ]


def test_a_row_counts_once_in_each_of_its_groups(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "x,\n"))
    answer = signed_in().get("/quarantine")
    assert "1 row could not be loaded" in shown(answer)
    assert re.findall(r">(type: id|required: department)<", answer.text) == [
        "required: department", "type: id",
    ]  # fmt: skip
    both = {"table": DEPARTMENTS, "rule": "type", "column": "department"}
    assert "No refused row waits here" in shown(signed_in().get(f"/quarantine?{urlencode(both)}"))


def test_a_fault_that_a_row_has_twice_counts_once(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n2\rx,Sails,y\n"))
    assert boat.query(
        "select jsonb_path_query_array(reasons, '$[*].rule') from ingest_status.rejected_rows"
    ) == [["shape", "shape"]]
    assert "hired_employees.departments shape 1 " in shown(signed_in().get("/quarantine"))


def test_an_empty_quarantine_says_so(signed_in: SignIn, boat: Boat) -> None:
    assert "No refused row waits" in shown(signed_in().get("/quarantine"))


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ({"table": DEPARTMENTS}, [1, 3, 4]),
        ({"table": "departments"}, [1, 3, 4]),
        ({"table": DEPARTMENTS, "rule": "type", "column": "id"}, [3]),
        ({"rule": "encoding", "column": ""}, [4]),
        ({"rule": "type", "column": ""}, []),
        ({"file": "hired_employees.csv"}, [1, 2]),
        ({"column": "department"}, [1]),
        ({"table": "a.gone"}, []),
    ],
)  # fmt: skip
def test_filters_stand_in_the_address(
    signed_in: SignIn, refused: None, query: dict[str, str], lines: list[int]
) -> None:
    text = shown(signed_in().get(f"/quarantine?{urlencode(query)}"))
    assert [int(each) for each in re.findall(r"Correct \S+, line (\d+)", text)] == lines


def test_pages_meet_and_tell_how_many_there_are(signed_in: SignIn, refused: None) -> None:
    visitor, link, seen = signed_in(), "/quarantine?file=departments.csv&limit=2", []
    while link:
        answer = visitor.get(link)
        assert "3 rows in all, 2 a page" in shown(answer)
        seen.append(re.findall(r"Correct \S+, line (\d+)", shown(answer)))
        found = re.search(r'href="([^"]+)">Next 2<', answer.text)
        link = unescape(found.group(1)) if found else ""
    assert seen == [["1", "3"], ["4"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "after=-1", "tabel=x", "table=%00", "file=a&file=b"]
)
def test_what_cannot_be_asked_for(signed_in: SignIn, boat: Boat, query: str) -> None:
    answer = signed_in().get(f"/quarantine?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "text/html")


def test_text_is_shown_exactly(signed_in: SignIn, boat: Boat) -> None:
    rows = [
        b"x,<script>alert(1)</script>", "x,ש\u202eש".encode(), b"1,a\x00\tb", b"2,\xe9\\xe9",
        b'x,"two\nlines"', b"x," + b"w" * 10_000, b"x,cut\xc3", "\u202ex,a".encode(),
    ]  # fmt: skip
    boat.ingest(boat.write("departments.csv", b"\n".join(rows) + b"\n"))
    text = signed_in().get("/quarantine?file=departments.csv").text
    for part in (
        "x,&lt;script&gt;alert(1)&lt;/script&gt;", "x,ש<mark>U+202E</mark>ש",
        "1,a<mark>\\x00</mark><mark>\\t</mark>b", "2,<mark>\\xe9</mark>\\xe9<",
        "x,&#34;two<mark>\\n</mark>\nlines&#34;", "x," + "w" * 10_000 + "<",
        "10,002 bytes", "x,cut<mark>\\xc3</mark>",
        "&#39;<mark>U+202E</mark>x&#39; is not an integer",
    ):  # fmt: skip
        assert part in text
    assert "<script>alert" not in text


def test_a_very_long_row_is_whole_on_its_own_page(signed_in: SignIn, boat: Boat) -> None:
    text = "é" * 150_000
    boat.ingest(boat.write("departments.csv", f"x,{text}\n"))
    visitor = signed_in()
    listed = visitor.get("/quarantine?file=departments.csv").text
    assert len(listed) < 50_000
    assert "<mark>" not in listed
    assert ">All 300,002 bytes</a>" in listed
    assert text in (page := visitor.get(address(boat, 1)).text)
    assert "too long for a form" in page


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
        "departments.csv, line 3 went in as corrected: it is a new row."
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
    text = shown(visitor.get(address(boat, 3)))
    assert re.search(r"went in after all \d{4}-\S+ \S+ UTC , by a test", text), text
    assert "x,Sails" in text
    assert "As it went in id 5 department Seils" in text
    assert "Correct and retry" not in text
    assert "1 went in after all" in shown(visitor.get("/quarantine?table=departments"))
    again = visitor.post_form(address(boat, 3), **{"cell.id": "6", "cell.department": "Again"})
    assert said(visitor, again) == "It can no longer be corrected here."
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
    boat.ingest(boat.write("boats.csv", "x,Titanic\n"))
    cells = {"cell.id": "1", "cell.name": "Titanic"}
    answer = signed_in().post_form(address(boat, 1, "boats.csv"), **cells)
    assert answer.status_code == 422
    assert "nothing has changed. no such boat" in shown(answer)


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
        assert "nothing has changed" in shown(answer)


def test_bytes_of_another_code_page_are_offered_as_text(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor = signed_in()
    page = visitor.get(address(boat, 4))
    assert 'value="été"' in page.text
    assert "read as Windows-1252" in shown(page)
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
    assert "row 0" in shown(visitor.get(f"/quarantine/{first}"))
    cells = {"cell.id": "4", "cell.department": "Keel"}
    assert visitor.post_form(f"/quarantine/{first}", **cells).status_code == 303
    assert "&#34;departmnt&#34;" in visitor.get(f"/quarantine/{second}").text
    taken = visitor.post_form(f"/quarantine/{second}", line='{"id": 4, "department": "Mast"}')
    assert "id 4 is already in the table with other values" in shown(taken)
    wrong = visitor.post_form(f"/quarantine/{second}", line='{"id": 4, ')
    assert "the body is no JSON" in shown(wrong)
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
    assert "id 2 is already in the table with other values" in shown(answer)
    cells = {"cell.id": "1", "cell.department": "Oars and masts"}
    done = visitor.post_form(address(boat, 1, "departments-2.csv"), **cells)
    assert said(visitor, done).endswith("it updated the row of its key.")
    assert boat.departments() == [(1, "Oars and masts"), (2, "Sails")]
    assert boat.query(
        "select action, before -> 0 ->> 'department', after -> 0 ->> 'department'"
        " from rowboat.audit"
    ) == [("update", "Oars", "Oars and masts")]


def test_a_row_is_retried_unchanged(signed_in: SignIn, refused: None, boat: Boat) -> None:
    visitor, row = signed_in(), address(boat, 1, "hired_employees.csv")
    assert said(visitor, visitor.post_form(f"{row}/retry")).endswith("is still refused.")
    boat.query("insert into hired_employees.departments values (5, 'Five') returning id")
    assert said(visitor, visitor.post_form(f"{row}/retry")) == (
        "hired_employees.csv, line 1 went in after all."
    )
    assert boat.query("select id from hired_employees.hired_employees") == [1]


def test_a_group_is_retried_and_no_other_row(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("jobs.csv", "1,Rower\n"))
    boat.ingest(boat.write("hired_employees.csv", ORPHANS + "3,,2021-01-01T00:00:00Z,5,1\n4,Di\n"))
    boat.query("insert into hired_employees.departments values (5, 'Five') returning id")
    visitor = signed_in()
    group = f"table={EMPLOYEES}&rule=reference&column=department_id"
    assert "Retry all 3" in shown(visitor.get(f"/quarantine?{group}"))
    assert "1 of them could not be cut" in shown(visitor.get(f"/quarantine?table={EMPLOYEES}"))
    answer = visitor.post_form(f"/quarantine/retry?{group}")
    assert said(visitor, answer) == "Of 3 rows judged again 1 went in; 2 are still refused."
    assert boat.query("select id from hired_employees.hired_employees") == [1]
    text = shown(visitor.get("/quarantine"))
    assert "1 went in after all" in text
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
    assert "Of 2 rows judged again 2 went in; 0 are still refused. The others" in shown(page)
    form = re.search(r'action="([^"]*)">\s*<input[^>]*>\s*<button>Go on with the rest<', page.text)
    assert form
    visitor.post_form(unescape(form.group(1)))
    assert boat.query("select count(*) from hired_employees.hired_employees") == [3]


def test_the_csv_holds_what_is_shown_byte_for_byte(
    signed_in: SignIn, refused: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_AT_ONCE", 2)
    answer = signed_in().get("/quarantine.csv?table=departments")
    assert answer.content_type == "text/csv; charset=utf-8"
    text = answer.get_data().decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["table", "file", "line", "why", "reasons", "row"]
    assert [row[2] for row in rows[1:]] == ["1", "3", "4"]
    assert rows[3][5].encode("utf-8", "surrogateescape") == b"3,\xe9t\xe9"


def test_the_csv_for_spreadsheets_holds_no_formula(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "=cmd(),x\n"))
    visitor = signed_in()
    assert b",=cmd()" not in visitor.get("/quarantine.csv").data.split(b"\r\n")[1][:20]
    assert visitor.get("/quarantine.csv").data.endswith(b',"=cmd(),x"\r\n')
    assert visitor.get("/quarantine.csv?safe=true").data.endswith(b',"\'=cmd(),x"\r\n')


def test_who_is_limited_to_tables_sees_only_their_rows(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor = signed_in("write", ["hired_employees"])
    text = shown(visitor.get("/quarantine"))
    assert "2 rows could not" in text
    assert "departments" not in text.replace("department_id", "")
    assert "No refused row" in shown(visitor.get("/quarantine?file=departments.csv"))
    assert b"departments.csv" not in visitor.get("/quarantine.csv").data
    for answer in (
        visitor.get("/quarantine?table=departments"),
        visitor.get("/quarantine?table=a.gone"),
        visitor.get("/quarantine.csv?table=departments"),
        visitor.get(address(boat, 3)),
        visitor.post_form(address(boat, 3), **{"cell.id": "5"}),
        visitor.post_form(f"{address(boat, 3)}/retry"),
        visitor.post_form("/quarantine/retry?table=departments"),
    ):
        assert answer.status_code == 403
    assert boat.departments() == [(2, "Oars")]


def test_a_reader_and_a_forged_form_are_refused(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    reader, writer = signed_in("read"), signed_in("write")
    row = address(boat, 3)
    for path in ("/quarantine", "/quarantine.csv", row):
        assert reader.get(path).status_code == 403
    for path in (row, f"{row}/retry", "/quarantine/retry?table=departments"):
        assert reader.post_form(path).status_code == 403
        assert writer.post(path, data={"cell.id": "5"}).status_code == 403
    assert 'href="/quarantine"' not in reader.get("/").text


@pytest.mark.parametrize("path", ["/quarantine/999", "/quarantine/9223372036854775808"])
def test_there_is_no_such_row(signed_in: SignIn, boat: Boat, path: str) -> None:
    assert signed_in().get(path).status_code == 404


def test_rows_of_a_table_that_is_gone_are_shown(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    boat.query("update ingest_status.rejected_rows set table_name = 'a.gone' returning id")
    visitor = signed_in()
    text = shown(visitor.get("/quarantine?table=a.gone"))
    assert "5 rows in all" in text
    assert "no longer there" in text
    assert "cannot be corrected" in shown(visitor.get(address(boat, 3)))
    for path in (f"{address(boat, 3)}/retry", "/quarantine/retry?table=a.gone"):
        assert visitor.post_form(path).status_code == 404


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
    assert "was settled meanwhile" in answer.text
    assert boat.departments() == [(2, "Oars"), (5, "First")]


def test_a_corrected_row_can_be_traced(
    signed_in: SignIn, refused: None, client: Any, boat: Boat
) -> None:
    signed_in().post_form(address(boat, 3), **{"cell.id": "5", "cell.department": "Sails"})
    writer = client.get("/api/departments/5/trace").get_json()["writer"]
    assert (writer["file"], writer["line"]) == ("departments.csv", 3)


def test_a_retry_does_not_overwrite_what_a_request_found_taken(
    signed_in: SignIn, client: Any, boat: Boat
) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n"))
    assert client.post("/api/departments", json=[{"id": 1, "department": "No"}]).status_code == 422
    visitor = signed_in()
    answer = visitor.post_form(f"/quarantine/retry?table={DEPARTMENTS}")
    assert said(visitor, answer) == "Of 1 rows judged again 0 went in; 1 are still refused."
    assert boat.departments() == [(1, "Oars")]
