"""What all pages share: their frame, who looks at them, what was said last, errors as pages."""

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
# which views are in the navigation: endpoint, words, scope that sees it
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
_OF_ALL_TABLES = ("console.keys.every",)  # for who is not limited to some


def register_frame(blueprint: Blueprint) -> None:
    """Give the pages of a blueprint what all of them need."""
    blueprint.context_processor(_shared)
    blueprint.after_request(_guard)


def go(address: str, said: str | None = None, token: str | None = None) -> Response:
    """Lead on to another page after a form, and say there what was done; `token` is the visitor's
    new cookie.
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
    """Tell whether an error is to be a page: on those of the console, and where there is nothing
    and a browser asks.
    """
    if NAME in request.blueprints:
        return True
    best = request.accept_mimetypes.best_match([_PROBLEM, _HTML])
    return request.endpoint is None and best == _HTML


def problem_page(problem: Problem) -> Response:
    """Return an error as a page; who is not signed in is led to where he can."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        asked = _asked() if request.method == "GET" else "/"
        return go(url_for("console.session.ask", next=asked if asked != "/" else None))
    text = render_template(
        "problem.html", problem=problem, title=HTTPStatus(problem.status).phrase, **_shared()
    )
    answer = make_response(text, problem.status)
    answer.headers.extend(Headers(problem.headers))
    return _guard(answer)


def is_here(address: str) -> bool:
    """Tell whether an address to go on to is one of this service, in the eyes of a browser: it
    takes a backslash for a slash, and what follows two of them for a host.
    """
    return bool(re.match(r"/(?![/\\])", address)) and address.isprintable()


def _asked() -> str:
    """Return the address of the request as the browser wrote it."""
    asked = request.query_string.decode("ascii", "replace")
    return quote(request.path) + (f"?{asked}" if asked else "")


def _shared() -> dict[str, Any]:
    caller, token = g.get("caller"), visitor_token()
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
    """Let a page load nothing from elsewhere and run no script of its text; say things once."""
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Referrer-Policy"] = "same-origin"
    page = answer.mimetype == _HTML and answer.status_code != 303
    by_script = "X-Requested-With" in request.headers  # its reader has not seen the words yet
    if _SAID in request.cookies and page and not by_script:
        answer.delete_cookie(_SAID)
    return answer
