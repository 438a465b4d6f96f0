"""Rows over HTTP: the answer, its limit, and filters."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from rowboat.database import connections
from rowboat.errors import AskRefused
from rowboat.rows.read import listing_params
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.reading import faults, ids

Declare = Callable[[str], None]

# What an answer looks like


def test_answer(client: FlaskClient, employees: None) -> None:
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
    client: FlaskClient, employees: None, parameters: str, limit: int, count: int | None
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
def test_filters(
    client: FlaskClient, employees: None, parameters: str, expected: list[int]
) -> None:
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
        ("id=1&id=2", ("id", "shape", "id occurs 2 times")),
        ("limit=1&limit=1", ("limit", "shape", "limit occurs 2 times")),
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
            "employee_name", "encoding", "the value of employee_name is not valid text",
        )),
        ("employee_name.in=a,%00", (
            "employee_name.in", "encoding", "the value of employee_name.in is not valid text",
        )),
        ("%00=1", ("?", "shape", "hired_employees.hired_employees has no column '?'")),
        ("limit=0", ("limit", "type", "'0' is not a positive integer")),
        ("limit=-1", ("limit", "type", "'-1' is not a positive integer")),
        ("limit=", ("limit", "type", "'' is not a positive integer")),
        ("limit=%D9%A3", ("limit", "type", "'٣' is not a positive integer")),
        ("limit=1%0A", ("limit", "type", "'1\n' is not a positive integer")),
        ("sample=1e3", ("sample", "type", "'1e3' is not a positive integer")),
        ("sample=3&order=id", ("order", "shape", "order cannot be combined with sample")),
        ("sample=3&limit=3", ("limit", "shape", "limit cannot be combined with sample")),
        ("count=yes", ("count", "type", "'yes' is not true or false")),
        ("order=x", ("order", "shape", "hired_employees.hired_employees cannot be ordered by 'x'")),
        ("order=id,", (
            "order", "shape", "hired_employees.hired_employees cannot be ordered by ''",
        )),
        ("order=id desc", (
            "order", "shape", "hired_employees.hired_employees cannot be ordered by 'id desc'",
        )),
        ("order=id,-id", ("order", "shape", "id occurs twice in the order")),
        ("after=x", ("after", "type", listing_params._NO_PLACE)),
        ("format=xlsx", ("format", "type", "format must be json or csv, and given once")),
        ("format=csv&format=csv", ("format", "type", "format must be json or csv, and given once")),
        ("safe=1", ("safe", "type", "safe must be true or false, and given once")),
    ],
)  # fmt: skip
def test_faults(
    client: FlaskClient, employees: None, parameters: str, expected: tuple[str, str, str]
) -> None:
    assert faults(client, f"/api/employees?{parameters}") == [expected]


def test_all_faults_are_told_at_once(client: FlaskClient) -> None:
    address = "/api/employees?id=a&order=zz&hired_date.gt=b&x=1&limit=0"
    assert sorted(faults(client, address)) == [
        ("hired_date.gt", "type", "'b' is not an ISO 8601 timestamp"),
        ("id", "type", "'a' is not an integer"),
        ("limit", "type", "'0' is not a positive integer"),
        ("order", "shape", "hired_employees.hired_employees cannot be ordered by 'zz'"),
        ("x", "shape", "hired_employees.hired_employees has no column 'x'"),
    ]


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
