"""Rows over HTTP with columns of every type: values, filters, order."""

import io
import json
from collections.abc import Callable
from urllib.parse import quote

from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.every_type import declared, generated

Declare = Callable[[str], None]


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
