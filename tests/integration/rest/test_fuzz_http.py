"""Requests that nobody would write: never a 5xx, always a problem that says what to do, and what is
refused leaves nothing.
"""

import json
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from rowboat.database.connections import transaction
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.fake_airflow import FakeAirflow
from tests.support.fuzzing import fuzzed

JOBS = "hired_employees.jobs"
STATE = """
select (select coalesce(jsonb_agg(t order by id), '[]') from hired_employees.jobs t),
    (select count(*) from ingest_status.rejected_rows), (select count(*) from rowboat.audit),
    (select count(*) from ingest_status.loads)
"""
KEY = re.compile(r"[\x21-\x7e]{1,255}")


@pytest.fixture
def state(boat: Boat) -> Callable[[], tuple[Any, ...]]:
    """Return the jobs, and how many rows are refused, writes audited and loads kept."""
    connection = boat.connect("owner")

    def look() -> tuple[Any, ...]:
        with transaction(connection) as cursor:
            cursor.execute(STATE)
            found: tuple[Any, ...] = cursor.fetchone()
            return found

    return look


def problem(answer: TestResponse) -> None:
    """Assert that an answer is good, or a problem in the form of all of them."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json"
        found = json.loads(answer.data)
        assert found["status"] == answer.status_code
        assert found["detail"]
        assert found.get("hint"), found
        assert isinstance(found["errors"], list)


# Bodies

hostile = st.sampled_from(
    ["", "\0", "\ud800", "'; --", "%s", "{}", "\u2028", "1e999", "-0", "x" * 99]
)
ids = st.integers(-3, 12) | st.integers() | st.floats() | hostile | st.none() | st.booleans()
rows = st.fixed_dictionaries({}, optional={
    "id": ids, "job": hostile | st.text(max_size=5) | st.none() | st.lists(st.none(), max_size=1),
    "x": st.none(),
})  # fmt: skip
good = st.fixed_dictionaries({"id": st.integers(1, 12), "job": st.sampled_from(["a", "é", "🚣"])})
documents = st.lists(good | good | rows, max_size=5) | rows | st.none() | st.integers() | hostile
media = st.sampled_from(["application/json", "application/x-ndjson", "text/csv"])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw rows as JSON, lines or CSV, of which some bytes may be others."""
    kind, document = draw(media), draw(documents)
    several = document if isinstance(document, list) else [document]
    if kind == "application/json":
        text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    elif kind == "application/x-ndjson":
        text = "\n".join(map(json.dumps, several))
    else:
        lines = [
            f"{each.get('id')},{each.get('job')}" for each in several if isinstance(each, dict)
        ]
        text = "\n".join(["id,job"] * draw(st.booleans()) + lines)
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=2) | st.sampled_from(
            [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\n", b"\0", b"9" * 400]
        ))  # fmt: skip
    return kind, bytes(content)


choices = st.dictionaries(
    st.sampled_from(["mode", "on_conflict", "dry_run", "x"]),
    st.sampled_from(["atomic", "partial", "update", "ignore", "error", "true", "false", "\0", ""]),
    max_size=2,
)
latin = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=12)
keys = st.none() | st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126),
                                       min_size=1, max_size=8) | latin  # fmt: skip


def test_bodies(boat: Boat, client: FlaskClient, state: Callable[[], tuple[Any, ...]]) -> None:
    client.post("/api/jobs", json=[{"id": 1, "job": "Rower"}])

    @fuzzed(80)
    @given(bodies(), choices, keys)
    @example(("application/json", b"[" * 5000), {}, None)
    @example(("application/json", b'[{"id": 77, "job": "a"}]'), {}, "a b")
    @example(("application/json", b'[{"id": 1e400, "job": "a"}]'), {}, None)
    @example(("text/csv", b"id,job\r1,\x00"), {"mode": "atomic"}, "\x7f")
    def attempt(body: tuple[str, bytes], asked: dict[str, str], key: str | None) -> None:
        before = state()
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = client.post(
            "/api/jobs", query_string=asked, data=body[1], content_type=body[0], headers=headers
        )
        problem(answer)
        after, found = state(), json.loads(answer.data)
        counts = found if "read" in found else dict.fromkeys(("inserted", "updated"), 0)
        if answer.headers.get("Idempotency-Replayed"):
            assert after == before
            return
        if key is not None and not KEY.fullmatch(key):
            assert answer.status_code >= 400
        if answer.status_code >= 400 or asked.get("dry_run") == "true":
            assert (after[0], after[2]) == (before[0], before[2])
        else:
            assert len(after[0]) == len(before[0]) + counts["inserted"]
        if "read" not in found or asked.get("dry_run") == "true":
            assert after == before, "what is no row is not quarantined"
        else:
            total = sum(found[n] for n in ("inserted", "updated", "unchanged", "rejected"))
            assert found["read"] == total
            assert asked.get("mode") != "atomic" or not found["rejected"] or not counts["inserted"]

    attempt()


# Versions

tags = st.sampled_from(
    ["*", "TRUE", '"TRUE"', 'W/"TRUE"', '"x", "TRUE"', '"0"', '""', '"', ",", "W/"]
)


def test_versions(boat: Boat, client: FlaskClient, state: Callable[[], tuple[Any, ...]]) -> None:
    """Without the row's own version, or any, nothing is written."""
    client.post("/api/jobs", json=[{"id": n, "job": "Rower"} for n in range(1, 200)])

    @fuzzed(60)
    @given(
        st.sampled_from(["PUT", "PATCH", "DELETE"]), st.integers(1, 199), tags | latin,
        st.sampled_from(["If-Match", "If-None-Match", "If-Range"]),
        st.sampled_from([{"job": "Cox"}, {"job": ""}, {"id": 7, "job": "x"}, {}, []]),
    )  # fmt: skip
    @example("DELETE", 1, 'W/"TRUE"', "If-Match", {})
    @example("PATCH", 1, "", "If-Match", {"job": "Cox"})
    def attempt(method: str, number: int, tag: str, header: str, body: Any) -> None:
        address = f"/api/jobs/{number}"
        version = client.get(address).headers.get("ETag", '"gone"')
        sent = tag.replace("TRUE", version.strip('"'))
        before = state()
        answer = client.open(address, method=method, json=body, headers={header: sent})
        problem(answer)
        if answer.status_code >= 400:
            assert state()[0] == before[0]
        elif header == "If-Match" and version != '"gone"':
            assert sent.strip() == "*" or version.strip('"') in sent, (sent, version)
        elif version != '"gone"':
            pytest.fail(f"{method} without If-Match: {answer.status_code}")

    attempt()


# Addresses

texts = hostile.filter(str.isascii) | st.text(max_size=8) | st.sampled_from([
    "jobs", "departments", "1", "0", "-1", "2021", "9" * 30, "1,2", ",", ".", "..", "%2e%2e%2f",
    "/",
    "json", "csv", "xlsx", "png", "true", "id", "-id", "quarters", "manual__1",
    "2021-02-30", "20230101T000000Z", "a=b", "id.in", "*",
])  # fmt: skip
names = st.sampled_from([
    "order", "limit", "after", "sample", "count", "format", "safe", "year", "table", "next", "page",
    "id", "id.in", "id.lt", "job.null", "job.ne", "state", "rule", "actor", "from", "to", "file",
    "line", "set", "mode", "cascade", "name", "code", "error", "q", "rows", "what", "key", "since",
])  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["Accept", "If-None-Match", "If-Modified-Since", "Range", "Accept-Language",
                     "Cookie", "X-API-Key-", "Content-Length-", "Accept-Encoding", "If-Match"]),
    latin | tags | st.sampled_from(["text/csv", "text/html", "*/*;q=x", "application/json;q=0",
                                    "bytes=0-", "bytes=9-1", "__Host-rowboat=x"]),
    max_size=2,
)  # fmt: skip


@pytest.fixture
def full(boat: Boat, client: FlaskClient) -> None:
    boat.ingest(boat.write("jobs.csv", "1,Rower\n2,\n3,Cox\n"))
    client.post("/api/batch", json={
        "departments": [{"id": 1, "department": "Deck"}],
        "hired_employees": [{"id": 1, "employee_name": "Ann", "hired_date": "2021-02-03",
                             "department_id": 1, "job_id": 1}],
    })  # fmt: skip


def routes(app: Flask) -> list[str]:
    """Return every address that takes GET, with {} where something stands for another."""
    return sorted({
        re.sub(r"<[^>]+>", "{}", rule.rule) for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    })  # fmt: skip


def test_addresses(
    app: Flask,
    full: None,
    client: FlaskClient,
    airflow: FakeAirflow,
    signed_in: Callable[..., Visitor],
    state: Callable[[], tuple[Any, ...]],
) -> None:
    """Every address that only reads, with any parts, parameters and headers: it changes nothing."""
    airflow.add_run("ingest", "manual__1", "running")
    visitor, before, every = signed_in(), state(), routes(app)
    assert len(every) > 40

    @fuzzed(250)
    @given(
        st.sampled_from(every), st.lists(texts, min_size=3, max_size=3),
        st.lists(st.tuples(names | texts, texts), max_size=3), headers, st.booleans(),
    )  # fmt: skip
    def attempt(
        rule: str, parts: list[str], asked: list[Any], sent: dict[str, str], page: bool
    ) -> None:
        filled = rule.format(*(quote(part.encode("utf-8", "surrogatepass"), "") for part in parts))
        query = urlencode([
            (name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass"))
            for name, value in asked
        ])  # fmt: skip
        who = visitor if page else client
        with closing(who.get(f"{filled}?{query}", headers=sent)) as answer:
            assert answer.status_code < 500, (filled, query, sent, answer.text)
            if answer.mimetype != "text/html":
                problem(answer)

    attempt()
    assert state() == before
