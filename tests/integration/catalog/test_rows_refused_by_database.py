"""Rows that the database itself refuses, with any SQLSTATE: by triggers, policies and views."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.support.loading import failure, loaded_counts, reasons
from tests.support.writing import numbers, told

Declare = Callable[[str], None]


def trigger(raises: str, when: str = "before insert or update on s.t") -> str:
    kind = "constraint trigger" if "after" in when else "trigger"
    return (
        "create schema s; create table s.t (id integer primary key, v text, w integer);"
        "create function s.f() returns trigger language plpgsql as $$ begin"
        f" if new.v = 'bad' then {raises}; end if; return new; end $$;"
        f"create {kind} f {when} for each row execute function s.f()"
    )


RAISES = [
    ("raise exception 'bad one' using errcode = 'U0001'", "bad one"),
    ("raise exception 'bad one'", "bad one"),
    ("raise exception 'bad one' using errcode = '99999'", "bad one"),
    ("raise exception 'bad one' using errcode = 'unique_violation'", "bad one"),
    (
        "raise exception 'bad one' using errcode = 'unique_violation', constraint = 't_pkey'",
        "bad one",
    ),
    ("raise exception 'bad one' using errcode = 'foreign_key_violation'", "bad one"),
    ("raise exception 'bad one' using errcode = 'serialization_failure'", "bad one"),
    ("raise exception 'bad one' using errcode = 'with_check_option_violation'", "bad one"),
    ("raise exception 'bad one' using errcode = 'insufficient_privilege'", "bad one"),
    ("raise exception 'bad one' using errcode = 'undefined_table'", "bad one"),
    ("raise exception 'bad one' using errcode = 'object_not_in_prerequisite_state'", "bad one"),
    ("raise exception 'bad one' using errcode = 'admin_shutdown'", "bad one"),
    ("raise sqlstate '08006'", "08006"),
    ("assert false, 'bad one'", "bad one"),
    ("case new.w when 1 then null; end case", "case not found"),
    ("new.w := 1 / 0", "division by zero"),
    ("new.w := (select w from s.t union all values (1), (2))",
     "more than one row returned by a subquery used as an expression"),
]  # fmt: skip
AFTER = "after insert on s.t deferrable initially deferred"


@pytest.mark.parametrize("when", ["before insert or update on s.t", AFTER])
@pytest.mark.parametrize(("raises", "words"), RAISES)
def test_trigger(
    boat: Boat, client: FlaskClient, declare: Declare, raises: str, words: str, when: str
) -> None:
    declare(trigger(raises, when))
    boat.write("t.csv", "id,v\n1,a\n2,bad\n3,c\n4,d\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (4, 3, 0, 0, 1)
    assert reasons(boat) == {3: [f"check: {words}"]}
    rows = [{"id": 11, "v": "a"}, {"id": 12, "v": "bad"}, {"id": 13, "v": "c"}]
    answer = client.post("/api/t", json=rows)
    assert (answer.status_code, numbers(answer)) == (207, (3, 2, 0, 0, 1))
    assert told(answer) == [(1, None, "check", words)]
    assert boat.query("select id from s.t order by id") == [1, 3, 4, 11, 13]


def test_trigger_without_a_return(boat: Boat, declare: Declare) -> None:
    ends = "if new.v <> 'bad' then return new; end if; end"
    declare(trigger("null").replace("return new; end", ends))
    boat.write("t.csv", "id,v\n1,a\n2,bad\n3,c\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {3: ["check: control reached end of trigger procedure without RETURN"]}


def test_what_is_no_row_s_fault(boat: Boat, declare: Declare) -> None:
    declare(trigger("perform 1 from s.nothing"))
    boat.write("t.csv", "id,v\n1,a\n2,bad\n")
    state, error, _ = failure(boat, "t.csv")
    assert (state, error) == (
        "failed", 'the database refused: relation "s.nothing" does not exist',
    )  # fmt: skip
    assert reasons(boat) == {}


TABLE = (
    "create schema s; create table s.t (id integer primary key, v text, owner text default 'us');"
)
POLICY = """
alter table s.t enable row level security;
create policy seen on s.t for select using (owner = 'us');
create policy new on s.t for insert with check (v <> 'bad');
create policy changed on s.t for update using (v <> 'fixed') with check (v <> 'worse');
"""
VIOLATED = 'check: new row violates row-level security policy for table "t"'


def test_policy(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(TABLE + POLICY)
    boat.query("insert into s.t values (1, 'a'), (2, 'fixed'), (3, 'c'), (4, 'd')")
    boat.query("update s.t set owner = 'them' where id = 4")
    boat.write("t.csv", "id,v\n1,A\n2,b\n3,worse\n4,D\n5,e\n6,bad\n7,g\n")
    assert loaded_counts(boat.ingest()["t.csv"]) == (7, 2, 1, 0, 4)
    assert reasons(boat) == {
        3: ["check: a row-level security policy of s.t did not store it"],
        4: [VIOLATED],
        5: ['check: duplicate key value violates unique constraint "t_pkey"'],
        7: [VIOLATED],
    }
    assert boat.query("select id, v from s.t order by id") == [
        (1, "A"), (2, "fixed"), (3, "c"), (4, "d"), (5, "e"), (7, "g"),
    ]  # fmt: skip
    boat.query("create policy all_ on s.t to rowboat_api using (true) with check (v <> 'bad')")
    boat.query("drop policy new on s.t; drop policy changed on s.t")
    answer = client.post("/api/t", json=[{"id": 20, "v": "ok"}, {"id": 21, "v": "bad"}])
    assert (answer.status_code, numbers(answer)) == (207, (2, 1, 0, 0, 1))
    assert told(answer) == [(1, None, *VIOLATED.split(": ", 1))]


def test_no_policy_for_the_role(boat: Boat, declare: Declare) -> None:
    declare(TABLE + POLICY + "drop policy new on s.t")
    boat.write("t.csv", "id,v\n1,a\n2,b\n")
    report = boat.ingest()["t.csv"]
    assert (report.state, report.report.rejected) == ("failed", 2)
    assert reasons(boat) == {2: [VIOLATED], 3: [VIOLATED]}


@pytest.mark.parametrize("policy", ["", POLICY])
def test_missing_privilege(boat: Boat, declare: Declare, policy: str) -> None:
    declare(TABLE + policy)
    boat.query("revoke insert on s.t from rowboat_loader")
    boat.write("t.csv", "id,v\n1,a\n2,bad\n")
    state, error, hint = failure(boat, "t.csv")
    assert (state, error) == ("failed", "the database refused: permission denied for table t")
    assert hint is not None
    assert "rowboat migrate" in hint
    assert reasons(boat) == {}
