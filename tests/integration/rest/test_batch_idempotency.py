"""Batches with an Idempotency-Key: the same request again gets the same answer."""

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.writing import EMPLOYEES, hire, send, state


def test_replay(boat: Boat, client: FlaskClient, client_of: ClientOf, parents: None) -> None:
    first = send(client, [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    before = state(boat)
    again = send(client, [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    assert (again.status_code, again.data, again.content_type) == (
        first.status_code, first.data, first.content_type,
    )  # fmt: skip
    assert (again.headers["Idempotency-Replayed"], first.headers.get("Idempotency-Replayed")) == (
        "true", None,
    )  # fmt: skip
    assert state(boat) == before
    for rows_, query in (([hire()], ""), ([hire(), hire(5, job_id=9)], "?mode=atomic")):
        other = send(client, rows_, query, **{"Idempotency-Key": "k"})
        assert (other.status_code, other.json["detail"]) == (
            422, "the Idempotency-Key 'k' was used for another request",
        )  # fmt: skip
    assert state(boat) == before
    theirs = send(client_of("write"), [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    assert theirs.json["request"] != first.json["request"]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [2]


@pytest.mark.parametrize("query", ["", "?mode=atomic"])
def test_replay_of_refusals(boat: Boat, client: FlaskClient, parents: None, query: str) -> None:
    first = send(client, [hire(5, job_id=9)], query, **{"Idempotency-Key": "k"})
    assert first.status_code == 422
    before = state(boat)
    again = send(client, [hire(5, job_id=9)], query, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.data, again.content_type) == (
        422, first.data, "application/problem+json",
    )  # fmt: skip
    assert again.headers["Idempotency-Replayed"] == "true"
    assert state(boat) == before


def test_mistakes_are_not_kept(boat: Boat, client: FlaskClient, parents: None) -> None:
    for body, query in ((b"[", ""), (b"[]", ""), (b"[1]", "?mode=x")):
        answer = client.post(
            f"/api/employees{query}", data=body, content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )  # fmt: skip
        assert answer.status_code in (400, 422)
    assert boat.query("select * from rowboat.answers") == []
    assert send(client, [hire()], **{"Idempotency-Key": "k"}).status_code == 201


def test_answers_expire(boat: Boat, client: FlaskClient, parents: None) -> None:
    for key in ("a", "b"):
        send(client, [hire()], **{"Idempotency-Key": key})
    boat.query("update rowboat.answers set answered_at = answered_at - interval '23 hours'")
    assert "Idempotency-Replayed" in send(client, [hire()], **{"Idempotency-Key": "a"}).headers
    boat.query("update rowboat.answers set answered_at = answered_at - interval '61 minutes'")
    answer = send(client, [hire(employee_name="Bo")], **{"Idempotency-Key": "a"})
    assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (201, False)
    assert boat.query("select key from rowboat.answers") == ["a"]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [3]
