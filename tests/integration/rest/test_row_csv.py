"""Rows over HTTP as CSV, and which format an Accept header selects."""

import csv
import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.integration.conftest import ClientOf

Declare = Callable[[str], None]


def test_csv(client: FlaskClient, employees: None) -> None:
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
    client: FlaskClient, employees: None, accept: str | None, status: int, media: str
) -> None:
    headers = {"Accept": accept.encode("latin1", "replace").decode("latin1")} if accept else {}
    answer = client.get("/api/employees", headers=headers)
    assert (answer.status_code, answer.mimetype) == (status, media)
    if status == 406:
        assert answer.json["detail"] == "this address returns application/json or text/csv"


def test_csv_reader_sees_every_row(client: FlaskClient, employees: None) -> None:
    text = client.get("/api/employees?format=csv").text
    assert len(list(csv.DictReader(io.StringIO(text)))) == 6
