"""The files of metrics: what their headers say, and what is said of headers that cannot be read."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from rowboat.errors import ParameterRefused, SqlFileError, UnknownMetric
from rowboat.metrics import definitions
from rowboat.metrics.definitions import Chart, Metric
from rowboat.metrics.parameters import Parameter, parse_parameter

HEAD = "-- title: T\n-- about: A\n-- tables: a.b\n"
GOOD = """-- title: Hires: by month
-- about: Who was hired,
--   and when.
--
--   More.
-- tables: a.b , c.d
-- param: year integer 1..9999 = 2021 | The year; in UTC.
-- param: since date ..2030-01-01 | From when.
-- chart: lines x=month y=hired,left
-- years: c.d.At
select ';', "%%", $$ -- ; $$ -- half;
from a.b /* ; */ where y = %(year)s
    and d > %(since)s;
"""
YEAR = Parameter("year", "integer", "The year; in UTC.", 1, 9999, 2021)
SINCE = Parameter("since", "date", "From when.", None, date(2030, 1, 1))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "metrics").mkdir()
    monkeypatch.setattr(definitions, "SQL_FOLDER", tmp_path)
    definitions.all_metrics.cache_clear()
    yield tmp_path / "metrics"
    definitions.all_metrics.cache_clear()


def fact(folder: Path, content: str | bytes, name: str = "bad") -> str:
    """Write a file and return what is said of it."""
    text = content.encode() if isinstance(content, str) else content
    (folder / f"{name}.sql").write_bytes(text)
    with pytest.raises(SqlFileError) as refused:
        definitions.all_metrics()
    assert (
        refused.value.hint
        == "plugins/rowboat/metrics/definitions.py shows how a metric's file is written"
    )
    return refused.value.fact


def test_a_metric(folder: Path) -> None:
    (folder / "hires_1.sql").write_text(GOOD.replace("--\n", ""))
    assert definitions.all_metrics() == {
        "hires_1": Metric(
            "hires_1",
            "Hires: by month",
            "Who was hired, and when. More.",
            ("a.b", "c.d"),
            (YEAR, SINCE),
            Chart("lines", "month", ("hired", "left")),
            "select ';', \"%%\", $$ -- ; $$ -- half;\n"
            "from a.b /* ; */ where y = %(year)s\n    and d > %(since)s",
            ("c", "d", "At"),
        )
    }
    assert definitions.find_metric("hires_1").document() == {
        "name": "hires_1",
        "title": "Hires: by month",
        "about": "Who was hired, and when. More.",
        "tables": ["a.b", "c.d"],
        "parameters": [
            {
                "name": "year",
                "type": "integer",
                "help": "The year; in UTC.",
                "least": 1,
                "most": 9999,
                "default": 2021,
            },
            {
                "name": "since",
                "type": "date",
                "help": "From when.",
                "least": None,
                "most": "2030-01-01",
                "default": None,
            },
        ],
        "chart": {"kind": "lines", "x": "month", "y": ("hired", "left")},
    }


def test_the_docstring_shows_a_header(folder: Path) -> None:
    shown = re.findall(r"^    (--.*)$", definitions.__doc__ or "", re.MULTILINE)
    text = "\n".join(line.split("     ")[0].rstrip() for line in shown)
    (folder / "shown.sql").write_text(text + "\nselect %(year)s")
    assert definitions.find_metric("shown").parameters[0].most == 9999


def test_an_unknown_metric() -> None:
    with pytest.raises(UnknownMetric) as refused:
        definitions.find_metric("nothing")
    assert str(refused.value) == "there is no metric nothing\nHINT: `rowboat metric` lists them"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "1: has no '-- title: …'"),
        ("select 1", "1: has no '-- title: …'"),
        ("-- title: T\n-- tables: a.b\nselect 1", "1: has no '-- about: …'"),
        ("-- title: T\n-- about: A\nselect 1", "1: has no '-- tables: …'"),
        (GOOD, "4: is not written '-- KEY: VALUE'"),
        ("--   T\n" + HEAD + "select 1", "1: is not written '-- KEY: VALUE'"),
        ("-- title:\nselect 1", "1: is not written '-- KEY: VALUE'"),
        (
            "-- Title: T\nselect 1",
            "1: Title is not one of title, about, tables, param, chart, years",
        ),
        (HEAD + "-- title: U\nselect 1", "4: title occurs twice"),
        (HEAD + 2 * "-- chart: bars x=a y=b\n" + "select 1", "5: chart occurs twice"),
        (HEAD + "-- chart: pie x=a y=b\nselect 1",
         "4: a chart is written 'bars|lines x=COLUMN y=COLUMN,COLUMN'"),
        (HEAD + "-- chart: bars x=a\nselect 1",
         "4: a chart is written 'bars|lines x=COLUMN y=COLUMN,COLUMN'"),
        (HEAD.replace("a.b", "a.b, c") + "select 1", "3: 'c' is not written SCHEMA.TABLE"),
        (HEAD.replace("a.b", "a.b,") + "select 1", "3: '' is not written SCHEMA.TABLE"),
        (HEAD + "-- param: y integer\nselect 1",
         "4: a parameter is written 'NAME TYPE [LEAST..MOST] [= DEFAULT] | HELP'"),
        (HEAD + "-- param: y float | H\nselect %(y)s",
         "4: y has the type float; the types are integer, text and date"),
        (HEAD + "-- param: format text | H\nselect %(format)s",
         "4: a parameter cannot be named format"),
        (HEAD + "-- param: y integer a..9 | H\nselect %(y)s", "4: a cannot be a limit of y"),
        (HEAD + "-- param: y date 1..9 | H\nselect %(y)s", "4: 1 cannot be a limit of y"),
        (HEAD + "-- param: y integer 1..9 = 10 | H\nselect %(y)s",
         "4: the default of y is '10' and must be at most 9"),
        (HEAD + "-- param: y integer = | H\nselect %(y)s",
         "4: the default of y is '' and must be an integer in digits"),
        (HEAD + "-- param: y text | H\n-- param: y text | H\nselect %(y)s",
         "5: the parameter y occurs twice"),
        (HEAD + "-- param: y text | H\nselect 1", "4: the parameter y is not used"),
        (HEAD + "-- years: a.b\nselect 1", "4: years are written 'SCHEMA.TABLE.COLUMN'"),
        (HEAD + "-- years: a.b.c.d\nselect 1", "4: years are written 'SCHEMA.TABLE.COLUMN'"),
        (HEAD + "-- years: a.b.c, a.b.d\nselect 1", "4: years are written 'SCHEMA.TABLE.COLUMN'"),
        (HEAD + "-- years: a.c.d\nselect 1", "4: years names a.c, which is not one of its tables"),
        (HEAD + "-- years: a.b.c\nselect 1",
         "4: years requires an integer parameter year"),
        (HEAD + "-- param: year text | Y\n-- years: a.b.c\nselect %(year)s",
         "5: years requires an integer parameter year"),
        (HEAD, "4: has no statement"),
        (HEAD + "\n ;\n-- nothing\n", "4: has no statement"),
        (HEAD + "select 1;\nselect 2", "4: there is text after the statement"),
        (HEAD + "select 1;\n;", "4: there is text after the statement"),
        (HEAD + "select\n%(y)s", "5: the parameter y is not declared"),
        (HEAD + "select 1\n\n where 'a' like '%a'", "6: a percent sign is written %%"),
        (HEAD + "select %s", "4: a percent sign is written %%"),
        (HEAD.encode() + b"select\n'\xe9'", "5: is not UTF-8"),
    ],
)  # fmt: skip
def test_a_malformed_file(folder: Path, content: str | bytes, said: str) -> None:
    assert fact(folder, content) == f"sql/metrics/bad.sql:{said}"


def test_a_bad_name(folder: Path) -> None:
    assert fact(folder, HEAD + "select 1", "By Month") == (
        "sql/metrics/By Month.sql:1: the name of a metric consists of small letters, digits and _"
    )


def test_a_file_that_cannot_be_opened(folder: Path) -> None:
    (folder / "gone.sql").symlink_to(folder / "nowhere")
    with pytest.raises(SqlFileError) as refused:
        definitions.all_metrics()
    assert refused.value.fact == (
        "sql/metrics/gone.sql:1: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("statement", "lasts"),
    [
        ("select known, localtimes from a.now_and_then", True),
        ("select 'now' -- now()", True),
        ("select NOW() - d", False),
        ("select current_date", False),
        ("select current_timestamp", False),
        ("select pg_catalog.statement_timestamp()", False),
        ("select random()", False),
    ],
)
def test_figures_that_last(folder: Path, statement: str, lasts: bool) -> None:
    (folder / "m.sql").write_text(HEAD + statement)
    assert definitions.find_metric("m").lasts is lasts


TEXT = Parameter("t", "text", "H", 2, 3)


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [
        (YEAR, "1", 1),
        (YEAR, "9999", 9999),
        (replace(YEAR, least=None), "-5", -5),
        (replace(YEAR, most=None), "9223372036854775807", 2**63 - 1),
        (SINCE, "2030-01-01", date(2030, 1, 1)),
        (TEXT, "é€", "é€"),
        (Parameter("t", "text", "H"), "", ""),
    ],
)
def test_values(parameter: Parameter, given: str, value: object) -> None:
    assert parameter.judge(given) == value


@pytest.mark.parametrize(
    ("parameter", "given", "said"),
    [
        (YEAR, "0", "year is '0' and must be at least 1"),
        (YEAR, "10000", "year is '10000' and must be at most 9999"),
        *(
            (YEAR, given, f"year is {given!r} and must be an integer in digits")
            for given in ("", "1.0", "1e3", "0x7", " 7", "7\n", "07", "+7", "--7", "-0", "\u0667",
                          "true", "9223372036854775808", "9" * 70)
        ),
        *(
            (SINCE, given, f"since is {given!r} and must be a date such as 2021-02-28")
            for given in ("", "2021-02-29", "20210228", "2021-W01-1", "today", "2021-2-28",
                          "\u0662021-01-01")
        ),
        (SINCE, "2030-01-02", "since is '2030-01-02' and must be at most 2030-01-01"),
        (TEXT, "a", "t is 'a' and must be of at least 2 characters"),
        (TEXT, "abcd", "t is 'abcd' and must be of at most 3 characters"),
        (TEXT, "a\0", r"t is 'a\x00' and must be a text without NUL, in Unicode"),
        (TEXT, "a\ud800", r"t is 'a\\ud800' and must be a text without NUL, in Unicode"),
    ],
)  # fmt: skip
def test_refused_values(parameter: Parameter, given: str, said: str) -> None:
    with pytest.raises(ParameterRefused) as refused:
        parameter.judge(given)
    assert refused.value.fact == said


def test_parameters_of_a_metric(folder: Path) -> None:
    (folder / "m.sql").write_text(GOOD.replace("--\n", ""))
    (folder / "none.sql").write_text(HEAD + "select 1")
    judge = definitions.find_metric("m").judge
    assert judge({"since": "2021-01-01"}) == {"year": 2021, "since": date(2021, 1, 1)}
    for given, said in (
        ({}, "since is missing\nHINT: give it a value"),
        ({"yeer": "1"}, "the metric m has no parameter 'yeer'\nHINT: it takes year, since"),
    ):
        with pytest.raises(ParameterRefused) as refused:
            judge(given)
        assert str(refused.value) == said
    with pytest.raises(ParameterRefused, match="HINT: it takes none"):
        definitions.find_metric("none").judge({"year": "1"})


def test_a_parameter_without_bounds() -> None:
    assert parse_parameter("y integer | H") == Parameter("y", "integer", "H")
    assert parse_parameter("y integer -9..-1 = -3 | H | I") == Parameter(
        "y", "integer", "H | I", -9, -1, -3
    )
