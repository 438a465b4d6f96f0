"""Rejected rows that enter once a batch has brought their parents."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.actions import batches
from rowboat.ingest import rejudge
from tests.conftest import Boat
from tests.support.writing import EMPLOYEES, TABLES, hire, numbers, rows, send, state

Declare = Callable[[str], None]


def test_parents_arrive(boat: Boat, client: FlaskClient, parents: None) -> None:
    boat.write(
        "hired_employees.csv",
        "1,a,2021-01-01T00:00:00Z,7,1\n2,b,2021-01-01T00:00:00Z,7,8\n"
        "3,c,2021-01-01T00:00:00Z,1,1\n4,,2021-01-01T00:00:00Z,7,1\n",
    )
    boat.ingest()
    send(client, [hire(5, department_id=7)])
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [3]
    answer = client.post("/api/departments", json=[{"id": 7, "department": "x"}])
    assert (answer.status_code, numbers(answer)) == (201, (1, 1, 0, 0, 0))
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [1, 3, 5]
    assert [line for line, *_ in boat.rejects()] == [2, 4]
    file = boat.query("select read, inserted, rejected from ingest_status.ingest_status")
    assert file == [(4, 2, 2)]
    (caller,) = boat.query("select id from rowboat.keys")
    who = boat.query("select actor, run, inserted from ingest_status.loads where source = 'retry'")
    assert {each for each in who if each[2]} == {(caller, answer.json["request"], 1)}
    answer = client.put("/api/jobs/8", json={"job": "y"})
    assert answer.status_code == 201
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [1, 2, 3, 5]
    assert [line for line, *_ in boat.rejects()] == [4]


def test_parents_of_parents(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(
        "create schema s; create table s.ports (id integer primary key);"
        "create table s.boats (id integer primary key, port integer references s.ports);"
        "create table s.masts (id integer primary key, boat integer references s.boats)"
    )
    client.post("/api/masts", json=[{"id": 1, "boat": 1}])
    client.post("/api/boats", json=[{"id": 1, "port": 1}])
    before = state(boat, "s.masts", "s.boats", *TABLES)
    client.post("/api/ports?dry_run=true", json=[{"id": 1}])
    assert state(boat, "s.masts", "s.boats", *TABLES) == before
    client.post("/api/ports", json=[{"id": 1}])
    assert (rows(boat, "s.masts"), boat.rejects()) == ([{"id": 1, "boat": 1}], [])


def test_failure_of_those_that_wait(
    boat: Boat, client: FlaskClient, parents: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that went in stay, and are told so, whatever becomes of those that wait for them."""

    def fail(*_: Any) -> None:
        raise RuntimeError("lost")

    send(client, [hire(5, department_id=7)])
    with monkeypatch.context() as patch:
        patch.setattr(rejudge, "rejudge_children", fail)
        answer = client.post("/api/departments", json=[{"id": 7, "department": "x"}])
        assert answer.status_code == 201
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_PATIENCE", -1.0)
        answer = client.post("/api/departments", json=[{"id": 8, "department": "y"}])
        assert answer.status_code == 201
    assert [id_ for id_, _ in boat.departments()] == [1, 2, 7, 8]
    assert len(boat.rejects()) == 1
    client.post("/api/departments", json=[{"id": 9, "department": "z"}])
    assert boat.rejects() == []
