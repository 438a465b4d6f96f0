"""A backup: one set, one snapshot, every fact on record; and the ways in which there is none."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.backup import shelf, verify
from rowboat.backup.avro.schema import schema_of_table
from rowboat.backup.take import Taken, digest_table, take_backup
from rowboat.database.connections import transaction
from rowboat.errors import (
    BackupRefused,
    DatabaseRefused,
    UnknownTable,
)
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import DEPARTMENTS, EMPLOYEES, HIRING, JOBS, no_set_from, take

USABLE = "free some space and make it writable for this user, or set ROWBOAT_BACKUPS"
FILES = ["departments.avro", "hired_employees.avro", "jobs.avro"]


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("backups", str(tmp_path / "shelf"))
    setting("backup_codec", "deflate")  # which the other reader has too


def test_a_set_is_files_and_a_manifest(boat: Boat) -> None:
    backups.fill(boat)
    os.umask(0o077)
    try:
        name = take(boat).set
    finally:
        os.umask(0o022)
    assert backups.on_shelf() == [
        f"{name}/", *(f"{name}/{file}" for file in sorted([*FILES, "manifest.json"]))
    ]  # fmt: skip
    assert {backups.mode(shelf.set_path(name, file)) for file in [*FILES, "manifest.json"]} == {
        0o640
    }
    assert backups.mode(shelf.set_path(name)) & 0o007 == 0
    hires = boat.query(f"select * from {EMPLOYEES} order by id")
    found = [tuple(row.values()) for row in backups.rows(name, "hired_employees.avro")]
    assert sorted(found) == hires
    assert {row["department"] for row in backups.rows(name, "departments.avro")} == {
        f"Name {n}" for n in range(1, 13)
    }
    assert len(backups.rows(name, "jobs.avro")) == 18
    assert verify.verify_set(boat.connect(), name).ok


def test_every_fact_is_on_record_and_in_the_manifest(boat: Boat) -> None:
    backups.fill(boat, hires=30)
    taken = take(boat)
    (began, ended) = boat.query(
        "select min(taken_at) > now() - interval '1 minute', max(verified_at) > max(taken_at)"
        " from backup_status.backup_status"
    )[0]
    assert (began, ended) == (True, True)
    manifest = shelf.read_manifest(taken.set)
    facts = boat.query(
        "select set_name, table_name, file_name, number_rows, last_id, bytes, sha256, row_digest,"
        " schema_hash, snapshot, taken_at, verified_at is not null, drilled_at, pinned, purpose,"
        " suspicion from backup_status.backup_status order by table_name"
    )
    catalog, connection = boat.catalog(), boat.connect()
    numbers = {DEPARTMENTS: (12, 12), JOBS: (18, 18), EMPLOYEES: (30, 30)}
    for row, table, file in zip(facts, HIRING, FILES, strict=True):
        content = shelf.set_path(taken.set, file).read_bytes()
        with transaction(connection) as cursor:
            digest = digest_table(cursor, catalog.table(table))
        sha256 = hashlib.sha256(content).hexdigest()
        schema = schema_of_table(catalog.table(table))
        assert row == (
            taken.set, table, file, *numbers[table], len(content), sha256, digest,
            schema.digest, manifest.snapshot, manifest.taken, True, None, False, "backup", None,
        )  # fmt: skip
        assert vars(manifest.copy(table)) == {
            "table": table, "file": file, "rows": numbers[table][0], "last_id": numbers[table][1],
            "bytes": len(content), "sha256": sha256, "digest": digest,
            "schema_hash": schema.digest, "schema": schema.json,
        }  # fmt: skip
    with transaction(connection) as cursor:
        cursor.execute("select pg_snapshot_xmin(%s::pg_snapshot) > 0::text::xid8", [facts[0][9]])
    assert manifest.taken.strftime("%Y%m%dT%H%M%SZ") == taken.set
    assert (manifest.purpose, manifest.codec, manifest.format) == ("backup", "deflate", "1")
    assert manifest.server == f"PostgreSQL {boat.query('show server_version')[0].split()[0]}"
    assert taken.bytes == sum(shelf.set_path(taken.set, file).stat().st_size for file in FILES)
    assert (taken.suspicion, taken.findings) == (None, [])


def test_all_tables_are_of_one_moment(boat: Boat) -> None:
    backups.fill(boat)
    done: list[str] = []

    def progress(table: str, *_: int) -> None:
        if not done:
            done.append(table)
            boat.query(f"insert into {JOBS} values (99, 'Later')")
            boat.query(f"delete from {EMPLOYEES} where id = 1")

    taken = take_backup(boat.connect(), progress=progress)
    assert done == [DEPARTMENTS]
    assert [copy.rows for copy in taken.tables] == [12, 20, 18]
    assert [copy.last_id for copy in taken.tables] == [12, 20, 18]
    assert boat.query(f"select count(*) from {JOBS}") == [19]
    assert taken.findings == []


def test_tables_stay_as_they_are_while_they_are_written(boat: Boat) -> None:
    backups.fill(boat)
    refused: list[str] = []

    def progress(table: str, *_: int) -> None:
        if table == DEPARTMENTS:
            with pytest.raises(DatabaseRefused) as raised:
                boat.query(f"set lock_timeout = 50; alter table {JOBS} drop column job")
            refused.append(raised.value.fact)

    taken = take_backup(boat.connect(), progress=lambda *at: None if refused else progress(*at))
    assert refused == ["the database refused: canceling statement due to lock timeout"]
    assert taken.findings == []


def test_only_some_tables(boat: Boat) -> None:
    backups.fill(boat)
    taken = take(boat, "jobs", DEPARTMENTS, "jobs")
    assert [copy.table for copy in taken.tables] == [DEPARTMENTS, JOBS]
    assert backups.known(boat)[0].tables == {DEPARTMENTS: 12, JOBS: 18}


def test_unknown_table(boat: Boat) -> None:
    with no_set_from(boat, UnknownTable) as said:
        take_backup(boat.connect(), ["jobs", "boats"])
    assert said == ["there is no table boats", "`rowboat status` lists the tables"]


def test_no_tables(boat: Boat, setting: Callable[[str, str], None]) -> None:
    setting("schemas", "nowhere")
    with no_set_from(boat, BackupRefused) as said:
        take_backup(boat.connect())
    assert said == ["there are no tables to back up", "`rowboat migrate` creates them"]


def test_pinned(boat: Boat) -> None:
    backups.fill(boat)
    take(boat)
    take(boat, pinned=True)
    assert [each.pinned for each in backups.known(boat)] == [False, True]


def test_odd_names_of_tables(boat: Boat, declare: Callable[[str], None]) -> None:
    long = "ő" * 31
    odd = ["a/b", "a.b", ".", "dot.", "..", "50%", 'quo"te', "Jobs", "jobs", "é è", "-", long]
    schemas = ["one", ".two", "ü" * 31]
    statements = [
        f'create schema "{schema}"; '
        + " ".join(
            f'create table "{schema}"."{name.replace(chr(34), chr(34) * 2)}" (id int primary key);'
            for name in odd
        )
        for schema in schemas
    ]
    declare("\n".join(statements))
    boat.query('insert into one."jobs" values (1)')
    boat.query('insert into one."Jobs" values (1), (2)')
    taken = take(boat)
    tables = {f"{schema}.{name}" for schema in schemas for name in odd}
    copies = {copy.table: copy for copy in taken.tables}
    assert copies.keys() == tables | set(HIRING)
    files = [copy.file for copy in taken.tables]
    assert len({file.lower() for file in files}) == len(files)
    assert max(map(len, files)) < 255
    assert [(copies[f"one.{name}"].rows, copies[f"one.{name}"].last_id) for name in odd] == [
        {"jobs": (1, 1), "Jobs": (2, 2)}.get(name, (0, None)) for name in odd
    ]
    assert all(each.startswith(f"{taken.set}/") for each in backups.on_shelf())
    assert len(backups.on_shelf()) == len(tables) + len(HIRING) + 2


@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("hired_employees.jobs", "jobs.avro"),
        ("jobs", "jobs.avro"),
        ("one.dot.", "one.dot..avro"),
        (".one.dot.", "%2Eone.dot..avro"),
        ("one.a/b%", "a%2Fb%25.avro"),
    ],
)
def test_names_of_files(table: str, file: str) -> None:
    assert shelf.file_names([table]) == {table: file}


def test_a_name_in_two_schemas(boat: Boat, declare: Callable[[str], None]) -> None:
    declare("create schema fleet; create table fleet.jobs (id int primary key, boat text);")
    boat.query("insert into fleet.jobs values (7, 'Ann')")
    backups.fill(boat)
    taken = take(boat)
    files = {copy.table: copy.file for copy in taken.tables}
    assert files == {
        DEPARTMENTS: "departments.avro",
        EMPLOYEES: "hired_employees.avro",
        JOBS: "hired_employees.jobs.avro",
        "fleet.jobs": "fleet.jobs.avro",
    }
    assert backups.rows(taken.set, "fleet.jobs.avro") == [{"id": 7, "boat": "Ann"}]
    with no_set_from(boat, UnknownTable) as said:
        take_backup(boat.connect(), ["jobs"])
    assert said == [
        f"several tables are called jobs: fleet.jobs, {JOBS}", "name the schema too"
    ]  # fmt: skip


def test_two_tables_of_one_full_name(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        'create schema "a"; create schema "a.b"; create table "a"."b.c" (id int primary key);'
        'create table "a.b"."c" (id int primary key);'
    )
    with no_set_from(boat, BackupRefused) as said:
        take_backup(boat.connect())
    assert said == ["two tables are called a.b.c", "rename a schema or a table"]


def test_rows_that_the_role_may_not_see(boat: Boat) -> None:
    backups.fill(boat)
    boat.query(f"alter table {JOBS} enable row level security")
    boat.query(f"create policy first_ones on {JOBS} using (id < 5)")
    with no_set_from(boat, BackupRefused) as said:
        take_backup(boat.connect())
    assert said == [
        f"{JOBS} has row security: this role may not see every row",
        "give the role that takes backups BYPASSRLS, or switch row security off",
    ]
    boat.query(f"alter table {JOBS} disable row level security")
    assert [copy.rows for copy in take(boat).tables] == [12, 20, 18]


def test_a_table_that_comes_while_the_backup_waits(boat: Boat) -> None:
    backups.fill(boat)
    owner = boat.connect("owner")
    taken: list[Taken] = []
    with transaction(owner) as cursor:
        cursor.execute(f"lock table {JOBS} in access exclusive mode")
        with backups.in_threads(lambda: taken.append(take(boat))):
            backups.until_waiting(boat)
            cursor.execute(f"create table hired_employees.boats (id int references {JOBS})")
            cursor.execute("grant select on hired_employees.boats to rowboat_loader")
            owner.commit()
    assert {copy.table for copy in taken[0].tables} == {*HIRING, "hired_employees.boats"}


def test_an_empty_table(boat: Boat) -> None:
    backups.fill(boat, hires=0)
    taken = take(boat)
    copy = next(copy for copy in taken.tables if copy.table == EMPLOYEES)
    assert (copy.rows, copy.last_id, taken.suspicion) == (0, None, None)
    assert copy.digest.startswith("0-")
    assert backups.rows(taken.set, copy.file) == []


@pytest.mark.parametrize(
    ("percent", "left", "suspicion"),
    [
        (50, 50, None),
        (50, 49, f"{EMPLOYEES} has 49 rows, the last backup 100"),
        (0, 100, None),
        (0, 99, f"{EMPLOYEES} has 99 rows, the last backup 100"),
        (29, 71, None),  # 0.29 * 100 is less than 29
        (29, 70, f"{EMPLOYEES} has 70 rows, the last backup 100"),
        (100, 0, None),
    ],
)
def test_a_set_that_lost_rows_is_suspicious(
    boat: Boat,
    setting: Callable[[str, str], None],
    percent: int,
    left: int,
    suspicion: str | None,
) -> None:
    setting("suspicious_loss", str(percent))
    backups.fill(boat, hires=100)
    assert take(boat).suspicion is None
    boat.query(f"delete from {EMPLOYEES} where id > %s", [left])
    assert take(boat).suspicion == suspicion
    before, after = backups.known(boat)
    assert (before.counts, after.counts) == (True, suspicion is None)
    assert after.suspicion == suspicion
    assert take(boat).suspicion is None  # of the loss that is known


def test_a_loss_shows_also_when_the_record_was_lost(boat: Boat) -> None:
    backups.fill(boat, hires=100)
    take(boat)
    boat.query("truncate backup_status.backup_status")
    boat.query(f"delete from {EMPLOYEES} where id > 10")
    assert take(boat).suspicion == f"{EMPLOYEES} has 10 rows, the last backup 100"


def test_a_set_without_rows_is_suspicious(boat: Boat) -> None:
    for _ in range(2):
        assert take(boat).suspicion == "it holds no rows"
    assert {each.suspicion for each in backups.known(boat)} == {"it holds no rows"}
    backups.fill(boat)
    assert take(boat).suspicion is None
    assert [each.counts for each in backups.known(boat)] == [False, False, True]
