"""Authentication and authorization: each view declares a scope, each request presents a key.

Only views of the scope `public` need neither key nor session.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request

from api.shared.context import context
from api.shared.problems import Problem
from api.shared.visitors import visitor_token
from rowboat.access import keys, oidc_tokens, sessions
from rowboat.access.keys import Key
from rowboat.access.oidc_tokens import Issuer
from rowboat.database.connections import Cursor, transaction
from rowboat.errors import IssuerDown, KeyRefused

log = structlog.get_logger()

Scope = Literal["public", "read", "write", "operate"]
View = TypeVar("View", bound=Callable[..., object])
_SAFE = ("GET", "HEAD", "OPTIONS")
_FAILURES = 20  # invalid keys accepted from one IP address in a minute


def scope(needed: Scope) -> Callable[[View], View]:
    """Declare the scope that a view requires; `public` requires no key."""

    def mark(view: View) -> View:
        view.scope = needed  # type: ignore[attr-defined]
        return view

    return mark


def checks_form(view: View) -> View:
    """Declare that a view checks the form token itself.

    Uploads do: their body is read as a stream, so the token cannot be checked before the view.
    """
    view.checks_form = True  # type: ignore[attr-defined]
    return view


def register_access(app: Flask) -> None:
    """Check the key of each request before its view runs, and add rate limit headers."""
    app.extensions["issuer"] = oidc_tokens.issuer_of_settings()
    app.before_request(_enter)
    app.after_request(_tell_rate)


def check_scopes(app: Flask) -> None:
    """Raise AssertionError unless each view declares a scope."""
    for name, view in app.view_functions.items():
        assert hasattr(view, "scope"), f"{name} does not declare a scope"


def _enter() -> None:
    if request.endpoint is None:
        return  # 404 or 405
    view = current_app.view_functions[request.endpoint]
    needed = getattr(view, "scope", "operate")
    if needed == "public":
        return
    token = _token()
    g.caller = admit_caller(token)
    g.caller.demand(needed)
    # Only cookies need protection against cross-site requests: a browser sends them by itself, but
    # never a key.
    if not token and request.method not in _SAFE and not hasattr(view, "checks_form"):
        check_form()


def admit_caller(token: str) -> Key:
    """Return the key of a token, or without a token that of the session, and count the request.

    Raises Problem: 401 for an invalid key or session, 429 if the rate limit is exceeded.
    """
    if not token and not visitor_token():
        raise _unknown(KeyRefused())
    # A connection in autocommit mode: the count survives if the request fails later.
    with context().single.connection() as connection, transaction(connection) as cursor:
        try:
            caller = _caller(cursor, token) if token else _signed_in(cursor)
        except KeyRefused as refused:
            raise (_throttled(cursor) if token else None) or _unknown(refused) from None
        g.rate = keys.count_request(cursor, caller.id, caller.per_minute)
    if g.rate.exceeded:
        detail = f"the key {caller.id} may send {g.rate.limit} requests a minute"
        raise _too_many(detail, g.rate.reset)
    return caller


def check_form(field: str | None = None) -> None:
    """Raise Problem (403) unless the request comes from a form or script of the console.

    `field` is the form token, if the view has read it already; otherwise the body is read here.
    """
    given = request.headers.get("X-CSRF-Token", "")
    if not given:
        given = request.form.get("csrf", "") if field is None else field
    # Browsers set Sec-Fetch-Site and pages cannot change it; old browsers and programs omit it.
    elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if elsewhere or not sessions.is_form_token(visitor_token(), given):
        raise Problem(
            403, "the form does not belong to your session", "reload the page and send it again"
        )


def _signed_in(cursor: Cursor) -> Key:
    """Return the key of the session; raises KeyRefused."""
    found = sessions.find_session(cursor, visitor_token())
    if found is None:
        raise KeyRefused("you are not signed in", "sign in, or send a key")
    return found


def _caller(cursor: Cursor, token: str) -> Key:
    issuer: Issuer | None = current_app.extensions["issuer"]
    if issuer is None or token.startswith("rb_"):
        return keys.find_key(cursor, token)
    # Keys begin with rb_; anything else can only be a token of the issuer.
    try:
        return issuer.caller(token)
    except IssuerDown as down:
        raise issuer_problem(down) from None


def issuer_problem(down: IssuerDown) -> Problem:
    """Return the problem for an issuer that does not answer, and log the cause."""
    log.warning("issuer cannot be asked", cause=str(down.__cause__))
    return Problem(503, down.fact, down.hint, headers={"Retry-After": "60"})


def _token() -> str:
    """Return the token of the header Authorization or X-API-Key, or an empty string."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    return request.headers.get("X-API-Key", "").strip()


def _unknown(refused: KeyRefused) -> Problem:
    return Problem(401, refused.fact, refused.hint, headers={"WWW-Authenticate": "Bearer"})


def _throttled(cursor: Cursor) -> Problem | None:
    """Count an invalid key of this IP address; return a problem if there were too many.

    Valid keys are not affected, so a client cannot lock out others behind the same address.
    """
    rate = keys.count_request(cursor, f"address:{request.remote_addr}", _FAILURES)
    if not rate.exceeded:
        return None
    return _too_many("too many invalid keys from this address", rate.reset)


def _too_many(detail: str, reset: int) -> Problem:
    hint = "wait until the next minute; the header Retry-After gives the seconds"
    return Problem(429, detail, hint, headers={"Retry-After": str(reset)})


def _tell_rate(answer: Response) -> Response:
    if rate := g.get("rate"):
        answer.headers["RateLimit-Limit"] = str(rate.limit)
        answer.headers["RateLimit-Remaining"] = str(rate.remaining)
        answer.headers["RateLimit-Reset"] = str(rate.reset)
    return answer
