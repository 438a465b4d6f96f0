"""The pages of tables: the data dictionary, and rows by filters, order and pages."""

import html
import re
from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.integration.conftest import Visitor

SignedIn = Callable[..., Visitor]
Declare = Callable[[str], None]
SHELVES = """
create schema s;
create table s.shelves (code text primary key, note text);
comment on table s.shelves is 'Where things <stand>.';
comment on column s.shelves.note is 'What is on it.';
create table s.boxes (
    shelf text not null references s.shelves, n integer, size numeric check (size > 0),
    primary key (shelf, n)
);
comment on constraint boxes_size_check on s.boxes is 'size is above zero';
create table s.loose (a integer, place point);
"""


@pytest.fixture
def shelves(declare: Declare, boat: Boat) -> None:
    declare(SHELVES)
    boat.query(
        "insert into s.shelves select 'k' || g, case when g % 2 = 0 then 'n' || g end"
        " from generate_series(1, 9) as g"
    )
    boat.query("insert into s.boxes values ('k1', 1, 2.50), ('k1', 2, 10), ('k2', 1, 1)")


def ids(page: str) -> list[str]:
    """Return the keys of the rows that a page lists."""
    return [
        html.unescape(each) for each in re.findall(r'<td[^>]*><a href="[^"]*">([^<]*)</a>', page)
    ]


def link(page: str, words: str) -> str:
    """Return where a link of some words leads to."""
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>{words}', page)
    assert found, words
    return html.unescape(found[1])


def test_dictionary_tells_all_of_a_table(shelves: None, signed_in: SignedIn) -> None:
    page = signed_in("read").get("/tables").text
    assert "Where things &lt;stand&gt;." in page
    assert "What is on it." in page
    assert "size is above zero" in page
    assert 'href="#s.shelves"' in page
    assert re.search(r">\s*9 rows<", page)
    assert "<svg" in page


def test_dictionary_keeps_to_the_tables_of_a_key(shelves: None, signed_in: SignedIn) -> None:
    visitor = signed_in("read", ["s.boxes"])
    page = visitor.get("/tables").text
    assert 'id="s.boxes"' in page
    assert 'id="s.shelves"' not in page
    assert 'href="#s.shelves"' not in page
    assert visitor.get("/tables/s.shelves").status_code == 403
    assert "/tables/s.shelves/" not in visitor.get("/tables/boxes").text


def test_rows_are_those_of_the_api(shelves: None, signed_in: SignedIn) -> None:
    page = signed_in().get("/tables/shelves?note.null=false&order=-code&limit=3").text
    assert ids(page) == ["k8", "k6", "k4"]
    assert 'aria-sort="descending"' in page


def test_pages_lead_on_and_back(shelves: None, signed_in: SignedIn) -> None:
    visitor, seen = signed_in(), []
    address = "/tables/shelves?limit=4&order=code"
    for last in (False, False, True):
        page = visitor.get(address).text
        seen += ids(page)
        assert ("Next page" not in page) == last
        address = address if last else link(page, "Next page")
    assert seen == [f"k{n}" for n in range(1, 10)]
    assert ids(visitor.get(link(page, "First page")).text) == seen[:4]


def test_headings_order(shelves: None, signed_in: SignedIn) -> None:
    visitor = signed_in()
    once = link(visitor.get("/tables/shelves?note.prefix=n").text, "note<")
    assert ids(visitor.get(once).text)[0] == "k2"
    twice = link(visitor.get(once).text, "note<")
    assert ids(visitor.get(twice).text)[0] == "k8"
    assert "note.prefix=n" in twice


def test_form_becomes_the_parameters_of_the_api(shelves: None, signed_in: SignedIn) -> None:
    visitor = signed_in()
    lines = {".column": ["code", "note", "note", ""], ".comparison": ["gte", "given", "ne", "eq"],
             ".value": ["k3", "", "n4", ""]}  # fmt: skip
    answer = visitor.get("/tables/shelves", query_string=lines | {"count": "true", "limit": "2"})
    assert answer.status_code == 303
    page = visitor.get(answer.location).text
    assert ids(page) == ["k6", "k8"]
    assert "2 rows match the filters" in page
    assert answer.location.partition("?")[2] == (
        "code.gte=k3&note.null=false&note.ne=n4&count=true&limit=2"
    )
    assert page.count("<option selected>note</option>") == 2
    assert '<option value="given" selected>' in page
    assert 'value="n4"' in page


def test_faults_stand_beside_their_filters(shelves: None, signed_in: SignedIn) -> None:
    answer = signed_in().get("/tables/boxes?n.eq=x&strange=1&limit=0")
    assert answer.status_code == 422
    assert "&#39;x&#39; is not an integer" in answer.text
    assert answer.text.index("has no column") < answer.text.index('role="search"')
    assert "is not a positive integer" in answer.text
    assert re.search(r'value="x"[^>]*aria-describedby="error-1"', answer.text)


def test_csv_is_what_is_shown(shelves: None, boat: Boat, signed_in: SignedIn) -> None:
    boat.query("insert into s.shelves values ('=a', '=1+1')")
    visitor = signed_in("read")
    found = visitor.get(link(visitor.get("/tables/shelves?code.prefix==").text, "CSV of these 1"))
    assert found.text == "code,note\r\n'=a,'=1+1\r\n"


def test_values_are_text_and_long_ones_are_folded(
    shelves: None, boat: Boat, signed_in: SignedIn
) -> None:
    boat.query("insert into s.shelves values ('z', %s)", ["<script>" + "x" * 9992])
    page = signed_in().get("/tables/shelves?code=z").text
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
    assert "10,000 characters in all" in page
    assert "x" * 200 not in page


def test_null_is_told_from_text(shelves: None, boat: Boat, signed_in: SignedIn) -> None:
    boat.query("insert into s.shelves values ('t', 'NULL')")
    page = signed_in().get("/tables/shelves?code.in=t,k1").text
    assert page.count('<span class="null">NULL</span>') == 1


def test_keys_that_no_address_holds_are_no_links(
    shelves: None, boat: Boat, signed_in: SignedIn
) -> None:
    hard = ["a,b", "a/b", "..", ".", "new", ""]
    boat.query("delete from s.boxes; delete from s.shelves")
    boat.query("insert into s.shelves select unnest(%s)", [[*hard, "ä ?#%&", "<b>"]])
    visitor = signed_in()
    page = visitor.get("/tables/shelves").text
    assert sorted(ids(page)) == ["<b>", "ä ?#%&"]
    for each in ("ä ", "&lt;b"):
        assert visitor.get(link(page, each)).status_code == 200


def test_cells_lead_to_parents_and_keys_of_several_columns(
    shelves: None, signed_in: SignedIn
) -> None:
    visitor = signed_in()
    page = visitor.get("/tables/boxes").text
    assert 'href="/tables/s.boxes/k1,2"' in page
    assert visitor.get("/tables/s.boxes/k1,2").status_code == 200


def test_table_without_key_and_order(shelves: None, boat: Boat, signed_in: SignedIn) -> None:
    visitor = signed_in()
    assert "The table is empty" in visitor.get("/tables/loose").text
    boat.query("insert into s.loose select g, '(1,2)' from generate_series(1, 3) as g")
    page = visitor.get("/tables/loose?limit=2").text
    assert "so it has no next page" in page
    assert "order=place" not in page
    assert "No row matches the filters" in visitor.get("/tables/loose?a=9").text


def test_reader_sees_no_button(shelves: None, signed_in: SignedIn) -> None:
    assert "New row" not in signed_in("read").get("/tables/shelves").text
    assert "New row" in signed_in("write").get("/tables/shelves").text
