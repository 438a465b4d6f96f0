"""Signing in, with an API key or through an OpenID Connect issuer, and signing out."""

import re
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, make_response, render_template, request, url_for

from api.console.elements import frame
from api.shared.access import admit_caller, check_form, issuer_problem, scope
from api.shared.context import writing
from api.shared.problems import Problem, problem_of
from api.shared.visitors import give_token, visitor_token
from rowboat.access import oidc_sign_in, sessions
from rowboat.access.keys import Key
from rowboat.access.oidc_sign_in import Attempt, SignInClient
from rowboat.errors import Forbidden, IssuerDown, KeyRefused

_MOST_BYTES = 2**16  # bytes of the sign-in form

blueprint = Blueprint("session", __name__)

_LONGEST = 1000  # characters of the address to return to; it is part of the issuer's address


@blueprint.get("/sign-in")
@scope("public")
def ask() -> Response:
    """Show the sign-in form."""
    return _asked()


@blueprint.post("/sign-in")
@scope("public")
def begin() -> Response:
    """Sign in with a valid key; the visitor gets a new cookie."""
    # The sender is not known yet, so the form must be short: no stream of unknown length.
    if request.content_length is None:
        raise Problem(411, "the form has no Content-Length", "use the page itself to send it")
    request.max_content_length = _MOST_BYTES
    check_form()
    key = request.form.get("key", "").strip()
    try:
        # A token of the issuer is valid for minutes and must not become a session of hours.
        caller = admit_caller(key if key.startswith("rb_") else "rb_")
    except Problem as problem:
        if problem.status == HTTPStatus.UNAUTHORIZED:
            problem.hint = "ask the administrator of Rowboat for a valid one"
        return _asked(problem)
    return _let_in(caller, _next())


@blueprint.get("/sign-in/issuer")
@scope("public")
def elsewhere() -> Response:
    """Redirect to the issuer, where the user signs in."""
    # Sealed with this visitor's cookie: no other visitor can complete the sign-in that begins here.
    token = visitor_token() or sessions.new_token()
    state = sessions.seal_text(token, "state", f"{sessions.new_token()} {_next()}")
    try:
        answer = frame.redirect_to(_client().address(_attempt(token, state)))
    except IssuerDown as down:
        return _asked(issuer_problem(down))
    if token != visitor_token():
        give_token(answer, token)
    return answer


@blueprint.get("/sign-in/issuer/back")
@scope("public")
def back() -> Response:
    """Sign in a user who returns from the issuer, if this visitor was sent there."""
    client, state, token = _client(), request.args.get("state", ""), visitor_token()
    sent = sessions.unseal_text(token, "state", state)
    if sent is None:
        return _asked(Problem(403, "the sign-in was not started here", "start it again"))
    try:
        if "code" not in request.args:
            raise KeyRefused(f"the issuer did not sign you in: {_why()}", "try again")
        caller = client.caller(request.args["code"], _attempt(token, state))
    except IssuerDown as down:
        return _asked(issuer_problem(down))
    except (KeyRefused, Forbidden) as refused:
        return _asked(problem_of(refused))
    return _let_in(caller, sent.partition(" ")[2])


@blueprint.post("/sign-out")
@scope("public")
def end() -> Response:
    """Sign out: end the session, wherever its cookie is used, and set a new cookie."""
    check_form()
    writing(lambda cursor: sessions.end_session(cursor, visitor_token()))
    return frame.redirect_to(url_for(".ask"), "You are signed out.", sessions.new_token())


def _let_in(caller: Key, address: str) -> Response:
    token = writing(lambda cursor: sessions.begin_session(cursor, caller, visitor_token()))
    return frame.redirect_to(address, token=token)


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
    """Return the address to continue at: that of the request if it is of this service, or /."""
    wanted = request.values.get("next", "/")
    return wanted if frame.is_own_address(wanted) and len(wanted) <= _LONGEST else "/"


def _client() -> SignInClient:
    """Return the client of the issuer; raises Problem (404) if none is configured."""
    client = oidc_sign_in.client_of_settings(current_app.extensions["issuer"])
    if client is None:
        raise Problem(404, "no issuer is configured", "sign in with an API key")
    return client


def _attempt(token: str, state: str) -> Attempt:
    """Derive nonce and PKCE verifier from the visitor's cookie: the answer is useless to others."""
    nonce, verifier = (sessions.sign_text(token, use, state) for use in ("nonce", "verifier"))
    return Attempt(state, nonce, verifier, url_for(".back", _external=True))


def _why() -> str:
    """Return the issuer's error code (RFC 6749, section 4.1.2.1)."""
    word = request.args.get("error", "")
    return word if re.fullmatch(r"[a-z_]{1,80}", word) else "no reason given"
