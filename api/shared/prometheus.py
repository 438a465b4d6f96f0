"""Numbers for Prometheus: requests, rows, connections; files, quarantine, backups; Airflow's runs.

The workers of a server write theirs into files of one folder (PROMETHEUS_MULTIPROC_DIR), and
whichever is asked adds them up.
"""

import os
import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

from flask import Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.shared.airflow import airflow
from api.shared.context import Context
from rowboat.database.connections import fetch_rows as as_rows
from rowboat.database.connections import transaction
from rowboat.database.statements import query
from rowboat.door.passage import Report
from rowboat.errors import AirflowUnreachable, RowboatError
from rowboat.settings import settings

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
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
_working = Gauge(
    "rowboat_requests_in_progress", "Requests that are worked on now.",
    registry=_own, multiprocess_mode="livesum",
)  # fmt: skip
_idle = Gauge(
    "rowboat_connections_idle", "Connections to the database that wait for a request.",
    registry=_own, multiprocess_mode="livesum",
)  # fmt: skip


def rows(report: Report) -> None:
    """Count what became of rows."""
    for outcome in ("inserted", "updated", "unchanged", "rejected"):
        _rows.labels(outcome).inc(getattr(report, outcome))


def begun() -> None:
    """Count a request that is worked on."""
    _working.inc()


def answered(answer: Response, context: Context) -> None:
    """Count an answer and the time that it took."""
    _working.dec()
    view = request.endpoint or "none"
    method = request.method if request.method in _METHODS else "other"
    _requests.labels(view, method, str(answer.status_code)).inc()
    _seconds.labels(view).observe(time.perf_counter() - g.begun)
    _idle.set(context.idle)


class OfSettings(Collector):
    """What does not change while the service runs."""

    def collect(self) -> Iterator[Metric]:
        """Yield the most requests that all workers can work on."""
        threads = settings().api_workers * settings().api_threads
        yield _gauge("request_threads", "Requests that can be worked on at once.", threads)


class Asked(Collector):
    """Numbers that are asked for at most every few seconds, and by one thread at a time."""

    fresh: float  # seconds for which an answer is good

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: tuple[float, Any] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of the last answer."""
        with self._lock:
            if self._known is None or self._known[0] < time.monotonic() - self.fresh:
                self._known = time.monotonic(), self.ask()
            return self.tell(self._known[1])

    def ask(self) -> Any:
        """Return the answer; None where there is none."""
        raise NotImplementedError

    def tell(self, found: Any) -> Iterator[Metric]:
        """Yield the numbers of an answer."""
        raise NotImplementedError


class OfDatabase(Asked):
    """What the database knows; without a database only that there is none."""

    fresh = 10.0

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def ask(self) -> dict[str, Any] | None:
        """Ask the database."""
        try:
            with self._context.connection() as connection, transaction(connection) as cursor:
                cursor.execute(query("prometheus.read"))
                return as_rows(cursor)[0]
        except RowboatError:
            return None

    def tell(self, found: dict[str, Any] | None) -> Iterator[Metric]:
        """Yield files, quarantine, backups, connections."""
        yield _gauge("database_up", "Whether the database answers.", found is not None)
        for name, words in _OF_DATABASE.items():
            if found and (value := found[name]) is not None:
                yield _gauge(name, words, value)
        if found:
            files = GaugeMetricFamily("rowboat_files", "Files by state.", labels=["state"])
            for state in _STATES:
                files.add_metric([state], found[state])
            yield files


class OfAirflow(Asked):
    """Whether Airflow is healthy, and the runs that it knows."""

    fresh = 30.0

    def ask(self) -> dict[str, dict[str, int]] | None:
        """Ask Airflow; no runs where it does not let the API see them."""
        if not airflow().healthy(_PATIENCE):
            return None
        try:
            return airflow().counts(DAGS)
        except AirflowUnreachable:
            return {}

    def tell(self, found: dict[str, dict[str, int]] | None) -> Iterator[Metric]:
        """Yield them, a nought for what never was."""
        yield _gauge("airflow_up", "Whether all parts of Airflow are healthy.", found is not None)
        if found:
            runs = GaugeMetricFamily(
                "rowboat_runs", "Runs of each DAG that Airflow knows.", labels=["dag", "state"]
            )
            for dag in DAGS:
                for state in _RUN_STATES:
                    runs.add_metric([dag, state], found.get(dag, {}).get(state, 0))
            yield runs


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rowboat_{name}", words, value)


DAGS = ("ingest", "backup", "verify", "drill", "restore", "undo")
_RUN_STATES = ("queued", "running", "success", "failed")
_PATIENCE = 2.0  # seconds that Airflow has to answer
_STATES = ("loading", "loaded", "failed", "unmatched")
_OF_DATABASE = {
    "ingest_lag_seconds": "Time since the oldest load began whose file is not loaded yet.",
    "quarantine_rows": "Refused rows that are open.",
    "backup_age_seconds": "Age of the newest verified backup; missing where there is none.",
    "drill_age_seconds": "Time since a restore on trial, or since the database was made.",
    "database_connections": "Connections to the server of the database, whoever has them.",
    "database_connections_limit": "Connections that this server allows.",
}


def text(context: Context) -> bytes:
    """Return all numbers of all workers as Prometheus reads them."""
    found = CollectorRegistry()
    made = OfSettings(), OfDatabase(context), OfAirflow()
    for each in current_app.extensions.setdefault("numbers", made):
        found.register(each)
    if FOLDER in os.environ:
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
        return generate_latest(found)
    return generate_latest(_own) + generate_latest(found)
