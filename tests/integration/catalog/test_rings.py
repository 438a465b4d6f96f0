"""Tables that require rows of each other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.support.loading import loaded_counts
from tests.support.restoring import carried_out, digests, order, take

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
WHAT_TO_DO = (
    "; rows of s.a and s.b require each other, and no file or request can bring both: insert those"
    " that do so in one transaction of SQL"
)


def ring(
    *names: str, after: str = " deferrable initially deferred", null: str = " not null"
) -> str:
    """Declare tables, each of which refers to the next one, and the last to the first."""
    tables = "".join(
        f"create table s.{name} (id integer primary key, {other} integer{null});"
        for name, other in zip(names, (*names[1:], names[0]), strict=True)
    )
    keys = "".join(
        f"alter table s.{name} add foreign key ({other}) references s.{other}{after};"
        for name, other in zip(names, (*names[1:], names[0]), strict=True)
    )
    return "create schema s;" + tables + keys


def whys(boat: Boat) -> list[str]:
    return [each for _, _, why in boat.rejects() for each in why]


@pytest.mark.parametrize("after", ["", " deferrable initially deferred"])
def test_two_tables(boat: Boat, declare: Declare, client: FlaskClient, after: str) -> None:
    declare(ring("a", "b", after=after))
    boat.write("a.csv", "1,10\n")
    boat.write("b.csv", "10,1\n")
    reports = boat.ingest()
    assert {name: each.report.rejected for name, each in reports.items()} == {
        "a.csv": 1,
        "b.csv": 1,
    }
    assert whys(boat) == [
        f"reference: s.b has no id 10{WHAT_TO_DO}", f"reference: s.a has no id 1{WHAT_TO_DO}",
    ]  # fmt: skip
    answer = client.post("/api/batch", json={"a": [{"id": 2, "b": 20}], "b": [{"id": 20, "a": 2}]})
    assert answer.status_code == 422
    boat.query("with a as (insert into s.a values (1, 10)) insert into s.b values (10, 1), (11, 1)")
    boat.write("a.csv", "1,10\n2,11\n3,12\n")
    assert loaded_counts(boat.ingest()["a.csv"]) == (2, 1, 0, 0, 1)


def test_three_tables(boat: Boat, declare: Declare) -> None:
    declare(
        ring("a", "b", "c") + "create table s.d (id integer primary key, a integer references s.a)"
    )
    for name, row in (("a", "1,10"), ("b", "10,20"), ("c", "20,1"), ("d", "5,1")):
        boat.write(f"{name}.csv", row + "\n")
    boat.ingest()
    told = WHAT_TO_DO.replace("s.a and s.b", "s.a, s.b and s.c")
    assert whys(boat) == [
        f"reference: s.b has no id 10{told}",
        f"reference: s.c has no id 20{told}",
        f"reference: s.a has no id 1{told}",
        "reference: s.a has no id 1",
    ]


def test_an_open_ring_is_loaded_in_two_steps(boat: Boat, declare: Declare) -> None:
    declare(ring("a", "b", null=""))
    boat.write("a.csv", "1,\n")
    boat.write("b.csv", "10,1\n11,2\n")
    boat.ingest()
    boat.write("a.csv", "1,10\n")
    assert loaded_counts(boat.ingest()["a.csv"]) == (1, 0, 1, 0, 0)
    assert whys(boat) == ["reference: s.a has no id 2"]


def test_a_ring_is_restored(boat: Boat, declare: Declare, setting: Setting, tmp_path: Path) -> None:
    setting("backups", str(tmp_path / "shelf"))
    declare(ring("a", "b"))
    boat.query("insert into s.a values (1, 10); insert into s.b values (10, 1)")
    held, before = take(boat, "s.a", "s.b"), digests(boat)
    boat.query("delete from s.a; delete from s.b")
    carried_out(boat, order(boat, held))
    assert digests(boat) == before
