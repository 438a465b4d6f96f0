"""Rows over HTTP: keys of some tables, unknown tables; hostile addresses change nothing."""

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.integration.conftest import ClientOf


def test_keys_hold_for_their_tables(client_of: ClientOf, employees: None) -> None:
    client = client_of("read", ["hired_employees.departments"])
    assert client.get("/api/departments").status_code == 200
    for address in ("/api/employees", "/api/employees/1", "/api/employees/1/trace"):
        answer = client.get(address)
        assert answer.status_code == 403
        assert answer.json["detail"].endswith("is not valid for hired_employees.hired_employees")


@pytest.mark.parametrize("address", ["/api/departments", "/api/departments/1"])
def test_no_key_no_rows(client: FlaskClient, employees: None, address: str) -> None:
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


def test_hostile_addresses_have_no_effect(boat: Boat, client: FlaskClient, employees: None) -> None:
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
