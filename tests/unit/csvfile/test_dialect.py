"""What is recognised of a file without any description."""

import json

import pytest

from rowboat.catalog.tables import Column
from rowboat.csvfile.dialect import Dialect, recognise_dialect
from rowboat.errors import FileRefused
from tests.support.tables import column, table

BOATS = table(column("id", not_null=True), column("name", not_null=True), column("Crew"))
ALL = ("id", "name", "Crew")


@pytest.mark.parametrize(
    ("sample", "delimiter", "newline", "columns", "header", "start", "first"),
    [
        (b"", ",", "\n", ALL, False, 0, 0),
        (b"1,a,b\n", ",", "\n", ALL, False, 0, 0),
        (b"1,a,b", ",", "\n", ALL, False, 0, 0),
        (b"1;a,b;c\n2;b;c\n", ";", "\n", ALL, False, 0, 0),
        (b"1\ta\tb\r\n", "\t", "\n", ALL, False, 0, 0),
        (b"1|a|b\r2|c|d\r", "|", "\r", ALL, False, 0, 0),
        (b"1,a,b\r2,c,d\n3,e,f\n", ",", "\n", ALL, False, 0, 0),
        (b"1,a,b\r2,c,d\r3,e\nf,g\r", ",", "\r", ALL, False, 0, 0),
        (b'1,"a\rb",c\n', ",", "\n", ALL, False, 0, 0),
        (b'1,"a\nb",c\r2,d,e\r', ",", "\r", ALL, False, 0, 0),
        (b"\xef\xbb\xbf1,a,b\n", ",", "\n", ALL, False, 3, 3),
        (b"\xef\xbb\xbf\r\n\nid,name\n", ",", "\n", ("id", "name"), True, 3, 6),
        (b"name;id\n", ";", "\n", ("name", "id"), True, 0, 0),
        (b"NAME,Id,crew\n", ",", "\n", ("name", "id", "Crew"), True, 0, 0),
        (b'"name","id"\r\n"a;b;c","1"\r\n', ",", "\n", ("name", "id"), True, 0, 0),
        (b" id , name \n", ",", "\n", ("id", "name"), True, 0, 0),
        (b"id,name", ",", "\n", ("id", "name"), True, 0, 0),
        (b"id,7,name\n", ",", "\n", ALL, False, 0, 0),
        (b"id,,name\n", ",", "\n", ALL, False, 0, 0),
        (b"a,b,id\n", ",", "\n", ALL, False, 0, 0),
        (b"1,\xff\0,b\n", ",", "\n", ALL, False, 0, 0),
        (b'1,"a,b\n2,c,d\n', ",", "\n", ALL, False, 0, 0),
    ],
)
def test_recognise(
    sample: bytes,
    delimiter: str,
    newline: str,
    columns: tuple[str, ...],
    header: bool,
    start: int,
    first: int,
) -> None:
    expected = Dialect(delimiter, newline, columns, header, start, first)
    assert recognise_dialect(sample, BOATS) == expected
    assert Dialect.from_json(json.loads(json.dumps(expected.to_json()))) == expected


def test_sample_that_ends_in_the_middle_of_a_line() -> None:
    assert recognise_dialect(b"1;a;b\n2;b;c\n3,4,5,6", BOATS).delimiter == ";"


@pytest.mark.parametrize(
    ("sample", "fact", "hint"),
    [
        (
            b"id,name,mast\n",
            'the header names "mast", which is not a column of s.boats',
            "its columns are: id, name, Crew",
        ),
        (b"id,name,NAME\n", 'the header names "name" twice', "name each column once"),
        (
            b"id,crew\n",
            'the header lacks "name", which every row of s.boats needs',
            "add the column to the file",
        ),
    ],
)
def test_headers_that_do_not_fit(sample: bytes, fact: str, hint: str) -> None:
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(sample, BOATS)
    assert (raised.value.fact, raised.value.hint) == (fact, hint)


@pytest.mark.parametrize(
    "computed",
    [column("total", generated=True, default="1 + 1"), column("total", identity="a")],
    ids=["generated", "identity"],
)
def test_columns_that_the_database_computes(computed: Column) -> None:
    boats = table(column("id"), computed)
    assert recognise_dialect(b"x\ny\n", boats).columns == ("id",)
    with pytest.raises(FileRefused) as raised:
        recognise_dialect(b"id,total\n", boats)
    assert (raised.value.fact, raised.value.hint) == (
        'the header names "total", which the database computes itself',
        "leave that column out of the file",
    )


def test_names_that_differ_in_case_alone() -> None:
    boats = table(column("Name"), column("NAME"), column("id"))
    assert recognise_dialect(b"NAME,Name,ID\n", boats).columns == ("NAME", "Name", "id")


@pytest.mark.parametrize(
    ("default", "constant"),
    [
        (None, False),
        ("20", True),
        ("'Home'::text", True),
        ("'f(x)'::text", True),
        ("now()", False),
        ("nextval('s.boats_id_seq'::regclass)", False),
        ("s.\"F\"(1)", False),
        ("(1 + 2)", True),
    ],
)  # fmt: skip
def test_defaults_that_are_known_beforehand(default: str | None, constant: bool) -> None:
    assert column("x", default=default).has_constant_default is constant
    assert column("x", default=default, generated=True).has_constant_default is False
