"""Rows out of tables: every one, however and wherever Postgres keeps it."""

import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from rowboat.backup import copy_out
from rowboat.backup.avro import schema
from rowboat.backup.take import write_set
from rowboat.catalog import tables
from rowboat.database import embedded
from rowboat.database.columnar import Cells
from rowboat.database.connections import transaction
from rowboat.errors import Unholdable
from tests.conftest import Boat

Row = tuple[bytes | None, ...]
Declare = Callable[[str], None]

PLAIN = "create table s.t (id int not null, word text);"
PARTITIONS = """
create table s.t (id int not null, word text) partition by list (id);
create table s.t_1 partition of s.t for values in (1);
create table s.t_rest partition of s.t default partition by range (id);
create table s.t_low partition of s.t_rest for values from (minvalue) to (500);
create table s.t_high partition of s.t_rest for values from (500) to (maxvalue);
"""
HEIRS = (
    PLAIN
    + "create table s.child (more int) inherits (s.t);"
    + (
        "create rule r as on insert to s.t where new.id % 2 = 0"
        " do instead insert into s.child values (new.id, new.word, 0);"
    )
)


def fetched(boat: Boat) -> list[list[Row]]:
    """Fetch all rows of the table, batch by batch."""
    table = boat.catalog().by_name["s.t"]
    found: list[list[Row]] = []

    def take(columns: list[Cells]) -> None:
        found.append([tuple(each[n] for each in columns) for n in range(len(columns[0]))])

    with transaction(boat.connect()) as cursor:
        copy_out.fetch_table(cursor, table, schema.schema_of_table(table), take)
    return found


def known(boat: Boat) -> list[Row]:
    """Return all rows as Postgres has them."""
    rows = boat.query("select int4send(id), textsend(word) from s.t")
    return sorted(
        (tuple(cell if cell is None else bytes(cell) for cell in row) for row in rows), key=str
    )


@pytest.mark.parametrize("size", [20, 4000])
@pytest.mark.parametrize("shape", [PLAIN, PARTITIONS, HEIRS])
def test_every_row(boat: Boat, declare: Declare, shape: str, size: int) -> None:
    """Of all pages, live rows only; of a wide table in batches of about a MiB.

    Words of 4,000 letters in any order do not fit into their rows.
    """
    declare("create schema s;" + shape)
    boat.query(
        "insert into s.t select n, case when n %% 7 > 0 then (select string_agg("
        "md5(i::text || n), '') from generate_series(1, %s) i) end"
        " from generate_series(1, 3000) n",
        [size // 32 + 1],
    )
    boat.query("delete from s.t where id between 700 and 1400 or id > 2990")
    boat.query("update s.t set word = 'new' || word where id % 5 = 0")
    boat.query("insert into s.t values (1, ''), (2, null), (1, 'again')")
    batches = fetched(boat)
    assert sorted((row for batch in batches for row in batch), key=str) == known(boat)
    if size > 1000:
        sizes = [sum(len(cell or b"") for row in batch for cell in row) for batch in batches]
        assert max(sizes) < 2**20 + 2 * size
        assert len(sizes) > 6


def test_rows_that_come_while_others_are_read(boat: Boat, declare: Declare) -> None:
    """Rows of one moment, though pages are added behind the last while it reads."""
    declare("create schema s; create table s.t (id int not null);")
    boat.query("insert into s.t select generate_series(1, 40000)")
    table = boat.catalog().by_name["s.t"]
    rows = 0

    def take(columns: list[Cells]) -> None:
        nonlocal rows
        if not rows:
            boat.query("update s.t set id = id + 1")
        rows += len(columns[0])

    with transaction(boat.connect()) as cursor:
        copy_out.fetch_table(cursor, table, schema.schema_of_table(table), take)
    assert rows == 40_000


def test_wide_rows_stay_apart(boat: Boat, declare: Declare) -> None:
    """A hundred MiB in one page are never in one message."""
    declare("create schema s;" + PLAIN)
    boat.query("insert into s.t select n, repeat(n::text, 4000000) from generate_series(1, 9) n")
    boat.query(
        "insert into s.t select n, (select string_agg(md5(i::text), '') from"
        " generate_series(1, 400) i) from generate_series(10, 20) n"
    )
    table = boat.catalog().by_name["s.t"]
    sizes: list[int] = []
    tracemalloc.start()
    with transaction(boat.connect()) as cursor:
        declared = schema.schema_of_table(table)
        copy_out.fetch_table(
            cursor, table, declared, lambda columns: sizes.append(int(columns[1].size.sum()))
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == 9 * 4_000_000 + 11 * 12_800
    assert max(sizes) <= 4_000_000 + 2**20
    assert peak < 20 * 2**20


def test_an_empty_table(boat: Boat, declare: Declare) -> None:
    """Without a page, and with pages that hold nothing any more."""
    declare("create schema s;" + PLAIN)
    assert fetched(boat) == []
    boat.query("insert into s.t select generate_series(1, 3000)")
    boat.query("delete from s.t")
    assert fetched(boat) == []


def test_rows_outside_postgres(
    boat: Boat, declare: Declare, postgres: embedded.EmbeddedServer
) -> None:
    """A foreign table's rows have no places: they are refused, not lost."""
    declare("create schema s;" + PARTITIONS)
    (name,) = boat.query("select current_database()")
    address = make_dsn(postgres.uri(embedded.SUPERUSER), dbname=name)
    with closing(psycopg2.connect(address)) as admin, admin, admin.cursor() as cursor:
        cursor.execute(
            "create foreign data wrapper elsewhere; create server far foreign data wrapper"
            " elsewhere; create foreign table s.far partition of s.t for values in (2) server far"
        )
    with pytest.raises(Unholdable) as raised:
        fetched(boat)
    assert raised.value.fact == "the rows of s.far are kept outside Postgres"


@pytest.mark.parametrize("shape", [PLAIN, PARTITIONS, HEIRS])
def test_progress(
    boat: Boat, declare: Declare, shape: str, tmp_path: Path, setting: Callable[[str, str], None]
) -> None:
    """How many rows are to come is known about, whatever their table."""
    setting("backups", str(tmp_path / "shelf"))
    declare("create schema s;" + shape)
    boat.query("insert into s.t select n, 'word' from generate_series(1, 30000) n")
    boat.query("analyze")
    told: list[tuple[int, int]] = []
    with transaction(boat.connect()) as cursor:
        write_set(
            cursor, tables.read_catalog(cursor), ["s.t"], "backup",
            lambda _, done, expected: told.append((done, expected)),
        )  # fmt: skip
    assert 0 < told[0][0] < told[0][1] == 30_000
