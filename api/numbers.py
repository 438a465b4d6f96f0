"""Numbers for Prometheus: requests, rows, connections, the newest backup, the quarantine.

The workers of a server write theirs into files of one folder (PROMETHEUS_MULTIPROC_DIR), and
whichever is asked adds them up.
"""

import os
import time
from collections.abc import Iterator
from threading import Lock

from flask import Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.context import Context
from rowboat.database import rows as as_rows
from rowboat.database import transaction
from rowboat.door import Report
from rowboat.errors import RowboatError
from rowboat.queries import query

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FRESH = 10.0  # seconds for which what the database said is good
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_own = CollectorRegistry()
_requests = Counter(
    "rowboat_requests_total", "Requests answered.", ["view", "method", "status"], registry=_own
)
_seconds = Histogram(
    "rowboat_request_seconds", "Seconds until the answer.", ["view"], registry=_own,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
_rows = Counter("rowboat_rows_total", "Rows that came by HTTP.", ["outcome"], registry=_own)
_idle = Gauge(
    "rowboat_connections_idle", "Connections to the database that wait for a request.",
    registry=_own, multiprocess_mode="livesum",
)  # fmt: skip


def rows(report: Report) -> None:
    """Count what became of rows."""
    for outcome in ("inserted", "updated", "unchanged", "rejected"):
        _rows.labels(outcome).inc(getattr(report, outcome))


def answered(answer: Response, context: Context) -> None:
    """Count an answer and the time that it took."""
    view = request.endpoint or "none"
    method = request.method if request.method in _METHODS else "other"
    _requests.labels(view, method, str(answer.status_code)).inc()
    _seconds.labels(view).observe(time.perf_counter() - g.begun)
    _idle.set(context.idle)


class OfDatabase(Collector):
    """What the database knows; asked at most every ten seconds, and by one thread at a time."""

    def __init__(self, context: Context) -> None:
        self._context, self._lock = context, Lock()
        self._known: tuple[float, dict[str, float | None] | None] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers; without a database only that there is none."""
        found = self._read()
        up = GaugeMetricFamily("rowboat_database_up", "Whether the database answers.")
        up.add_metric([], found is not None)
        yield up
        for name, words in _OF_DATABASE.items():
            if found and (value := found[name]) is not None:
                yield GaugeMetricFamily(f"rowboat_{name}", words, value)

    def _read(self) -> dict[str, float | None] | None:
        with self._lock:
            if self._known is None or self._known[0] < time.monotonic() - _FRESH:
                self._known = time.monotonic(), self._ask()
            return self._known[1]

    def _ask(self) -> dict[str, float | None] | None:
        try:
            with self._context.connection() as connection, transaction(connection) as cursor:
                cursor.execute(query("numbers.read"))
                return as_rows(cursor)[0]
        except RowboatError:
            return None


_OF_DATABASE = {
    "backup_age_seconds": "Age of the newest verified backup; missing where there is none.",
    "quarantine_rows": "Refused rows that are open.",
}


def text(context: Context) -> bytes:
    """Return all numbers of all workers as Prometheus reads them."""
    found = CollectorRegistry()
    found.register(current_app.extensions.setdefault("numbers", OfDatabase(context)))
    if FOLDER in os.environ:
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
        return generate_latest(found)
    return generate_latest(_own) + generate_latest(found)
