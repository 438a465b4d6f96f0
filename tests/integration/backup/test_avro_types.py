"""Values of every type in a backup's files: read back, and read by others, they are the same."""

import io
import struct
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import fastavro.read
import numpy as np
import polars
import pytest

from rowboat.backup import copy_out
from rowboat.backup.avro.container import CODECS, Reader, Writer
from rowboat.backup.avro.digests import Digest
from rowboat.backup.avro.schema import encode_columns, schema_of_table
from rowboat.backup.take import digest_table
from rowboat.catalog.tables import Table
from rowboat.database import copy_binary
from rowboat.database.columnar import Cells
from rowboat.database.connections import Connection, transaction
from rowboat.errors import Unholdable
from tests.conftest import Boat
from tests.support.containers import read
from tests.support.effort import tries
from tests.support.every_type import FULL, TYPES, declared, generated

Declare = Callable[[str], None]
ROWS = tries(2_000, 10_000)


def fill(boat: Boat, rows: int) -> Table:
    """Fill the table; return it as the catalog has it."""
    with transaction(boat.connect("owner")) as cursor:
        cursor.copy_expert("copy s.t from stdin", io.StringIO("".join(generated(rows))))
    return boat.catalog().table("s.t")


def written(connection: Connection, table: Table, codec: str) -> tuple[bytes, str]:
    """Back a table up; return the file and the digest."""
    schema, digest = schema_of_table(table), Digest()
    parts: list[bytes] = []
    names = {"table": table.full_name, "set": "20230101T000000Z"}
    writer = Writer(schema, codec, names, parts.append)

    def take(columns: list[Cells]) -> None:
        buffer, offsets = encode_columns(schema, columns)
        digest.add(buffer, offsets[:-1], np.diff(offsets))
        writer.write(buffer, offsets)

    with transaction(connection) as cursor:
        copy_out.fetch_table(cursor, table, schema, take)
    return b"".join(parts), str(digest)


# Read by others

# What AVRO holds, where it is not what psycopg2 makes of the column itself
SAID = {
    "date": "{} - date '1970-01-01'",
    "time": "(extract(epoch from {}) * 1000000)::bigint",
    "timestamp": "(extract(epoch from {}) * 1000000)::bigint",
    "timestamptz": "(extract(epoch from {}) * 1000000)::bigint",
    "real": "{}::float8",
    "integer": "{}",
}
AS_IT_IS = ("smallint", "bigint", "double precision", "boolean", "bytea", "numeric(", "s.rate",
            "char(")  # fmt: skip


def said(name: str, type_: str) -> str:
    """SQL: a column as AVRO has it."""
    if type_.endswith("[]") and (each := SAID.get(type_[:-2])):
        elements = f"select {each.format('e')} from unnest({name}) with ordinality u (e, n)"
        return f"case when {name} is not null then array({elements} order by n) end"
    if type_ in SAID:
        return SAID[type_].format(name)
    if type_.startswith(AS_IT_IS):
        return name
    return f"{name}::text[]" if type_.endswith("[]") or type_ == "s.tags" else f"{name}::text"


def plain(value: Any) -> Any:
    """Make values comparable: floats by their bits."""
    match value:
        case list():
            return [plain(each) for each in value]
        case float():
            return struct.pack(">d", value)
        case memoryview():
            return bytes(value)
        case UUID():
            return str(value)
        case time():
            return (
                (value.hour * 60 + value.minute) * 60 + value.second
            ) * 10**6 + value.microsecond
    return value


def by_postgres(boat: Boat) -> dict[str, list[Any]]:
    """Return column → values by id."""
    types = {name: type_ for name, (type_, _) in TYPES.items()}
    types |= {f"{name}_full": types[name] for name in FULL}
    shown = ", ".join(said(name, type_) for name, type_ in types.items())
    with transaction(boat.connect()) as cursor:
        cursor.execute(f"select id, {shown} from s.t order by id")
        rows = cursor.fetchall()
    return {
        name: [plain(each) for each in values]
        for name, values in zip(("id", *types), zip(*rows, strict=True), strict=True)
    }


@pytest.fixture
def raw_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fastavro return days and microseconds, because Python has no year 10000."""
    for name in ("int-date", "long-timestamp-micros", "long-local-timestamp-micros"):
        monkeypatch.setitem(fastavro.read.LOGICAL_READERS, name, lambda value, *_: value)


def test_every_type(boat: Boat, declare: Declare, raw_times: None) -> None:
    declare(declared())
    table = fill(boat, ROWS)
    schema, said = schema_of_table(table), by_postgres(boat)
    for codec in CODECS:
        content, digest = written(boat.connect(), table, codec)
        assert digest.startswith(f"{ROWS}-")
        assert read(io.BytesIO(content), len(content)) == digest
        reader = Reader(io.BytesIO(content), len(content))
        assert (reader.codec, reader.schema("s.t")) == (codec, schema)
        entries = {
            name: reader.header.text(f"rowboat.{name}") for name in ("table", "set", "format")
        }
        assert entries == {"table": "s.t", "set": "20230101T000000Z", "format": "1"}
    assert schema.json["doc"] == 'Every "type"\n🚣.'
    assert {each["name"]: each["doc"] for each in schema.json["fields"] if "doc" in each} == {
        "day": "A day."
    }
    records: Any = sorted(fastavro.reader(io.BytesIO(content)), key=lambda each: each["id"])
    for name, expected in said.items():
        assert [plain(record[name]) for record in records] == expected, name


# Polars does not read enums that may be null: it takes their union for what cannot be.
UNREADABLE = {"mood"}


def test_polars(boat: Boat, declare: Declare) -> None:
    declare(declared())
    table = fill(boat, 2000)
    content, _ = written(boat.connect(), table, "deflate")
    said = by_postgres(boat)
    frame = polars.read_avro(io.BytesIO(content), columns=[*(said.keys() - UNREADABLE)]).sort("id")
    assert set(frame.columns) == said.keys() - UNREADABLE
    for name in frame.columns:
        series = frame[name]
        kind = series.dtype.inner if isinstance(series.dtype, polars.List) else series.dtype
        values = (series.to_physical() if kind.is_temporal() else series).to_list()
        if kind == polars.Time:
            values = [value and value // 1000 for value in values]
        assert [plain(value) for value in values] == said[name], name


# Read back by Postgres


@pytest.mark.parametrize("as_text", [False, True])
def test_decoded(boat: Boat, declare: Declare, as_text: bool) -> None:
    """What is decoded are values that Postgres takes, in its binary form or as text."""
    declare(declared())
    table = fill(boat, 2000)
    content, digest = written(boat.connect(), table, "zstandard")
    reader = Reader(io.BytesIO(content), len(content))
    fields = reader.schema("s.t").fields
    native = [each.kind.native and not as_text for each in fields]
    stage = ", ".join(
        f"{each.column} {each.type if typed else 'text'}"
        for each, typed in zip(fields, native, strict=True)
    )
    values = ", ".join(f"{each.column}::{each.type}" for each in fields)
    with transaction(boat.connect("owner")) as cursor:
        cursor.execute(f"create temporary table stage ({stage}) on commit drop")
        for part in reader.rows(reader.schema("s.t")):
            cells = [part.cells(each.column) for each in fields]
            for n, each in enumerate(fields):
                if each.kind.native and as_text:
                    cells[n] = each.kind.literal(cells[n])
            rows = io.BytesIO(
                copy_binary.HEADER + copy_binary.rows_as_copy(cells) + copy_binary.TRAILER
            )
            cursor.copy_expert("copy stage from stdin (format binary)", rows)
        cursor.execute("truncate s.t")
        assert digest_table(cursor, table) == "0-" + "0" * 32
        cursor.execute(f"insert into s.t select {values} from stage")
        assert digest_table(cursor, table) == digest


# The digest


def test_digest_finds_every_change(boat: Boat, declare: Declare) -> None:
    declare(declared())
    table = fill(boat, 60)
    changes = [
        f"update s.t set {name} = (select {name} from s.t where {name}::text"
        f" is distinct from (select {name}::text from s.t where id = 4) limit 1) where id = 4"
        for name in TYPES
    ]
    changes += [f"update s.t set {name} = null where id = 4" for name in TYPES]
    changes += [
        f"update s.t as a set {name} = b.{name} from s.t as b where a.id + b.id = 5 and a.id > 0"
        " and b.id > 0"
        for name in ("whole", "word", "day", "part", "wholes")
    ]
    changes += [
        "update s.t set wholes[1] = wholes[2], wholes[2] = wholes[1] where id = 4",
        "update s.t set word = any_word, any_word = word where id = 50",
        "update s.t set part = rate, rate = part where id = 1",
        "delete from s.t where id = 59",
        "insert into s.t select 60, " + ", ".join([*TYPES, *(f"{name}_full" for name in FULL)])
        + " from s.t where id = 59",
    ]  # fmt: skip
    connection = boat.connect("owner")
    with transaction(connection) as cursor:
        found = [digest_table(cursor, table)]
    for change in changes:
        with transaction(connection, keep=False) as cursor:
            cursor.execute(change)
            found.append(digest_table(cursor, table))
    assert len(set(found)) == len(changes) + 1
    with transaction(connection) as cursor:  # another order on disk
        cursor.execute("update s.t set id = id where id < 30")
        assert digest_table(cursor, table) == found[0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_digest_under_any_time_zone(boat: Boat, declare: Declare, zone: str) -> None:
    declare(declared())
    table = fill(boat, 100)
    with transaction(boat.connect()) as cursor:
        expected = digest_table(cursor, table)
    boat.query(
        "do $$ begin execute format('alter database %I set timezone to %L',"
        f" current_database(), '{zone}'); end $$"
    )
    with transaction(boat.connect()) as cursor:
        assert digest_table(cursor, table) == expected
        cursor.execute("set timezone to %s", [zone])
        assert digest_table(cursor, table) == expected


# What AVRO cannot hold

UNHOLDABLE = [
    ("date", "infinity", "infinity", "date"),
    ("date", "-infinity", "-infinity", "date"),
    ("timestamp", "infinity", "infinity", "local-timestamp-micros"),
    ("timestamp", "-infinity", "-infinity", "local-timestamp-micros"),
    ("timestamp", "294276-12-31T23:59:59.999999", "294276-12-31T23:59:59.999999",
     "local-timestamp-micros"),
    ("timestamptz", "infinity", "infinity", "timestamp-micros"),
    ("timestamptz", "-infinity", "-infinity", "timestamp-micros"),
    ("timestamptz", "294247-01-10T04:00:54.775808Z", "294247-01-10T04:00:54.775808+00",
     "timestamp-micros"),
    ("time", "24:00", "24:00:00.000000", "time-micros"),
    ("numeric(12,2)", "NaN", "NaN", "decimal"),
    ("numeric(30,5)", "NaN", "NaN", "decimal"),
    ("s.rate", "NaN", "NaN", "decimal"),
    ("integer[]", "{{1,2},{3,4}}", "an array of several dimensions", "array"),
    ("integer[]", "[0:1]={1,2}", "an array that does not begin at 1", "array"),
    ("integer[]", "[2:3]={1,2}", "an array that does not begin at 1", "array"),
    ("inet[]", "{{10.0.0.1}}", "an array of several dimensions", "array"),
    ("inet[]", "[0:0]={10.0.0.1}", "an array that does not begin at 1", "array"),
    ("numeric(10,2)[]", "{{1}}", "an array of several dimensions", "array"),
    ("numeric(10,2)[]", "[0:0]={1}", "an array that does not begin at 1", "array"),
    ("numeric(10,2)[]", "{1,NULL,NaN}", "NaN", "array"),
    ("numeric(30,5)[]", "{1,NULL,NaN}", "NaN", "array"),
    ("date[]", "{2023-01-01,NULL,infinity}", "infinity", "array"),
    ("boolean[]", "{" + "t," * 65_536 + "t}", "an array of more than 65,536 elements", "array"),
]  # fmt: skip


@pytest.mark.parametrize("not_null", ["", "not null"])
def test_what_avro_cannot_hold(boat: Boat, declare: Declare, not_null: str) -> None:
    tables = [
        f'create table s."t{n}" (id integer, "50% {{v}}" {type_} {not_null})'
        for n, (type_, *_) in enumerate(UNHOLDABLE)
    ]
    declare("create schema s; create domain s.rate as numeric(4,1);" + "; ".join(tables))
    connection, catalog = boat.connect(), boat.catalog()
    for n, (_, value, words, name) in enumerate(UNHOLDABLE):
        boat.query(f"insert into s.t{n} values (1, %s)", [value])
        with pytest.raises(Unholdable) as raised, transaction(connection) as cursor:
            digest_table(cursor, catalog.table(f"s.t{n}"))
        assert (raised.value.fact, raised.value.hint) == (
            f"s.t{n} has a row whose 50% {{v}} is {words}, which AVRO's {name} cannot hold",
            "correct the row; until then its table cannot be backed up",
        )


@pytest.mark.parametrize("type_", ["timestamp", "timestamptz"])
def test_last_moment_that_avro_holds(boat: Boat, declare: Declare, type_: str) -> None:
    declare(f"create schema s; create table s.t (v {type_})")
    boat.query("insert into s.t values ('294247-01-10T04:00:54.775807Z')")
    content, _ = written(boat.connect(), boat.catalog().table("s.t"), "null")
    frame = polars.read_avro(io.BytesIO(content))
    assert frame["v"].to_physical().to_list() == [2**63 - 1]


# Names

ODD = """
create schema "Yard 5%";
create type "Yard 5%"."date" as enum ('50%', 'it''s');
create type "Yard 5%"."Big 100% {0}_a_b" as enum ('x', 'y');
create table "Yard 5%"."Big 100% {0}" (
    "a b" integer, "a-b" text, "a_b" "Yard 5%"."Big 100% {0}_a_b", "a_b_" bigint,
    "Hull ""No"" %" numeric(5,1)[], "{name}" date, "%(x)s" "Yard 5%"."date",
    "é" text[], "9" "Yard 5%"."date"[], "🚣'" uuid
);
insert into "Yard 5%"."Big 100% {0}" values (1, 'two', 'y', 3, '{4.5,NULL}', '2023-01-01', '50%',
    '{"{%s}",NULL}', '{"it''s"}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
"""


def test_odd_names(boat: Boat, declare: Declare, raw_times: None) -> None:
    declare(ODD)
    table = boat.catalog().table("Big 100% {0}")
    content, digest = written(boat.connect(), table, "null")
    (record,) = fastavro.reader(io.BytesIO(content))
    assert record == {
        "a_b": 1, "a_b_": "two", "a_b__": "y", "a_b___": 3, "Hull__No___": [Decimal("4.5"), None],
        "_name_": 19358, "__x_s": "50%", "_": ["{%s}", None], "_9": ["it's"],
        "__": UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    }  # fmt: skip
    reader = Reader(io.BytesIO(content), len(content))
    schema = reader.schema("Yard 5%.Big 100% {0}")
    assert schema == schema_of_table(table)
    (part,) = reader.rows(schema)
    assert {name: part.cells(name)[0] for name in ("a-b", "%(x)s", "9", "é")} == {
        "a-b": b"two", "%(x)s": b"50%", "9": b'{"it\'s"}', "é": b'{"{%s}",NULL}',
    }  # fmt: skip
    with transaction(boat.connect()) as cursor:
        assert digest_table(cursor, table) == digest
