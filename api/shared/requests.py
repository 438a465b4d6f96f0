"""Gives each request an ID, times, counts and logs it, and sets headers of each answer."""

import secrets
import time

import structlog
from flask import Flask, Response, g, request

from api.shared import logs, prometheus
from api.shared.context import context

log = structlog.get_logger()


def register_requests(app: Flask) -> None:
    """Configure the log, and identify, time, count and log each request of the application."""
    logs.configure_log()
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    # An ID of our own: clients could send one twice, or one that forges log lines.
    g.request, g.begun = secrets.token_hex(8), time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=g.request)
    prometheus.count_begun()


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
    prometheus.count_answered(answer, context())
    return answer
