"""Signing in, with a key of the API or at an issuer, and out."""

import re
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, make_response, render_template, request, url_for

from api.console.elements import frame
from api.shared.access import admit, check_form, scope, unasked
from api.shared.context import writing
from api.shared.problems import Problem, problem_of
from api.shared.visitors import give_token, visitor_token
from rowboat.access import oidc_sign_in, sessions
from rowboat.access.keys import Key
from rowboat.access.oidc_sign_in import Attempt, SignInClient
from rowboat.errors import Forbidden, IssuerDown, KeyRefused

_MOST_BYTES = 2**16  # of a form

blueprint = Blueprint("session", __name__)

_LONGEST = 1000  # characters of an address to go on to, which the issuer's own address repeats


@blueprint.get("/sign-in")
@scope("public")
def ask() -> Response:
    """Ask for a key."""
    return _asked()


@blueprint.post("/sign-in")
@scope("public")
def begin() -> Response:
    """Sign in who shows a good key, with a new cookie."""
    if request.content_length is None:  # nobody known sends it: it must be short, and come at once
        raise Problem(411, "the form does not tell its length", "send it by the page itself")
    request.max_content_length = _MOST_BYTES
    check_form()
    key = request.form.get("key", "").strip()
    try:
        # a token of the issuer's, which is good for minutes, must not become a session of hours
        caller = admit(key if key.startswith("rb_") else "rb_")
    except Problem as problem:
        if problem.status == HTTPStatus.UNAUTHORIZED:
            problem.hint = "ask whoever runs Rowboat for one that is good"
        return _asked(problem)
    return _let_in(caller, _next())


@blueprint.get("/sign-in/issuer")
@scope("public")
def elsewhere() -> Response:
    """Lead on to the issuer, who asks who it is."""
    token = visitor_token() or sessions.new_token()
    state = sessions.seal_text(token, "state", f"{sessions.new_token()} {_next()}")
    try:
        answer = frame.go(_client().address(_attempt(token, state)))
    except IssuerDown as down:
        return _asked(unasked(down))
    if token != visitor_token():
        give_token(answer, token)
    return answer


@blueprint.get("/sign-in/issuer/back")
@scope("public")
def back() -> Response:
    """Sign in who comes back from the issuer, by the way on which this visitor was sent there."""
    client, state, token = _client(), request.args.get("state", ""), visitor_token()
    sent = sessions.unseal_text(token, "state", state)
    if sent is None:
        return _asked(Problem(403, "the sign-in did not begin here", "begin it again"))
    try:
        if "code" not in request.args:
            raise KeyRefused(f"the issuer did not sign you in: {_why()}", "try it again")
        caller = client.caller(request.args["code"], _attempt(token, state))
    except IssuerDown as down:
        return _asked(unasked(down))
    except (KeyRefused, Forbidden) as refused:
        return _asked(problem_of(refused))
    return _let_in(caller, sent.partition(" ")[2])


@blueprint.post("/sign-out")
@scope("public")
def end() -> Response:
    """Sign out, here and wherever else the cookie is."""
    check_form()
    writing(lambda cursor: sessions.end_session(cursor, visitor_token()))
    return frame.go(url_for(".ask"), "You are signed out.", sessions.new_token())


def _let_in(caller: Key, address: str) -> Response:
    token = writing(lambda cursor: sessions.begin_session(cursor, caller, visitor_token()))
    return frame.go(address, token=token)


def _asked(problem: Problem | None = None) -> Response:
    token = visitor_token() or sessions.new_token()
    client = oidc_sign_in.client_of_settings(current_app.extensions["issuer"])
    text = render_template(
        "sign_in.html",
        problem=problem,
        csrf=sessions.form_token(token),
        next=_next(),
        issuer=urlsplit(client.issuer.address).hostname if client else None,
    )
    answer = make_response(text, problem.status if problem else 200)
    if problem:
        answer.headers.extend(problem.headers)
    if token != visitor_token():
        give_token(answer, token)
    return answer


def _next() -> str:
    """Return where to go on to: to a page of the console's own, if the first is not it."""
    wanted = request.values.get("next", "/")
    return wanted if frame.is_here(wanted) and len(wanted) <= _LONGEST else "/"


def _client() -> SignInClient:
    """Return the client of the issuer; raises Problem where there is none."""
    client = oidc_sign_in.client_of_settings(current_app.extensions["issuer"])
    if client is None:
        raise Problem(404, "there is no issuer to sign in at", "sign in with a key of the API")
    return client


def _attempt(token: str, state: str) -> Attempt:
    """Derive from a visitor's cookie what must come back, so that nobody else can use it."""
    nonce, verifier = (sessions.sign_text(token, use, state) for use in ("nonce", "verifier"))
    return Attempt(state, nonce, verifier, url_for(".back", _external=True))


def _why() -> str:
    """Return the issuer's word for what is wrong (RFC 6749, section 4.1.2.1)."""
    word = request.args.get("error", "")
    return word if re.fullmatch(r"[a-z_]{1,80}", word) else "no reason given"
