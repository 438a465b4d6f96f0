"""Every fault that a row of a CSV file can have: exact counts, exact words, exact bytes."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import ABC, hires, utf16

Setting = Callable[[str, str], None]
Reject = tuple[int, bytes, list[str]]
FIELDS_1 = "shape: has 1 field instead of 2"
NEVER_CLOSED = "shape: the quote that opens a field is never closed"
STRAY_QUOTE = "shape: a quote is inside an unquoted field"
AFTER_QUOTE = "shape: text follows a closing quote"
STRAY_CR = "shape: a carriage return is inside an unquoted field"
NUL = "encoding: contains a NUL byte, which Postgres cannot store in text"
BLANK = "check: department is blank"


@dataclass(frozen=True)
class Dirt:
    """The content of departments.csv, the rows that load, the rows that are refused."""

    name: str
    content: bytes
    rows: list[tuple[int, str]]
    rejects: list[Reject]


DIRT = [
    Dirt("empty", b"", [], []),
    Dirt("header only", b"id,department\n", [], []),
    Dirt("header only, no newline", b"id,department", [], []),
    Dirt("blank lines only", b"\n\r\n\n", [], []),
    Dirt("header in another order", b"department,id\na,1\n", [(1, "a")], []),
    Dirt("header in other case, with blanks", b" Department , ID \na,1\n", [(1, "a")], []),
    Dirt("header below blank lines", b"\r\n\n\nid,department\n1,a\n", [(1, "a")], []),
    Dirt("header, quoted", b'"department","id"\n"a","1"\n', [(1, "a")], []),
    Dirt("no header, a number out of range first", b"2147483648,a\n1,b\n", [(1, "b")], [
        (1, b"2147483648,a", ["type: '2147483648' is out of the range of integer"]),
    ]),
    Dirt("byte-order mark", b"\xef\xbb\xbf1,a\n", [(1, "a")], []),
    Dirt("byte-order mark and header", b"\xef\xbb\xbfid,department\n1,a\n", [(1, "a")], []),
    Dirt("byte-order mark, first row refused", b"\xef\xbb\xbf1.5,a\n1,b\n", [(1, "b")], [
        (1, b"1.5,a", ["type: '1.5' is not an integer"]),
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
        (6, b",,", ["required: id is empty", "required: department is empty"]),
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
        (3, b"1,a", ["duplicate: id 1 occurs earlier in this file with the same values"]),
    ]),
    Dirt("a key twice, other values", b"1,a\n2,b\n1,z\n", ABC[:2], [
        (3, b"1,z", ["duplicate: id 1 occurs earlier in this file with other values"]),
    ]),
    Dirt("a key twice, the first refused", b"1,\n1,a\n1,y\n", ABC[:1], [
        (1, b"1,", ["required: department is empty"]),
        (3, b"1,y", ["duplicate: id 1 occurs earlier in this file with other values"]),
    ]),
    Dirt("a key twice, the second refused too", b"1,a\n1,\n01,a\n", ABC[:1], [
        (2, b"1,", ["duplicate: id 1 occurs earlier in this file with other values",
                    "required: department is empty"]),
        (3, b"01,a", ["duplicate: id 1 occurs earlier in this file with the same values"]),
    ]),
    Dirt("every reason", b'1,a\n1," ",b\n99999999999999999999, \n,\n', ABC[:1], [
        (2, b'1," ",b', ["shape: has 3 fields instead of 2"]),
        (3, b"99999999999999999999, ",
         ["type: '99999999999999999999' is out of the range of integer", BLANK]),
        (4, b",", ["required: id is empty", "required: department is empty"]),
    ]),
    Dirt("integers",
         b"-7,k\n0x1F,a\n1_000,b\n1.5,c\n+5,d\n 6,e\n8.0 ,f\n2147483648,g\n-2147483649,h\n"
         b"1e3,i\n-0,j\n007,l\n2147483647,m\n\xd9\xa3,n\n--1,o\n",
         [(-7, "k"), (0, "j"), (5, "d"), (6, "e"), (7, "l"), (8, "f"), (2147483647, "m")],
         [(2, b"0x1F,a", ["type: '0x1F' is not an integer"]),
          (3, b"1_000,b", ["type: '1_000' is not an integer"]),
          (4, b"1.5,c", ["type: '1.5' is not an integer"]),
          (8, b"2147483648,g", ["type: '2147483648' is out of the range of integer"]),
          (9, b"-2147483649,h", ["type: '-2147483649' is out of the range of integer"]),
          (10, b"1e3,i", ["type: '1e3' is not an integer"]),
          (14, b"\xd9\xa3,n", ["type: '٣' is not an integer"]),
          (15, b"--1,o", ["type: '--1' is not an integer"])]),
    Dirt("a long cell is cut in its sentence",
         b"1,z\n" + b"x" * 81 + b",a\n" + b"y" * 80 + b",b\n", [(1, "z")], [
        (2, b"x" * 81 + b",a", [f"type: '{'x' * 80}…' is not an integer"]),
        (3, b"y" * 80 + b",b", [f"type: '{'y' * 80}' is not an integer"]),
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
        ("07/11/2021", f"{NOT_ISO}: write the year first, as in 2018-03-31"),
        ("2021-11-07T02:48:42 UTC", NOT_ISO),
        (
            "2021-11-07T02:48:42.1234567Z",
            "type: '{}' is more digits than timestamp with time zone holds",
        ),
        ("2021-11-07T23:59:60Z", "type: '{}' has second 60: write second 59 or the next minute"),
        ("2021-11-07 ", "2021-11-07 00:00:00+00"),
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
