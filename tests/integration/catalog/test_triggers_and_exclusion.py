"""Rules that cannot be judged in sets: exclusion constraints, triggers, CHECKs."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]
BERTHS = """
create schema s;
create table s.berths (
    id integer primary key, place integer not null, at daterange not null,
    exclude using gist (at with &&) where (place = 1)
)
"""


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_exclusion_constraint(
    boat: Boat, declare: Declare, setting: Setting, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    declare(BERTHS)
    rows = [f'{n},1,"[2023-01-{n:02},2023-01-{n + 1:02})"\n' for n in range(1, 25)]
    rows[10] = '11,1,"[2023-01-03,2023-01-05)"\n'
    rows[20] = '21,2,"[2023-01-03,2023-01-05)"\n'
    boat.write("berths.csv", "".join(rows) + "25,1,soon\n")
    assert loaded_counts(boat.ingest()["berths.csv"]) == (25, 23, 0, 0, 2)
    assert reasons(boat) == {
        11: ['check: conflicting key value violates exclusion constraint "berths_at_excl"'],
        25: ["type: 'soon' is no value of type daterange"],
    }
    assert boat.query("select count(*) from s.berths") == [23]


GUARDED = """
create schema s;
create table s.crews (id integer primary key);
create table s.sailors (
    id integer primary key, name text not null, crew integer references s.crews
);
create function s.judge() returns trigger language plpgsql as $$
begin
    if new.name like '%!' then raise exception 'no shouting: % {at} 5%%', new.name; end if;
    return new;
end $$;
create trigger guard before insert or update on s.sailors
    for each row execute function s.judge();
"""


def test_trigger_that_raises(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    names = [f"n{n}" for n in range(1, 31)]
    for n in (1, 15, 16, 30):
        names[n - 1] = "HEY!"
    boat.write("sailors.csv", "".join(f"{n},{name},\n" for n, name in enumerate(names, 1)))
    assert loaded_counts(boat.ingest()["sailors.csv"]) == (30, 26, 0, 0, 4)
    assert reasons(boat) == {n: ["check: no shouting: HEY! {at} 5%"] for n in (1, 15, 16, 30)}


def test_trigger_that_raises_for_a_row_that_waited(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    boat.write("sailors.csv", "1,a,5\n2,HEY!,5\n3,c,5\n4,d,6\n")
    boat.ingest()
    boat.write("crews.csv", "5\n")
    assert loaded_counts(boat.ingest()["crews.csv"]) == (1, 1, 0, 0, 0)
    assert boat.query("select id from s.sailors order by id") == [1, 3]
    assert reasons(boat) == {
        2: ["check: no shouting: HEY! {at} 5%"],
        4: ["reference: s.crews has no id 6"],
    }
    assert boat.query(
        "select read, inserted, rejected from ingest_status.ingest_status"
        " where file_name = 'sailors.csv'"
    ) == [(4, 2, 2)]


def test_trigger_that_raises_in_a_dry_run(boat: Boat, declare: Declare) -> None:
    declare(GUARDED)
    boat.write("sailors.csv", "1,a,\n2,HEY!,\n3,c,\n")
    assert loaded_counts(boat.ingest(dry_run=True)["sailors.csv"]) == (3, 2, 0, 0, 1)
    assert boat.query("select count(*) from s.sailors") == [0]


def test_trigger_that_raises_under_a_reject_limit(
    boat: Boat, declare: Declare, setting: Setting
) -> None:
    declare(GUARDED)
    setting("reject_limit", "1")
    boat.write("sailors.csv", "1,a,\n2,HEY!,\n3,c,\n")
    assert loaded_counts(boat.ingest()["sailors.csv"]) == (3, 2, 0, 0, 1)


@pytest.mark.parametrize(
    ("check", "good", "bad", "sentence"),
    [
        ("v % 5 = 0", "10", "11", "breaks the rule rule: ((v % 5) = 0)"),
        ("v::text like '1%'", "10", "20", "breaks the rule rule: ((v)::text ~~ '1%'::text)"),
        ("v::text !~ '^0{2,}'", "10", None, ""),
        ("v::text ~ '^1{2}0?$'", "110", "10",
         "breaks the rule rule: ((v)::text ~ '^1{2}0?$'::text)"),
        ("100 / v > 1", "10", "0", "division by zero"),
        ("v > 0 and w is not null or v < 5", "6", None, ""),
        ("w % 2 = 0", "1", None, ""),
        ("v + w < 50", "10", "30", "breaks the rule rule: ((v + w) < 50)"),
        ("current_user = 'nobody'", None, "1",
         'new row for relation "t" violates check constraint "rule"'),
    ],
)  # fmt: skip
def test_checks(
    boat: Boat, declare: Declare, check: str, good: str | None, bad: str | None, sentence: str
) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, v integer,"
        f" w integer default 20, constraint rule check ({check}))"
    )
    boat.write("t.csv", "id,v\n" + "".join(f"{n},{v}\n" for n, v in ((1, good), (2, bad)) if v))
    boat.ingest()
    assert boat.query("select v::text from s.t where v is not null") == [good] * bool(good)
    assert [why for _, _, why in boat.rejects()] == [[f"check: {sentence}"]] * bool(bad)


def test_comment_of_a_check_is_its_sentence(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, v integer,"
        " constraint few check (v < 10));"
        "comment on constraint few on s.t is 'v is 10 or more, 50% {too} many'"
    )
    boat.write("t.csv", "1,9\n2,10\n")
    boat.ingest()
    assert reasons(boat) == {2: ["check: v is 10 or more, 50% {too} many"]}


def test_deferrable_exclusion_constraint(boat: Boat, declare: Declare) -> None:
    """Its check is a trigger of Postgres's own, which must not be kept from firing."""
    declare(
        "create schema s; create table s.p (id integer primary key);"
        "create table s.t (id integer primary key, p integer references s.p, at int4range,"
        " exclude using gist (at with &&) deferrable)"
    )
    boat.write("p.csv", "1\n")
    boat.write("t.csv", '1,1,"[1,3)"\n2,1,"[2,4)"\n3,1,"[5,6)"\n')
    assert loaded_counts(boat.ingest()["t.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {
        2: ['check: conflicting key value violates exclusion constraint "t_at_excl"']
    }
