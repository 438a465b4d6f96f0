"""Numbers every request, times it, writes it into the log, and sets headers of every answer."""

import secrets
import time

import structlog
from flask import Flask, Response, g, request

from api.shared import logs, prometheus
from api.shared.context import context

log = structlog.get_logger()


def register_requests(app: Flask) -> None:
    """Number, time and log every request of the application."""
    logs.configure()
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.request, g.begun = secrets.token_hex(8), time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=g.request)
    prometheus.begun()


def _end(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.request
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    caller = g.get("caller")
    log.info(
        "answered",
        method=request.method,
        path=request.path,
        status=answer.status_code,
        caller=caller.id if caller else None,
        seconds=round(time.perf_counter() - g.begun, 4),
    )
    prometheus.answered(answer, context())
    return answer
