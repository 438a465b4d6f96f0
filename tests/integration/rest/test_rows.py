"""Rows over HTTP: filters, order, pages, samples, CSV; hostile addresses change nothing."""

import base64
import csv
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database import connections
from rowboat.errors import AskRefused
from rowboat.rows.read import listing_params, reading
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.every_type import declared, generated

Declare = Callable[[str], None]
REFUSED = "the query parameters cannot be used"


@pytest.fixture
def crew(boat: Boat) -> None:
    """Six employees of three departments."""
    boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b,c'), (3, '=d')")
    boat.query("insert into hired_employees.jobs values (1, 'j')")
    boat.query(
        "insert into hired_employees.hired_employees"
        " select n, 'e' || n, '2021-01-01Z'::timestamptz + n * interval '1 day', 1 + n % 3, 1"
        " from generate_series(1, 6) as n"
    )


def ids(client: FlaskClient, address: str) -> list[int]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json["rows"]]


def faults(client: FlaskClient, address: str) -> list[tuple[str, str, str]]:
    """Ask for what cannot be; return (parameter, rule, message) of every fault."""
    answer = client.get(address)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), answer.text
    assert answer.json["detail"] == REFUSED
    assert all(each["row"] is None for each in answer.json["errors"])
    return [(each["column"], each["rule"], each["message"]) for each in answer.json["errors"]]


# What an answer looks like


def test_answer(client: FlaskClient, crew: None) -> None:
    answer = client.get("/api/hired_employees?limit=1&department_id=3&hired_date.gte=2021-01-04")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    after = base64.urlsafe_b64encode(b'[["id"], ["5"]]').decode().rstrip("=")
    link = "/api/hired_employees?limit=1&department_id=3&hired_date.gte=2021-01-04&after=" + after
    found = {"id": 5, "employee_name": "e5", "hired_date": "2021-01-06T00:00:00+00:00"}
    assert answer.json == {
        "rows": [found | {"department_id": 3, "job_id": 1}], "limit": 1, "next": None,
    }  # fmt: skip
    answer = client.get("/api/hired_employees?limit=1&department_id=3&hired_date.gte=2021-01-01")
    assert answer.json["next"] == answer.headers["Link"][1:-13]
    assert ids(client, answer.json["next"]) == [5]
    assert link.partition("&after")[0].replace("04", "01") in answer.json["next"]


@pytest.mark.parametrize(
    ("parameters", "limit", "count"),
    [
        ("", 100, None),
        ("limit=3", 3, None),
        ("limit=1000", 1000, None),
        ("limit=5000", 1000, None),
        ("count=true", 100, 6),
        ("count=false", 100, None),
        ("count=true&limit=2&department_id=2", 2, 2),
        ("count=true&sample=1", 1, 6),
        ("sample=4000", 1000, None),
    ],
)
def test_limit_is_visible_and_count_is_asked_for(
    client: FlaskClient, crew: None, parameters: str, limit: int, count: int | None
) -> None:
    answer = client.get(f"/api/hired_employees?{parameters}")
    assert answer.json["limit"] == limit
    assert answer.headers["X-Limit"] == str(limit)
    assert answer.json.get("count") == count
    assert answer.headers.get("X-Count") == (str(count) if count else None)


# Filters


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("id=3", [3]),
        ("id.eq=3", [3]),
        ("id=003", [3]),
        ("id.ne=3", [1, 2, 4, 5, 6]),
        ("id.ne=3&id.ne=4", [1, 2, 5, 6]),
        ("id.lt=3", [1, 2]),
        ("id.lte=3", [1, 2, 3]),
        ("id.gt=4", [5, 6]),
        ("id.gte=4", [4, 5, 6]),
        ("id.gt=1&id.lt=4", [2, 3]),
        ("id.in=1,5,77", [1, 5]),
        ("id=-1", []),
        ("department_id=3", [2, 5]),
        ("department_id=3&hired_date.gte=2021-01-04", [5]),
        ("hired_date=2021-01-04T01:00:00%2B01:00", [3]),
        ("hired_date.lt=2021-01-03T00:00:00Z", [1]),
        ("employee_name=e4", [4]),
        ("employee_name.prefix=e", [1, 2, 3, 4, 5, 6]),
        ("employee_name.prefix=%25", []),
        ("employee_name.in=e1,e2", [1, 2]),
        ("employee_name=", []),
        ("employee_name=%25s%28x%29%7B%7D", []),
        ("job_id.null=true", []),
        ("job_id.null=false", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_filters(client: FlaskClient, crew: None, parameters: str, expected: list[int]) -> None:
    assert ids(client, f"/api/employees?{parameters}") == expected


def test_null_is_neither_equal_nor_forgotten(
    boat: Boat, declare: Declare, client_of: ClientOf
) -> None:
    declare("create schema s; create table s.t (id integer primary key, a integer)")
    boat.query("insert into s.t values (1, 1), (2, null), (3, 2)")
    client = client_of("read")
    assert ids(client, "/api/t?a=1") == [1]
    assert ids(client, "/api/t?a.ne=1") == [2, 3]
    assert ids(client, "/api/t?a.null=true") == [2]
    assert ids(client, "/api/t?a.lt=5") == [1, 3]


def test_columns_with_the_names_of_words(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    """A word wins; the operator names the column."""
    declare(
        'create schema s; create table s.t (id integer primary key, "limit" integer,'
        ' "a.lt" integer, a integer, "count" boolean, "%s {x} ""\'" integer)'
    )
    boat.query("insert into s.t values (1, 5, 7, 8, true, 1), (2, 6, 8, 9, false, 2)")
    client = client_of("read")
    assert ids(client, "/api/t?limit=1") == [1]
    assert ids(client, "/api/t?limit.eq=6") == [2]
    assert ids(client, "/api/t?a.lt=7") == [1]
    assert ids(client, "/api/t?a.lte=8") == [1]
    assert ids(client, "/api/t?count.eq=false") == [2]
    name = quote("%s {x} \"'")
    assert ids(client, f"/api/t?{name}=2&order=-{name}") == [2]
    assert ids(client, f"/api/t?order=-{name}") == [2, 1]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("x=1", ("x", "shape", "hired_employees.hired_employees has no column 'x'")),
        ("id.like=1", (
            "id.like", "shape",
            "id takes the operators eq, ne, lt, lte, gt, gte, in, null; not 'like'",
        )),
        ("id.prefix=1", (
            "id.prefix", "shape",
            "id takes the operators eq, ne, lt, lte, gt, gte, in, null; not 'prefix'",
        )),
        ("id=1&id=2", ("id", "shape", "id stands 2 times")),
        ("limit=1&limit=1", ("limit", "shape", "limit stands 2 times")),
        ("id=a", ("id", "type", "'a' is not an integer")),
        ("id=", ("id", "type", "'' is not an integer")),
        ("id=0x1F", ("id", "type", "'0x1F' is not an integer")),
        ("id=99999999999", ("id", "type", "'99999999999' is out of the range of integer")),
        ("id.in=1,x", ("id.in", "type", "'x' is not an integer")),
        ("id.null=1", ("id.null", "type", "'1' is not true or false")),
        ("hired_date=now", ("hired_date", "type", "'now' is not an ISO 8601 timestamp")),
        ("hired_date=2021-02-30", (
            "hired_date", "type", "'2021-02-30' is not a day of the calendar",
        )),
        ("employee_name=%00", (
            "employee_name", "encoding", "the value of employee_name is no text",
        )),
        ("employee_name.in=a,%00", (
            "employee_name.in", "encoding", "the value of employee_name.in is no text",
        )),
        ("%00=1", ("?", "shape", "hired_employees.hired_employees has no column '?'")),
        ("limit=0", ("limit", "type", "'0' is not a whole number from 1 on")),
        ("limit=-1", ("limit", "type", "'-1' is not a whole number from 1 on")),
        ("limit=", ("limit", "type", "'' is not a whole number from 1 on")),
        ("limit=%D9%A3", ("limit", "type", "'٣' is not a whole number from 1 on")),
        ("limit=1%0A", ("limit", "type", "'1\n' is not a whole number from 1 on")),
        ("sample=1e3", ("sample", "type", "'1e3' is not a whole number from 1 on")),
        ("sample=3&order=id", ("order", "shape", "order does not go with sample")),
        ("sample=3&limit=3", ("limit", "shape", "limit does not go with sample")),
        ("count=yes", ("count", "type", "'yes' is not true or false")),
        ("order=x", ("order", "shape", "hired_employees.hired_employees has no order by 'x'")),
        ("order=id,", ("order", "shape", "hired_employees.hired_employees has no order by ''")),
        ("order=id desc", (
            "order", "shape", "hired_employees.hired_employees has no order by 'id desc'",
        )),
        ("order=id,-id", ("order", "shape", "id stands twice in the order")),
        ("after=x", ("after", "type", listing_params._NO_PLACE)),
        ("format=xlsx", ("format", "type", "format is json or csv, once")),
        ("format=csv&format=csv", ("format", "type", "format is json or csv, once")),
        ("safe=1", ("safe", "type", "safe is true or false, once")),
    ],
)  # fmt: skip
def test_faults(
    client: FlaskClient, crew: None, parameters: str, expected: tuple[str, str, str]
) -> None:
    assert faults(client, f"/api/employees?{parameters}") == [expected]


def test_all_faults_are_told_at_once(client: FlaskClient) -> None:
    address = "/api/employees?id=a&order=zz&hired_date.gt=b&x=1&limit=0"
    assert sorted(faults(client, address)) == [
        ("hired_date.gt", "type", "'b' is not an ISO 8601 timestamp"),
        ("id", "type", "'a' is not an integer"),
        ("limit", "type", "'0' is not a whole number from 1 on"),
        ("order", "shape", "hired_employees.hired_employees has no order by 'zz'"),
        ("x", "shape", "hired_employees.hired_employees has no column 'x'"),
    ]


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
def test_pages(client: FlaskClient, crew: None, order: str, limit: int) -> None:
    whole = client.get(f"/api/employees?{order[1:]}").json["rows"]
    assert walk(client, f"/api/employees?limit={limit}{order}") == whole


def test_filters_hold_on_every_page(client: FlaskClient, crew: None) -> None:
    found = walk(client, "/api/employees?limit=1&department_id.in=1,2&order=-department_id")
    assert [each["id"] for each in found] == [4, 1, 6, 3]


def test_rows_that_come_and_go_move_no_page(boat: Boat, client: FlaskClient, crew: None) -> None:
    """A place is not an offset: it holds though its own row is gone."""
    first = client.get("/api/employees?limit=3").json
    boat.query("delete from hired_employees.hired_employees where id in (1, 3)")
    assert ids(client, first["next"]) == [4, 5, 6]


def after(order: Any, place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, place]).encode()).decode().rstrip("=")


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
def test_hostile_cursors(client: FlaskClient, crew: None, cursor: str) -> None:
    assert faults(client, f"/api/employees?after={cursor}") == [
        ("after", "type", listing_params._NO_PLACE)
    ]


@pytest.mark.parametrize("text", ["a", "", "1; drop table x", "99999999999", "1) or (1=1", "0x"])
def test_hostile_places(client: FlaskClient, crew: None, text: str) -> None:
    found = faults(client, f"/api/employees?after={after(['id'], [text])}")
    assert [each[:2] for each in found] == [("after", "type")]


WORDS = st.none() | st.sampled_from(["", "a", "A", "b", "é", "ab", " ", "%", "'", "\\"])
NUMBERS = st.none() | st.sampled_from([0, 1, -1, 2, 10**9])
REALS = st.none() | st.sampled_from([0.0, -0.0, 1.5, -1.5, 5e-324, float("nan"), float("inf")])
COLUMNS = ("id", "word", "number", "real", "at")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    note = "s.t has no key, so there is no way to its next page: these are 2 of its rows"
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


def test_sample_is_random_and_of_what_filters_leave(client: FlaskClient, crew: None) -> None:
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


# CSV


def test_csv(client: FlaskClient, crew: None) -> None:
    answer = client.get("/api/departments?limit=2", headers={"Accept": "text/csv"})
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.text == 'id,department\r\n1,a\r\n2,"b,c"\r\n'
    assert answer.headers["Link"].startswith("</api/departments?limit=2&after=")
    assert answer.headers["X-Limit"] == "2"
    link = answer.headers["Link"][1:].partition(">")[0]
    assert client.get(link, headers={"Accept": "text/csv"}).text == "id,department\r\n3,=d\r\n"
    safe = client.get("/api/departments?format=csv&safe=true&id=3")
    assert safe.text == "id,department\r\n3,'=d\r\n"
    times = client.get("/api/employees?format=csv&id=1").text
    assert times.splitlines()[1] == "1,e1,2021-01-02T00:00:00+00:00,2,1"


def test_csv_can_be_loaded_again(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, n numeric, w text not null,"
        " l integer[], b bytea, f boolean, z timestamptz, x interval)"
    )
    boat.query(
        "insert into s.t values (-1, 1.50, E'a\\n\"b\"', '{1,2}', '\\x00ff', true, now(), '1 day'),"
        " (2, null, ' ', null, null, null, null, null)"
    )
    client = client_of("read")
    text = client.get("/api/t?format=csv").text
    assert client.get("/api/t?format=csv&safe=true").text == text
    before = boat.query("select t::text from s.t order by id")
    boat.query("delete from s.t")
    boat.write("t.csv", text)
    boat.ingest()
    assert boat.query("select t::text from s.t order by id") == before


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        (None, 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("text/csv", 200, "text/csv"),
        ("text/*", 200, "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.4", 200, "text/csv"),
        ("text/html, */*;q=0.1", 200, "application/json"),
        ("image/png", 406, "application/problem+json"),
        ("application/json;q=0", 406, "application/problem+json"),
        ("\udcff", 406, "application/problem+json"),
    ],
)
def test_accept(
    client: FlaskClient, crew: None, accept: str | None, status: int, media: str
) -> None:
    headers = {"Accept": accept.encode("latin1", "replace").decode("latin1")} if accept else {}
    answer = client.get("/api/employees", headers=headers)
    assert (answer.status_code, answer.mimetype) == (status, media)
    if status == 406:
        assert answer.json["detail"] == "this address answers with application/json or text/csv"


# Every type


def test_every_type(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    """Every row can be read with all its digits, and found by its own JSON value where that is
    canonical and its type has an order.
    """
    declare(declared())
    with boat.connect("owner") as connection, connection.cursor() as cursor:
        cursor.copy_expert("copy s.t from stdin", io.StringIO("".join(generated(60))))
    client = client_of("read")
    answer = client.get("/api/t")
    as_written = boat.query("select row_to_json(t)::text from s.t as t order by id")
    assert answer.text.startswith('{"rows": [' + ",\n".join(as_written) + "]")
    found = json.loads(answer.text, parse_float=str, parse_int=str)["rows"]
    filtered = 0
    for column in boat.catalog().table("t").columns:
        if column.base in ("json", "jsonb"):  # they have no order
            continue
        for row in found:
            value = row[column.name]
            if isinstance(value, list | dict) or len(str(value)) > 1000:
                continue
            text = "null=true" if value is None else None
            shown = {True: "true", False: "false"}.get(value, value) if value is not None else ""
            name = f"{column.name}.{text}" if text else f"{column.name}={quote(str(shown))}"
            got = client.get(f"/api/t?{name}")
            assert got.status_code in (200, 422)
            if got.status_code == 200:
                filtered += 1
                assert row in json.loads(got.text, parse_float=str, parse_int=str)["rows"], name
            else:
                assert {e["rule"] for e in got.json["errors"]} <= {"type", "shape"}
                assert is_beyond(str(shown)), name
    assert filtered > 1000


def is_beyond(text: str) -> bool:
    """Tell whether a value has no canonical literal."""
    return "BC" in text or text in ("NaN", "Infinity", "-Infinity") or len(text.split("-")[0]) > 4


def test_every_type_in_order(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    declare(declared())
    with boat.connect("owner") as connection, connection.cursor() as cursor:
        cursor.copy_expert("copy s.t from stdin", io.StringIO("".join(generated(60))))
    client = client_of("read")
    ordered = 0
    for column in boat.catalog().table("t").columns:
        for order in (column.name, f"-{column.name}"):
            if column.name in ("word", "any_word"):  # a text of 100,000 letters fits no address
                continue
            whole = client.get(f"/api/t?order={order}")
            if whole.status_code == 422:
                assert column.category in "AU", column
                continue
            ordered += 1
            assert walk_text(client, f"/api/t?limit=7&order={order}") == rows_of(whole.text)
    assert ordered > 40


RARE = (
    "oid", "regclass", "money", "name", "bit(3)", "varbit", "macaddr", "macaddr8", "timetz", "cidr",
    "int4multirange", "xid", "xid8", "pg_lsn", "tsvector", "point", "box", "xml", "jsonpath",
    '"char"', "tid", "s.pair", "s.word", "s.code", "json[]", "s.code[]",
)  # fmt: skip


def test_rare_types_are_no_trouble(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(RARE))
    declare(
        "create schema s; create type s.pair as (a integer, b json);"
        "create domain s.word as varchar(5) not null default 'a' check (value <> 'x');"
        "create domain s.code as uuid;"
        f"create table s.t (id integer primary key, {columns})"
    )
    boat.query("insert into s.t (id) values (1), (2)")
    client = client_of("read")
    for n in range(len(RARE)):
        for each in (f"order=-c{n}&limit=1", *(
            f"c{n}{operator}={value}"
            for operator in ("", ".gt", ".in", ".prefix", ".null", ".ne")
            for value in ("", "1", "a", "true", "x", "(1,2)", "12:00")
        )):  # fmt: skip
            answer = client.get(f"/api/t?{each}")
            assert answer.status_code in (200, 422), (RARE[n], each, answer.text)
            if answer.status_code == 200 and answer.json["next"]:
                assert client.get(answer.json["next"]).status_code == 200


def rows_of(text: str) -> list[str]:
    return text.removeprefix('{"rows": [').rpartition('], "limit"')[0].split(",\n")


def walk_text(client: FlaskClient, address: str | None) -> list[str]:
    found = []
    while address:
        answer = client.get(address)
        found += rows_of(answer.text)
        address = answer.json["next"]
    return found


# Access and addresses


def test_keys_hold_for_their_tables(client_of: ClientOf, crew: None) -> None:
    client = client_of("read", ["hired_employees.departments"])
    assert client.get("/api/departments").status_code == 200
    for address in ("/api/employees", "/api/employees/1", "/api/employees/1/trace"):
        answer = client.get(address)
        assert answer.status_code == 403
        assert answer.json["detail"].endswith("does not hold for hired_employees.hired_employees")


@pytest.mark.parametrize("address", ["/api/departments", "/api/departments/1"])
def test_no_key_no_rows(client: FlaskClient, crew: None, address: str) -> None:
    assert client.application.test_client().get(address).status_code == 401


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "pg_class",
        "pg_catalog.pg_class",
        "keys",
        "rowboat.keys",
        "audit",
        "%00",
        "departments;",
        '"departments"',
        "..",
        "%F0%9F",
    ],
)
def test_unknown_tables(client: FlaskClient, name: str) -> None:  # fmt: skip
    for address in (f"/api/{name}", f"/api/{name}/1", f"/api/{name}/1/trace"):
        assert client.get(address).status_code == 404


def test_other_addresses_are_not_taken_for_tables(client: FlaskClient) -> None:
    adapter = client.application.url_map.bind("localhost")
    for address, blueprint in (("/api/tables", "tables"), ("/api/departments", "rows"),
                               ("/api/2021/departments", "metrics")):  # fmt: skip
        assert adapter.match(address)[0].partition(".")[0] == blueprint


INJECTIONS = [
    "' or '1'='1", "'; drop table hired_employees.departments; --", "1; select pg_sleep(9)", "1)--",
    "1 union select secret_sha256 from rowboat.keys", "\\'; delete from x; --", "$$x$$", "E'\\x27'",
    "%27%20or%201=1", "%(x)s", "%s", "{0}", "{table}", "\x00", "\ud800", "../../etc/passwd",
    "..%2f..%2fetc", "/etc/passwd", "\\\\host\\share", "file:///etc/passwd", "| id", "`id`",
    "$(id)",
    "${jndi:ldap://x}", "<script>", "\r\nX-Injected: 1", "\u202e", "🚣", "a" * 5000, "null", "NULL",
    "true", "-1", "1e999", "NaN", "0x1F", "infinity", "9" * 400, "now()", "current_user",
    "pg_read_file('x')", "1::text", "id", "t.id", "ctid", "xmin", "tableoid", "*", "count(*)",
    "(select 1)", "id desc nulls first",
]  # fmt: skip
PLACES = [
    "/api/departments?id={}", "/api/departments?{}=1", "/api/departments?department={}",
    "/api/departments?department.{}=1", "/api/departments?order={}", "/api/departments?limit={}",
    "/api/departments?after={}", "/api/departments?department.in={}", "/api/departments/{}",
    "/api/departments/{}/trace", "/api/{}", "/api/{}/1",
]  # fmt: skip


def test_hostile_addresses_have_no_effect(boat: Boat, client: FlaskClient, crew: None) -> None:
    def state() -> list[Any]:
        return boat.query(
            "select to_jsonb(d) from hired_employees.departments d union all"
            " select to_jsonb(e) from hired_employees.hired_employees e union all"
            " select to_jsonb(k) - 'used_at' from rowboat.keys k union all"
            " select to_jsonb(count(*)) from pg_class where not relname like 'pg\\_toast%'"
        )

    before = state()
    tried = 0
    for place in PLACES:
        for each in INJECTIONS:
            text = quote(each, safe="", errors="surrogatepass")
            methods = (
                (client.get, client.delete) if place.endswith("departments/{}") else (client.get,)
            )
            for method in methods:
                answer = method(place.format(text), headers={"If-Match": '"0"'})
                tried += 1
                assert answer.status_code in (200, 404, 405, 412, 422), (place, each, answer.text)
                assert "X-Injected" not in answer.headers
                if answer.status_code == 200:
                    assert len(answer.json["rows"]) <= 3
                    assert "secret" not in answer.text
    assert tried > 500
    assert state() == before


def test_faults_are_those_of_the_library(boat: Boat) -> None:
    with connections.transaction(boat.connect("api")) as cursor:
        table = boat.catalog().table("departments")
        with pytest.raises(AskRefused) as refused:
            listing_params.read_listing_params(
                cursor, table, [("id", "\ud800"), ("department", "\ud800"), ("\ud800", "")]
            )
    assert [(each["column"], each["rule"]) for each in refused.value.errors] == [
        ("id", "encoding"), ("department", "encoding"), ("?", "shape"),
    ]  # fmt: skip


def test_csv_reader_sees_every_row(client: FlaskClient, crew: None) -> None:
    text = client.get("/api/employees?format=csv").text
    assert len(list(csv.DictReader(io.StringIO(text)))) == 6
