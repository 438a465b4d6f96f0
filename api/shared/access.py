"""Who may do what: every view says its scope, every request but public ones bears a key."""

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
_FAILURES = 20  # bad keys that an address may show in a minute


def scope(needed: Scope) -> Callable[[View], View]:
    """Say which scope a view needs; `public` needs no key."""

    def mark(view: View) -> View:
        view.scope = needed  # type: ignore[attr-defined]
        return view

    return mark


def checks_form(view: View) -> View:
    """Say that a view checks the form's token by itself, as its body is read only as it comes."""
    view.checks_form = True  # type: ignore[attr-defined]
    return view


def register_access(app: Flask) -> None:
    """Look at the key of every request before its view does; tell its rate in every answer."""
    app.extensions["issuer"] = oidc_tokens.issuer_of_settings()
    app.before_request(_enter)
    app.after_request(_tell_rate)


def check_scopes(app: Flask) -> None:
    """Raise AssertionError unless every view says its scope."""
    for name, view in app.view_functions.items():
        assert hasattr(view, "scope"), f"{name} does not say which scope it needs"


def _enter() -> None:
    if request.endpoint is None:
        return  # 404 or 405
    view = current_app.view_functions[request.endpoint]
    needed = getattr(view, "scope", "operate")
    if needed == "public":
        return
    token = _token()
    g.caller = admit(token)
    g.caller.demand(needed)
    # no browser sends a key by itself as it does a cookie
    if not token and request.method not in _SAFE and not hasattr(view, "checks_form"):
        check_form()


def admit(token: str) -> Key:
    """Return who shows a token, or without one who is signed in, and count the request.

    Raises Problem: 401, 429.
    """
    if not token and not visitor_token():
        raise _unknown(KeyRefused())
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
    """Raise Problem unless the request comes from a form or script of the console's own pages.

    `field` is the form's token where the view has read it; without, the whole body is read here.
    """
    given = request.headers.get("X-CSRF-Token", "")
    if not given:
        given = request.form.get("csrf", "") if field is None else field
    elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if elsewhere or not sessions.is_form_token(visitor_token(), given):
        raise Problem(
            403, "the form is not of your session", "load the page again, then send it once more"
        )


def _signed_in(cursor: Cursor) -> Key:
    """Return who is signed in; raises KeyRefused."""
    found = sessions.find_session(cursor, visitor_token())
    if found is None:
        raise KeyRefused("nobody is signed in", "sign in, or send a key")
    return found


def _caller(cursor: Cursor, token: str) -> Key:
    issuer: Issuer | None = current_app.extensions["issuer"]
    if issuer is None or token.startswith("rb_"):
        return keys.find_key(cursor, token)
    try:
        return issuer.caller(token)
    except IssuerDown as down:
        raise unasked(down) from None


def unasked(down: IssuerDown) -> Problem:
    """Return what is said where the issuer does not answer; the log tells why."""
    log.warning("issuer cannot be asked", cause=str(down.__cause__))
    return Problem(503, down.fact, down.hint, headers={"Retry-After": "60"})


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
    rate = keys.count_request(cursor, f"address:{request.remote_addr}", _FAILURES)
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
