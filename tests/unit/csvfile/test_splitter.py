"""Where records begin and end, on which lines they are, and what breaks the grammar."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import split_records
from rowboat.errors import FileRefused
from rowboat.settings import settings as rowboat_settings

thorough = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def dialect(delimiter: str = ",", newline: str = "\n", columns: int = 2) -> Dialect:
    return Dialect(delimiter, newline, tuple("abcdefgh"[:columns]))


def fields(found: Records) -> list[list[str]]:
    return [list(found.fields(index).values()) for index in range(len(found))]


def story(found: Records) -> list[tuple[int, bytes, list[str]]]:
    """Return (line from 0, bytes, sentences) of every record."""
    return [
        (
            int(found.lines[index]),
            found.raw(index),
            [reason.message for reason in found.refused.get(index, [])],
        )
        for index in range(len(found))
    ]


CUTS: list[tuple[bytes, list[tuple[int, bytes, list[str]]]]] = [
    (b"", []),
    (b"\n\n", []),
    (b"1,a", [(0, b"1,a", [])]),
    (b"1,a\n2,b\n", [(0, b"1,a", []), (1, b"2,b", [])]),
    (b"1,a\r\n\r\n2,b\r", [(0, b"1,a", []), (2, b"2,b", [])]),
    (b'1,"a\n\nb"\n2,b', [(0, b'1,"a\n\nb"', []), (3, b"2,b", [])]),
    (b'1,"a""b"\n', [(0, b'1,"a""b"', [])]),
    (b'1,""\n', [(0, b'1,""', [])]),
    (b'1,""""\n', [(0, b'1,""""', [])]),
    (b'1,"a,b"\n', [(0, b'1,"a,b"', [])]),
    (b'1,"a\n2,b\n', [
        (0, b'1,"a', ["the quote that opens a field is never closed"]), (1, b"2,b", []),
    ]),
    (b'1,a"\n2,b\n', [
        (0, b'1,a"', ["a quote is inside an unquoted field"]), (1, b"2,b", []),
    ]),
    (b'1,"a"x\n2,"b\n"\n3,c\n', [
        (0, b'1,"a"x', ["text follows a closing quote"]), (1, b'2,"b\n"', []), (3, b"3,c", []),
    ]),
    (b'1,"a"x"\n2,b\n', [
        (0, b'1,"a"x"', ["text follows a closing quote"]), (1, b"2,b", []),
    ]),
    (b"1\n1,2,3\n", [
        (0, b"1", ["has 1 field instead of 2"]), (1, b"1,2,3", ["has 3 fields instead of 2"]),
    ]),
    (b'x"\n1,"2,2",3\n', [
        (0, b'x"', ["a quote is inside an unquoted field"]),
        (1, b'1,"2,2",3', ["has 3 fields instead of 2"]),
    ]),
    (b"1,a\rb\n", [(0, b"1,a\rb", ["a carriage return is inside an unquoted field"])]),
    (b'1,"a\rb"\n', [(0, b'1,"a\rb"', [])]),
    (b"1,\0\0\n", [(0, b"1,\0\0", ["contains a NUL byte, which Postgres cannot store in text"])]),
    (b"1,\xe9\n", [(0, b"1,\xe9", ["is not UTF-8: byte 0xe9 at position 3"])]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CUTS)
def test_cut(text: bytes, expected: list[tuple[int, bytes, list[str]]]) -> None:
    found = split_records(text, dialect(), at_end=True)
    assert story(found) == expected
    assert found.consumed == len(text)
    assert found.newlines == text.count(b"\n")


@pytest.mark.parametrize(("text", "expected"), CUTS)
def test_every_split_gives_the_same(
    text: bytes, expected: list[tuple[int, bytes, list[str]]]
) -> None:
    """Wherever a chunk ends, an undecided record is left for the next one."""
    for border in range(len(text) + 1):
        first = split_records(text[:border], dialect(), at_end=False)
        rest = split_records(text[first.consumed :], dialect(), at_end=True)
        later = [(line + first.newlines, raw, why) for line, raw, why in story(rest)]
        assert story(first) + later == expected
        assert first.consumed <= border


@pytest.mark.parametrize(("text", "expected"), CUTS)
def test_copy_text_holds_what_is_not_refused(
    text: bytes, expected: list[tuple[int, bytes, list[str]]]
) -> None:
    found = split_records(text, dialect(), at_end=True)
    good = [raw for _, raw, why in expected if not why]
    assert found.copy_text().rstrip(b"\n") == b"\n".join(good).rstrip(b"\n")
    assert len(found.staged()) == len(good)


def test_copy_text_of_lone_carriage_returns() -> None:
    found = split_records(b'1,a\r\r2,"b\rc"\rx\r3,d', dialect(newline="\r"), at_end=True)
    assert found.copy_text() == b'1,a\n2,"b\rc"\n3,d'
    assert [line for line, _, _ in story(found)] == [0, 2, 4, 5]


def test_line_feed_within_lone_carriage_returns() -> None:
    found = split_records(b'1,a\nb\r2,"c\nd"\r', dialect(newline="\r"), at_end=True)
    assert story(found) == [
        (0, b"1,a\nb", ["a line feed is inside an unquoted field"]),
        (1, b'2,"c\nd"', []),
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_head(count: int) -> None:
    text = b"\n1,a\n2,\n3\n\n4,d\n"
    whole = split_records(text, dialect(), at_end=True)
    head = whole.head(count)
    rest = split_records(text[head.consumed :], dialect(), at_end=True)
    later = [(line + head.newlines, raw, why) for line, raw, why in story(rest)]
    assert len(head) == min(count, 4)
    assert story(head) + later == story(whole)


HEADERS: list[tuple[bytes, list[bytes], int]] = [
    (b"id,na me\n1,a\n", [b"1,a"], 1),
    (b"1,a\nid,na me\n2,b\n", [b"1,a", b"2,b"], 1),
    (b'id,na me\n1,a\n"ID","Na_Me"\n\xef\xbb\xbfid,na me\nid , na me\n', [b"1,a"], 4),
    (b"1\nid,na me\n2,b\n", [b"1", b"2,b"], 1),
    (b"id,nap me\nid,\nid,na me,x\n", [b"id,nap me", b"id,", b"id,na me,x"], 0),
]


@pytest.mark.parametrize(("text", "rows", "headers"), HEADERS)
@pytest.mark.parametrize("newline", ["\n", "\r"])
def test_headers_are_left_out_wherever_they_are(
    text: bytes, rows: list[bytes], headers: int, newline: str
) -> None:
    form = Dialect(",", newline, ("id", "na me"), "id,na me")
    found = split_records(text.replace(b"\n", newline.encode()), form, at_end=True)
    assert [found.raw(index) for index in range(len(found))] == rows
    assert found.headers == headers
    assert sorted(found.refused) == [n for n, row in enumerate(rows) if row.count(b",") != 1]


FIELDS: list[tuple[tuple[str | None, ...], bytes, bytes]] = [
    ((None, "a", "b"), b"0,1,x\n1,2,y\n", b"1,x\n2,y\n"),
    (("a", None, "b"), b'1,"q,q",x\n2,,y\n', b"1,x\n2,y\n"),
    (("a", "b", None), b"1,x,z\n2,y\n3,z,\n", b"1,x\n2,y\n3,z\n"),
    (("a", "b", None, None), b"1,x,,\r\n2,y,\r\n", b"1,x\n2,y\n"),
    (("a", "b"), b'1,x,\n2,y\n3,"z",""\n4,w,', b'1,x\n2,y\n3,"z"\n4,w'),
    (("a", None, "b"), b'1,"q"q,x\n2,q,y\n', b"2,y\n"),
    ((None, "a"), b'"0,\n",1\n', b"1\n"),
]


@pytest.mark.parametrize(("names", "text", "sent"), FIELDS)
def test_fields_without_a_column_are_not_sent(
    names: tuple[str | None, ...], text: bytes, sent: bytes
) -> None:
    form = Dialect(",", "\n", names)
    found = split_records(text, form, at_end=True)
    assert found.copy_text() == sent
    rows = [list(found.fields(n).values()) for n in found.staged().tolist()]
    assert rows == list(csv.reader(io.StringIO(sent.decode())))


@pytest.fixture
def short_records(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Records of at most 1,024 bytes."""
    monkeypatch.setenv("ROWBOAT_RECORD_BYTES", "1024")
    rowboat_settings.cache_clear()
    yield 1024
    rowboat_settings.cache_clear()


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (b'1\t"half\n2\tx"\n', True),
        (b'1\t"6"\n2\tx\n3\t"a\n4\tb\n5\tc"\n', True),
        (b'1\t"two\nlines"\n', False),
        (b'1\t"two\tfields\nlines"\n', False),
        (b'1\t"6"\n2\t"x"\n', False),
    ],
)
def test_quotes_of_a_tab_separated_file_may_be_text(text: bytes, is_refused: bool) -> None:
    if not is_refused:
        assert split_records(text, dialect("\t"), at_end=True).refused == {}
        return
    with pytest.raises(FileRefused, match="both may be rows"):
        split_records(text, dialect("\t"), at_end=True)


def test_record_beyond_all_bounds(short_records: int) -> None:
    with pytest.raises(FileRefused) as raised:
        split_records(b"x" * (short_records + 1), dialect(), at_end=False)
    assert (raised.value.fact, raised.value.hint) == (
        "a line is longer than 1,024 bytes",
        "check whether it is a CSV file at all; if so, raise ROWBOAT_RECORD_BYTES",
    )
    assert split_records(b"x" * short_records, dialect(), at_end=False).consumed == 0


def test_quote_that_stays_open_beyond_all_bounds(short_records: int) -> None:
    """The record is given up at the end of its line, and the next line is read as a record."""
    text = b'1,"a\n' + b"2,b\n" * 300
    assert split_records(text[:short_records], dialect(), at_end=False).consumed == 0
    found = split_records(text, dialect(), at_end=False)
    assert story(found)[:2] == [
        (0, b'1,"a', ["the quote that opens a field is never closed"]), (1, b"2,b", []),
    ]  # fmt: skip
    assert found.consumed == len(text)


# Against Python's own csv module

cells = st.text(st.sampled_from('ab é"",;|\t\n🚣'), max_size=5)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8)
)


def written(rows: list[list[str]], quoting: int, delimiter: str, newline: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)
    return text.getvalue().encode()


@thorough
@given(
    rows=tables,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    data=st.data(),
)
def test_reads_what_csv_writes(
    rows: list[list[str]], delimiter: str, newline: str, quoting: int, data: st.DataObject
) -> None:
    text = written(rows, quoting, delimiter, newline)
    form = dialect(delimiter, "\n", len(rows[0]) if rows else 2)
    whole = split_records(text, form, at_end=True)
    assert fields(whole) == rows
    assert whole.refused == {}
    border = data.draw(st.integers(0, len(text)))
    first = split_records(text[:border], form, at_end=False)
    rest = split_records(text[first.consumed :], form, at_end=True)
    assert fields(first) + fields(rest) == rows
    starts = [text[: int(start)].count(b"\n") for start in whole.starts]
    assert whole.lines.tolist() == starts


@thorough
@given(rows=tables, delimiter=st.sampled_from([",", ";"]))
def test_reads_what_csv_writes_with_lone_carriage_returns(
    rows: list[list[str]], delimiter: str
) -> None:
    text = written(rows, csv.QUOTE_ALL, delimiter, "\r")
    found = split_records(text, dialect(delimiter, "\r", len(rows[0]) if rows else 2), at_end=True)
    assert fields(found) == rows
    assert found.refused == {}


@thorough
@given(st.lists(st.sampled_from([b"1", b",", b'"', b"\n", b"\r\n", b"\r", b"x"]), max_size=24))
def test_nothing_is_lost_and_splits_do_not_show(pieces: list[bytes]) -> None:
    """Any bytes: the records and the newlines between them are the whole text, however split."""
    text = b"".join(pieces)
    whole = split_records(text, dialect(), at_end=True)
    between = bytearray(text)
    for start, end in zip(whole.starts.tolist()[::-1], whole.ends.tolist()[::-1], strict=True):
        del between[start:end]
    assert bytes(between).strip(b"\r\n") == b""
    for border in range(len(text) + 1):
        first = split_records(text[:border], dialect(), at_end=False)
        rest = split_records(text[first.consumed :], dialect(), at_end=True)
        later = [(line + first.newlines, raw, why) for line, raw, why in story(rest)]
        assert story(first) + later == story(whole)
