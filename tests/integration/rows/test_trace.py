"""Where a row came from, and what became of a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rowboat.backup import take
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.database import connections
from rowboat.errors import FileRefused, UnknownRow, UnknownTable
from rowboat.rows.read import trace
from rowboat.rows.read.trace import LineTrace, Origin, RowTrace
from tests.conftest import Boat

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


def trace_row(boat: Boat, table: str, *key: str) -> RowTrace:
    with connections.transaction(boat.connect()) as cursor:
        return trace.trace_row(cursor, boat.catalog().table(table), list(key))


def trace_line(boat: Boat, name: str, number: int) -> LineTrace:
    with connections.transaction(boat.connect()) as cursor:
        return trace.trace_line(cursor, boat.catalog(), name, number)


def state(boat: Boat, name: str, number: int) -> str:
    return trace_line(boat, name, number).state


def place(origin: Origin | None) -> tuple[Any, ...] | None:
    """Return (source, file, line, note) of an origin."""
    return origin and (origin.load["source"], origin.file, origin.line, origin.note)


# Rows


def test_row_that_a_file_brought(boat: Boat) -> None:
    boat.write("departments.csv", "id,department\n\n1,a\n7,b\n")
    boat.ingest()
    found = trace_row(boat, "departments", "7")
    assert (found.table, found.key, found.fields) == (
        "hired_employees.departments",
        ["7"],
        {"id": 7, "department": "b"},
    )
    assert place(found.writer) == ("file", "departments.csv", 4, None)
    assert found.writer
    assert (found.writer.load["actor"], found.writer.load["inserted"]) == ("tester", 2)
    assert found.earlier == []


def test_row_is_found_however_its_key_is_written(boat: Boat) -> None:
    boat.write("departments.csv", "007,b\n")
    boat.ingest()
    for key in ("7", "07", "007"):
        assert place(trace_row(boat, "departments", key).writer) == (
            "file", "departments.csv", 1, None,
        )  # fmt: skip
    assert trace_line(boat, "departments.csv", 1).state == trace.IS_ROW


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
@pytest.mark.parametrize("limit", [None, "1"])
def test_row_of_any_chunk(
    boat: Boat, setting: Setting, chunk_bytes: int, limit: str | None
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    if limit:  # a file under a limit is one transaction, however many chunks it has
        setting("reject_limit", limit)
    rows = "".join(f'{n},"department\n{n}"\n' for n in range(1, 21))
    boat.write("departments.csv", f"id,department\n{rows}")
    boat.ingest()
    for n in (1, 2, 9, 20):
        assert place(trace_row(boat, "departments", str(n)).writer) == (
            "file", "departments.csv", 2 * n, None,
        )  # fmt: skip
        assert state(boat, "departments.csv", 2 * n) == trace.IS_ROW
        assert state(boat, "departments.csv", 2 * n + 1) == trace.EMPTY


def test_row_that_other_files_changed(boat: Boat) -> None:
    boat.write("departments-1.csv", "1,a\n2,b\n")
    boat.ingest()
    boat.write("departments-2.csv", "9,x\n1,b\n")
    boat.ingest()
    boat.write("departments-3.csv", "1,c\n")
    boat.ingest()
    found = trace_row(boat, "departments", "1")
    assert place(found.writer) == ("file", "departments-3.csv", 1, None)
    assert [place(each) for each in found.earlier] == [
        ("file", "departments-2.csv", 2, None),
        ("file", "departments-1.csv", 1, None),
    ]
    assert state(boat, "departments-1.csv", 1) == trace.WAS_ROW
    assert state(boat, "departments-1.csv", 2) == trace.IS_ROW
    assert state(boat, "departments-2.csv", 2) == trace.WAS_ROW
    assert state(boat, "departments-3.csv", 1) == trace.IS_ROW


def test_row_of_a_rewritten_file(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,b\n")
    boat.ingest()
    boat.write("departments.csv", "2,B\n1,a\n")
    boat.ingest()
    found = trace_row(boat, "departments", "2")
    assert place(found.writer) == ("file", "departments.csv", 1, None)
    then = "in lines 1 to 2 of the file as it was then"
    assert [place(each) for each in found.earlier] == [("file", "departments.csv", None, then)]
    assert place(trace_row(boat, "departments", "1").writer) == (
        "file", "departments.csv", None, then,
    )  # fmt: skip
    assert state(boat, "departments.csv", 1) == trace.IS_ROW
    assert state(boat, "departments.csv", 2) == trace.EQUALLED


def test_file_that_changed_since(boat: Boat) -> None:
    path = boat.write("departments.csv", "1,a\n2,b\n")
    boat.ingest()
    path.write_text("3,c\n2,b\n")
    assert state(boat, "departments.csv", 2) == trace.CHANGED
    assert place(trace_row(boat, "departments", "2").writer) == (
        "file", "departments.csv", None, "in lines 1 to 2 of the file as it was then",
    )  # fmt: skip
    path.unlink()
    assert state(boat, "departments.csv", 2) == trace.CHANGED
    assert place(trace_row(boat, "departments", "2").writer) == (
        "file", "departments.csv", None, "in lines 1 to 2 of the file as it was then",
    )  # fmt: skip


def test_row_of_an_appended_tail(boat: Boat) -> None:
    path = boat.write("departments.csv", "id,department\n1,a")
    boat.ingest()
    path.write_text("id,department\n1,a\n2,b\n")
    boat.ingest()
    assert [state(boat, "departments.csv", n) for n in (1, 2, 3)] == [
        trace.EMPTY, trace.IS_ROW, trace.IS_ROW,
    ]  # fmt: skip
    assert place(trace_row(boat, "departments", "2").writer) == ("file", "departments.csv", 3, None)


def test_backups_that_hold_a_row(boat: Boat, setting: Setting, tmp_path: Path) -> None:
    """Those that were taken since it was last changed; a restore's row names its set."""
    setting("backups", str(tmp_path / "shelf"))
    boat.write("departments.csv", "1,a\n7,b\n")
    boat.ingest()
    first = take.take_backup(boat.connect()).set
    boat.write("departments.csv", "1,a\n7,changed\n")
    boat.ingest()
    second = take.take_backup(boat.connect()).set
    assert trace_row(boat, "departments", "1").held_by == [first, second]
    assert trace_row(boat, "departments", "7").held_by == [second]
    table = "hired_employees.departments"
    order = RestoreOrder({table: source_of_set(first, table)}, "replace", "tester")
    restore.restore_tables(boat.connect(), order)
    found = trace_row(boat, "departments", "7")
    assert found.held_by == []
    assert found.writer
    assert found.writer.load["source_name"] == f"{first}/departments.avro"


def test_row_written_with_sql(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,b\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments values (3, 'c')")
    boat.query("update hired_employees.departments set department = 'z' where id = 2")
    assert trace_row(boat, "departments", "3").writer is None
    found = trace_row(boat, "departments", "2")
    assert (found.writer, found.earlier) == (None, [])
    assert state(boat, "departments.csv", 1) == trace.IS_ROW
    assert state(boat, "departments.csv", 2) == trace.WAS_ROW


def test_row_written_after_a_savepoint(boat: Boat) -> None:
    """Such rows carry a number of their own; they are nobody's, not some load's."""
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    boat.query(
        "begin; insert into hired_employees.departments values (2, 'b');"
        "savepoint here; insert into hired_employees.departments values (3, 'c');"
        "release savepoint here; commit"
    )
    assert trace_row(boat, "departments", "2").writer is None
    assert trace_row(boat, "departments", "3").writer is None


def test_row_that_had_waited(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "5,A,2021-01-01,1,1\n06,B,2021-01-01,1,1\n")
    boat.ingest()
    assert state(boat, "hired_employees.csv", 2) == trace.QUARANTINED
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert place(trace_row(boat, "hired_employees", "6").writer) == (
        "retry", "hired_employees.csv", 2, "it was in quarantine and was judged again",
    )  # fmt: skip
    assert state(boat, "hired_employees.csv", 2) == trace.SETTLED
    boat.write("hired_employees-2.csv", "6,C,2021-01-01,1,1\n")
    boat.ingest()
    found = trace_row(boat, "hired_employees", "6")
    assert [place(each) for each in found.earlier] == [
        ("retry", "hired_employees.csv", 2, "it was in quarantine and was judged again")
    ]


def test_transaction_numbers_that_recur(boat: Boat) -> None:
    """After four thousand million transactions a number stands for two loads."""
    boat.write("departments.csv", "1,a\n2,b\n")
    boat.ingest()
    boat.query(
        "insert into ingest_status.loads (xid, table_name, source, source_name, actor,"
        " read, inserted, updated, unchanged, rejected)"
        " select ((xid::text::numeric + 4294967296)::text)::xid8, table_name, 'api', 'request 9',"
        " 'someone', 1, 1, 0, 0, 0 from ingest_status.loads"
    )
    found = trace_row(boat, "departments", "1")
    assert found.writer
    assert found.writer.note == (
        "transaction IDs have wrapped around since, so the load is only likely"
    )
    boat.query(
        "insert into ingest_status.overwritten (load_id, previous, keys)"
        " select max(id), min(xid)::text::bigint, '{[1]}' from ingest_status.loads"
    )
    assert [place(each) for each in trace_row(boat, "departments", "1").earlier] == [
        ("file", "departments.csv", 1, None)
    ]


KEYS = [
    ("numeric(8,2)", "1.5", ["1.50", "1.5", "01.5"]),
    ("timestamptz", "2021-01-02T03:04:05Z", ["2021-01-02 03:04:05+00", "2021-01-02T04:04:05+01"]),
    ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("boolean", "t", ["true", "t"]),
    ("text", '"say ""é"" \\ %s {} \t/"', ['say "é" \\ %s {} \t/']),
    ("bytea", "\\xAB", ["\\xab"]),
    ("date", "2021-01-02", ["2021-01-02"]),
]


@pytest.mark.parametrize(("kind", "cell", "keys"), KEYS, ids=[kind for kind, _, _ in KEYS])
def test_keys_of_every_type(
    boat: Boat, declare: Declare, kind: str, cell: str, keys: list[str]
) -> None:
    declare(f"create schema s; create table s.t (k {kind} primary key, v text)")
    boat.write("t-1.csv", f"v,k\nold,{cell}\n")
    boat.ingest()
    boat.write("t-2.csv", f"k,v\n{cell},new\n")
    boat.ingest()
    for key in keys:
        found = trace_row(boat, "t", key)
        assert place(found.writer) == ("file", "t-2.csv", 2, None)
        assert [place(each) for each in found.earlier] == [("file", "t-1.csv", 2, None)]
    assert state(boat, "t-1.csv", 2) == trace.WAS_ROW
    assert state(boat, "t-2.csv", 2) == trace.IS_ROW


def test_key_of_several_columns(boat: Boat, declare: Declare) -> None:
    declare(
        'create schema "S %"; create table "S %"."T {}"'
        ' ("a %" integer, "b {}" date, v text, primary key ("a %", "b {}"))'
    )
    boat.write("T {}.csv", "1,2021-01-01,x\n1,2021-01-02,y\n")
    boat.ingest()
    found = trace_row(boat, "T {}", "1", "2021-01-02")
    assert place(found.writer) == ("file", "T {}.csv", 2, None)
    line = trace_line(boat, "T {}.csv", 2)
    assert (line.state, line.table, line.key) == (trace.IS_ROW, "S %.T {}", ["1", "2021-01-02"])


@pytest.mark.parametrize(
    ("table", "key", "fact", "hint"),
    [
        ("departments", ["9"], "hired_employees.departments has no row with id 9", "check the key"),
        ("departments", ["x"], "hired_employees.departments has no row with id x", "check the key"),
        (
            "departments",
            ["1", "2"],
            "the key of hired_employees.departments is (id): 2 values were given",
            "separate the values of a key by commas",
        ),
        (
            "keyless",
            ["1"],
            "s.keyless has no key to find a row by",
            "add a primary key to the table",
        ),
    ],
)
def test_rows_that_are_not_there(
    boat: Boat, declare: Declare, table: str, key: list[str], fact: str, hint: str
) -> None:
    declare("create schema s; create table s.keyless (v integer)")
    with pytest.raises(UnknownRow) as raised:
        trace_row(boat, table, *key)
    assert (raised.value.fact, raised.value.hint) == (fact, hint)


def test_tables_that_are_not_there(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    for name, fact, hint in (
        ("ships", "there is no table ships", "`rowboat status` lists the tables"),
        (
            "jobs",
            "several tables are called jobs: hired_employees.jobs, s.jobs",
            "name the schema too",
        ),
    ):
        with pytest.raises(UnknownTable) as raised:
            boat.catalog().table(name)
        assert (raised.value.fact, raised.value.hint) == (fact, hint)


# Lines


def test_lines_of_a_file(boat: Boat) -> None:
    boat.write(
        "departments.csv", 'id,department\n1,a\n\n2,"b\nb"\nx,\n1,again\n,,\n3,c\n4,"d\n\n5,e\n'
    )
    boat.ingest()
    boat.query("delete from hired_employees.departments where id = 3")
    states = [state(boat, "departments.csv", n) for n in range(1, 14)]
    assert states == [
        trace.EMPTY,  # the header
        trace.IS_ROW,
        trace.EMPTY,  # blank
        trace.IS_ROW,
        trace.EMPTY,  # within quotes
        trace.QUARANTINED,
        trace.QUARANTINED,
        trace.QUARANTINED,
        trace.GONE,
        trace.QUARANTINED,  # an open quote
        trace.EMPTY,
        trace.IS_ROW,
        trace.NOT_READ,
    ]
    found = trace_line(boat, "departments.csv", 6)
    assert [(each["rule"], each["message"]) for each in found.reasons] == [
        ("type", "'x' is not an integer"),
        ("required", "department is empty"),
    ]
    loaded = trace_line(boat, "departments.csv", 4)
    assert (loaded.table, loaded.key) == ("hired_employees.departments", ["2"])
    assert loaded.load
    assert loaded.load["source_name"] == "departments.csv"


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\n" * 70, b"\xef\xbb\xbf" + b"\r\n" * 40, b""])
def test_header_is_no_row_wherever_it_stands(boat: Boat, setting: Setting, lead: bytes) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", lead + b"id,department\n1,a\n")
    report = boat.ingest()["departments.csv"]
    assert report.report.read == 1
    line = lead.count(b"\n") + 1
    assert state(boat, "departments.csv", line) == trace.EMPTY
    assert state(boat, "departments.csv", line + 1) == trace.IS_ROW


def test_line_of_utf16_and_gzip(boat: Boat) -> None:
    boat.write("departments.csv", b"\xff\xfe" + "id,department\n1,é\n".encode("utf-16-le"))
    boat.ingest()
    assert [state(boat, "departments.csv", n) for n in (1, 2, 3)] == [
        trace.EMPTY, trace.IS_ROW, trace.NOT_READ,
    ]  # fmt: skip


def test_line_that_equalled_a_row(boat: Boat) -> None:
    boat.write("departments-1.csv", "1,a\n")
    boat.write("departments-2.csv", "1,a\n2,b\n")
    boat.ingest()
    assert state(boat, "departments-2.csv", 1) == trace.EQUALLED
    assert state(boat, "departments-2.csv", 2) == trace.IS_ROW


def test_line_of_a_version_that_was_replaced(boat: Boat) -> None:
    """What an earlier version had in a line is not what stands there now."""
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n2,,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert state(boat, "hired_employees.csv", 1) == trace.SETTLED
    assert state(boat, "hired_employees.csv", 2) == trace.QUARANTINED
    boat.write("hired_employees.csv", "9,Z,2021-01-01,1,1\n2,B,2021-01-01,1,1\n")
    boat.ingest()
    assert state(boat, "hired_employees.csv", 1) == trace.IS_ROW
    assert state(boat, "hired_employees.csv", 2) == trace.IS_ROW


def test_line_with_a_long_field(boat: Boat, declare: Declare) -> None:
    boat.write("departments.csv", f'1,"{"x" * 300_000}"\n2,b\n')
    boat.ingest()
    assert state(boat, "departments.csv", 2) == trace.IS_ROW
    assert place(trace_row(boat, "departments", "1").writer) == ("file", "departments.csv", 1, None)


def test_unknown_file(boat: Boat) -> None:
    with pytest.raises(FileRefused) as raised:
        trace_line(boat, "nothing.csv", 1)
    assert (raised.value.fact, raised.value.hint) == (
        "nothing.csv is not known",
        "`rowboat status` lists the files",
    )


def test_unmatched_file_has_no_read_lines(boat: Boat) -> None:
    boat.write("invoices.csv", "1,a\n")
    boat.ingest()
    assert state(boat, "invoices.csv", 1) == trace.NOT_READ


def test_names_of_files(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    boat.write("jobs/may.csv", "1,a\n")
    assert trace.name_of_file(str(boat.raw / "jobs" / "may.csv")) == "jobs/may.csv"
    assert trace.name_of_file("jobs/may.csv") == "jobs/may.csv"
    monkeypatch.chdir(boat.raw)
    assert trace.name_of_file("jobs/may.csv") == "jobs/may.csv"
    assert trace.name_of_file("nothing.csv") == "nothing.csv"


def test_overwritten_keys_are_json(boat: Boat) -> None:
    boat.write("departments-1.csv", "1,a\n2,b\n3,c\n")
    boat.ingest()
    boat.write("departments-2.csv", "1,x\n3,y\n2,b\n")
    boat.ingest()
    keys = boat.query("select keys from ingest_status.overwritten")
    assert [sorted(map(json.loads, each)) for each in keys] == [[[1], [3]]]


def test_a_file_that_version_0_1_0_loaded(boat: Boat) -> None:
    """Its first load counts the header, of which no text was kept."""
    boat.write("departments.csv", "id,department\n5,a\n6,b\n")
    boat.ingest()
    kept = {"delimiter": ",", "newline": "\n", "columns": ["id", "department"], "header": True,
            "start": 0, "first": 0}  # fmt: skip
    boat.query("update ingest_status.ingest_status set dialect = %s", [json.dumps(kept)])
    boat.query("update ingest_status.loads set first_byte = 0, first_line = 1")
    found = trace_row(boat, "departments", "6")
    assert place(found.writer) == ("file", "departments.csv", 3, None)
    boat.write("departments.csv", "id,department\n5,a\n6,b\n7,c\n")
    assert boat.ingest()["departments.csv"].report.inserted == 1
