"""Who may do what: every view says its scope, every request but public ones bears a key."""

from collections.abc import Callable
from typing import Literal, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request

from api.context import context
from api.errors import Problem
from rowboat import keys, tokens
from rowboat.database import Cursor, transaction
from rowboat.errors import IssuerDown, KeyRefused
from rowboat.keys import Key
from rowboat.tokens import Issuer

log = structlog.get_logger()

Scope = Literal["public", "read", "write", "operate"]
View = TypeVar("View", bound=Callable[..., object])
_FAILURES = 20  # bad keys that an address may show in a minute


def scope(needed: Scope) -> Callable[[View], View]:
    """Say which scope a view needs; `public` needs no key."""

    def mark(view: View) -> View:
        view.scope = needed  # type: ignore[attr-defined]
        return view

    return mark


def register(app: Flask) -> None:
    """Look at the key of every request before its view does; tell its rate in every answer."""
    app.extensions["issuer"] = tokens.of_settings()
    app.before_request(_enter)
    app.after_request(_tell_rate)


def check(app: Flask) -> None:
    """Raise AssertionError unless every view says its scope."""
    for name, view in app.view_functions.items():
        assert hasattr(view, "scope"), f"{name} does not say which scope it needs"


def _enter() -> None:
    if request.endpoint is None:
        return  # 404 or 405
    needed = getattr(current_app.view_functions[request.endpoint], "scope", "operate")
    if needed == "public":
        return
    token = _token()
    if not token:
        raise _unknown(KeyRefused())
    with context().counting.connection() as connection, transaction(connection) as cursor:
        try:
            g.caller = _caller(cursor, token)
        except KeyRefused as refused:
            raise _throttled(cursor) or _unknown(refused) from None
        g.rate = keys.count(cursor, g.caller.id, g.caller.per_minute)
    if g.rate.exceeded:
        detail = f"the key {g.caller.id} may send {g.rate.limit} requests a minute"
        raise _too_many(detail, g.rate.reset)
    g.caller.demand(needed)


def _caller(cursor: Cursor, token: str) -> Key:
    issuer: Issuer | None = current_app.extensions["issuer"]
    if issuer is None or token.startswith("rb_"):
        return keys.known(cursor, token)
    try:
        return issuer.caller(token)
    except IssuerDown as down:
        log.warning("issuer cannot be asked", cause=str(down.__cause__))
        raise Problem(503, down.fact, down.hint, headers={"Retry-After": "60"}) from None


def _token() -> str:
    """Return what the request bears; empty where it bears nothing."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return request.headers.get("X-API-Key", "").strip()


def _unknown(refused: KeyRefused) -> Problem:
    return Problem(401, refused.fact, refused.hint, headers={"WWW-Authenticate": "Bearer"})


def _throttled(cursor: Cursor) -> Problem | None:
    """Count a bad key; good ones pass all the same, so that nobody locks out his neighbours."""
    rate = keys.count(cursor, f"address:{request.remote_addr}", _FAILURES)
    if not rate.exceeded:
        return None
    return _too_many("too many bad keys came from this address", rate.reset)


def _too_many(detail: str, reset: int) -> Problem:
    hint = "wait until the next minute; Retry-After tells the seconds"
    return Problem(429, detail, hint, headers={"Retry-After": str(reset)})


def _tell_rate(answer: Response) -> Response:
    if rate := g.get("rate"):
        answer.headers["RateLimit-Limit"] = str(rate.limit)
        answer.headers["RateLimit-Remaining"] = str(rate.remaining)
        answer.headers["RateLimit-Reset"] = str(rate.reset)
    return answer
