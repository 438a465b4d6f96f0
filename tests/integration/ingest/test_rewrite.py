"""Files that grow, that are rewritten, that were interrupted: the position decides what is read."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rowboat.errors import Stopped
from rowboat.ingest.reports import FileReport
from tests.conftest import Boat, counts

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]

KEYLESS = (
    "create schema s;"
    "create table s.logs (at integer not null, word text, check (at > 0));"
    "create table s.notes (id integer generated always as identity primary key, word text not null)"
)


def passages(boat: Boat) -> list[tuple[int, ...]]:
    """Return (version, first and last byte, first and last line, rows read) of every load."""
    return boat.query(
        "select version, first_byte, last_byte, first_line, last_line, read"
        " from ingest_status.loads order by id"
    )


def position(boat: Boat) -> tuple[Any, ...]:
    return boat.query(
        "select version, state, loaded_bytes, loaded_lines, last_id,"
        " read, inserted, updated, unchanged, rejected, vanished from ingest_status.ingest_status"
    )[0]


@pytest.fixture
def file(boat: Boat) -> Callable[[bytes], FileReport]:
    """Write departments.csv and ingest it."""

    def load(content: bytes) -> FileReport:
        boat.write("departments.csv", content)
        report = boat.ingest()["departments.csv"]
        assert (report.state, report.error) == ("loaded", None)
        return report

    return load


File = Callable[[bytes], FileReport]


# Growing


def test_only_the_tail_is_read(boat: Boat, file: File) -> None:
    first = b"id,department\n1,a\n2,b\n"
    file(first)
    assert counts(file(first + b"3,c\nx,d\n")) == (2, 1, 0, 0, 1)
    assert passages(boat) == [(1, 14, 22, 2, 3, 2), (1, 22, 30, 4, 5, 2)]
    assert position(boat) == (1, "loaded", 30, 5, 3, 4, 3, 0, 0, 1, 0)
    assert boat.rejects() == [(5, b"x,d", ["type: 'x' is not an integer"])]


@pytest.mark.parametrize(
    ("first", "tail", "line"),
    [
        (b"1,a\n2,b\n", b"x,d\n3,c\n", 3),
        (b"1,a\n2,b", b"\nx,d\n3,c\n", 3),
        (b"1,a\r\n2,b", b"\r\nx,d\r\n3,c\r\n", 3),
        (b"1,a\r2,b", b"\rx,d\r3,c\r", 3),
        (b"1,a\n2,b\n", b"\n\nx,d\n3,c", 5),
        (b"1,a\n2,b\n\n", b"x,d\n3,c", 4),
        (b'1,a\n2,"b"', b'\nx,"d\n"\n3,c', 3),
    ],
)
def test_tails(boat: Boat, file: File, first: bytes, tail: bytes, line: int) -> None:
    assert counts(file(first)) == (2, 2, 0, 0, 0)
    assert counts(file(first + tail)) == (2, 1, 0, 0, 1)
    assert position(boat)[0] == 1
    assert [at for at, _, _ in boat.rejects()] == [line]
    assert boat.departments()[2] == (3, "c")
    assert boat.ingest()["departments.csv"].state == "unchanged"


@pytest.mark.parametrize("pieces", [2, 3, 7])
def test_many_tails_count_as_one_file(boat: Boat, file: File, pieces: int) -> None:
    """However a file grows, bytes, lines and numbers end as if it had been read at once."""
    content = b"".join(b"%d,n%d\n" % (n, n) for n in range(1, 30)) + b"x,d\n29,other\n40,last"
    borders = [content.index(b"\n", len(content) * n // pieces) for n in range(1, pieces)]
    for border in borders:
        boat.write("departments.csv", content[: border + border % 2])
        boat.ingest()
    file(content)
    assert position(boat) == (1, "loaded", len(content), 32, 40, 32, 30, 0, 0, 2, 0)
    assert boat.rejects() == [
        (30, b"x,d", ["type: 'x' is not an integer"]),
        (31, b"29,other", ["duplicate: id 29 occurs earlier in this file with other values"]),
    ]


def test_header_alone_then_rows(boat: Boat, file: File) -> None:
    file(b"department,id")
    assert counts(file(b"department,id\na,1\n")) == (1, 1, 0, 0, 0)
    assert boat.departments() == [(1, "a")]
    assert position(boat)[0] == 1


def test_empty_then_header(boat: Boat, file: File) -> None:
    file(b"")
    assert counts(file(b"department;id\na,b;1\n")) == (1, 1, 0, 0, 0)
    assert boat.departments() == [(1, "a,b")]


def test_byte_order_mark_and_tail(boat: Boat, file: File) -> None:
    first = b"\xef\xbb\xbfid,department\n1,a\n"
    file(first)
    assert counts(file(first + b"2,b\n")) == (1, 1, 0, 0, 0)
    assert passages(boat) == [(1, 17, 21, 2, 2, 1), (1, 21, 25, 3, 3, 1)]


def test_utf16_tail(boat: Boat, file: File) -> None:
    text = "id,department\n1,é\n"
    file(b"\xff\xfe" + text.encode("utf-16-le"))
    assert counts(file(b"\xff\xfe" + (text + "2,ü\n").encode("utf-16-le"))) == (1, 1, 0, 0, 0)
    assert boat.departments() == [(1, "é"), (2, "ü")]


def test_last_line_that_goes_on_is_taken_back(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b")
    assert counts(file(b"1,a\n2,bc\n3,d\n")) == (2, 2, 0, 0, 0)
    assert boat.departments() == [(1, "a"), (2, "bc"), (3, "d")]
    assert position(boat) == (1, "loaded", 13, 3, 3, 3, 3, 0, 0, 0, 0)


def test_tail_updates_rows_of_the_head(boat: Boat, file: File) -> None:
    """A row that comes later is newer; twice in one tail it is a duplicate."""
    file(b"1,a\n2,b\n3,c\n")
    boat.query("update hired_employees.departments set department = 'by hand' where id = 2")
    assert counts(file(b"1,a\n2,b\n3,c\n1,A\n2,B\n3,c\n1,again\n")) == (4, 0, 2, 1, 1)
    assert boat.departments() == [(1, "A"), (2, "B"), (3, "c")]
    assert boat.rejects() == [
        (7, b"1,again", ["duplicate: id 1 occurs earlier in this file with other values"])
    ]


# Rewriting


def versions(boat: Boat) -> dict[int, str]:
    return dict(boat.query("select id, xmin::text from hired_employees.departments"))


def test_rewritten_file(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n3,c\nx,d\n4,\n")
    before = versions(boat)
    report = file(b"1,a\n2,B\n5,e\ny,f\n")
    assert counts(report) == (4, 1, 1, 1, 1)
    assert report.vanished == ["[3]"]
    assert boat.departments() == [(1, "a"), (2, "B"), (3, "c"), (5, "e")]
    after = versions(boat)
    assert {n for n in before if before[n] == after[n]} == {1, 3}
    assert boat.rejects() == [(4, b"y,f", ["type: 'y' is not an integer"])]
    assert boat.query(
        "select line, version, settled_as from ingest_status.rejected_rows"
        " where settled_at is not null order by line"
    ) == [(4, 1, "superseded"), (5, 1, "superseded")]
    assert position(boat) == (2, "loaded", 16, 4, 5, 4, 1, 1, 1, 1, 1)


def test_rewritten_file_across_chunks(boat: Boat, file: File, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    rows = [b"%d,department %d\n" % (n, n) for n in range(1, 31)]
    file(b"".join(rows))
    before = versions(boat)
    rows[4], rows[20] = b"5,fifth\n", b"21,twenty-first\n"
    report = file(b"".join(rows[:25]))
    assert counts(report) == (25, 0, 2, 23, 0)
    assert report.vanished == [f"[{n}]" for n in range(26, 31)]
    after = versions(boat)
    assert {n for n in before if before[n] != after[n]} == {5, 21}


def test_a_wrong_cell_is_not_taken_for_none(boat: Boat, declare: Declare) -> None:
    """A row whose cell is no value does not equal the row of the table that has none."""
    declare("create schema s; create table s.t (id integer primary key, a integer, b numeric)")
    rows = [f"{n},{n},1.50\n" for n in range(1, 101)]
    boat.write("t.csv", "".join([*rows, "101,,\n", "102,,\n", "103,,\n"]))
    assert counts(boat.ingest()["t.csv"]) == (103, 103, 0, 0, 0)
    boat.write("t.csv", "".join([*rows[1:], "101,x,\n", "102,,y\n", "1,1,1.5\n", "103,,\n"]))
    assert counts(boat.ingest()["t.csv"]) == (103, 0, 1, 100, 2)
    assert [line for line, _, _ in boat.rejects()] == [100, 101]
    assert boat.query("select b::text from s.t where id = 1") == ["1.5"]


@pytest.mark.parametrize("chunk_bytes", ["64", "4194304"])
def test_keys_that_stand_twice_in_a_rewritten_file(
    boat: Boat, file: File, setting: Setting, chunk_bytes: str
) -> None:
    setting("chunk_bytes", chunk_bytes)
    rows = [b"%d,department %d\n" % (n, n) for n in range(1, 31)]
    file(b"".join(rows))
    report = file(b"".join([*rows[:29], b"0x1E,x\n", rows[3], b"5,other\n", b"0031,new\n"]))
    assert counts(report) == (33, 1, 0, 29, 3)
    assert boat.rejects() == [
        (30, b"0x1E,x", ["type: '0x1E' is not an integer"]),
        (
            31,
            b"4,department 4",
            ["duplicate: id 4 occurs earlier in this file with the same values"],
        ),
        (32, b"5,other", ["duplicate: id 5 occurs earlier in this file with other values"]),
    ]
    assert position(boat)[4] == 31


def test_last_id_is_of_a_row_that_went_in(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n9,\n")
    assert position(boat)[4] == 2
    assert counts(file(b"1,a\n2,b\n3,\n")) == (3, 0, 0, 2, 1)
    assert position(boat)[4] == 2


def test_corrected_row_is_loaded(boat: Boat, file: File) -> None:
    file(b"1,a\n2,\n3,c\n")
    assert counts(file(b"1,a\n2,b\n3,c\n")) == (3, 1, 0, 2, 0)
    assert boat.rejects() == []
    assert boat.departments() == [(1, "a"), (2, "b"), (3, "c")]


def test_shortened_file(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n")
    report = file(b"1,a\n")
    assert counts(report) == (1, 0, 0, 1, 0)
    assert report.vanished == ["[2]"]


def test_emptied_file(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n")
    report = file(b"")
    assert counts(report) == (0, 0, 0, 0, 0)
    assert report.vanished == ["[1]", "[2]"]
    assert boat.departments() == [(1, "a"), (2, "b")]


def test_vanished_counts_only_what_the_file_still_owned(boat: Boat, file: File) -> None:
    """A row that another file has changed since, or that somebody deleted, is not missed."""
    file(b"1,a\n2,b\n3,c\n4,d\n")
    boat.write("departments-2.csv", "2,other\n")
    boat.ingest()
    boat.query("delete from hired_employees.departments where id = 3")
    assert file(b"1,a\n").vanished == ["[4]"]


def test_vanished_although_as_many_are_equal(boat: Boat, file: File) -> None:
    """The place of a missing row may be taken by one that somebody else had written."""
    file(b"1,a\n2,b\n")
    boat.query("insert into hired_employees.departments values (3, 'c')")
    assert file(b"1,a\n3,c\n").vanished == ["[2]"]


def test_vanished_rows_of_older_versions(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n3,c\n")
    assert file(b"1,a\n3,c\n").vanished == ["[2]"]
    assert file(b"3,c\n").vanished == ["[1]", "[2]"]
    assert file(b"2,b\n1,a\n3,c\n").vanished == []


def test_tail_of_a_rewritten_file_misses_nothing(boat: Boat, file: File) -> None:
    file(b"1,a\n2,b\n")
    assert file(b"2,b\n").vanished == ["[1]"]
    assert file(b"2,b\n3,c\n").vanished == []


def test_row_that_had_waited_vanishes_too(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    boat.write("hired_employees.csv", "2,B,2021-01-01,1,1\n")
    report = boat.ingest()["hired_employees.csv"]
    assert counts(report) == (1, 0, 0, 1, 0)
    assert report.vanished == ["[1]"]


def test_rewritten_rows_keep_columns_that_the_file_lacks(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.t (id integer primary key, a text, b text)")
    boat.write("t.csv", "id,a,b\n1,x,y\n")
    boat.ingest()
    boat.write("t.csv", "id,a\n1,z\n")
    assert counts(boat.ingest()["t.csv"]) == (1, 0, 1, 0, 0)
    assert boat.query("select id, a, b from s.t") == [(1, "z", "y")]


def test_rewritten_with_another_dialect(boat: Boat, file: File) -> None:
    file(b"id,department\n1,a\n2,b\n")
    assert counts(file(b"department;id\r\nb;2\r\na;1\r\n")) == (2, 0, 0, 2, 0)


def test_rewriting_is_refused_without_a_key(boat: Boat, declare: Declare) -> None:
    declare(KEYLESS)
    boat.write("logs.csv", "1,a\n1,a\n")
    assert counts(boat.ingest()["logs.csv"]) == (2, 2, 0, 0, 0)
    boat.write("logs.csv", "1,a\n1,a\n2,b\n0,c\n")
    assert counts(boat.ingest()["logs.csv"]) == (2, 1, 0, 0, 1)
    boat.write("logs.csv", "9,a\n1,a\n2,b\n3,c\n")
    report = boat.ingest()["logs.csv"]
    assert (report.state, report.error, report.hint) == (
        "failed",
        "it was rewritten, and without a key no row of s.logs can be told from its earlier version",
        "append new rows to the old file, or give the table and the file a key",
    )
    assert boat.query("select at, word from s.logs order by at, word") == [
        (1, "a"), (1, "a"), (2, "b"),
    ]  # fmt: skip
    boat.write("logs.csv", "1,a\n1,a\n2,b\n0,c\n5,e\n")
    assert counts(boat.ingest()["logs.csv"]) == (1, 1, 0, 0, 0)


def test_rewriting_is_refused_where_the_database_gives_the_key(
    boat: Boat, declare: Declare
) -> None:
    declare(KEYLESS)
    boat.write("notes.csv", "word\na\nb\n")
    assert counts(boat.ingest()["notes.csv"]) == (2, 2, 0, 0, 0)
    boat.write("notes.csv", "word\na\nb\nc\n")
    assert counts(boat.ingest()["notes.csv"]) == (1, 1, 0, 0, 0)
    boat.write("notes.csv", "word\nz\n")
    assert boat.ingest()["notes.csv"].error == (
        "it was rewritten, and without a key no row of s.notes can be told from its earlier version"
    )
    assert boat.query("select id, word from s.notes order by id") == [(1, "a"), (2, "b"), (3, "c")]


# Interruption


def interrupt(boat: Boat, after: int) -> None:
    """Stop an ingest when so many chunks have passed."""
    stop, chunks = threading.Event(), []

    def progress(*done: object) -> None:
        chunks.append(done)
        if len(chunks) == after:
            stop.set()

    with pytest.raises(Stopped) as raised:
        boat.ingest(progress=progress, stop=stop)
    assert raised.value.hint == "run `rowboat ingest` again; it continues where it stopped"


MANY = b"id,department\n" + b"".join(b"%d,department %d\n" % (n, n) for n in range(1, 31))


def test_resumes_where_it_stopped(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", MANY + b"3,again\n")
    interrupt(boat, after=3)
    done = passages(boat)
    assert position(boat)[:2] == (1, "loading")
    assert len(boat.departments()) == sum(load[-1] for load in done) < 30
    report = boat.ingest()["departments.csv"]
    rest = passages(boat)[len(done) :]
    assert rest[0][1] == done[-1][2]
    assert rest[0][3] == done[-1][4] + 1
    read = sum(load[-1] for load in rest)
    assert counts(report) == (read, read - 1, 0, 0, 1)
    assert position(boat) == (1, "loaded", len(MANY) + 8, 32, 30, 31, 30, 0, 0, 1, 0)
    assert boat.rejects() == [
        (32, b"3,again", ["duplicate: id 3 occurs earlier in this file with other values"])
    ]


def test_interrupted_tail_still_knows_its_duplicates(
    boat: Boat, file: File, setting: Setting
) -> None:
    setting("chunk_bytes", "64")
    file(b"1,a\n")
    boat.write("departments.csv", b"1,a\n" + MANY.split(b"\n", 2)[2] + b"2,again\n")
    interrupt(boat, after=3)
    assert boat.ingest()["departments.csv"].report.rejected == 1
    assert [reasons for _, _, reasons in boat.rejects()] == [
        ["duplicate: id 2 occurs earlier in this file with other values"]
    ]


def test_stops_and_resumes_after_every_chunk(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", b"\n\n" + MANY)
    stops = 0
    while True:
        try:
            interrupt(boat, after=1)
        except pytest.fail.Exception:
            break
        stops += 1
    assert stops == len(passages(boat)) - 1 > 5
    assert position(boat) == (1, "loaded", len(MANY) + 2, 33, 30, 30, 30, 0, 0, 0, 0)
    assert boat.rejects() == []


def test_interrupted_pass_with_equal_rows_starts_anew(boat: Boat, setting: Setting) -> None:
    """Which rows were equal is known to the session only; a key twice must stay a duplicate."""
    boat.write("departments-1.csv", MANY)
    boat.ingest()
    setting("chunk_bytes", "64")
    boat.write("departments-2.csv", MANY + b"1,again\n")
    interrupt(boat, after=3)
    assert counts(boat.ingest()["departments-2.csv"]) == (31, 0, 0, 30, 1)
    assert boat.query(
        "select version, read, unchanged, rejected from ingest_status.ingest_status"
        " where file_name = 'departments-2.csv'"
    ) == [(2, 31, 30, 1)]


def test_file_that_grew_while_it_was_interrupted(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", MANY)
    interrupt(boat, after=2)
    boat.write("departments.csv", MANY + b"31,last\n")
    boat.ingest()
    assert position(boat) == (1, "loaded", len(MANY) + 8, 32, 31, 31, 31, 0, 0, 0, 0)


def test_file_that_was_rewritten_while_it_was_interrupted(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", MANY)
    interrupt(boat, after=2)
    had = len(boat.departments())
    boat.write("departments.csv", MANY.replace(b"\n1,", b"\n99,"))
    report = boat.ingest()["departments.csv"]
    assert counts(report) == (30, 31 - had, 0, had - 1, 0)
    assert report.vanished == ["[1]"]
