"""Constraints that Postgres has since version 18: not enforced ones, and those of periods."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.errors import RestoreRefused
from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons
from tests.support.restoring import carried_out, digests, numbers, order, refused, take

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]


@pytest.mark.parametrize(
    ("rule", "refused_"),
    [
        ("constraint few check (v < 10) not enforced", {}),
        ("constraint few check (v < 10) enforced", {2: ["check: breaks the rule few: (v < 10)"]}),
        ("constraint few check (v::text <> ' NOT ENFORCED' and v < 10)",
         {2: ["check: breaks the rule few: (((v)::text <> ' NOT ENFORCED'::text) AND (v < 10))"]}),
        ("foreign key (v) references s.p not enforced", {}),
        ("foreign key (v) references s.t not enforced", {}),
        ("foreign key (v) references s.p", {1: ["reference: s.p has no id 9"],
                                            2: ["reference: s.p has no id 10"]}),
    ],
)  # fmt: skip
def test_not_enforced(
    boat: Boat, declare: Declare, rule: str, refused_: dict[int, list[str]]
) -> None:
    declare(
        "create schema s; create table s.p (id integer primary key);"
        f"create table s.t (id integer primary key, v integer, {rule})"
    )
    boat.write("t.csv", "1,9\n2,10\n")
    boat.ingest()
    assert reasons(boat) == refused_
    assert boat.query("select count(*) from s.t") == [2 - len(refused_)]


def test_a_reference_that_is_not_enforced_forbids_no_restore(
    boat: Boat, declare: Declare, setting: Setting, tmp_path: Path
) -> None:
    setting("backups", str(tmp_path / "shelf"))
    declare(
        "create schema s; create table s.p (id integer primary key, v text unique);"
        "create table s.t (id integer primary key, p integer references s.p not enforced)"
    )
    boat.query("insert into s.p values (1, 'a'), (2, 'b')")
    held = take(boat, "s.p")
    boat.query("insert into s.p values (3, 'c'); insert into s.t values (1, 3)")
    done = carried_out(boat, order(boat, held, ["s.p"]))
    assert numbers(done.plan.tables[0]) == (0, 0, 1, 2, 0)
    boat.write("p.csv", "1,b\n2,a\n")
    assert loaded_counts(boat.ingest()["p.csv"]) == (2, 0, 2, 0, 0)


PERIODS = """
create schema s;
create table s.p (id int4range, at daterange, primary key (id, at without overlaps));
create table s.t (
    id int4range, at daterange, primary key (id, at without overlaps), p int4range,
    foreign key (p, period at) references s.p (id, period at)
);
"""


def test_periods(boat: Boat, declare: Declare) -> None:
    declare(PERIODS)
    boat.write(
        "p.csv",
        '"[1,2)","[2021-01-01,2022-01-01)"\n"[1,2)","[2022-01-01,2023-01-01)"\n'
        '"[1,2)","[2022-06-01,2024-01-01)"\n"[2,3)","[2021-01-01,2022-01-01)"\n'
        '"[2,3)","[2021-01-01,2022-01-01)"\n',
    )
    rows = [
        '"[7,8)","[2021-02-01,2021-03-01)","[1,2)"',
        '"[8,9)","[2021-02-01,2022-03-01)","[1,2)"',  # covered by two rows together
        '"[9,10)","[2020-12-01,2021-03-01)","[1,2)"',
        '"[9,10)","[2021-02-01,2021-03-01)","[3,4)"',
        '"[9,10)","[2019-01-01,2019-02-01)",',
    ]
    boat.write("t.csv", "\n".join(rows) + "\n")
    reports = boat.ingest()
    assert loaded_counts(reports["p.csv"]) == (5, 3, 0, 0, 2)
    assert loaded_counts(reports["t.csv"]) == (5, 3, 0, 0, 2)
    exclusion = 'check: conflicting key value violates exclusion constraint "p_pkey"'
    found = {(line, why) for line, _, [why] in boat.rejects()}
    assert found == {
        (3, exclusion),
        (5, "duplicate: id [2,3), at [2021-01-01,2022-01-01) occurs earlier in this file"
            " with the same values"),
        (3, "reference: s.p has no id [1,2), at [2020-12-01,2021-03-01)"),
        (4, "reference: s.p has no id [3,4), at [2021-02-01,2021-03-01)"),
    }  # fmt: skip
    boat.write("p-2.csv", '"[3,4)","[2021-02-01,2021-03-01)"\n')
    boat.ingest()
    assert boat.query("select count(*) from s.t where p = '[3,4)'") == [1]  # it waited for that


@pytest.mark.parametrize("period", ["datemultirange", "tstzrange", "int8range"])
def test_periods_of_other_types(boat: Boat, declare: Declare, period: str) -> None:
    declare(PERIODS.replace("daterange", period))
    low, middle, high = {
        "datemultirange": ("{[2021-01-01,2021-02-01)}", "{[2021-01-10,2021-01-20)}",
                           "{[2021-01-10,2021-03-20)}"),
        "tstzrange": ("[2021-01-01,2021-02-01)", "[2021-01-10,2021-01-20)",
                      "[2021-01-10,2021-03-20)"),
        "int8range": ("[1,10)", "[2,3)", "[2,30)"),
    }[period]  # fmt: skip
    boat.write("p.csv", f'"[1,2)","{low}"\n')
    boat.write("t.csv", f'"[7,8)","{middle}","[1,2)"\n"[8,9)","{high}","[1,2)"\n')
    assert loaded_counts(boat.ingest()["t.csv"]) == (2, 1, 0, 0, 1)
    assert [why[0].split(":")[0] for why in reasons(boat).values()] == ["reference"]


def test_periods_within_a_table(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.t (id int4range, at daterange, p int4range,"
        " primary key (id, at without overlaps),"
        " foreign key (p, period at) references s.t (id, period at))"
    )
    year = '"[2021-01-01,2022-01-01)"'
    boat.write("t.csv", f'"[1,2)",{year},\n"[2,3)",{year},"[1,2)"\n"[3,4)",{year},"[9,10)"\n')
    assert loaded_counts(boat.ingest()["t.csv"]) == (3, 2, 0, 0, 1)
    words = 'insert or update on table "t" violates foreign key constraint "t_p_at_fkey"'
    assert reasons(boat) == {3: [f"check: {words}"]}


def test_periods_are_restored(
    boat: Boat, declare: Declare, setting: Setting, tmp_path: Path
) -> None:
    setting("backups", str(tmp_path / "shelf"))
    declare(PERIODS)
    boat.query("insert into s.p values ('[1,2)', '[2021-01-01,2022-01-01)')")
    boat.query("insert into s.t values ('[7,8)', '[2021-02-01,2021-03-01)', '[1,2)')")
    held, before = take(boat, "s.p", "s.t"), digests(boat)
    boat.query("delete from s.t; delete from s.p")
    carried_out(boat, order(boat, held))
    assert digests(boat) == before
    boat.query("insert into s.p values ('[1,2)', '[2022-01-01,2023-01-01)')")
    boat.query("insert into s.t values ('[9,10)', '[2021-06-01,2022-06-01)', '[1,2)')")
    assert refused(boat, order(boat, held, ["s.p"]), RestoreRefused).startswith(
        "1 rows of s.t (p, at) refer to rows of s.p that the backup does not have"
    )
    carried_out(boat, order(boat, held))
    assert digests(boat) == before
