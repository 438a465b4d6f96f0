"""Batches at the same time: of one key, and of the same rows."""

from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Boat
from tests.support.writing import EMPLOYEES, audited, hire, send


def test_hundred_at_once(boat: Boat, app: Flask, client: FlaskClient, parents: None) -> None:
    def again(_: int) -> tuple[int, bytes]:
        mine = app.test_client()
        mine.environ_base = client.environ_base
        answer = send(mine, [hire(), hire(), hire(9, job_id=9)], **{"Idempotency-Key": "k"})
        return answer.status_code, answer.data

    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(again, range(100)))
    assert [status for status, _ in found] == [207]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [2]
    assert len(boat.rejects()) == 1
    assert boat.query("select count(*) from ingest_status.loads") == [1]
    assert len(audited(boat)) == 1


def test_many_writers(boat: Boat, app: Flask, client: FlaskClient, parents: None) -> None:
    """Writers of the same and of other rows: each answer tells the truth, none fails.

    Their own numbers are below zero: those that the sequence gives are never taken.
    """

    def write(n: int) -> TestResponse:
        mine = app.test_client()
        mine.environ_base = client.environ_base
        return send(mine, [hire(), hire(-1_000 - n), hire(-1 - n % 3)])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(write, range(40)))
    assert {each.status_code for each in found} <= {201, 207}
    ids = [each for answer in found for each in answer.json["tables"][EMPLOYEES]["ids"]]
    kept = [each for each in ids if each is not None]
    assert sorted(kept) == sorted(boat.query(f"select id from {EMPLOYEES}"))
    assert len(kept) == 40 + 40 + 3
