"""All errors of the API as problem details (RFC 9457)."""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg2
import structlog
from flask import Flask, Response, g, has_request_context
from psycopg2 import errorcodes
from werkzeug.exceptions import HTTPException

from rowboat.errors import (
    ConnectionLost,
    Contended,
    RowboatError,
)

log = structlog.get_logger()

# SQLSTATE → status, detail, hint. Other database errors are 500: their text may quote rows.
_SQLSTATE = {
    errorcodes.QUERY_CANCELED: (
        503,
        "the database took too long",
        "ask for less, or try again later",
    ),
    errorcodes.LOCK_NOT_AVAILABLE: (503, "other writers have locked the rows", "try again later"),
    errorcodes.DISK_FULL: (503, "the database has no disk space left", "tell the administrator"),
    errorcodes.TOO_MANY_CONNECTIONS: (503, "the database is busy", "try again later"),
    errorcodes.READ_ONLY_SQL_TRANSACTION: (
        503,
        "the database is read-only at present",
        "try later",
    ),
    errorcodes.INSUFFICIENT_PRIVILEGE: (
        403,
        "the API lacks a right for this",
        "ask the administrator",
    ),
    errorcodes.PROGRAM_LIMIT_EXCEEDED: (
        422,
        "a value is too large to be stored",
        "make it smaller",
    ),
}
_LATER = {503: {"Retry-After": "2"}}


class Problem(Exception):
    """An error answer: status, fact (`detail`), what to do (`hint`), errors of rows or fields."""

    def __init__(
        self,
        status: int,
        detail: str,
        hint: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.errors = status, detail, hint, errors
        self.headers, self.more = headers or {}, more

    def response(self) -> Response:
        """Return the problem as problem+json."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"hint": self.hint} if self.hint else {}),
            "errors": list(self.errors),
            **self.more,
            "request": g.get("request", "") if has_request_context() else "",
        }
        text = json.dumps(body, ensure_ascii=False) + "\n"
        answer = Response(
            text.encode("utf-8", "replace"), self.status,  # lone surrogates would fail
            content_type="application/problem+json",
        )  # fmt: skip
        answer.headers.extend(_LATER.get(self.status, {}) | dict(self.headers))
        return answer


def register_problems(app: Flask, answer: Callable[[Problem], Response]) -> None:
    """Turn each error of the application into a Problem and return it through `answer`."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(RowboatError, lambda error: answer(problem_of(error)))
    app.register_error_handler(HTTPException, lambda error: answer(_of_http(error)))
    app.register_error_handler(Exception, lambda error: answer(_of_defect(error)))


def problem_of(error: RowboatError) -> Problem:
    """Return the problem for an error of the library.

    The text of a database error only goes to the log: it may quote rows of other callers.
    """
    cause = error.__cause__
    code = cause.pgcode if isinstance(cause, psycopg2.Error) else None
    if code in _SQLSTATE:
        return Problem(*_SQLSTATE[code])
    if isinstance(error, ConnectionLost):
        return Problem(503, "the database cannot be reached", "try again in a moment")
    if isinstance(error, Contended):
        return Problem(409, "other writers keep changing the same rows", "try again")
    # Errors that declare a status are meant for callers; all others are defects.
    if error.status != RowboatError.status:
        return Problem(error.status, error.fact, error.hint, **_more(error))
    log.error("defect", fact=error.fact, sqlstate=code, exc_info=error)
    return _defect()


def _more(error: RowboatError) -> dict[str, Any]:
    """Return the data of an error besides fact and hint: errors of rows, dependents."""
    return {name: vars(error)[name] for name in ("errors", "dependents") if name in vars(error)}


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    detail = _DETAILS.get(status, (error.description or HTTPStatus(status).phrase).lower())
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    return Problem(status, detail, _HINTS.get(status, _HINT), headers=headers)


def _of_defect(error: Exception) -> Problem:
    log.error("defect", exc_info=error)
    return _defect()


def _defect() -> Problem:
    return Problem(
        500, "the service failed", "give the administrator the ID of this request: the log has the"
        " cause",
    )  # fmt: skip


_DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not support this method",
    413: "the body is larger than this address accepts",
    415: "the body has a media type that this address does not accept",
}
_HINT = "/docs describes what this address accepts"
_HINTS = {
    404: "/docs lists the addresses",
    405: "the header Allow lists those that it supports",
    413: "send fewer rows at once, or upload a file",
    415: "set the header Content-Type to one that /docs lists",
}
