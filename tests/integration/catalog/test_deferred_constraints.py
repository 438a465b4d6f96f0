"""Constraints that Postgres checks only at the commit: rows that break them are refused by then."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from rowboat.database.connections import Steps
from rowboat.door.rejected_rows import RejectFilter
from rowboat.errors import RestoreRefused
from rowboat.ingest.rejudge import rejudge_rows
from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons
from tests.support.restoring import order, refused, take
from tests.support.writing import numbers

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
LATE = " deferrable initially deferred"
CHANGES = """
create function s.f() returns trigger language plpgsql as $$ begin
    new.v := lower(new.v);
    if new.v = 'far' then new.p := 77; end if;
    return new;
end $$;
create trigger f before insert or update on s.t for each row execute function s.f();
"""
TABLE = (
    "create schema s; create table s.p (id integer primary key);"
    f"create table s.t (id integer primary key{LATE}, v text unique{LATE},"
    f" p integer references s.p{LATE}, r int4range, exclude using gist (r with &&){LATE});"
)
UNIQUE = 'duplicate key value violates unique constraint "t_v_key"'
FOREIGN = 'insert or update on table "t" violates foreign key constraint "t_p_fkey"'
EXCLUSION = 'conflicting key value violates exclusion constraint "t_r_excl"'
ROWS = '1,a,5,"[1,3)"\n2,b,6,"[3,5)"\n3,a,5,"[5,7)"\n4,d,5,"[2,4)"\n1,e,5,\n6,f,5,\n'


def test_what_the_judge_knows(boat: Boat, declare: Declare, client: FlaskClient) -> None:
    declare(TABLE)
    boat.write("p.csv", "5\n")
    boat.write("t.csv", ROWS)
    assert loaded_counts(boat.ingest()["t.csv"]) == (6, 2, 0, 0, 4)
    assert reasons(boat) == {
        2: ["reference: s.p has no id 6"],
        3: ["duplicate: v a belongs to another row"],
        4: [f"check: {EXCLUSION}"],
        5: ["duplicate: id 1 occurs earlier in this file with other values"],
    }
    rows = [{"id": 11, "v": "k"}, {"id": 12, "v": "a"}, {"id": 13, "p": 6}]
    answer = client.post("/api/t", json=[*rows, {"id": 14, "r": "[1,9)"}])
    assert (answer.status_code, numbers(answer)) == (207, (4, 1, 0, 0, 3))


def test_what_a_trigger_changes(boat: Boat, declare: Declare, client: FlaskClient) -> None:
    declare(TABLE + CHANGES)
    boat.write("p.csv", "5\n")
    boat.write("t.csv", "id,v,p\n1,a,5\n2,A,5\n3,FAR,5\n4,d,5\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (4, 2, 0, 0, 2)
    assert reasons(boat) == {3: [f"check: {UNIQUE}"], 4: [f"check: {FOREIGN}"]}
    catalog, steps = boat.catalog(), Steps(boat.connect())
    report = rejudge_rows(steps, catalog, catalog.table("s.t"), "tester", which=RejectFilter())
    assert (report.read, report.inserted) == (0, 0)
    assert reasons(boat) == {3: [f"check: {UNIQUE}"], 4: [f"check: {FOREIGN}"]}
    answer = client.post("/api/t", json=[{"id": 11, "v": "k"}, {"id": 12, "v": "A"}])
    assert (answer.status_code, numbers(answer)) == (207, (2, 1, 0, 0, 1))
    assert answer.json["errors"][0]["message"] == UNIQUE


@pytest.mark.parametrize("late", ["", " deferrable", LATE])
def test_a_value_that_others_refer_to(boat: Boat, declare: Declare, late: str) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, v text unique);"
        f"create table s.c (id integer primary key, v text references s.t (v){late})"
    )
    boat.query(
        "insert into s.t values (1, 'a'), (2, 'b'), (3, 'c'); insert into s.c values (1, 'b')"
    )
    boat.write("t.csv", "1,x\n2,y\n3,z\n4,w\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (4, 1, 2, 0, 1)
    words = 'update or delete on table "t" violates foreign key constraint "c_v_fkey" on table "c"'
    assert reasons(boat) == {2: [f"check: {words}"]}


def test_values_are_exchanged(boat: Boat, declare: Declare) -> None:
    declare(TABLE)
    boat.query("insert into s.t values (1, 'a'), (2, 'b'), (3, 'c')")
    boat.write("t.csv", "id,v\n1,b\n2,c\n3,a\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (3, 0, 3, 0, 0)
    assert boat.query("select id, v from s.t order by id") == [(1, "b"), (2, "c"), (3, "a")]


@pytest.mark.parametrize(
    ("was", "words"),
    [("'A', null", UNIQUE), ("'FAR', null", FOREIGN)],
)
def test_restore(
    boat: Boat, declare: Declare, setting: Setting, tmp_path: Path, was: str, words: str
) -> None:
    setting("backups", str(tmp_path / "shelf"))
    declare(TABLE)
    boat.query(f"insert into s.t values (1, 'a', null), (2, {was})")
    held = take(boat, "s.t")
    boat.query("delete from s.t;" + CHANGES.replace("%", "%%"))
    assert refused(boat, order(boat, held, ["s.t"]), RestoreRefused).startswith(
        f"the rows of the backup break a deferred constraint: {words}\nHINT: "
    )
