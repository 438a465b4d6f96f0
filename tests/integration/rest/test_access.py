"""Nobody in without a key, nobody beyond its scope; how often, and who fails too often."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from api.application import create_app
from api.shared import access
from rowboat.access import keys
from rowboat.database import connections
from rowboat.database.connections import transaction
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.issuing import AUDIENCE, local_issuer

HINT = "send the header Authorization: Bearer rb_…; `rowboat keys create` creates a key"
LARGER = "create one that does with `rowboat keys create`"
WAIT = "wait until the next minute; the header Retry-After gives the seconds"
MADE_UP = f"rb_aaaaaaaa_{'x' * 43}"
SCOPES = ("read", "write", "operate")
RATE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
Result = TypeVar("Result")


@pytest.fixture
def stubbed(app: Flask) -> Flask:
    """The application with every view replaced by one that only lets in."""
    for name, view in app.view_functions.items():
        stub = access.scope(view.scope)(lambda **_: "in")  # type: ignore[attr-defined]
        app.view_functions[name] = stub
    return app


@pytest.fixture
def new_key(boat: Boat) -> Callable[..., str]:
    """Make a key and return its token."""

    def make(scope: str = "read", **options: Any) -> str:
        with transaction(boat.connect("owner")) as cursor:
            return keys.create_key(cursor, "a test", scope, **options)[1]

    return make


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield (method, address, scope) of every route but the console's, arguments filled in."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("console."):
            continue
        address = adapter.build(rule.endpoint, values(rule), append_unknown=False)
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            assert adapter.match(address, method)[0] == rule.endpoint
            yield method, address, app.view_functions[rule.endpoint].scope  # type: ignore[attr-defined]


def values(rule: Rule) -> dict[str, Any]:
    kinds = {name: type(each).__name__ for name, each in rule._converters.items()}
    return {name: 2021 if kind.startswith("Int") else "thing" for name, kind in kinds.items()}


def problem(status: int, title: str, detail: str, hint: str, answer: TestResponse) -> None:
    """Assert what an error is, all of it."""
    assert answer.content_type == "application/problem+json"
    assert answer.get_json() == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "hint": hint,
        "errors": [],
        "request": answer.headers["X-Request-Id"],
    }
    assert answer.status_code == status


def unauthorised(answer: TestResponse, detail: str) -> None:
    problem(401, "Unauthorized", detail, HINT, answer)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not set(RATE) & set(answer.headers.keys())


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def in_one_minute(boat: Boat, work: Callable[[], Result]) -> Result:
    """Do work that a minute's beginning would disturb; all of it anew where one began."""
    for _ in range(2):
        begun = boat.query("select date_trunc('minute', now())")
        found = work()
        if boat.query("select date_trunc('minute', now())") == begun:
            return found
    raise AssertionError("the work takes longer than a minute")


def test_nobody_in_without_a_key(stubbed: Flask) -> None:
    client = stubbed.test_client()
    seen = set()
    for method, address, needed in routes(stubbed):
        answer = client.open(address, method=method)
        seen.add(needed)
        if needed == "public":
            assert answer.status_code == 200, address
        elif method == "HEAD":
            assert answer.status_code == 401, address
        else:
            unauthorised(answer, "the request has no valid key")
    assert {"public", "read"} <= seen


@pytest.mark.parametrize("scope", SCOPES)
def test_nobody_beyond_his_scope(stubbed: Flask, client_of: ClientOf, scope: str) -> None:
    client = client_of(scope)
    key_id = client.environ_base["HTTP_AUTHORIZATION"].split("_")[1]
    for method, address, needed in routes(stubbed):
        answer = client.open(address, method=method)
        if needed == "public" or SCOPES.index(needed) <= SCOPES.index(scope):
            assert answer.status_code == 200, address
        elif method == "HEAD":
            assert answer.status_code == 403, address
        else:
            detail = f"the key {key_id} has the scope {scope}; this needs {needed}"
            problem(403, "Forbidden", detail, LARGER, answer)
        assert (needed == "public") != set(RATE).issubset(answer.headers.keys())


@pytest.mark.own_app
@pytest.mark.parametrize("needed", ["read", "write", "operate"])
def test_every_scope_is_kept_by_a_view(app: Flask, client_of: ClientOf, needed: Any) -> None:
    """The same on a view of each scope, whichever of them the routes have."""
    app.add_url_rule("/kept", "kept", access.scope(needed)(lambda: "in"))
    allowed = [scope for scope in SCOPES if client_of(scope).get("/kept").status_code == 200]
    assert allowed == list(SCOPES[SCOPES.index(needed) :])
    assert app.test_client().options("/kept").status_code == 401


@pytest.mark.own_app
def test_a_view_must_say_its_scope(app: Flask, client_of: ClientOf) -> None:
    app.add_url_rule("/silent", "silent", lambda: "in")
    with pytest.raises(AssertionError, match="silent does not declare a scope"):
        access.check_scopes(app)
    assert client_of("write").get("/silent").status_code == 403


def test_public_views_answer(app: Flask) -> None:
    assert app.test_client().get("/health").status_code == 200


@pytest.mark.parametrize("token", [None, MADE_UP, "key"])
def test_unknown_address_and_method(app: Flask, token: str | None, client: FlaskClient) -> None:
    for caller in (app.test_client(), client):
        assert caller.get("/nothing", headers=bearing(token or "")).status_code == 404
        assert caller.delete("/api/tables", headers=bearing(token or "")).status_code == 405


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"Authorization": "Bearer {}"}, 200),
        ({"Authorization": "bearer {}"}, 200),
        ({"Authorization": "Bearer  {} "}, 200),
        ({"X-API-Key": "{}"}, 200),
        ({"Authorization": "Basic eDp5", "X-API-Key": "{}"}, 200),
        ({"Authorization": "{}"}, 401),
        ({"Authorization": "Basic {}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer {}x"}, 401),
        ({"Authorization": "Bearer {}, Bearer {}"}, 401),
        ({"Authorization": f"Bearer {MADE_UP}", "X-API-Key": "{}"}, 401),
        ({"Authorization": "Bearer \xff\xfe"}, 401),
        ({"X-API-Key": ""}, 401),
    ],
)
def test_where_the_key_stands(app: Flask, new_key: Any, form: Any, status: int) -> None:
    token = new_key()
    headers = {name: value.replace("{}", token) for name, value in form.items()}
    assert app.test_client().get("/api/tables", headers=headers).status_code == status


def test_bad_key(app: Flask) -> None:
    answer = app.test_client().get("/api/tables", headers=bearing(MADE_UP))
    unauthorised(answer, "the key is not known")


def test_end_of_a_key_takes_effect_at_once(app: Flask, boat: Boat, new_key: Any) -> None:
    client, token = app.test_client(), new_key()
    key_id = token.split("_")[1]
    for change, state in (
        ("update rowboat.keys set expires_at = now()", "expired"),
        ("update rowboat.keys set expires_at = null, revoked_at = now()", "revoked"),
    ):
        assert client.get("/api/tables", headers=bearing(token)).status_code == 200
        boat.query(change)
        answer = client.get("/api/tables", headers=bearing(token))
        unauthorised(answer, f"the key {key_id} is {state}")
        boat.query("update rowboat.keys set expires_at = null, revoked_at = null")


def test_limited_to_tables(client_of: ClientOf) -> None:
    client = client_of("operate", ["jobs"])
    key_id = client.environ_base["HTTP_AUTHORIZATION"].split("_")[1]
    [table] = client.get("/api/tables").get_json()["tables"]
    assert table["table"] == "hired_employees.jobs"
    assert client.get("/api/jobs").status_code == 200
    for name in ("departments", "hired_employees.departments"):
        detail = f"the key {key_id} is not valid for hired_employees.departments"
        problem(403, "Forbidden", detail, LARGER, client.get(f"/api/{name}"))


def test_rate_is_told_and_kept(app: Flask, boat: Boat, new_key: Any) -> None:
    client = app.test_client()

    def send() -> tuple[str, list[TestResponse]]:
        token = new_key(per_minute=3)
        return token, [client.get("/api/tables", headers=bearing(token)) for _ in range(5)]

    token, answers = in_one_minute(boat, send)
    key_id = token.split("_")[1]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert [each.headers["RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0", "0"]
    assert {each.headers["RateLimit-Limit"] for each in answers} == {"3"}
    resets = [int(each.headers["RateLimit-Reset"]) for each in answers]
    assert resets == sorted(resets, reverse=True)
    assert 1 <= resets[-1] <= resets[0] <= 60
    assert answers[4].headers["Retry-After"] == answers[4].headers["RateLimit-Reset"]
    detail = f"the key {key_id} may send 3 requests a minute"
    problem(429, "Too Many Requests", detail, WAIT, answers[4])
    boat.query("update rowboat.usage set minute = minute - interval '1 minute'")
    assert client.get("/api/tables", headers=bearing(token)).status_code == 200


def test_bad_keys_are_throttled_by_address(app: Flask, boat: Boat, new_key: Any) -> None:
    client, token = app.test_client(), new_key()

    def send(bears: str = MADE_UP, address: str = "198.51.100.7") -> TestResponse:
        where = {"REMOTE_ADDR": address}
        return client.get("/api/tables", headers=bearing(bears), environ_overrides=where)

    def fail() -> tuple[list[TestResponse], list[int]]:
        boat.query("delete from rowboat.usage")
        failed = [send() for _ in range(22)]
        return failed, [send(bears=token).status_code, send(address="203.0.113.9").status_code]

    failed, others = in_one_minute(boat, fail)
    assert [each.status_code for each in failed] == [401] * 20 + [429] * 2
    assert others == [200, 401]
    problem(
        429, "Too Many Requests", "too many invalid keys from this address", WAIT, failed[-1]
    )  # fmt: skip
    assert 1 <= int(failed[-1].headers["Retry-After"]) <= 60
    boat.query("update rowboat.usage set minute = minute - interval '1 minute'")
    assert send().status_code == 401


def test_no_key_is_no_try(app: Flask, boat: Boat) -> None:
    client = app.test_client()
    assert {client.get("/api/tables").status_code for _ in range(30)} == {401}
    assert boat.query("select count(*) from rowboat.usage") == [0]


def test_tokens_of_an_issuer(boat: Boat, setting: Any, new_key: Any) -> None:
    with local_issuer() as issuer:
        setting("oidc_issuer", issuer.address)
        setting("oidc_audience", AUDIENCE)
        app = create_app()
        app.add_url_rule("/kept", "kept", access.scope("write")(lambda: "in"))
        client, down = app.test_client(), create_app()
        good = client.get("/kept", headers=bearing(issuer.token(scope="rowboat:write")))
        assert (good.status_code, good.headers["RateLimit-Limit"]) == (200, "600")
        small = client.get("/kept", headers=bearing(issuer.token()))
        detail = "the key oidc:ann has the scope read; this needs write"
        problem(403, "Forbidden", detail, LARGER, small)
        none = client.get("/kept", headers=bearing(issuer.token(scope="openid")))
        assert none.status_code == 403
        old = client.get("/kept", headers=bearing(issuer.token(exp=1)))
        hint = "ask its issuer for a new one"
        problem(401, "Unauthorized", "the token has expired", hint, old)
        assert old.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/kept", headers=bearing(new_key("write"))).status_code == 200
    answer = down.test_client().get("/api/tables", headers=bearing(issuer.token()))
    fact = "the keys of the token issuer cannot be fetched"
    hint = "try again in a minute; the log says why"
    problem(503, "Service Unavailable", fact, hint, answer)
    assert answer.headers["Retry-After"] == "60"
    assert boat.query(
        "select distinct caller from rowboat.usage where caller like 'oidc:%%'", {}
    ) == ["oidc:ann"]
    for each in (app, down):
        each.extensions["rowboat"].close()


def test_no_token_without_an_issuer(app: Flask) -> None:
    with local_issuer() as issuer:
        answer = app.test_client().get("/api/tables", headers=bearing(issuer.token()))
    unauthorised(answer, "the key is not known")


def test_lost_connections_are_made_anew(app: Flask, boat: Boat, client: FlaskClient) -> None:
    assert client.get("/api/tables").status_code == 200
    boat.query(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'rowboat_api' and datname = current_database()"
        " and pid <> pg_backend_pid()",
        role="api",
    )
    statuses = [client.get("/api/tables").status_code for _ in range(4)]
    assert set(statuses) == {200, 503}
    assert statuses == sorted(statuses, reverse=True)


_start: Barrier


def _worker(uri: str, start: Barrier) -> None:
    global _start
    connections.use_database(uri)
    _start = start


def _requests(token: str) -> tuple[int, list[int]]:
    """Send 40 requests from a process of its own, all processes at once."""
    app = create_app()
    client = app.test_client()
    _start.wait(30)
    found = [client.get("/api/tables", headers=bearing(token)).status_code for _ in range(40)]
    app.extensions["rowboat"].close()
    return os.getpid(), found


def test_sixty_a_minute_over_four_processes(boat: Boat, new_key: Any) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        4, spawn, initializer=_worker, initargs=(boat.uri("api"), spawn.Barrier(4))
    ) as pool:
        found = in_one_minute(boat, lambda: list(pool.map(_requests, [new_key(per_minute=60)] * 4)))
    assert len({process for process, _ in found}) == 4
    statuses = [status for _, each in found for status in each]
    assert (statuses.count(200), statuses.count(429)) == (60, 100)
