"""Rows over HTTP: order, pages by cursor, samples."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database import connections
from rowboat.rows.read import listing_params, reading
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.effort import tries
from tests.support.reading import after, faults, ids

Declare = Callable[[str], None]

# Pages


def walk(client: FlaskClient, address: str | None) -> list[dict[str, Any]]:
    """Follow the links to the last page."""
    found = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        found += answer.json["rows"]
        assert len(answer.json["rows"]) == answer.json["limit"] or not answer.json["next"]
        address = answer.json["next"]
    return found


@pytest.mark.parametrize("order", ["", "&order=-id", "&order=department_id,-id",
                                   "&order=-department_id,id", "&order=-hired_date"])  # fmt: skip
@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages(client: FlaskClient, employees: None, order: str, limit: int) -> None:
    whole = client.get(f"/api/employees?{order[1:]}").json["rows"]
    assert walk(client, f"/api/employees?limit={limit}{order}") == whole


def test_filters_hold_on_every_page(client: FlaskClient, employees: None) -> None:
    found = walk(client, "/api/employees?limit=1&department_id.in=1,2&order=-department_id")
    assert [each["id"] for each in found] == [4, 1, 6, 3]


def test_rows_that_come_and_go_move_no_page(
    boat: Boat, client: FlaskClient, employees: None
) -> None:
    """A place is not an offset: it holds though its own row is gone."""
    first = client.get("/api/employees?limit=3").json
    boat.query("delete from hired_employees.hired_employees where id in (1, 3)")
    assert ids(client, first["next"]) == [4, 5, 6]


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "====", "%00", "é", "a b", "W10", "e30", "MTI", "bnVsbA",
        after(["id"], [1]), after(["id"], []), after(["id"], ["1", "2"]), after(["id"], [None]),
        after(["-id"], ["1"]), after("id", "1"), after(["id"], "1"), after(["id"], {"0": "1"}),
        after(["id"], [["1"]]), after(["id"], ["\0"]), after(["id"], ["\ud800"]),
        after(["id", "id"], ["1", "1"]), after(["job_id"], ["1"]), after({"id": 1}, ["1"]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("="),
        base64.urlsafe_b64encode(b"[[\"id\"],[" + b"9" * 5000 + b"]]").decode().rstrip("="),
        base64.urlsafe_b64encode(b'[["id"],["1"]]\xff').decode().rstrip("="),
    ],
    ids=lambda cursor: cursor[:20],
)  # fmt: skip
def test_hostile_cursors(client: FlaskClient, employees: None, cursor: str) -> None:
    assert faults(client, f"/api/employees?after={cursor}") == [
        ("after", "type", listing_params._NO_PLACE)
    ]


@pytest.mark.parametrize("text", ["a", "", "1; drop table x", "99999999999", "1) or (1=1", "0x"])
def test_hostile_places(client: FlaskClient, employees: None, text: str) -> None:
    found = faults(client, f"/api/employees?after={after(['id'], [text])}")
    assert [each[:2] for each in found] == [("after", "type")]


WORDS = st.none() | st.sampled_from(["", "a", "A", "b", "é", "ab", " ", "%", "'", "\\"])
NUMBERS = st.none() | st.sampled_from([0, 1, -1, 2, 10**9])
REALS = st.none() | st.sampled_from([0.0, -0.0, 1.5, -1.5, 5e-324, float("nan"), float("inf")])
COLUMNS = ("id", "word", "number", "real", "at")


@settings(
    max_examples=tries(20, 60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    data=st.lists(st.tuples(WORDS, NUMBERS, REALS, NUMBERS), max_size=12),
    order=st.lists(st.sampled_from(COLUMNS), unique=True, max_size=4),
    down=st.lists(st.booleans(), min_size=5, max_size=5),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
def test_pages_joined_are_the_table(
    paged: tuple[Table, connections.Connection],
    data: list[tuple[Any, ...]],
    order: list[str],
    down: list[bool],
    limits: list[int],
) -> None:
    """Whatever NULLs and duplicates there are, and however long each page is."""
    table, connection = paged
    with connections.transaction(connection, keep=False) as cursor:
        for n, row in enumerate(data):
            cursor.execute(
                "insert into s.t values (%s, %s, %s, %s, to_timestamp(%s))", (n * 7 % 13, *row)
            )
        words = ",".join(
            ("-" if each else "") + name for name, each in zip(order, down, strict=False)
        )
        given_ = {"order": words} if words else {}
        whole = list(map(json.loads, joined(cursor, table, given_, [1000])))
        assert whole == list(map(json.loads, joined(cursor, table, given_, limits)))
        assert sorted(each["id"] for each in whole) == sorted(n * 7 % 13 for n in range(len(data)))
        for name, is_down in zip(order[:1], down, strict=False):
            values = [each[name] for each in whole]
            given_values = [each for each in values if each is not None]
            assert values[: len(given_values)] == given_values  # NULL comes last
            if name == "number":
                assert given_values == sorted(given_values, reverse=is_down)


def joined(
    cursor: connections.Cursor, table: Table, given: dict[str, str], limits: list[int]
) -> list[str]:
    found: list[str] = []
    more: dict[str, str] | None = given
    while more is not None:
        limit = limits[len(found) % len(limits)]
        ask = listing_params.read_listing_params(
            cursor, table, (more | {"limit": str(limit)}).items()
        )
        page = reading.read_page(cursor, table, ask)
        found += [str(text) for (text,) in page.rows]
        more = given | {"after": page.after} if page.after else None
    return found


@pytest.fixture
def paged(boat: Boat, declare: Declare) -> tuple[Table, connections.Connection]:
    declare(
        "create schema s; create table s.t"
        " (id integer primary key, word text, number integer, real float8, at timestamptz)"
    )
    return boat.catalog().table("t"), boat.connect("api")


def test_composite_key_completes_the_order(
    boat: Boat, declare: Declare, client_of: ClientOf
) -> None:
    declare(
        "create schema s; create table s.t (a text, b integer, c numeric, n integer default 1,"
        " primary key (b, a, c))"
    )
    boat.query(
        "insert into s.t select chr(96 + i), j, k / 3.0"
        " from generate_series(1, 3) i, generate_series(1, 3) j, generate_series(1, 3) k"
    )
    client = client_of("read")
    whole = client.get("/api/t").json["rows"]
    assert [(each["b"], each["a"]) for each in whole[::3]] == [
        (b, a) for b in (1, 2, 3) for a in "abc"
    ]
    assert walk(client, "/api/t?limit=2") == whole
    assert walk(client, "/api/t?limit=2&order=-n") == whole[::-1]
    assert len(walk(client, "/api/t?limit=2&order=-a,n")) == 27


def test_table_without_a_key_has_no_pages(
    boat: Boat, declare: Declare, client_of: ClientOf
) -> None:
    declare("create schema s; create table s.t (a integer)")
    boat.query("insert into s.t select generate_series(1, 3)")
    client = client_of("read")
    note = "s.t has no key, so it has no next page: these are 2 of its rows"
    answer = client.get("/api/t?limit=2&order=-a")
    assert answer.json == {"rows": [{"a": 3}, {"a": 2}], "limit": 2, "next": None, "note": note}
    assert (answer.headers["X-Note"], "Link" in answer.headers) == (note, False)
    assert "note" not in client.get("/api/t?limit=3").json
    assert client.get("/api/t?limit=2&format=csv").headers["X-Note"] == note
    assert faults(client, "/api/t?after=W10") == [("after", "type", listing_params._NO_PLACE)]
    assert client.get("/api/t?sample=2").json["limit"] == 2


def test_pages_of_a_big_table_stay_flat(boat: Boat, declare: Declare) -> None:
    """An index leads to every page: the last one reads as few blocks as the first."""
    declare(
        "create schema s; create table s.t (id integer primary key, day date not null);"
        "create index on s.t (day, id)"
    )
    boat.query(
        "insert into s.t select n, '2000-01-01'::date + n / 50000 from generate_series(1, 100000) n"
    )
    boat.query("analyze s.t")
    table = boat.catalog().table("t")
    with connections.transaction(boat.connect("api")) as cursor:
        for order, place in (("id", ["99000"]), ("-day", ["2000-01-02", "60000"])):
            names = [order] if order == "id" else ["-day", "-id"]
            ask = listing_params.read_listing_params(
                cursor, table, [("order", order), ("after", after(names, place))]
            )
            assert ask.after == tuple(place)
            parts = {
                "values": sql.SQL("t.id"), "table": table.identifier,
                "conditions": ask.order.behind(ask.after), "order": ask.order.clause,
                "place": ask.order.place, "limit": sql.Literal(101),
            }  # fmt: skip
            cursor.execute(
                sql.SQL("explain (analyze, buffers, format json) ")
                + reading.query("rows.page", **parts)
            )
            plan = connections.fetch_one(cursor)[0][0]["Plan"]
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 20, plan


# Samples


def test_sample_is_random_and_of_what_filters_leave(client: FlaskClient, employees: None) -> None:
    seen = [tuple(ids(client, "/api/employees?sample=2&id.gt=2")) for _ in range(40)]
    assert {each for pair in seen for each in pair} == {3, 4, 5, 6}
    assert all(len(set(pair)) == 2 for pair in seen)
    assert client.get("/api/employees?sample=1").json["next"] is None
    assert sorted(ids(client, "/api/employees?sample=9")) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("left", [100_000, 2_000])
def test_sample_of_a_big_table(
    boat: Boat, declare: Declare, client_of: ClientOf, left: int
) -> None:
    """It is whole though the table has shrunk since anybody counted, and even over the table."""
    declare("create schema s; create table s.t (id integer primary key)")
    boat.query("insert into s.t select generate_series(1, 100000)")
    boat.query("analyze s.t")
    boat.query("delete from s.t where id > %s", (left,))
    found = ids(client_of("read"), "/api/t?sample=1000")
    assert len(set(found)) == 1000
    halves = sum(each <= left // 2 for each in found)
    assert 400 < halves < 600
