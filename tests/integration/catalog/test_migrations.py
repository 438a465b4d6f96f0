"""Migrations: up and down meet, each is one transaction, and whoever comes first applies it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.catalog import migrations
from rowboat.errors import MigrationFailed
from tests.conftest import ROOT, Boat

MIGRATIONS = ROOT / "sql" / "migrations"
ALL = [path.stem for path in sorted(MIGRATIONS.glob("*.sql"))]
NEXT = len(ALL) + 1

BOATS = """-- Boats.
-- migrate:up
create schema fleet;
create table fleet.boats (id integer primary key, name text not null);
-- migrate:down
drop schema fleet cascade;
"""

# The command line, once there is a line on stdin: so that several begin in the same moment.
WAITS = """
import sys
from rowboat.cli.commands import main
print("ready", flush=True)
sys.stdin.readline()
main(prog_name="rowboat")
"""

# Everything that a migration can make, as lines of text; the record of migrations is not among it.
SCHEMA = """
with mine as (
    select oid, nspname, nspacl from pg_namespace
    where nspname <> 'information_schema' and nspname not like 'pg\\_%'
)
select
    'schema', nspname, (select array_agg(a::text order by a::text) from unnest(nspacl) as a)::text
from mine where nspname <> 'rowboat'
union all
select 'relation', c.oid::regclass::text, concat_ws(
    ' ', relkind, relpersistence, pg_get_userbyid(relowner), relrowsecurity, reloptions,
    (select array_agg(a::text order by a::text) from unnest(relacl) as a)
)
from pg_class as c join mine on mine.oid = relnamespace
union all
select 'column', c.oid::regclass || '.' || attname, concat_ws(
    ' ', row_number() over (partition by c.oid order by attnum),
    format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attacl,
    pg_get_expr(d.adbin, d.adrelid)
)
from pg_attribute as a join pg_class as c on c.oid = attrelid join mine on mine.oid = relnamespace
left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = attnum
where attnum > 0 and not attisdropped
union all
select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(k.oid)
from pg_constraint as k join mine on mine.oid = connamespace
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from pg_index join pg_class as c on c.oid = indexrelid join mine on mine.oid = relnamespace
union all
select 'trigger', tgname, pg_get_triggerdef(t.oid)
from pg_trigger as t join pg_class as c on c.oid = tgrelid join mine on mine.oid = relnamespace
where not tgisinternal
union all
select 'function', p.oid::regprocedure::text, prosrc
from pg_proc as p join mine on mine.oid = pronamespace
union all
select 'type', t.oid::regtype::text, typtype::text
from pg_type as t join mine on mine.oid = typnamespace
union all
select 'comment', pg_describe_object(classoid, objoid, objsubid), description
from pg_description
where exists (
    select from mine
    where mine.nspname = (pg_identify_object(classoid, objoid, objsubid)).schema
        or (classoid, objoid) = ('pg_namespace'::regclass, mine.oid)
)
order by 1, 2, 3
"""


@pytest.fixture
def folder(tmp_path: Path, setting: Callable[[str, str], None]) -> Path:
    """A copy of the migrations that a test may change, without their records in a home."""
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    setting("migrations", str(copy))
    setting("home", str(tmp_path / "home"))
    return copy


def schema(boat: Boat) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = boat.query(SCHEMA)
    return [each for each in found if not each[1].startswith("rowboat.migrations")]


def migrate(boat: Boat, to: int | None = None) -> list[str]:
    return migrations.migrate(boat.connect("owner"), to)


def records(boat: Boat) -> list[str]:
    return boat.query("select name from rowboat.migrations order by number")


def refusal(boat: Boat) -> tuple[str, str]:
    """Migrate, expect a failure, return its fact and hint."""
    with pytest.raises(MigrationFailed) as failed:
        migrate(boat)
    return failed.value.fact, failed.value.hint


def empty(boat: Boat) -> None:
    """Take everything back, the records too."""
    migrate(boat, 0)
    boat.query("drop schema rowboat cascade")


def test_up_and_down_meet(boat: Boat, folder: Path) -> None:
    (folder / f"{NEXT:04}_boats.sql").write_text(BOATS)
    empty(boat)
    bottom = schema(boat)
    ways_up = {}
    for number in range(1, NEXT + 1):
        assert migrate(boat, number) == [[*ALL, f"{NEXT:04}_boats"][number - 1]]
        ways_up[number] = schema(boat)
    assert len({len(found) for found in ways_up.values()}) == NEXT  # each one makes something
    for number in range(NEXT - 1, 0, -1):
        assert migrate(boat, number) == [[*ALL, f"{NEXT:04}_boats"][number]]
        assert schema(boat) == ways_up[number]
    assert migrate(boat, 0) == ALL[:1]
    assert schema(boat) == bottom
    assert migrate(boat) == [*ALL, f"{NEXT:04}_boats"]
    assert schema(boat) == ways_up[NEXT]


def test_nothing_is_left_at_the_bottom(boat: Boat) -> None:
    assert migrate(boat, 0) == ALL[::-1]
    assert boat.query(
        "select nspname from pg_namespace"
        r" where nspname not like 'pg\_%' and nspname <> 'information_schema' order by 1"
    ) == ["public", "rowboat"]
    assert boat.query(
        "select oid::regclass::text from pg_class"
        " where relnamespace in ('public'::regnamespace, 'rowboat'::regnamespace) order by 1"
    ) == ["rowboat.migrations", "rowboat.migrations_pkey"]
    assert records(boat) == []


def test_it_runs_once(boat: Boat) -> None:
    assert migrate(boat) == []
    assert records(boat) == ALL


@pytest.mark.parametrize(
    ("up", "reason"),
    [
        ("create tabel b ();", 'syntax error at or near "tabel"'),
        ("select 1 / 0;", "division by zero"),
        (
            "insert into hired_employees.jobs values (1, 'A'), (1, 'B');",
            'duplicate key value violates unique constraint "jobs_pkey"',
        ),
        ("drop table nowhere;", 'table "nowhere" does not exist'),
    ],
)
def test_a_failing_file_leaves_nothing(boat: Boat, folder: Path, up: str, reason: str) -> None:
    (folder / f"{NEXT:04}_good.sql").write_text(BOATS)
    (folder / f"{NEXT + 1:04}_bad.sql").write_text(
        f"-- migrate:up\ncreate schema half;\ncreate table half.done ();\n{up}\n-- migrate:down\n"
    )
    fact, hint = refusal(boat)
    assert fact == f"{NEXT + 1:04}_bad: {reason}"
    assert hint == "correct the file and run `rowboat migrate` again"
    assert records(boat) == [*ALL, f"{NEXT:04}_good"]
    assert boat.query(
        "select to_regnamespace('fleet') is null, to_regnamespace('half') is null"
    ) == [(False, True)]
    (folder / f"{NEXT + 1:04}_bad.sql").unlink()
    assert migrate(boat) == []


def test_the_record_is_part_of_the_transaction(boat: Boat, folder: Path) -> None:
    (folder / f"{NEXT:04}_boats.sql").write_text(BOATS)
    boat.query(f"alter table rowboat.migrations add check (number < {NEXT})")
    with pytest.raises(Exception, match="migrations_number_check"):
        migrate(boat)
    assert boat.query("select to_regnamespace('fleet')") == [None]


def test_a_failing_way_down_leaves_everything(boat: Boat, folder: Path) -> None:
    (folder / f"{NEXT:04}_boats.sql").write_text(BOATS + "drop table nowhere;\n")
    migrate(boat)
    before = schema(boat)
    with pytest.raises(MigrationFailed, match=f'{NEXT:04}_boats: table "nowhere" does not'):
        migrate(boat, NEXT - 1)
    assert schema(boat) == before
    assert records(boat) == [*ALL, f"{NEXT:04}_boats"]


def test_a_changed_file(boat: Boat, folder: Path) -> None:
    path = folder / f"{NEXT:04}_boats.sql"
    path.write_text(BOATS)
    migrate(boat)
    path.write_text(BOATS.replace("name text", "title text"))
    assert refusal(boat) == (
        f"{NEXT:04}_boats was changed after it was applied",
        "put the file back as it was and write the change as a new migration",
    )
    path.write_text(BOATS)
    assert migrate(boat) == []


def test_an_unknown_number(boat: Boat, folder: Path) -> None:
    path = folder / f"{NEXT:04}_boats.sql"
    path.write_text(BOATS)
    migrate(boat)
    path.unlink()
    assert refusal(boat) == (
        f"the database has migration {NEXT:04}, which is not in {folder}",
        "use the version of Rowboat that made it, or put the file back",
    )


@pytest.mark.parametrize(
    ("name", "text", "fact", "hint"),
    [
        ("0002_boats.sql", BOATS, "two files are numbered 0002", "rename one of them"),
        (
            "boats.sql",
            BOATS,
            "boats.sql is not named like 0007_orders.sql",
            "give it the next number",
        ),
        (
            "3_boats.sql",
            BOATS,
            "3_boats.sql is not named like 0007_orders.sql",
            "give it the next number",
        ),
        *(
            (
                "0003_boats.sql",
                text,
                "0003_boats.sql has no '-- migrate:up' and '-- migrate:down' part",
                "put the statements below '-- migrate:up', how to undo them below the other",
            )
            for text in (
                "",
                "create table boats ();\n",
                "-- migrate:up\ncreate table boats ();\n",
                "-- migrate:down\ndrop table boats;\n-- migrate:up\ncreate table boats ();\n",
                "create schema early;\n" + BOATS,
            )
        ),
    ],
)
def test_a_malformed_file(
    boat: Boat, folder: Path, name: str, text: str, fact: str, hint: str
) -> None:
    (folder / name).write_text(text)
    before = schema(boat)
    assert refusal(boat) == (fact, hint)
    assert schema(boat) == before


def test_to_a_number_and_back(boat: Boat, folder: Path) -> None:
    assert migrate(boat, 1) == ALL[:0:-1]
    assert records(boat) == ALL[:1]
    assert migrate(boat, 1) == []
    assert migrate(boat, 0) == ALL[:1]
    assert migrate(boat, 2) == ALL[:2]
    assert migrate(boat) == ALL[2:]


def test_four_processes_apply_each_once(boat: Boat, folder: Path) -> None:
    for number in range(NEXT, NEXT + 10):
        (folder / f"{number:04}_boats.sql").write_text(BOATS.replace("fleet", f"fleet_{number}"))
    names = [path.stem for path in sorted(folder.glob("*.sql"))]
    for _ in range(2):
        empty(boat)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WAITS, "migrate", "--json"],
                env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("owner")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        ends = [(*process.communicate(timeout=60), process.returncode) for process in processes]
        assert [(complained, code) for _, complained, code in ends] == [("", 0)] * 4
        ran = [name for said, *_ in ends for name in json.loads(said)["ran"]]
        assert sorted(ran) == names
        assert records(boat) == names
