"""What all pages share: navigation, caller, flash messages, policy, errors as pages."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.datastructures import Headers

from api.shared.problems import Problem
from api.shared.visitors import give_token, visitor_token
from rowboat.access import sessions
from rowboat.airflow_client import airflow_pages

NAME = "console"
_SAID = "rowboat_said"
_HTML, _PROBLEM = "text/html", "application/problem+json"
_POLICY = "; ".join((
    "default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self' data:",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
# the navigation: endpoint, label, scope that sees it
_PLACES = (
    ("console.metrics.all", "Metrics", "read"),
    ("console.tables.dictionary", "Tables", "read"),
    ("console.files.all", "Files", "read"),
    ("console.quarantine.page", "Quarantine", "write"),
    ("console.backups.all", "Backups", "operate"),
    ("console.keys.every", "Keys", "operate"),
    ("console.audit.every", "Audit", "operate"),
)  # fmt: skip
_BELONGS = {"console.runs": "console.files", "console.restores": "console.backups"}
_OF_ALL_TABLES = ("console.keys.every",)  # only shown to callers that may see all tables


def register_frame(blueprint: Blueprint) -> None:
    """Set the template context and the headers of the pages of a blueprint."""
    blueprint.context_processor(_shared)
    blueprint.after_request(_guard)


def redirect_to(address: str, said: str | None = None, token: str | None = None) -> Response:
    """Redirect to another page, which then shows the message `said` once.

    `token` is the visitor's new cookie, if there is one. The message is kept in a cookie, sealed
    with the visitor's, so that other sites cannot make the console say something.
    """
    answer = make_response(redirect(address, HTTPStatus.SEE_OTHER))
    if token:
        give_token(answer, token)
    if said:
        sealed = quote(sessions.seal_text(token or visitor_token(), _SAID, said[:300]))
        secure = request.is_secure
        answer.set_cookie(_SAID, sealed, 60, httponly=True, samesite="Lax", secure=secure)
    return answer


def page_is_wanted() -> bool:
    """Return whether to answer an error with a page.

    This is the case for the console, and for browsers at addresses that do not exist.
    """
    if NAME in request.blueprints:
        return True
    best = request.accept_mimetypes.best_match([_PROBLEM, _HTML])
    return request.endpoint is None and best == _HTML


def problem_page(problem: Problem) -> Response:
    """Return an error as a page; without a session (401), redirect to the sign-in page."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        asked = _asked() if request.method == "GET" else "/"
        return redirect_to(url_for("console.session.ask", next=asked if asked != "/" else None))
    text = render_template(
        "problem.html", problem=problem, title=HTTPStatus(problem.status).phrase, **_shared()
    )
    answer = make_response(text, problem.status)
    answer.headers.extend(Headers(problem.headers))
    return _guard(answer)


def is_own_address(address: str) -> bool:
    """Return whether browsers take an address for one of this service.

    They treat a backslash like a slash, and the text after two slashes as another host.
    """
    return bool(re.match(r"/(?![/\\])", address)) and address.isprintable()


def _asked() -> str:
    """Return path and query of the request as the browser sent them."""
    asked = request.query_string.decode("ascii", "replace")
    return quote(request.path) + (f"?{asked}" if asked else "")


def _shared() -> dict[str, Any]:
    caller, token = g.get("caller"), visitor_token()
    # Pages of runs and restores highlight the entry under which they are found.
    here = {_BELONGS.get(each, each) for each in request.blueprints}
    return {
        "caller": caller,
        "csrf": sessions.form_token(token),
        "places": [
            (url_for(endpoint), words, endpoint.rpartition(".")[0] in here)
            for endpoint, words, needed in _PLACES
            if caller
            and caller.may(needed)
            and (caller.tables is None or endpoint not in _OF_ALL_TABLES)
        ],
        "said": sessions.unseal_text(token, _SAID, unquote(request.cookies.get(_SAID, ""))),
        "airflow": airflow_pages(),
        "number": g.get("request", ""),
    }


def _guard(answer: Response) -> Response:
    """Set the Content-Security-Policy, and clear the flash message once it has been shown."""
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Referrer-Policy"] = "same-origin"
    page = answer.mimetype == _HTML and answer.status_code != 303
    by_script = (
        "X-Requested-With" in request.headers
    )  # a live refresh: the user has not seen the message yet
    if _SAID in request.cookies and page and not by_script:
        answer.delete_cookie(_SAID)
    return answer
