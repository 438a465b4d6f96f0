"""What the beginning of a file is taken for: a header, lines above it, rows, or none of these."""

import json
import re
from typing import Any

import pytest

from rowboat.catalog.tables import Column
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.recognise import SAMPLE_BYTES, recognise_dialect, sample_of
from rowboat.errors import FileRefused
from tests.support.tables import column, table


def typed(name: str, base: str, **facts: Any) -> Column:
    return column(name, type=base, base=base, category="N", **facts)


BOATS = table(typed("id", "int4", not_null=True), column("name", not_null=True), column("Crew"))
ALL = ("id", "name", "Crew")
TEXTS = table(column("name"), column("city"))
DAYS = table(column("name"), typed("day", "date"), typed("paid", "bool"))
YEARS = table(column("Country Name"), typed("1960", "int8"), typed("1961", "int8"))
LIKE = table(typed("order_id", "int4"), column("ship-name"), column("währung"), column("due_date"))


@pytest.mark.parametrize(
    ("sample", "delimiter", "newline", "fields", "header", "start", "above"),
    [
        (b"", ",", "\n", ALL, None, 0, 0),
        (b"\r\n\n", ",", "\n", ALL, None, 3, 2),
        (b"1,a,b\n", ",", "\n", ALL, None, 0, 0),
        (b"1,a,b", ",", "\n", ALL, None, 0, 0),
        (b"1;a,b;c\n2;b;c\n", ";", "\n", ALL, None, 0, 0),
        (b"1\ta\tb\r\n", "\t", "\n", ALL, None, 0, 0),
        (b"1|a|b\r2|c|d\r", "|", "\r", ALL, None, 0, 0),
        (b"1,a,b\r2,c,d\n3,e,f\n", ",", "\n", ALL, None, 0, 0),
        (b"1,a,b\r2,c,d\r3,e\nf,g\r", ",", "\r", ALL, None, 0, 0),
        (b"1,a,b\r\r\n2,c,d\r\r\n", ",", "\n", ALL, None, 0, 0),
        (b'1,"a\rb",c\n', ",", "\n", ALL, None, 0, 0),
        (b'1,"a\nb",c\r2,d,e\r', ",", "\r", ALL, None, 0, 0),
        (b"\xef\xbb\xbf1,a,b\n", ",", "\n", ALL, None, 3, 0),
        (b"\xef\xbb\xbf\r\n\nid,name\n", ",", "\n", ("id", "name"), "id,name", 14, 2),
        (b"name;id\n", ";", "\n", ("name", "id"), "name;id", 8, 0),
        (b'"name","id"\r\n"a;b;c","1"\r\n', ",", "\n", ("name", "id"), '"name","id"', 13, 0),
        (b" id , name \n", ",", "\n", ("id", "name"), " id , name ", 12, 0),
        (b"id,name", ",", "\n", ("id", "name"), "id,name", 7, 0),
        (b"1,\xff\0,b\n", ",", "\n", ALL, None, 0, 0),
        (b'1,"a,b\n2,c,d\n', ",", "\n", ALL, None, 0, 0),
        # fields without a name
        (b",id,name\n0,1,a\n", ",", "\n", (None, "id", "name"), ",id,name", 9, 0),
        (b"Unnamed: 0,id,name\n", ",", "\n", (None, "id", "name"), "Unnamed: 0,id,name", 19, 0),
        (b"id,,name\n", ",", "\n", ("id", None, "name"), "id,,name", 9, 0),
        (b"id,name,\n1,a,\n", ",", "\n", ("id", "name", None), "id,name,", 9, 0),
        (b"1,a,b,\n2,c,d,\n", ",", "\n", (*ALL, None), None, 0, 0),
        # lines above
        (b"sep=;\nid;name\n", ";", "\n", ("id", "name"), "id;name", 14, 1),
        (b"sep=;\n1;a;b\n", ";", "\n", ALL, None, 6, 1),
        (b'"SEP=|"\r\n1|a,b;c|b\r\n', "|", "\n", ALL, None, 9, 1),
        (b"Boats of May\n\nname,id\na,1\n", ",", "\n", ("name", "id"), "name,id", 22, 2),
        (b"Boats of May,\nname,id\na,1\n", ",", "\n", ("name", "id"), "name,id", 22, 1),
        (b"# made by hand\n# twice\n1,a,b\n", ",", "\n", ALL, None, 23, 2),
        (b'A "quoted" title\nid,name\n', ",", "\n", ("id", "name"), "id,name", 25, 1),
    ],
)  # fmt: skip
def test_recognise(
    sample: bytes,
    delimiter: str,
    newline: str,
    fields: tuple[str | None, ...],
    header: str | None,
    start: int,
    above: int,
) -> None:
    expected = Dialect(delimiter, newline, fields, header, False, start, above)
    assert recognise_dialect(sample, BOATS) == expected
    assert Dialect.from_json(json.loads(json.dumps(expected.to_json()))) == expected


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("orderID,shipName,Währung", ("order_id", "ship-name", "währung")),
        ("Order Id,Ship / Name,WÄHRUNG", ("order_id", "ship-name", "währung")),
        ("order.id,SHIP_NAME,wa\u0308hrung", ("order_id", "ship-name", "währung")),
        ("\ufefforder_id,\u200bship name\u00a0,DueDate", ("order_id", "ship-name", "due_date")),
        ("ORDER-ID,shipname,due   date", ("order_id", "ship-name", "due_date")),
    ],
)
def test_names_are_compared_without_case_and_marks(header: str, names: tuple[str, ...]) -> None:
    assert recognise_dialect(f"{header}\n".encode(), LIKE).fields == names


def test_a_name_like_two_columns_is_none_of_them() -> None:
    boats = table(column("Name"), column("NAME"), column("na_me"), column("id"))
    assert recognise_dialect(b"NAME,Name,ID\n", boats).fields == ("NAME", "Name", "id")
    with pytest.raises(FileRefused, match='the header names "name", which is not a column'):
        recognise_dialect(b"name,id\n", boats)


def test_a_name_that_postgres_cut() -> None:
    long = "Denominazione dell'unità territoriale sovracomunale (valida a fini statistici)"
    cut = long.encode()[:63].decode()
    comuni = table(column(cut), column("codice"))
    assert recognise_dialect(f"{long};codice\n".encode(), comuni).fields == (cut, "codice")


def test_names_that_are_numbers() -> None:
    found = recognise_dialect(b"Country Name,1961,1960\nAruba,2,1\n", YEARS)
    assert found.fields == ("Country Name", "1961", "1960")


@pytest.mark.parametrize(
    ("sample", "boats", "fact", "hint"),
    [
        (b"id,name,mast\n", BOATS, 'the header names "mast", which is not a column of s.boats',
         "its columns are: id, name, Crew"),
        (b"id,names,mast\n1,a,b\n", BOATS,
         'the header names "names", "mast", which are not columns of s.boats',
         'its columns are: id, name, Crew; "names" may be "name"'),
        (b"1,name,b\n", BOATS, 'the header names "1", "b", which are not columns of s.boats',
         "its columns are: id, name, Crew"),
        (b"Title\n\nid,name,mast\n1,a,b\n", BOATS,
         'the header names "mast", which is not a column of s.boats',
         "its columns are: id, name, Crew"),
        (b"id,name,NAME\n", BOATS, 'the header names "name" twice', "name each column once"),
        (b"id,crew\n", BOATS, 'the header lacks "name", which every row of s.boats needs',
         "add the column to the file"),
        (b"1,a,b\nid,name,crew\n2,c,d\n", BOATS,
         "its header is in line 2, but line 1 may be a row: 1 | a | b",
         "put the header above all rows"),
        (b"nr,title\n1,a\n", BOATS,
         "line 1 names no column of s.boats, and may be a header or a row: nr | title",
         "name the columns in the first line; its columns are: id, name, Crew"),
        (b"x,a,b\n2,c,d\n", BOATS,
         "line 1 names no column of s.boats, and may be a header or a row: x | a | b",
         "name the columns in the first line; its columns are: id, name, Crew"),
        (b"Town,Person\nAnn,Lima\n", TEXTS,
         "line 1 names no column of s.boats, and may be a header or a row: Town | Person",
         "name the columns in the first line; its columns are: name, city"),
        (b"Jahr,2020,2021\nCuba,11,12\n", YEARS,
         "line 1 names no column of s.boats, and may be a header or a row: Jahr | 2020 | 2021",
         "name the columns in the first line; its columns are: Country Name, 1960, 1961"),
        (b"id,na\0me,crew\n1,a,b\n", BOATS, "line 1, its header, has a NUL byte in it",
         "write the file again: this one is damaged, or no text"),
        (b"id,name,\xf6\n1,a,b\n", BOATS,
         'the header names "\ufffd", which is not a column of s.boats',
         "its columns are: id, name, Crew"),
        (b"sep=x\n1xaxb\n", BOATS, "its first line declares 'x' as the delimiter",
         "separate the fields by a comma, semicolon, tab or bar"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(sample: bytes, boats: Any, fact: str, hint: str) -> None:
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(sample, boats)
    assert (raised.value.fact, raised.value.hint) == (fact, hint)


def test_the_table_that_a_header_fits_is_named() -> None:
    other = table(column("nr"), column("title"))
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(b"nr,title\n1,a\n", BOATS, others=[BOATS, other])
    assert raised.value.hint.endswith("its columns are: id, name, Crew; the header fits s.boats")


@pytest.mark.parametrize(
    ("sample", "boats"),
    [
        (b"1,a,\n", BOATS),
        (b"1\n2,a,b\n", BOATS),
        (b"2147483648,a,b\n", BOATS),
        (b"Ann,2021-02-03,true\n", DAYS),
        (b"Ann,03.02.2021,x\n", DAYS),
        (b"Ann,soon,no\n", DAYS),
        (b"Cuba,2020,2021\nPeru,2020,2021\n", YEARS),
        (b"Cuba,2020,2021\n", YEARS),
        (b"001,Lima\n002,Rome\n", TEXTS),
        (b'"Smith, Ann",Lima\n"Lee, Bob",Rome\n', TEXTS),
    ],
)
def test_rows_without_a_header(sample: bytes, boats: Any) -> None:
    found = recognise_dialect(sample, boats)
    assert (found.header, found.columns) == (None, tuple(each.name for each in boats.columns))
    assert found.notes()[-1].startswith("no header: columns by position (")


@pytest.mark.parametrize(
    ("sample", "name", "delimiter"),
    [
        (b"1;a;b\n2;b;c\n3,4,5,6", "", ";"),
        (b"Smith, Ann\tLima\nLee, Bob\tRome\n", "p.tsv", "\t"),
        (b"Smith, Ann\tLima\nLee, Bob\tRome\n", "p.TSV.gz", "\t"),
        (b"name;city\nSmith, Ann;Lima\nLee, Bob;Rome\n", "p.csv", ";"),
        (b"name,city\na;b,c\n", "p.tsv", ","),
    ],
)
def test_the_delimiter_is_decided_by_evidence(sample: bytes, name: str, delimiter: str) -> None:
    boats = BOATS if sample.startswith(b"1") else TEXTS
    assert recognise_dialect(sample, boats, False, name).delimiter == delimiter


def test_values_decide_between_delimiters() -> None:
    pair = table(typed("id", "int4"), column("name"))
    assert recognise_dialect(b"1;a,b\n2;c,d\n", pair).delimiter == ";"
    assert recognise_dialect(b"1,a;b\n2,c;d\n", pair).delimiter == ","


def test_a_tie_is_refused_with_both_readings() -> None:
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(b"01;02,03\n04;05,06\n", TEXTS)
    assert raised.value.fact == (
        "it can be read in 2 ways. Line 1 by comma: 01;02 | 03; or by semicolon: 01 | 02,03"
    )
    assert raised.value.hint == "put a header with the names of the columns into its first line"


def test_a_table_of_one_column() -> None:
    ids, notes = table(typed("id", "int4")), table(column("note"))
    assert recognise_dialect(b"1\n2\n", ids).delimiter == ","
    assert recognise_dialect(b"1,a\n2,b\n", notes).delimiter == ","
    assert recognise_dialect(b"note\nHello, world\n", notes).delimiter == ";"


@pytest.mark.parametrize(
    "computed",
    [column("total", generated=True, default="1 + 1"), column("total", identity="a")],
    ids=["generated", "identity"],
)
def test_columns_that_the_database_computes(computed: Column) -> None:
    boats = table(typed("id", "int4"), computed)
    assert recognise_dialect(b"1\n2\n", boats).columns == ("id",)
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(b"id,total\n", boats)
    assert (raised.value.fact, raised.value.hint) == (
        'the header names "total", which the database computes itself',
        "leave that column out of the file",
    )


def test_the_sample_has_the_first_two_lines_whole() -> None:
    long = b"x" * SAMPLE_BYTES
    text = long + b"\n" + long + b"\n" + 9 * long
    sample, is_whole = sample_of(lambda size: text[:size], 2**20)
    assert not is_whole
    assert len(re.findall(rb"\n", sample)) == 2
    assert sample_of(lambda size: long[:size], SAMPLE_BYTES) == (long, False)
    assert sample_of(lambda size: b"1,a"[:size], 2**20) == (b"1,a", True)
