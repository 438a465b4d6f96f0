"""Every kind of dirt that a CSV file can bring: exact counts, exact words, exact bytes."""

import codecs
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rowboat.database import connections
from rowboat.errors import FileRefused
from rowboat.ingest.reports import FileReport
from tests.conftest import Boat, counts

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]
Reject = tuple[int, bytes, list[str]]

FIELDS_1 = "shape: has 1 field instead of 2"
NEVER_CLOSED = "shape: the quote that opens a field is never closed"
STRAY_QUOTE = "shape: a quote stands inside an unquoted field"
AFTER_QUOTE = "shape: text follows a closing quote"
STRAY_CR = "shape: a carriage return stands inside an unquoted field"
STRAY_LF = "shape: a line feed stands inside an unquoted field"
NUL = "encoding: holds a NUL byte, which no text may hold"
BLANK = "check: department is blank"


def hires(boat: Boat) -> list[tuple[Any, ...]]:
    return boat.query(
        "select id, employee_name, hired_date::text, department_id, job_id"
        " from hired_employees.hired_employees order by id"
    )


def failure(boat: Boat, name: str, **options: Any) -> tuple[str, str | None, str | None]:
    report = boat.ingest(**options)[name]
    return report.state, report.error, report.hint


def utf16(text: str, order: str, mark: bytes = b"") -> bytes:
    return mark + text.encode(f"utf-16-{order}", "surrogatepass")


@dataclass(frozen=True)
class Dirt:
    """The content of departments.csv, the rows that load, the rows that are refused."""

    name: str
    content: bytes
    rows: list[tuple[int, str]]
    rejects: list[Reject]


ABC = [(1, "a"), (2, "b"), (3, "c")]

DIRT = [
    Dirt("empty", b"", [], []),
    Dirt("header only", b"id,department\n", [], []),
    Dirt("header only, no newline", b"id,department", [], []),
    Dirt("blank lines only", b"\n\r\n\n", [], []),
    Dirt("header in another order", b"department,id\na,1\n", [(1, "a")], []),
    Dirt("header in other case, with blanks", b" Department , ID \na,1\n", [(1, "a")], []),
    Dirt("header below blank lines", b"\r\n\n\nid,department\n1,a\n", [(1, "a")], []),
    Dirt("header, quoted", b'"department","id"\n"a","1"\n', [(1, "a")], []),
    Dirt("no header, a word for a number", b"one,a\n1,b\n", [(1, "b")], [
        (1, b"one,a", ["type: 'one' is not an integer"]),
    ]),
    Dirt("byte-order mark", b"\xef\xbb\xbf1,a\n", [(1, "a")], []),
    Dirt("byte-order mark and header", b"\xef\xbb\xbfid,department\n1,a\n", [(1, "a")], []),
    Dirt("byte-order mark, first row refused", b"\xef\xbb\xbfx,a\n", [], [
        (1, b"x,a", ["type: 'x' is not an integer"]),
    ]),
    Dirt("no newline at the end", b"1,a\n2,b", [(1, "a"), (2, "b")], []),
    Dirt("blank lines between", b"1,a\n\n\r\n2,b\n\nx,c\n", [(1, "a"), (2, "b")], [
        (6, b"x,c", ["type: 'x' is not an integer"]),
    ]),
    Dirt("UTF-16 LE with mark", utf16("id,department\n1,aé\n", "le", codecs.BOM_UTF16_LE),
         [(1, "aé")], []),
    Dirt("UTF-16 BE with mark", utf16("id,department\n1,aé\n", "be", codecs.BOM_UTF16_BE),
         [(1, "aé")], []),
    Dirt("UTF-16 LE without mark", utf16("id,department\r\n1,Ā\r\n", "le"), [(1, "Ā")], []),
    Dirt("UTF-16 BE without mark", utf16("id,department\r\n1,Ā\r\n", "be"), [(1, "Ā")], []),
    Dirt("UTF-16 LE, lone surrogate", utf16("1,a\r\n2,x\ud800y\r\n3,c\r\n", "le"),
         [(1, "a"), (3, "c")],
         [(2, utf16("2,x\ud800y", "le"), ["encoding: is not UTF-8: byte 0xed at position 4"])]),
    Dirt("UTF-16 BE, lone surrogate", utf16("1,a\n2,\udfffy\n", "be", codecs.BOM_UTF16_BE),
         [(1, "a")],
         [(2, utf16("2,\udfffy", "be"), ["encoding: is not UTF-8: byte 0xed at position 3"])]),
    Dirt("UTF-16 LE, lone surrogate at the very end", utf16("1,a\n2,bbbbbb\ud800", "le"),
         [(1, "a")],
         [(2, utf16("2,bbbbbb\ud800", "le"), ["encoding: is not UTF-8: byte 0xed at position 9"])]),
    Dirt("UTF-16 LE, refused row", utf16("1,a\n2,b,ü\n", "le", codecs.BOM_UTF16_LE), [(1, "a")], [
        (2, utf16("2,b,ü", "le"), ["shape: has 3 fields instead of 2"]),
    ]),
    Dirt("CRLF", b"1,a\r\n2,b\r\nx,d\r\n3,c", ABC, [
        (3, b"x,d", ["type: 'x' is not an integer"]),
    ]),
    Dirt("lone CR", b"1,a\r2,b\rx,d\r3,c\r", ABC, [
        (3, b"x,d", ["type: 'x' is not an integer"]),
    ]),
    Dirt("lone CR with header", b"id,department\r1,a\r\r2,b\r3,c", ABC, []),
    Dirt("lone CR, newlines within quotes", b'1,"a\nb"\r2,"a\r\nb"\rx,d\r',
         [(1, "a\nb"), (2, "a\r\nb")], [(4, b"x,d", ["type: 'x' is not an integer"])]),
    Dirt("mixed CRLF and LF", b"1,a\r\n2,b\nx,d\r\n3,c\n", ABC, [
        (3, b"x,d", ["type: 'x' is not an integer"]),
    ]),
    Dirt("CR within an unquoted field", b"1,a\rb\n2,b\n3,c\r\n", ABC[1:], [
        (1, b"1,a\rb", [STRAY_CR]),
    ]),
    Dirt("two CR within an unquoted field", b"1,a\r\rb\n2,b\n3,c\n", ABC[1:], [
        (1, b"1,a\r\rb", [STRAY_CR]),
    ]),
    Dirt("CRLF and CR within quotes", b'1,"a\r\nb"\n2,"a\rb"\r\nx,d\n',
         [(1, "a\r\nb"), (2, "a\rb")], [(4, b"x,d", ["type: 'x' is not an integer"])]),
    Dirt("semicolons", b"id;department\n1;a,b\n2;b\n", [(1, "a,b"), (2, "b")], []),
    Dirt("tabs", b"id\tdepartment\n1\ta;b\n2\tb\n", [(1, "a;b"), (2, "b")], []),
    Dirt("bars", b"1|a,b\n2|b;c\n", [(1, "a,b"), (2, "b;c")], []),
    Dirt("semicolons and quotes", b'1;"a;b"\n2;"say ""b"""\n', [(1, "a;b"), (2, 'say "b"')], []),
    Dirt("quotes", b'"1","a"\n2,"b, too"\n', [(1, "a"), (2, "b, too")], []),
    Dirt("doubled quotes", b'1,"a ""b"" c"\n2,""""\n', [(1, 'a "b" c'), (2, '"')], []),
    Dirt("newlines within quotes", b'1,"a\nb\n\nc"\nx,d\n2,"e\nf"\ny,g\n',
         [(1, "a\nb\n\nc"), (2, "e\nf")],
         [(5, b"x,d", ["type: 'x' is not an integer"]),
          (8, b"y,g", ["type: 'y' is not an integer"])]),
    Dirt("newline within quotes, refused", b'1,a\nx,"b\nc"\n2,b\n', ABC[:2], [
        (2, b'x,"b\nc"', ["type: 'x' is not an integer"]),
    ]),
    Dirt("open quote at the end", b'1,a\n2,b\n4,"d\n3,c\n', ABC, [
        (3, b'4,"d', [NEVER_CLOSED]),
    ]),
    Dirt("open quote in the last line", b'1,a\n2,b\n3,c\n4,"d', ABC, [
        (4, b'4,"d', [NEVER_CLOSED]),
    ]),
    Dirt("open quote as the last byte", b'1,a\n2,b\n3,c\n4,"', ABC, [(4, b'4,"', [NEVER_CLOSED])]),
    Dirt("quote within an unquoted field", b'1,a\n4,5" pipe\n2,b\n3,c\n', ABC, [
        (2, b'4,5" pipe', [STRAY_QUOTE]),
    ]),
    Dirt("two quotes within an unquoted field", b'1,a\n4,a "b" c\n2,b\n3,c\n', ABC, [
        (2, b'4,a "b" c', [STRAY_QUOTE]),
    ]),
    Dirt("quotes within two unquoted fields", b'4,5" x\n1,a\n5,6" y\n2,b\n3,c\n', ABC, [
        (1, b'4,5" x', [STRAY_QUOTE]),
        (3, b'5,6" y', [STRAY_QUOTE]),
    ]),
    Dirt("blank before a quote", b'1,a\n4, "d"\n2,b\n3,c\n', ABC, [(2, b'4, "d"', [STRAY_QUOTE])]),
    Dirt("text after a closing quote", b'1,a\n4,"d"e\n2,b\n3,c\n', ABC, [
        (2, b'4,"d"e', [AFTER_QUOTE]),
    ]),
    Dirt("blank after a closing quote", b'1,a\n4,"d" \n2,b\n3,c\n', ABC, [
        (2, b'4,"d" ', [AFTER_QUOTE]),
    ]),
    Dirt("too few and too many fields", b"1\n1,a\n4,d,e\n2,b\n5,,,\n,,\n3,c\n", ABC, [
        (1, b"1", [FIELDS_1]),
        (3, b"4,d,e", ["shape: has 3 fields instead of 2"]),
        (5, b"5,,,", ["shape: has 4 fields instead of 2"]),
        (6, b",,", ["shape: has 3 fields instead of 2"]),
    ]),
    Dirt("too many fields, one quoted", b'1,a\n4,"d,e",f\n2,b\n3,c\n', ABC, [
        (2, b'4,"d,e",f', ["shape: has 3 fields instead of 2"]),
    ]),
    Dirt("a line of blanks", b"1,a\n   \n2,b\n3,c\n", ABC, [(2, b"   ", [FIELDS_1])]),
    Dirt("NUL", b"1,a\n4,d\0e\n2,b\n3,c\n", ABC, [(2, b"4,d\0e", [NUL])]),
    Dirt("two NULs and a field too many", b"1,a\n4,\0\0,e\n2,b\n3,c\n", ABC, [
        (2, b"4,\0\0,e", ["shape: has 3 fields instead of 2", NUL]),
    ]),
    Dirt("invalid UTF-8", b"1,a\n4,d\xff\n2,b\n5,\xc3\n3,c\n", ABC, [
        (2, b"4,d\xff", ["encoding: is not UTF-8: byte 0xff at position 4"]),
        (4, b"5,\xc3", ["encoding: is not UTF-8: byte 0xc3 at position 3"]),
    ]),
    Dirt("overlong and surrogate UTF-8", b"1,a\n4,\xc0\xaf\n2,b\n5,x\xed\xa0\x80\n3,c\n", ABC, [
        (2, b"4,\xc0\xaf", ["encoding: is not UTF-8: byte 0xc0 at position 3"]),
        (4, b"5,x\xed\xa0\x80", ["encoding: is not UTF-8: byte 0xed at position 4"]),
    ]),
    Dirt("Latin-1 and a field too many", b"1,a\n4,caf\xe9,x\n2,b\n3,c\n", ABC, [
        (2, b"4,caf\xe9,x", ["shape: has 3 fields instead of 2",
                             "encoding: is not UTF-8: byte 0xe9 at position 6"]),
    ]),
    Dirt("characters beyond the basic plane", "1,🚣\n2,é\n".encode(), [(1, "🚣"), (2, "é")], []),
    Dirt("blank and quoted-empty text", b'1,\n2,""\n3, \n4,"\t"\n5,"\n"\n6,f\n', [(6, "f")], [
        (1, b"1,", ["required: department is empty"]),
        (2, b'2,""', [BLANK]),
        (3, b"3, ", [BLANK]),
        (4, b'4,"\t"', [BLANK]),
        (5, b'5,"\n"', [BLANK]),
    ]),
    Dirt("words for nothing", b"1,NULL\n2,\\N\n3,NaN\n4,\\.\nNULL,d\n\\N,e\nNaN,f\n,g\n\"\",h\n",
         [(1, "NULL"), (2, "\\N"), (3, "NaN"), (4, "\\.")],
         [(5, b"NULL,d", ["type: 'NULL' is not an integer"]),
          (6, b"\\N,e", ["type: '\\N' is not an integer"]),
          (7, b"NaN,f", ["type: 'NaN' is not an integer"]),
          (8, b",g", ["required: id is empty"]),
          (9, b'"",h', ["required: id is empty"])]),
    Dirt("placeholders of drivers", b"1,%s %(x)s %\n2,{} {x} $1\n3,'; drop table x; --\n%s,{0}\n",
         [(1, "%s %(x)s %"), (2, "{} {x} $1"), (3, "'; drop table x; --")],
         [(4, b"%s,{0}", ["type: '%s' is not an integer"])]),
    Dirt("a key twice, same values", b"1,a\n2,b\n1,a\n", ABC[:2], [
        (3, b"1,a", ["duplicate: id 1 stands earlier in this file with the same values"]),
    ]),
    Dirt("a key twice, other values", b"1,a\n2,b\n1,z\n", ABC[:2], [
        (3, b"1,z", ["duplicate: id 1 stands earlier in this file with other values"]),
    ]),
    Dirt("a key twice, the first refused", b"1,\n1,a\n1,y\n", ABC[:1], [
        (1, b"1,", ["required: department is empty"]),
        (3, b"1,y", ["duplicate: id 1 stands earlier in this file with other values"]),
    ]),
    Dirt("a key twice, the second refused too", b"1,a\n1,\n01,a\n", ABC[:1], [
        (2, b"1,", ["duplicate: id 1 stands earlier in this file with other values",
                    "required: department is empty"]),
        (3, b"01,a", ["duplicate: id 1 stands earlier in this file with the same values"]),
    ]),
    Dirt("every reason", b'1,a\n1," ",\n99999999999999999999, \n,\n', ABC[:1], [
        (2, b'1," ",', ["shape: has 3 fields instead of 2"]),
        (3, b"99999999999999999999, ",
         ["type: '99999999999999999999' is out of the range of integer", BLANK]),
        (4, b",", ["required: id is empty", "required: department is empty"]),
    ]),
    Dirt("integers", b"0x1F,a\n1_000,b\n1.0,c\n+5,d\n 5,e\n5 ,f\n2147483648,g\n-2147483649,h\n"
         b"1e3,i\n-0,j\n-7,k\n007,l\n2147483647,m\n\xd9\xa3,n\n--1,o\n",
         [(-7, "k"), (0, "j"), (7, "l"), (2147483647, "m")],
         [(1, b"0x1F,a", ["type: '0x1F' is not an integer"]),
          (2, b"1_000,b", ["type: '1_000' is not an integer"]),
          (3, b"1.0,c", ["type: '1.0' is not an integer"]),
          (4, b"+5,d", ["type: '+5' is not an integer"]),
          (5, b" 5,e", ["type: ' 5' is not an integer"]),
          (6, b"5 ,f", ["type: '5 ' is not an integer"]),
          (7, b"2147483648,g", ["type: '2147483648' is out of the range of integer"]),
          (8, b"-2147483649,h", ["type: '-2147483649' is out of the range of integer"]),
          (9, b"1e3,i", ["type: '1e3' is not an integer"]),
          (14, b"\xd9\xa3,n", ["type: '٣' is not an integer"]),
          (15, b"--1,o", ["type: '--1' is not an integer"])]),
    Dirt("a long cell is cut in its sentence", b"x" * 81 + b",a\n" + b"y" * 80 + b",b\n", [], [
        (1, b"x" * 81 + b",a", [f"type: '{'x' * 80}…' is not an integer"]),
        (2, b"y" * 80 + b",b", [f"type: '{'y' * 80}' is not an integer"]),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
@pytest.mark.parametrize("dirt", DIRT, ids=lambda dirt: dirt.name)
def test_rows_and_rejects(boat: Boat, setting: Setting, dirt: Dirt, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    boat.write("departments.csv", dirt.content)
    report = boat.ingest()["departments.csv"]
    assert (report.state, report.error) == ("loaded", None)
    assert boat.departments() == dirt.rows
    assert boat.rejects() == dirt.rejects
    good, bad = len(dirt.rows), len(dirt.rejects)
    assert counts(report) == (good + bad, good, 0, 0, bad)
    assert boat.ingest()["departments.csv"].state == "unchanged"


NOT_ISO = "type: '{}' is not an ISO 8601 timestamp"
NO_DAY = "type: '{}' is not a day of the calendar"


@pytest.mark.parametrize(
    ("literal", "stored"),
    [
        ("2021-11-07T02:48:42Z", "2021-11-07 02:48:42+00"),
        ("2021-11-07 02:48", "2021-11-07 02:48:00+00"),
        ("2021-11-07", "2021-11-07 00:00:00+00"),
        ("2021-11-07T02:48:42.123456+05:30", "2021-11-06 21:18:42.123456+00"),
        ("2021-11-07T02:48:42-03", "2021-11-07 05:48:42+00"),
        ("0001-01-01", "0001-01-01 00:00:00+00"),
        ("9999-12-31T23:59:59Z", "9999-12-31 23:59:59+00"),
        ("yesterday", NOT_ISO),
        ("infinity", NOT_ISO),
        ("now", NOT_ISO),
        ("epoch", NOT_ISO),
        ("20210101", NOT_ISO),
        ("2021-1-1", NOT_ISO),
        ("07/11/2021", NOT_ISO),
        ("2021-11-07T02:48:42 UTC", NOT_ISO),
        ("2021-11-07T02:48:42.1234567Z", NOT_ISO),
        ("2021-11-07 ", NOT_ISO),
        ("1636253322", NOT_ISO),
        ("2021-W45-7", NOT_ISO),
        ("2021-02-30", NO_DAY),
        ("2021-13-01", NO_DAY),
        ("2021-02-29T00:00:00Z", NO_DAY),
        ("0000-01-01", NO_DAY),
        ("2021-11-07T25:00:00Z", NO_DAY),
    ],
)
def test_timestamps(boat: Boat, literal: str, stored: str) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    line = f"1,Ann,{literal},1,1"
    boat.write("hired_employees.csv", f"{line}\n")
    boat.ingest()
    if "type" in stored:
        assert boat.rejects() == [(1, line.encode(), [stored.format(literal)])]
        assert hires(boat) == []
    else:
        assert boat.rejects() == []
        assert hires(boat) == [(1, "Ann", stored, 1, 1)]


@pytest.mark.parametrize(
    ("header", "error", "hint"),
    [
        (
            "id,department,boss",
            'the header names "boss", which is no column of hired_employees.departments',
            "its columns are: id, department",
        ),
        (
            "id",
            'the header lacks "department", which every row of hired_employees.departments needs',
            "add the column to the file",
        ),
        ("id,department,ID", 'the header names "id" twice', "name each column once"),
        (
            "department;id;department",
            'the header names "department" twice',
            "name each column once",
        ),
    ],
)  # fmt: skip
def test_wrong_headers(boat: Boat, header: str, error: str, hint: str) -> None:
    boat.write("departments.csv", f"{header}\n1,a\n")
    assert failure(boat, "departments.csv") == ("failed", error, hint)
    assert boat.departments() == []
    assert boat.query("select state, error from ingest_status.ingest_status") == [("failed", error)]


def test_wrong_header_is_looked_at_again_when_corrected(boat: Boat) -> None:
    boat.write("departments.csv", "id\n1\n")
    assert failure(boat, "departments.csv")[0] == "failed"
    boat.write("departments.csv", "id,department\n1,a\n")
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)


def test_columns_with_a_default_may_be_left_out(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s;"
        "create table s.boats (name text primary key, crew integer, built date not null"
        " default '2020-01-01', check (crew < 9))"
    )
    boat.write("boats.csv", "name\nKestrel\nHeron\n")
    assert counts(boat.ingest()["boats.csv"]) == (2, 2, 0, 0, 0)
    assert boat.query("select name, crew, built::text from s.boats order by name") == [
        ("Heron", None, "2020-01-01"),
        ("Kestrel", None, "2020-01-01"),
    ]


def test_id_may_be_left_out(boat: Boat) -> None:
    boat.write("departments.csv", "department\na\nb\n")
    assert counts(boat.ingest()["departments.csv"]) == (2, 2, 0, 0, 0)
    assert boat.departments() == [(1, "a"), (2, "b")]


def test_insert_without_id_follows_explicit_ids(boat: Boat) -> None:
    boat.write("departments.csv", "41,a\n7,b\nx,c\n99,\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments (department) values ('c')")
    assert boat.departments() == [(7, "b"), (41, "a"), (42, "c")]


def test_sequence_never_moves_back(boat: Boat) -> None:
    boat.query("select setval('hired_employees.departments_id_seq', 50)")
    boat.write("departments.csv", "7,a\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments (department) values ('c')")
    assert boat.departments() == [(7, "a"), (51, "c")]


def test_one_column(boat: Boat, declare: Declare, setting: Setting) -> None:
    """A table of one column: blank lines are no rows, and COPY's own end mark is a text."""
    declare("create schema s; create table s.words (word text primary key)")
    boat.write("words.csv", 'word\n\nan oar\n\\.\n"a, b"\n""\n\\N\nlast\n')
    report = boat.ingest()["words.csv"]
    assert boat.query('select word from s.words order by word collate "C"') == [
        "", "\\.", "\\N", "a, b", "an oar", "last",
    ]  # fmt: skip
    assert counts(report) == (6, 6, 0, 0, 0)


def test_text_without_an_end_is_refused(boat: Boat) -> None:
    boat.write("departments.csv", utf16("1,aaaa\n2,bbbb\n", "le") + b"x")
    assert failure(boat, "departments.csv") == (
        "failed",
        "its UTF-16-LE text ends in the middle of a character",
        "write the file again, whole",
    )


# Parents


def test_unknown_parents(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write(
        "hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,9,8\n3,C,2021-01-01,x,7\n"
    )
    reports = boat.ingest()
    assert counts(reports["hired_employees.csv"]) == (3, 1, 0, 0, 2)
    assert boat.rejects() == [
        (2, b"2,B,2021-01-01,9,8", ["reference: hired_employees.departments has no id 9",
                                    "reference: hired_employees.jobs has no id 8"]),
        (3, b"3,C,2021-01-01,x,7", ["type: 'x' is not an integer",
                                    "reference: hired_employees.jobs has no id 7"]),
    ]  # fmt: skip


def test_parent_that_was_refused(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,2,1\n")
    boat.ingest()
    assert boat.rejects() == [
        (2, b"2,", ["required: department is empty"]),
        (2, b"2,B,2021-01-01,2,1", ["reference: hired_employees.departments has no id 2"]),
    ]


def position(boat: Boat, name: str) -> tuple[int, ...]:
    return boat.query(
        "select read, inserted, updated, unchanged, rejected"
        " from ingest_status.ingest_status where file_name = %s",
        [name],
    )[0]


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_parent_arrives_later(boat: Boat, setting: Setting, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    boat.write(
        "hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,2,1\nx,C,2021-01-01,1,1\n"
    )
    boat.ingest()
    assert position(boat, "hired_employees.csv") == (3, 0, 0, 0, 3)
    boat.write("jobs.csv", "1,b\n")
    boat.ingest()
    assert position(boat, "hired_employees.csv") == (3, 0, 0, 0, 3)
    assert [reasons for _, _, reasons in boat.rejects()] == [
        ["reference: hired_employees.departments has no id 1"],
        ["reference: hired_employees.departments has no id 2"],
        ["type: 'x' is not an integer", "reference: hired_employees.departments has no id 1",
         "reference: hired_employees.jobs has no id 1"],
    ]  # fmt: skip
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert hires(boat) == [(1, "A", "2021-01-01 00:00:00+00", 1, 1)]
    assert position(boat, "hired_employees.csv") == (3, 1, 0, 0, 2)
    assert boat.query(
        "select q.line, q.settled_as, l.source, l.inserted from ingest_status.rejected_rows q"
        " join ingest_status.loads l on l.id = q.settled_by"
    ) == [(1, "loaded", "retry", 1)]
    boat.write("departments.csv", "1,a\n2,z\n")
    boat.ingest()
    assert [row[0] for row in hires(boat)] == [1, 2]
    assert position(boat, "hired_employees.csv") == (3, 2, 0, 0, 1)


THREE_LEVELS = """
create schema s;
create table s.fleets (id integer primary key, name text not null);
create table s.boats (id integer primary key, fleet_id integer not null references s.fleets);
create table s.oars (id integer primary key, boat_id integer not null references s.boats);
"""


def test_grandchildren_follow(boat: Boat, declare: Declare) -> None:
    declare(THREE_LEVELS)
    boat.write("oars.csv", "1,10\n2,10\n3,11\n")
    boat.write("boats.csv", "10,100\n11,101\n")
    boat.ingest()
    assert boat.query("select count(*) from s.boats") == [0]
    assert position(boat, "oars.csv") == (3, 0, 0, 0, 3)
    boat.write("fleets.csv", "100,Blue\n")
    boat.ingest()
    assert boat.query("select id from s.boats") == [10]
    assert boat.query("select id from s.oars order by id") == [1, 2]
    assert position(boat, "boats.csv") == (2, 1, 0, 0, 1)
    assert position(boat, "oars.csv") == (3, 2, 0, 0, 1)
    assert boat.rejects() == [
        (2, b"11,101", ["reference: s.fleets has no id 101"]),
        (3, b"3,11", ["reference: s.boats has no id 11"]),
    ]


def test_retried_row_does_not_overwrite_a_later_one(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,Old,2021-01-01,1,1\n2,Bo,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "2,z\n")
    boat.write("hired_employees-2.csv", "1,New,2022-02-02,2,1\n")
    boat.ingest()
    boat.write("departments.csv", "2,z\n1,a\n")
    boat.ingest()
    assert hires(boat) == [
        (1, "New", "2022-02-02 00:00:00+00", 2, 1),
        (2, "Bo", "2021-01-01 00:00:00+00", 1, 1),
    ]
    assert boat.rejects() == [
        (1, b"1,Old,2021-01-01,1,1",
         ["duplicate: id 1 is already in the table with other values"]),
    ]  # fmt: skip
    assert position(boat, "hired_employees-1.csv") == (2, 1, 0, 0, 1)


def test_retried_row_does_not_overwrite_a_row_written_by_hand(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,Old,2021-01-01,1,1\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments values (2, 'z')")
    boat.query("insert into hired_employees.hired_employees values (1, 'Hand', '2022-01-01', 2, 1)")
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "Hand")]
    assert [reasons for _, _, reasons in boat.rejects()] == [
        ["duplicate: id 1 is already in the table with other values"]
    ]


def test_retried_row_overwrites_an_earlier_one(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,Old,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("hired_employees-2.csv", "1,New,2022-02-02,2,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n2,z\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "New")]
    assert boat.rejects() == []
    assert position(boat, "hired_employees-2.csv") == (1, 0, 1, 0, 0)


def test_key_that_a_retried_row_brought_is_a_duplicate_in_its_file(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    path = boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    path.write_bytes(path.read_bytes() + b"1,B,2021-01-01,1,1\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "A")]
    assert boat.rejects() == [
        (2, b"1,B,2021-01-01,1,1",
         ["duplicate: id 1 stands earlier in this file with other values"]),
    ]  # fmt: skip
    assert position(boat, "hired_employees.csv") == (2, 1, 0, 0, 1)


# Files that are no files to load


def problem(boat: Boat, name: str) -> str:
    report = boat.ingest()[name]
    assert report.state == "unmatched"
    assert report.hint == (
        "name it after its table, put it into a folder of that name, or take it out of raw_data"
    )
    assert boat.query(
        "select state, error from ingest_status.ingest_status where file_name = %s", [name]
    ) == [("unmatched", report.error)]
    return str(report.error)


def test_file_of_no_table(boat: Boat) -> None:
    boat.write("invoices.csv", "1,a\n")
    assert problem(boat, "invoices.csv") == (
        "belongs to no table: its name begins with none of departments, jobs, hired_employees"
    )


def test_file_of_another_kind(boat: Boat) -> None:
    boat.write("departments.xlsx", "PK")
    assert problem(boat, "departments.xlsx") == (
        "is not one of .csv, .tsv, .txt, packed (.gz) or not"
    )


def test_ambiguous_file(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("jobs.csv", "1\n")
    assert problem(boat, "jobs.csv") == (
        "belongs to hired_employees.jobs and s.jobs alike: put the schema in front of its name"
    )


def test_schema_in_front_of_the_name(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("s.jobs-may.csv", "7\n")
    boat.write("hired_employees.jobs/may.csv", "1,Cook\n")
    reports = boat.ingest()
    assert {name: each.table for name, each in reports.items()} == {
        "s.jobs-may.csv": "s.jobs",
        "hired_employees.jobs/may.csv": "hired_employees.jobs",
    }


@pytest.mark.parametrize(
    "name",
    [
        "departments-2021-02.csv",
        "Departments.CSV",
        "departments.tsv",
        "departments_new.txt",
        "departments/march.csv",
        "departments/2021/march.csv",
        "hired_employees.departments.csv",
    ],
)
def test_names_that_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert boat.ingest()[name].table == "hired_employees.departments"
    assert boat.departments() == [(1, "a")]


@pytest.mark.parametrize("name", ["departments2.csv", "the-departments.csv", "mydepartments/a.csv"])
def test_names_that_do_not_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert problem(boat, name).startswith("belongs to no table: ")


def test_hidden_and_unfinished_files_are_left_alone(boat: Boat) -> None:
    for name in (".departments.csv", "departments.csv.part", "departments.csv.tmp", "jobs.csv~"):
        boat.write(name, "1,a\n")
    assert boat.ingest() == {}


def test_unreadable_file(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    path = boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    opened = os.open

    def denied(name: str | Path, *values: Any, **options: Any) -> int:
        if Path(name) == path:
            raise PermissionError(13, "Permission denied")
        return opened(name, *values, **options)

    monkeypatch.setattr(os, "open", denied)
    reports = boat.ingest()
    assert (reports["departments.csv"].state, reports["departments.csv"].error) == (
        "failed",
        "it cannot be read: permission denied",
    )
    assert reports["departments.csv"].hint == "give the loading user the right to read it"
    assert counts(reports["jobs.csv"]) == (1, 1, 0, 0, 0)


def test_unreadable_folder(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    boat.write("jobs/may.csv", "1,b\n")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("jobs"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert raised.value.fact == f"the folder {boat.raw / 'jobs'} cannot be read: permission denied"


def test_folder_named_like_a_file(boat: Boat) -> None:
    boat.write("departments.csv/inner.csv", "1,a\n")
    assert problem(boat, "departments.csv") == "is a folder, not a file"


def test_links_out_of_raw_data(boat: Boat, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "departments.csv").write_text("1,a\n")
    (boat.raw / "departments.csv").symlink_to(outside / "departments.csv")
    (boat.raw / "jobs").symlink_to(outside)
    (boat.raw / "jobs-2.csv").symlink_to(outside / "nothing.csv")
    for name in ("departments.csv", "jobs"):
        assert problem(boat, name) == "is a link that leads out of raw_data"
    assert problem(boat, "jobs-2.csv") == "is a link that leads nowhere"
    named = boat.ingest(boat.raw / "departments.csv")["departments.csv"]
    assert (named.state, named.error) == ("unmatched", "is a link that leads out of raw_data")


def test_links_within_raw_data(boat: Boat) -> None:
    boat.write("departments/a.csv", "1,a\n")
    (boat.raw / "departments-2.csv").symlink_to(boat.raw / "departments" / "a.csv")
    (boat.raw / "jobs.csv").symlink_to(boat.raw / "nothing.csv")
    (boat.raw / "loop.csv").symlink_to(boat.raw / "loop.csv")
    (boat.raw / "departments-3").symlink_to(boat.raw / "departments")
    reports = boat.ingest()
    assert {name: (each.state, each.error) for name, each in reports.items()} == {
        "departments/a.csv": ("loaded", None),
        "departments-2.csv": ("loaded", None),
        "departments-3": ("unmatched", "is a folder, not a file"),
        "jobs.csv": ("unmatched", "is a link that leads nowhere"),
        "loop.csv": ("unmatched", "is a link that leads nowhere"),
    }
    assert boat.departments() == [(1, "a")]


def test_pipe(boat: Boat) -> None:
    os.mkfifo(boat.raw / "departments.csv")
    assert problem(boat, "departments.csv") == "is not an ordinary file"


def test_unprintable_name(boat: Boat) -> None:
    boat.write("departments\n.csv", "1,a\n")
    assert problem(boat, "departments\n.csv") == "has a name with unprintable characters"


def test_name_that_is_no_text(boat: Boat) -> None:
    (boat.raw / os.fsdecode(b"departments-\xff.csv")).write_text("1,a\n")
    boat.write("jobs.csv", "1,b\n")
    reports = boat.ingest()
    assert {name: (each.state, each.error) for name, each in reports.items()} == {
        "departments-\\xff.csv": ("unmatched", "has a name with unprintable characters"),
        "jobs.csv": ("loaded", None),
    }


def test_missing_raw_data(boat: Boat) -> None:
    boat.raw.rmdir()
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert (raised.value.fact, raised.value.hint) == (
        f"there is no folder {boat.raw}",
        "make it, or set ROWBOAT_RAW_DATA",
    )


def test_file_that_lies_elsewhere(boat: Boat, tmp_path: Path) -> None:
    path = tmp_path / "departments.csv"
    path.write_text("1,a\n")
    assert counts(boat.ingest(path)[str(path)]) == (1, 1, 0, 0, 0)
    with pytest.raises(FileRefused) as raised:
        boat.ingest(tmp_path / "nothing.csv")
    assert raised.value.fact == (
        f"{tmp_path / 'nothing.csv'} cannot be read: no such file or directory"
    )


# Files that change under the reader's hands


def meddle(boat: Boat, change: Callable[[], object]) -> FileReport:
    """Ingest departments.csv and change something as soon as its first chunk has passed."""
    done = threading.Event()

    def progress(*_: object) -> None:
        if not done.is_set():
            done.set()
            change()

    report = boat.ingest(progress=progress)["departments.csv"]
    assert done.is_set()
    return report


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%06d,department %06d\n" % (n, n) for n in range(first, last + 1))


def test_shrinking_file(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "65536")
    content = lines(1, 20_000)
    path = boat.write("departments.csv", content)
    report = meddle(boat, lambda: os.truncate(path, 300_000))
    assert (report.state, report.error, report.hint) == (
        "failed",
        "it shrank while it was read",
        "wait until it is written, then run `rowboat ingest` again",
    )
    loaded = len(boat.departments())
    assert position(boat, "departments.csv") == (loaded, loaded, 0, 0, 0)
    path.write_bytes(content)
    again = boat.ingest()["departments.csv"]
    assert counts(again) == (20_000 - loaded, 20_000 - loaded, 0, 0, 0)
    assert position(boat, "departments.csv") == (20_000, 20_000, 0, 0, 0)


def test_growing_file(boat: Boat, setting: Setting) -> None:
    """What comes after the file was opened waits, an unfinished last line with it."""
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9) + b"000010,half")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b" a department\n" + lines(11, 12))

    assert counts(meddle(boat, grow)) == (9, 9, 0, 0, 0)
    assert counts(boat.ingest()["departments.csv"]) == (3, 3, 0, 0, 0)
    assert boat.departments()[8:] == [
        (9, "department 000009"),
        (10, "half a department"),
        (11, "department 000011"),
        (12, "department 000012"),
    ]
    assert position(boat, "departments.csv") == (12, 12, 0, 0, 0)


def test_file_that_vanishes_while_it_is_read(boat: Boat, setting: Setting) -> None:
    """The open file stays readable: it is loaded to its end."""
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9))
    assert counts(meddle(boat, path.unlink)) == (9, 9, 0, 0, 0)


def test_file_that_vanishes_before_it_is_read(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", lines(1, 9))
    child = boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n")
    reports = boat.ingest(progress=lambda *_: child.unlink(missing_ok=True))
    found = reports["hired_employees.csv"]
    assert (found.state, found.error, found.hint) == (
        "failed",
        "it vanished before it was read",
        "put it back",
    )
    assert counts(reports["departments.csv"]) == (9, 9, 0, 0, 0)


def test_file_that_is_replaced_while_it_is_read(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    path = boat.write("departments.csv", lines(1, 9))
    other = boat.raw / "new.part"
    other.write_bytes(lines(5, 15))
    assert counts(meddle(boat, lambda: other.replace(path))) == (9, 9, 0, 0, 0)
    report = boat.ingest()["departments.csv"]
    assert counts(report) == (11, 6, 0, 5, 0)
    assert report.vanished == ["[1]", "[2]", "[3]", "[4]"]


def test_other_content_of_the_same_size_and_time(boat: Boat) -> None:
    path = boat.write("departments.csv", "1,a\n")
    before = path.stat()
    boat.ingest()
    path.write_text("1,b\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert boat.ingest()["departments.csv"].state == "unchanged"
    assert boat.departments() == [(1, "a")]
    assert counts(boat.ingest(checksum=True)["departments.csv"]) == (1, 0, 1, 0, 0)
    assert boat.departments() == [(1, "b")]
    assert boat.ingest(checksum=True)["departments.csv"].state == "unchanged"


def test_same_content_of_another_time(boat: Boat) -> None:
    path = boat.write("departments.csv", "1,a\n")
    boat.ingest()
    os.utime(path, ns=(0, 0))
    assert boat.ingest()["departments.csv"].state == "unchanged"
    assert boat.query("select version, file_version from ingest_status.ingest_status") == [(1, "0")]


# gzip


def test_gzip(boat: Boat) -> None:
    boat.write("departments.csv.gz", gzip.compress(b"id,department\n1,a\nx,b\n"))
    assert counts(boat.ingest()["departments.csv.gz"]) == (2, 1, 0, 0, 1)
    assert boat.rejects() == [(3, b"x,b", ["type: 'x' is not an integer"])]


def test_gzip_of_several_members(boat: Boat) -> None:
    members = [b"1,a\n2,", b"", b"b\n", b"3,c\n"]
    boat.write("departments.csv.gz", b"".join(map(gzip.compress, members)))
    assert counts(boat.ingest()["departments.csv.gz"]) == (3, 3, 0, 0, 0)
    assert boat.departments() == ABC


def test_gzip_under_the_name_of_a_plain_file(boat: Boat) -> None:
    boat.write("departments.csv", gzip.compress(b"1,a\n"))
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)


PACKED = gzip.compress(lines(1, 1000))


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        (PACKED[:-4], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:40], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:5], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:-8] + bytes(8), "its gzip stream is damaged", "pack the file again"),
        (PACKED[:20] + b"\0\0\0\0" + PACKED[24:], "its gzip stream is damaged",
         "pack the file again"),
        (PACKED + b"more", "its gzip stream is damaged", "pack the file again"),
    ],
    ids=["no length", "half", "header only", "wrong checksum", "wrong bytes", "text behind it"],
)  # fmt: skip
def test_broken_gzip(boat: Boat, content: bytes, error: str, hint: str) -> None:
    boat.write("departments.csv.gz", content)
    assert failure(boat, "departments.csv.gz") == ("failed", error, hint)
    assert boat.departments() == []


BOMB = """
import gzip, resource, sys
from pathlib import Path
from rowboat.errors import FileRefused
from rowboat.csvfile.text import FileText

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
text = FileText(Path(sys.argv[1]))
try:
    while text.read(2**16):
        pass
except FileRefused as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error.fact, sep="|")
"""


def test_gzip_bomb(boat: Boat, tmp_path: Path) -> None:
    """Half a gigabyte in half a megabyte: refused before it has grown in memory."""
    boat.write("departments.csv.gz", gzip.compress(b"1,a\n" * 2**22))
    assert failure(boat, "departments.csv.gz") == (
        "failed",
        "it unpacks to more than 200 times its size",
        "unpack it yourself, or raise ROWBOAT_GZIP_RATIO if you trust it",
    )
    assert boat.departments() == []
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(2**29)))
    said = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True
    ).stdout
    grown, fact = said.strip().split("|")
    assert fact == "it unpacks to more than 200 times its size"
    assert int(grown) < 64 * 1024  # KiB


# Dry run and reject limit

STATE = """
select
    (select count(*) from ingest_status.ingest_status),
    (select count(*) from ingest_status.loads),
    (select count(*) from ingest_status.rejected_rows),
    (select count(*) from ingest_status.rejected_rows where settled_at is not null),
    (select count(*) from ingest_status.overwritten),
    (select count(*) from hired_employees.departments),
    (select count(*) from hired_employees.jobs),
    (select count(*) from hired_employees.hired_employees),
    (select last_value from hired_employees.departments_id_seq)
"""


def test_dry_run_changes_nothing(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,A,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n2,b\n2,c\n300,z\n")
    boat.write(
        "hired_employees-2.csv", "2,B,2021-01-01,2,1\n3,C,2021-01-01,9,1\n1,D,2022-01-01,1,1\n"
    )
    boat.write("jobs-2.csv", "id,salary\n1,1\n")
    boat.write("invoices.csv", "1\n")
    before = boat.query(STATE)
    reports = boat.ingest(dry_run=True)
    assert boat.query(STATE) == before
    assert {name: (each.state, counts(each)) for name, each in reports.items()} == {
        "departments.csv": ("loaded", (4, 3, 0, 0, 1)),
        "hired_employees-1.csv": ("unchanged", (0, 0, 0, 0, 0)),
        "hired_employees-2.csv": ("loaded", (3, 1, 1, 0, 1)),
        "invoices.csv": ("unmatched", (0, 0, 0, 0, 0)),
        "jobs-2.csv": ("failed", (0, 0, 0, 0, 0)),
        "jobs.csv": ("unchanged", (0, 0, 0, 0, 0)),
    }
    real = boat.ingest()
    assert {name: counts(each) for name, each in real.items()} == {
        name: counts(each) for name, each in reports.items()
    }


def test_dry_run_of_several_chunks(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", lines(1, 9) + lines(3, 5))
    assert counts(boat.ingest(dry_run=True)["departments.csv"]) == (12, 9, 0, 0, 3)
    assert boat.departments() == []


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
@pytest.mark.parametrize(
    ("limit", "kept"),
    [("2", False), ("3", True), ("29%", False), ("30%", True), ("0", False), ("100%", True)],
)
def test_reject_limit(
    boat: Boat, setting: Setting, chunk_bytes: int, limit: str, kept: bool
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    setting("reject_limit", limit)
    boat.write("departments.csv", lines(1, 7) + b"x,first\n8,\n9,\n")
    before = boat.query(STATE)
    report = boat.ingest()["departments.csv"]
    if kept:
        assert counts(report) == (10, 7, 0, 0, 3)
        return
    assert (report.state, report.error, report.hint) == (
        "failed",
        f"3 of 10 rows are rejected, more than ROWBOAT_REJECT_LIMIT ({limit}) allows; nothing was"
        " kept. The first, in line 8: 'x' is not an integer",
        "correct the file, or raise ROWBOAT_REJECT_LIMIT",
    )
    assert boat.query(STATE)[0][1:8] == before[0][1:8]
    assert position(boat, "departments.csv") == (0, 0, 0, 0, 0)


def test_reject_limit_of_an_appended_part(boat: Boat, setting: Setting) -> None:
    setting("reject_limit", "1")
    path = boat.write("departments.csv", b"1,a\nx,b\n")
    assert counts(boat.ingest()["departments.csv"]) == (2, 1, 0, 0, 1)
    path.write_bytes(path.read_bytes() + b"2,b\ny,c\n3,\n")
    assert boat.ingest()["departments.csv"].error == (
        "2 of 3 rows are rejected, more than ROWBOAT_REJECT_LIMIT (1) allows; nothing was kept."
        " The first, in line 4: 'y' is not an integer"
    )
    assert boat.departments() == [(1, "a")]
    assert position(boat, "departments.csv") == (2, 1, 0, 0, 1)


def test_files_of_one_table_see_each_other(boat: Boat) -> None:
    """A key that another file brought is updated; a key of the same file is a duplicate."""
    boat.write("departments-1.csv", "1,a\n2,b\n")
    boat.write("departments-2.csv", "2,c\n1,a\n2,d\n")
    reports = boat.ingest()
    assert counts(reports["departments-2.csv"]) == (3, 0, 1, 1, 1)
    assert boat.departments() == [(1, "a"), (2, "c")]
    assert boat.rejects() == [
        (3, b"2,d", ["duplicate: id 2 stands earlier in this file with other values"])
    ]


@pytest.mark.parametrize("chunk_bytes", [64, 100, 2**23])
def test_key_twice_across_chunks(boat: Boat, setting: Setting, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    again = b"000003,department 000003\n4,other\n000010,\n10,last\n10,more\n"
    boat.write("departments.csv", lines(1, 9) + again)
    assert counts(boat.ingest()["departments.csv"]) == (14, 10, 0, 0, 4)
    assert boat.departments()[3:] == [
        *((n, f"department 00000{n}") for n in range(4, 10)),
        (10, "last"),
    ]
    assert boat.rejects() == [
        (10, b"000003,department 000003",
         ["duplicate: id 3 stands earlier in this file with the same values"]),
        (11, b"4,other", ["duplicate: id 4 stands earlier in this file with other values"]),
        (12, b"000010,", ["required: department is empty"]),
        (14, b"10,more", ["duplicate: id 10 stands earlier in this file with other values"]),
    ]  # fmt: skip


def test_equal_row_twice_across_chunks(boat: Boat, setting: Setting) -> None:
    """An equal row is not touched, and yet its second one in the same file is a duplicate."""
    setting("chunk_bytes", "64")
    boat.write("departments-1.csv", lines(1, 9))
    boat.ingest()
    boat.write("departments-2.csv", lines(1, 9) + b"000001,other\n")
    assert counts(boat.ingest()["departments-2.csv"]) == (10, 0, 0, 9, 1)
    assert boat.rejects() == [
        (10, b"000001,other",
         ["duplicate: id 1 stands earlier in this file with other values"]),
    ]  # fmt: skip


def test_no_loader_no_rows(boat: Boat) -> None:
    """The loader may not drop what it fills."""
    with pytest.raises(connections.DatabaseRefused, match="must be owner of table departments"):
        boat.query("drop table hired_employees.departments", role="loader")
