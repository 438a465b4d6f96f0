"""The API against its own document: whatever is sent, it answers as the document says, never 5xx.

The number of calls is about ROWBOAT_CONTRACT_CALLS.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from schemathesis.engine import events, from_schema
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

from api.shared import access
from rowboat.access import keys
from rowboat.database.connections import transaction
from tests.conftest import Boat
from tests.support.effort import tries

MANY = 1_500
CALLS = int(os.environ.get("ROWBOAT_CONTRACT_CALLS", tries(100, MANY)))
ALL = 10_000
TABLES = """
create schema cargo;
create table cargo.parts (
    code varchar(8), lot smallint, weight numeric(6,2) check (weight > 0), length real,
    kind cargo.kind not null default 'dry', is_fragile boolean not null, packed_on date,
    opens_at time, seen_at timestamptz, token uuid, label bytea, sizes integer[], notes json,
    serial bigint generated always as identity,
    primary key (code, lot)
);
create table cargo.log (line text);
"""
LIKE_OTHERS = "^/api/(departments|jobs)"  # their columns are among those of hired_employees
NEEDS_AIRFLOW = ("/api/ingest", "/api/backups", "/api/restores")


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Write lines of JSON, or whatever else is wanted, as it is."""
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    rows = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(row).encode() for row in rows)


class Silent(WSGIRequestHandler):
    """Leaves the log to the application."""

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


class Watched:
    """The application, its answers counted; 503 is good only where Airflow is needed."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.seen: Counter[int] = Counter()
        self.failed: list[str] = []

    def __call__(self, environ: Any, start: Callable[..., Any]) -> Iterable[bytes]:
        def begin(status: str, *more: Any) -> Any:
            code, path = int(status[:3]), environ["PATH_INFO"]
            self.seen[code] += 1
            if code >= 500 and not (code == 503 and path.startswith(NEEDS_AIRFLOW)):
                self.failed.append(f"{environ['REQUEST_METHOD']} {path}: {status}")
            return start(status, *more)

        deepen(environ, sum(self.seen.values()))
        return self._app(environ, begin)


def deepen(environ: Any, number: int) -> None:
    """Let a request come further: with a key of its own, every other one with a true version."""
    if environ.get("HTTP_IDEMPOTENCY_KEY") == "0":  # as most of them have it
        environ["HTTP_IDEMPOTENCY_KEY"] = f"of-{number}"
    if "HTTP_IF_MATCH" in environ and number % 2:
        environ["HTTP_IF_MATCH"] = "*"


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application as long as a block runs; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def watched(
    app: Flask,
    client: FlaskClient,
    boat: Boat,
    declare: Callable[[str], None],
    setting: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Watched:
    """The application over the hiring tables and others, each with some rows."""
    setting("airflow_url", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setattr(access, "_FAILURES", 10**9)
    declare("create schema cargo; create type cargo.kind as enum ('dry', 'wet');"
            + TABLES.partition(";")[2])  # fmt: skip
    numbers = range(1, 6)
    employee = {"employee_name": "Ada", "hired_date": "2021-02-03", "department_id": 1, "job_id": 1}
    seed = {
        "departments": [{"id": n, "department": f"D{n}"} for n in numbers],
        "jobs": [{"id": n, "job": f"J{n}"} for n in numbers],
        "hired_employees": [employee | {"id": n} for n in numbers],
        "parts": [{"code": "a", "lot": n, "is_fragile": True} for n in numbers],
    }
    assert client.post("/api/batch", json=seed).status_code == 201
    return Watched(app)


def configured(token: str, calls: int) -> schemathesis.Config:
    """Choose what is checked: everything, with these words for it."""
    refused = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428"]
    return schemathesis.Config.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "auth": {"openapi": {"bearer": {"bearer": token}}},
            "generation": {"max-examples": max(1, calls // 100), "no-shrink": True,
                           "database": "none"},
            "checks": {
                # rules that no schema tells: keys, parents, CHECKs, parameters that exclude others
                "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "503", *refused]},
                # good rows go in beside bad ones
                "negative_data_rejection": {"expected-statuses": ["207", "503", *refused]},
                "missing_required_header": {"expected-statuses": refused},
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
            },
            # the same address is that of a row whose key is "file"
            "operations": [
                {"include-path-regex": "/file$",
                 "checks": {"unsupported_method": {"enabled": False},
                            "allow_header_conformance": {"enabled": False}}},
                # thousands of calls, one for every fault of every filter
                {"include-operation-id-regex": "^(rows_page_|batches_batch)",
                 "phases": {"coverage": {"enabled": calls >= ALL}}},
                # one fault after the other of every column, which those of `parts` show as well
                {"include-path-regex": "^/api/hired_employees",
                 "phases": {"coverage": {"enabled": calls >= MANY}}},
            ],
            "phases": {"stateful": {"enabled": False}},
        }
    )  # fmt: skip


def failures(address: str, config: schemathesis.Config) -> Iterator[str]:
    """Call everything; yield each breach of the document."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", config=config)
    if CALLS < ALL:
        schema = schema.exclude(path_regex=LIKE_OTHERS)
    for event in from_schema(schema).execute():
        if isinstance(event, events.FatalError):
            yield f"fatal: {event.exception!r}"
        if isinstance(event, events.NonFatalError):
            yield f"error: {event.label}: {event.value!r}"
        if isinstance(event, events.ScenarioFinished):
            for found in event.recorder.checks.values():
                for each in found:
                    if each.failure_info is not None:
                        yield f"{event.label}: {each.name}: {each.failure_info.failure}"


@pytest.mark.slow
def test_contract(boat: Boat, watched: Watched) -> None:
    with transaction(boat.connect("owner")) as cursor:
        _, token = keys.create_key(cursor, "a test", "operate", per_minute=10**9)
    with served(watched) as address:
        found = list(failures(address, configured(token, CALLS)))
    print(sum(watched.seen.values()), dict(sorted(watched.seen.items())))
    assert not found, "\n\n".join(found[:20])
    assert not watched.failed, watched.failed[:20]
    assert sum(watched.seen.values()) > CALLS * 0.7
    assert watched.seen.keys() >= {200, 201, 202, 204, 400, 404, 405, 406, 412, 415, 422, 428}


TEXTS = ("\x00", "\ud800", "a\udfffb", "'; --", "%00", "..", "/", "\r\n")
HOSTILE = some.one_of(
    some.text(max_size=20),
    some.text(some.characters(codec=None), max_size=20),
    some.sampled_from(TEXTS),
)
VALUES = some.recursive(
    some.one_of(HOSTILE, some.none(), some.booleans(), some.integers(), some.floats()),
    lambda each: some.lists(each, max_size=3) | some.dictionaries(HOSTILE, each, max_size=3),
    max_leaves=6,
)
COLUMNS = ("id", "department", "code", "lot", "kind", "label", "notes", "sizes")
ROWS = some.dictionaries(some.one_of(some.sampled_from(COLUMNS), HOSTILE), VALUES, max_size=5)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ADDRESSES = (
    "/{}", "/docs/{}", "/api/{}", "/api/departments/{}", "/api/parts/{}", "/api/parts/{}/trace",
    "/api/2021/{}", "/api/metrics/{}", "/api/metrics/quarters?year={}", "/api/ingest/{}",
    "/api/backups/{}", "/api/restores/{}", "/api/restores/{}/approve", "/api/rejects/{}",
    "/api/rejects?table={}", "/api/parts?{}", "/api/parts?{}=1", "/api/parts?{}.in=a,b",
    "/api/parts?code={}", "/api/parts?after={}", "/api/parts?order={}", "/api/parts?label.null={}",
    "/api/parts/file?name={}",
)  # fmt: skip


def escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@pytest.mark.slow
def test_nul_and_lone_surrogates(client: FlaskClient, watched: Watched) -> None:
    """Whatever stands in address, headers and body: no 5xx, and every answer in its form."""
    caller = Client(watched)
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}

    def call(method: str, address: str, text: str, body: Any, plain: bool, media: str) -> None:
        content = json.dumps(body, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        more = {"If-Match": "*", "Content-Type": media}
        answer = caller.open(
            address.format(escaped(text)), method=method, data=content, headers=headers | more
        )
        if answer.is_json or answer.status_code >= 400:
            found = json.loads(answer.data.decode())
        if answer.status_code >= 400:
            assert answer.mimetype == "application/problem+json"
            assert {"type", "title", "status", "detail", "errors", "request"} <= found.keys()
        answer.close()

    for text in TEXTS:
        for address in ADDRESSES:
            call("GET", address, text, None, True, "text/csv")
        for column in (*COLUMNS, text):
            for row in ({column: text}, {column: {text: [text]}}):
                call("POST", "/api/departments", "", row, True, "application/json")
                call("POST", "/api/parts", "", [row], False, "application/x-ndjson")
                call("PATCH", "/api/parts/a,1", "", row, True, "application/json")

    @hypothesis_settings(
        max_examples=CALLS // 4, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        some.tuples(
            some.sampled_from(METHODS), some.sampled_from(ADDRESSES), HOSTILE,
            some.one_of(ROWS, some.lists(ROWS, max_size=3), VALUES), some.booleans(),
            some.sampled_from(["application/json", "application/x-ndjson", "text/csv", "x/y"]),
        )
    )  # fmt: skip
    def by_chance(said: tuple[Any, ...]) -> None:
        call(*said)

    by_chance()
    assert not watched.failed, watched.failed[:20]
    assert watched.seen.keys() >= {200, 201, 400, 404, 405, 415, 422}
