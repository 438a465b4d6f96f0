"""The quarantine at the console: groups, filters, rows exactly as they came, CSV, rights."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from urllib.parse import urlencode

import pytest

from api.console import quarantine
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.pages import words
from tests.support.quarantine import DEPARTMENTS, EMPLOYEES, address

SignIn = Callable[..., Visitor]


def test_groups_count_by_table_rule_and_column(signed_in: SignIn, refused: None) -> None:
    answer = signed_in("write").get("/quarantine")
    assert "5 rows could not be loaded" in words(answer)
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
    boat.ingest(boat.write("departments.csv", "id,department\nx,\n"))
    answer = signed_in().get("/quarantine")
    assert "1 row could not be loaded" in words(answer)
    assert re.findall(r">(type: id|required: department)<", answer.text) == [
        "required: department", "type: id",
    ]  # fmt: skip
    both = {"table": DEPARTMENTS, "rule": "type", "column": "department"}
    assert "There are no such refused rows" in words(
        signed_in().get(f"/quarantine?{urlencode(both)}")
    )


def test_a_fault_that_a_row_has_twice_counts_once(signed_in: SignIn, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n2\rx,Sails,y\n"))
    assert boat.query(
        "select jsonb_path_query_array(reasons, '$[*].rule') from ingest_status.rejected_rows"
    ) == [["shape", "shape"]]
    assert "hired_employees.departments shape 1 " in words(signed_in().get("/quarantine"))


def test_an_empty_quarantine_says_so(signed_in: SignIn, boat: Boat) -> None:
    assert "There are no refused rows" in words(signed_in().get("/quarantine"))


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
    text = words(signed_in().get(f"/quarantine?{urlencode(query)}"))
    assert [int(each) for each in re.findall(r"Correct \S+, line (\d+)", text)] == lines


def test_pages_meet_and_tell_how_many_there_are(signed_in: SignIn, refused: None) -> None:
    visitor, link, seen = signed_in(), "/quarantine?file=departments.csv&limit=2", []
    while link:
        answer = visitor.get(link)
        assert "3 rows in all, 2 per page" in words(answer)
        seen.append(re.findall(r"Correct \S+, line (\d+)", words(answer)))
        found = re.search(r'href="([^"]+)"[^>]*>Next 2<', answer.text)
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
    boat.ingest(boat.write("departments.csv", b"\n".join([b"id,department", *rows, b""])))
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
    boat.ingest(boat.write("departments.csv", f"id,department\nx,{text}\n"))
    visitor = signed_in()
    listed = visitor.get("/quarantine?file=departments.csv").text
    assert len(listed) < 50_000
    assert "<mark>" not in listed
    assert ">All 300,002 bytes</a>" in listed
    assert text in (page := visitor.get(address(boat, 2)).text)
    assert "too long for a form" in page


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
    boat.ingest(boat.write("departments.csv", "id,department\n=cmd(),x\n"))
    visitor = signed_in()
    assert b",=cmd()" not in visitor.get("/quarantine.csv").data.split(b"\r\n")[1][:20]
    assert visitor.get("/quarantine.csv").data.endswith(b',"=cmd(),x"\r\n')
    assert visitor.get("/quarantine.csv?safe=true").data.endswith(b',"\'=cmd(),x"\r\n')


def test_who_is_limited_to_tables_sees_only_their_rows(
    signed_in: SignIn, refused: None, boat: Boat
) -> None:
    visitor = signed_in("write", ["hired_employees"])
    text = words(visitor.get("/quarantine"))
    assert "2 rows could not" in text
    assert "departments" not in text.replace("department_id", "")
    assert "There are no such refused rows" in words(
        visitor.get("/quarantine?file=departments.csv")
    )
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
    text = words(visitor.get("/quarantine?table=a.gone"))
    assert "5 rows in all" in text
    assert "no longer exists" in text
    assert "cannot be corrected" in words(visitor.get(address(boat, 3)))
    for path in (f"{address(boat, 3)}/retry", "/quarantine/retry?table=a.gone"):
        assert visitor.post_form(path).status_code == 404
