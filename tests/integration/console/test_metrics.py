"""The console's metrics: years, figures, what is left out, and pages that no metric takes down."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from api.actions import metrics
from rowboat.metrics import charts, definitions, figures
from tests.acceptance.conftest import CHALLENGE
from tests.conftest import Boat
from tests.integration.conftest import Visitor

SignIn = Callable[..., Visitor]
HIRES, PARENTS, JOBS = (f"hired_employees.{t}" for t in ("hired_employees", "departments", "jobs"))
HEAD = f"-- title: Other\n-- about: More.\n-- tables: {PARENTS}\n"
ASKING = f"""{HEAD}-- param: day date 2000-01-01.. | A day.
-- param: word text ..3 = é | A word.
-- param: least_id integer 1..9 = 1 | From which id.
select %(day)s::date as day, %(word)s::text as word, id, department
from {PARENTS} where id >= %(least_id)s
"""


@pytest.fixture
def hires(boat: Boat) -> Boat:
    boat.query(f"insert into {PARENTS} values (1, 'D'), (2, 'E'), (3, 'F')")
    boat.query(f"insert into {JOBS} values (1, 'J')")
    boat.query(
        f"insert into {HIRES} values (1, 'A', '2021-01-01Z', 1, 1), (2, 'B', '2021-04-01Z', 2, 1),"
        " (3, 'C', '2019-12-31T23:30-01:00', 3, 1), (4, 'D', 'infinity', 3, 1)"
    )
    return boat


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Write a metric beside the product's own, or in place of one."""
    folder = tmp_path / "sql" / "metrics"
    folder.mkdir(parents=True)
    for path in (definitions.SQL_FOLDER / "metrics").glob("*.sql"):
        (folder / path.name).write_text(path.read_text())
    monkeypatch.setattr(definitions, "SQL_FOLDER", folder.parent)

    def put(name: str, text: str) -> None:
        (folder / f"{name}.sql").write_text(text)
        definitions.all_metrics.cache_clear()

    yield put
    definitions.all_metrics.cache_clear()


def page(visitor: Visitor, address: str, status: int = 200) -> str:
    """Return a page that breaks none of its own rules."""
    answer = visitor.get(address)
    assert answer.status_code == status, answer.text
    assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<style|<script(?! src)|\s(style|on\w+)=", answer.text)
    assert answer.text.count("<h1") == 1
    ids = re.findall(r'\sid="([^"]*)"', answer.text)
    assert len(ids) == len(set(ids))
    assert {each for of in re.findall(r'aria-\w+by="([^"]*)"', answer.text) for each in of.split()
            } <= set(ids)  # fmt: skip
    return answer.text


def plain(text: str) -> str:
    """Return what a part of a page says."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", text)).split())


def section(text: str, name: str) -> str:
    """Return the part of the page that shows a metric."""
    return text.partition(f'<section class="metric" aria-labelledby="metric-{name}">')[2].partition(
        "</section>"
    )[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the only table."""
    [body] = re.findall("<tbody>(.*?)</tbody>", text, re.DOTALL)
    lines = re.findall("<tr>(.*?)</tr>", body, re.DOTALL)
    return [list(map(plain, re.findall("<td[^>]*>(.*?)</td>", line, re.DOTALL))) for line in lines]


def options(text: str) -> list[str]:
    """Return what the first choice offers; what is chosen has a star."""
    [choice] = re.findall("<select.*?</select>", text, re.DOTALL)[:1]
    found = re.findall("<option([^>]*)>(.*?)</option>", choice)
    return [value + "*" * ("selected" in marks) for marks, value in found]


# Both metrics


@pytest.mark.skipif(not CHALLENGE.is_dir(), reason=f"the real files are not in {CHALLENGE}")
def test_real_files(boat: Boat, signed_in: SignIn) -> None:
    for path in CHALLENGE.glob("*.csv"):
        boat.write(path.name, path.read_bytes())
    boat.ingest()
    visitor = signed_in("write")
    text = page(visitor, "/?year=2021")
    above = rows(section(text, "departments"))
    assert (len(above), above[0], above[-1]) == (
        7,
        ["8", "Support", "216"],
        ["9", "Marketing", "142"],
    )
    few = section(text, "quarters")
    assert len(rows(few)) == 15
    assert 'The first 15 of 933 rows. <a href="/metric/quarters?year=2021">All 933 rows</a>' in (
        " ".join(few.split())
    )
    assert f'<a href="/quarantine?table={HIRES}">70 quarantined rows of {HIRES}</a>' in few
    every = rows(page(visitor, "/metric/quarters?year=2021"))
    assert every[:15] == rows(few)
    assert len(every) == 933
    assert [sum(int(row[at]) for row in every) for at in range(2, 6)] == [249, 454, 453, 487]


def test_what_a_metric_has_on_the_page(hires: Boat, signed_in: SignIn) -> None:
    visitor = signed_in("read")
    text = page(visitor, "/")
    assert re.findall(r"<h2.*?>(?:<a[^>]*>)?(.*?)<", text) == [
        "Departments above the mean", "Hires by quarter",
    ]  # fmt: skip
    part = section(text, "quarters")
    assert rows(part) == [["D", "J", "1", "0", "0", "0"], ["E", "J", "0", "1", "0", "0"]]
    assert "<svg" in part
    assert "2 rows" in plain(part)
    [written] = re.findall(r'<time datetime="(.*?)"', part)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(written)).total_seconds()) < 60
    assert "no quarantined rows" in part
    [definition] = re.findall("<details.*?</details>", part, re.DOTALL)
    assert "with quarter as materialized (" in definition
    assert f"{HIRES}, {PARENTS}, {JOBS}" in definition
    assert "The year of the hires." in definition
    links = dict(reversed(each) for each in re.findall(r'<a href="(/api/[^"]*)">(\w+)<', part))
    assert {name: unescape(address) for name, address in links.items()} == {
        "CSV": "/api/metrics/quarters?year=2021&format=csv&safe=true",
        "XLSX": "/api/metrics/quarters?year=2021&format=xlsx",
        "PNG": "/api/metrics/quarters?year=2021&format=png",
    }
    for name, address in links.items():
        answer = visitor.get(unescape(address))
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"] == (
            f"attachment; filename=quarters-2021.{name.lower()}"
        )


def test_who_is_not_signed_in(boat: Boat, visitor: Visitor) -> None:
    for address in ("/", "/metric/quarters"):
        answer = visitor.get(address)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")


# Years


def test_years_that_have_rows(hires: Boat, signed_in: SignIn) -> None:
    visitor = signed_in("read")
    assert options(page(visitor, "/")) == ["2021*", "2020"]
    text = page(visitor, "/?year=2020")
    assert options(text) == ["2021", "2020*"]
    assert rows(section(text, "quarters")) == [["F", "J", "1", "0", "0", "0"]]
    assert "year=2020" in section(text, "quarters")
    hires.query(f"delete from {HIRES} where id < 3")
    text = page(visitor, "/")
    assert options(text) == ["2020*"]  # the default has no rows now
    assert rows(section(text, "quarters")) == [["F", "J", "1", "0", "0", "0"]]
    assert options(page(visitor, "/metric/quarters")) == ["2020*"]


def test_a_year_without_rows(hires: Boat, signed_in: SignIn) -> None:
    text = page(signed_in("read"), "/?year=1999")
    assert options(text) == ["1999*", "2021", "2020"]
    for name in ("departments", "quarters"):
        part = section(text, name)
        assert "There are no rows for these parameters" in part
        assert "Year 1999 · as of" in plain(part)
        assert "<svg" not in part


def test_no_rows_at_all(boat: Boat, signed_in: SignIn) -> None:
    text = page(signed_in("read"), "/")
    assert "<select" not in text
    assert re.search(r'<input id="picker" name="year" type="number" value="2021"', text)
    assert text.count("There are no rows for these parameters") == 2


def test_years_within_bounds_and_of_any_times(
    hires: Boat, signed_in: SignIn, write: Callable[[str, str], None],
    declare: Callable[[str], None],
) -> None:  # fmt: skip
    declare('create schema s; create table s."T" (d date, "At" timestamp)')
    hires.query(
        """insert into s."T" values ('2021-01-01', '1999-12-31 23:59'), (null, '0044-03-15 BC'),
        ('infinity', '-infinity'), ('2010-01-01', '2011-01-01')"""
    )
    for at, (column, bounds, known) in enumerate(
        (
            ("d", "", ["2021*", "2010"]),
            ("At", "", ["2011*", "1999", "-44"]),
            ("At", "1..", ["2011*", "1999"]),
            ("At", "..1999", ["1999*", "-44"]),
            ("At", "2012..2013", None),
        )
    ):
        write(
            f"m{at}",
            "-- title: M\n-- about: A.\n-- tables: s.T\n"
            f"-- param: year integer {bounds} | Y.\n-- years: s.T.{column}\nselect %(year)s as y",
        )
        text = page(signed_in("read"), f"/metric/m{at}")
        assert ("<select" in text and options(text)) == (known or False)


def test_a_column_of_no_years(
    hires: Boat, signed_in: SignIn, write: Callable[[str, str], None]
) -> None:
    """The picker has the years of the others; the metric is there all the same."""
    for column in ("nowhere", "department"):
        write(
            f"m_{column}",
            f"{HEAD}-- param: year integer = 2021 | Y.\n-- years: {PARENTS}.{column}\n"
            "select %(year)s as y",
        )
        text = page(signed_in("read"), "/")
        assert options(text) == ["2021*", "2020"]
        assert rows(section(text, f"m_{column}")) == [["2021"]]


# What is given


def test_a_refused_year(hires: Boat, signed_in: SignIn, write: Callable[[str, str], None]) -> None:
    write("yearless", f"{HEAD}select count(*) from {PARENTS}")
    visitor = signed_in("read")
    for given, said in (
        ("year=abc", "year is 'abc' and must be an integer in digits"),
        ("year=0", "year is '0' and must be at least 1"),
        ("year=2021&year=2020", "year is given twice"),
        ("year=%3Cscript%3E", "year is '<script>' and must be an integer in digits"),
    ):
        text = page(visitor, f"/?{given}")
        [told] = re.findall('<span class="error" id="picker-error">(.*?)</span>', text)
        assert unescape(told) == said
        assert re.search('<select id="picker"[^>]* aria-invalid="true"', text)
        if "twice" not in said:
            assert f"No figures: {said}." in plain(section(text, "quarters"))
        assert rows(section(text, "yearless")) == [["3"]]
        own = page(visitor, f"/metric/quarters?{given}")
        [told] = re.findall('<span class="error" id="quarters-year-error">(.*?)</span>', own)
        assert unescape(told) == said
        assert "<svg" not in own
    assert options(page(visitor, "/?year=")) == ["2021*", "2020"]


def test_other_parameters(
    hires: Boat, signed_in: SignIn, write: Callable[[str, str], None]
) -> None:
    write("asking", ASKING)
    visitor = signed_in("read")
    part = section(page(visitor, "/"), "asking")
    assert 'action="/metric/asking"' in part
    assert "No figures: enter a value for Day." in plain(part)
    text = page(visitor, "/metric/asking?day=2021-02-03&word=&least_id=2")
    assert rows(text) == [["2021-02-03", "", "2", "E"], ["2021-02-03", "", "3", "F"]]
    assert "Day 2021-02-03 · Word · Least id 2 · as of" in plain(text)
    assert re.search(r'name="day" type="date" value="2021-02-03"\s+min="2000-01-01"', text)
    assert re.search(r'name="word" type="text" value=""\s+maxlength="3"', text)
    assert re.search(r'name="least_id" type="number" value="2"\s+min="1"\s+max="9"', text)
    assert '<label for="asking-least_id">Least id</label>' in text
    assert "/api/metrics/asking?day=2021-02-03&amp;word=&amp;least_id=2&amp;format=xlsx" in text
    assert "format=png" not in text
    text = page(visitor, "/metric/asking?day=2021-02-30&word=long&least_id=")
    errors = re.findall('<span class="error" id="asking-(.*?)-error">(.*?)</span>', text)
    assert [(name, unescape(said)) for name, said in errors] == [
        ("day", "day is '2021-02-30' and must be a date such as 2021-02-28"),
        ("word", "word is 'long' and must be of at most 3 characters"),
    ]
    assert 'value="2021-02-30"' in text  # as it was written, to be corrected
    assert "<table" not in text


# What is left out, and who sees what


@pytest.mark.parametrize("scope", ["read", "write", "operate"])
def test_left_out(hires: Boat, signed_in: SignIn, scope: str) -> None:
    visitor = signed_in(scope)
    page(visitor, "/")
    hires.write("departments.csv", "8,\n9,\n")
    hires.write("jobs.csv", "9,\n")
    hires.ingest()
    said = plain(section(page(visitor, "/"), "quarters"))
    assert f"without 2 quarantined rows of {PARENTS}" in said
    assert f"without 1 quarantined row of {JOBS}" in said
    links = re.findall(r'href="(/quarantine[^"]*)"', section(page(visitor, "/"), "quarters"))
    expected = [f"/quarantine?table={PARENTS}", f"/quarantine?table={JOBS}"]
    assert links == ([] if scope == "read" else expected)


@pytest.mark.parametrize(
    ("tables", "seen"),
    [([HIRES, PARENTS, JOBS], ["departments", "quarters"]), ([HIRES, PARENTS], ["departments"]),
     ([JOBS], [])],
)  # fmt: skip
def test_keys_of_some_tables(
    hires: Boat, signed_in: SignIn, tables: list[str], seen: list[str]
) -> None:
    page(signed_in("read"), "/")  # what others saw before is no way in
    visitor = signed_in("read", tables)
    text = page(visitor, "/")
    assert re.findall('id="metric-(.*?)"', text) == seen
    assert ("There are no metrics that your key may see" in text) is (not seen)
    for name in ("departments", "quarters"):
        page(visitor, f"/metric/{name}", 200 if name in seen else 403)
    assert "there is no metric nothing" in page(visitor, "/metric/nothing", 404)


# What cannot be shown


BAD = {
    "statement": (f"{HEAD}select 1 / count(*) from {PARENTS} where false", "division by zero"),
    "unknown": (f"{HEAD}select nothing from {PARENTS}", "the service failed"),
    "chart": (
        f"{HEAD}-- chart: bars x=department y=many\nselect department, 1 as few from {PARENTS}",
        "The chart cannot be drawn: it uses the column many, which does not exist.",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_metric(
    hires: Boat, signed_in: SignIn, write: Callable[[str, str], None], kind: str
) -> None:
    """It says so in its place; the others, above and below, are as they were."""
    statement, said = BAD[kind]
    write("do_not", statement)
    visitor = signed_in("read")
    text = page(visitor, "/")
    assert re.findall('id="metric-(.*?)"', text) == ["departments", "do_not", "quarters"]
    assert said in plain(section(text, "do_not"))
    assert len(rows(section(text, "quarters"))) == 2
    assert said in plain(page(visitor, "/metric/do_not"))
    if kind == "chart":
        assert rows(section(text, "do_not")) == [[name, "1"] for name in "DEF"]
        assert "format=png" not in section(text, "do_not")
        answer = visitor.get("/api/metrics/do_not?format=png")
        assert (answer.status_code, answer.json["detail"]) == (
            406, "the chart uses the column many, which does not exist",
        )  # fmt: skip


def test_hostile_names(hires: Boat, signed_in: SignIn) -> None:
    names = ["<script>alert(1)</script>", "=cmd()", "\u202eright to left \u0634", "x" * 10_000]
    hires.query(f"delete from {PARENTS}")
    for at, name in enumerate(names, start=1):
        hires.query(f"insert into {PARENTS} values (%s, %s)", (at, name))
        hires.query(f"insert into {HIRES} values (%s, 'A', '2021-01-01Z', %s, 1)", (at, at))
    text = page(signed_in("read"), "/")
    assert sorted(row[0] for row in rows(section(text, "quarters"))) == sorted(names)
    assert "<script>alert" not in text


def test_long_tables(hires: Boat, signed_in: SignIn, write: Callable[[str, str], None]) -> None:
    write("many", f"{HEAD}-- param: n integer = 16 | N.\nselect generate_series(1, %(n)s) as n")
    visitor = signed_in("read")
    part = section(page(visitor, "/"), "many")
    assert rows(part) == [[str(n)] for n in range(1, 16)]
    assert 'of 16 rows. <a href="/metric/many?n=16">All 16 rows</a>' in part
    text = page(visitor, "/metric/many?n=5000")
    assert len(rows(text)) == 5000
    assert ">5,000 rows<" in text
    text = page(visitor, "/metric/many?n=5001")
    assert len(rows(text)) == 5000
    assert "The first 5,000 of 5,001 rows. The CSV file contains all." in plain(text)


def test_columns_of_numbers(
    hires: Boat, signed_in: SignIn, write: Callable[[str, str], None]
) -> None:
    write(
        "m",
        f"{HEAD}select 1.5 as a, null::integer as b, true as c, '1' as d, 2 as e"
        f" union all select 'NaN', 7, null, null, null from {PARENTS} where id = 1",
    )
    text = page(signed_in("read"), "/metric/m")
    assert re.findall(r'<th scope="col"( class="number")?>(\w)', text) == [
        (' class="number"', "a"), (' class="number"', "b"), ("", "c"), ("", "d"),
        (' class="number"', "e"),
    ]  # fmt: skip
    assert rows(text) == [["1.5", "NULL", "true", "1", "2"], ["NaN", "7", "NULL", "NULL", "NULL"]]


# The cache


def test_what_holds_is_made_once(
    hires: Boat, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counting(of: Any, name: str) -> None:
        work = getattr(of, name)

        def count(*arguments: Any) -> Any:
            made.append(name)
            return work(*arguments)

        monkeypatch.setattr(of, name, count)

    counting(metrics, "compute_figures")
    for name in ("chart_svg", "chart_png"):
        counting(charts, name)
    first, second = signed_in("read"), signed_in("operate")
    pages = [page(each, "/") for each in (first, second, first)]
    assert made == ["compute_figures", "chart_svg"] * 2
    assert len({section(each, "quarters").partition("<svg")[2] for each in pages}) == 1
    made.clear()
    pictures = {each.get("/api/2021/quarters?format=png").data for each in (first, second)}
    assert made == ["compute_figures", "chart_png"]
    assert len(pictures) == 1
    made.clear()
    hires.query(f"update {JOBS} set job = 'K'")
    assert rows(section(page(first, "/"), "quarters"))[0][1] == "K"
    page(second, "/")
    # not those of the metric that reads no such table
    assert made == ["compute_figures", "chart_svg"]
    made.clear()
    hires.query(f"insert into {HIRES} values (9, 'A', '2015-06-01Z', 1, 1)")
    assert options(page(first, "/")) == ["2021*", "2020", "2015"]


def test_years_are_read_once(
    hires: Boat, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.console import metrics

    asked: list[str] = []

    def years(cursor: Any, metric: Any) -> list[int]:
        asked.append(metric.name)
        return figures.years_with_rows(cursor, metric)

    monkeypatch.setattr(metrics, "years_with_rows", years)
    visitor = signed_in("read")
    for _ in range(3):
        page(visitor, "/")
    assert asked == ["departments", "quarters"]
