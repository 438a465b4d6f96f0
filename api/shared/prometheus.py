"""Metrics for Prometheus: requests, rows, connections, files, quarantine, backups, runs.

Each worker process writes its counters to files in a shared folder (PROMETHEUS_MULTIPROC_DIR). The
worker that serves /metrics adds them up.
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
from rowboat.database.connections import fetch_rows, transaction
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
    "rowboat_request_seconds", "Seconds to answer a request.", ["view"], registry=_own,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
_rows = Counter(
    "rowboat_rows_total", "Rows received over HTTP, by outcome.", ["outcome"], registry=_own
)
_working = Gauge(
    "rowboat_requests_in_progress", "Requests in progress.",
    registry=_own, multiprocess_mode="livesum",
)  # fmt: skip
_idle = Gauge(
    "rowboat_connections_idle", "Idle connections to the database.",
    registry=_own, multiprocess_mode="livesum",
)  # fmt: skip


def count_rows(report: Report) -> None:
    """Count the rows of a request by outcome."""
    for outcome in ("inserted", "updated", "unchanged", "rejected"):
        _rows.labels(outcome).inc(getattr(report, outcome))


def count_begun() -> None:
    """Count a request as in progress."""
    _working.inc()


def count_answered(answer: Response, context: Context) -> None:
    """Count a request as answered, and the time that it took."""
    _working.dec()
    view = request.endpoint or "none"
    # Clients choose the method: unknown ones must not create time series without limit.
    method = request.method if request.method in _METHODS else "other"
    _requests.labels(view, method, str(answer.status_code)).inc()
    _seconds.labels(view).observe(time.perf_counter() - g.begun)
    _idle.set(context.idle)


class SettingsCollector(Collector):
    """Numbers that do not change while the service runs."""

    def collect(self) -> Iterator[Metric]:
        """Yield the number of request threads of all workers."""
        threads = settings().api_workers * settings().api_threads
        yield _gauge("request_threads", "Requests that can be handled at once.", threads)


class CachedCollector(Collector):
    """Numbers that are fetched at most every few seconds, and by one thread at a time.

    /metrics is public, so scraping it often must not burden the database or Airflow.
    """

    fresh: float  # seconds for which fetched numbers are used

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: tuple[float, Any] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers, fetched again if they are too old."""
        with self._lock:
            if self._known is None or self._known[0] < time.monotonic() - self.fresh:
                self._known = time.monotonic(), self.fetch()
            return self.report(self._known[1])

    def fetch(self) -> Any:
        """Return the current numbers, or None if the source does not answer."""
        raise NotImplementedError

    def report(self, found: Any) -> Iterator[Metric]:
        """Yield what `fetch` returned as metrics."""
        raise NotImplementedError


class DatabaseCollector(CachedCollector):
    """Numbers from the database; if it does not answer, only database_up 0."""

    fresh = 10.0

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def fetch(self) -> dict[str, Any] | None:
        """Query the database."""
        try:
            with self._context.connection() as connection, transaction(connection) as cursor:
                cursor.execute(query("prometheus.read"))
                return fetch_rows(cursor)[0]
        except RowboatError:
            return None

    def report(self, found: dict[str, Any] | None) -> Iterator[Metric]:
        """Yield numbers of files, quarantine, backups and connections."""
        yield _gauge("database_up", "Whether the database answers.", found is not None)
        for name, words in _OF_DATABASE.items():
            if found and (value := found[name]) is not None:
                yield _gauge(name, words, value)
        if found:
            files = GaugeMetricFamily("rowboat_files", "Files by state.", labels=["state"])
            for state in _STATES:
                files.add_metric([state], found[state])
            yield files


class AirflowCollector(CachedCollector):
    """Whether Airflow is healthy, and its runs by state."""

    fresh = 30.0

    def fetch(self) -> dict[str, dict[str, int]] | None:
        """Query Airflow; returns {} if it does not let the API see its runs."""
        if not airflow().healthy(_PATIENCE):
            return None
        try:
            return airflow().counts(DAGS)
        except AirflowUnreachable:
            return {}

    def report(self, found: dict[str, dict[str, int]] | None) -> Iterator[Metric]:
        """Yield the number of runs of each DAG and state; states that never occurred are 0."""
        yield _gauge("airflow_up", "Whether all parts of Airflow are healthy.", found is not None)
        if found:
            runs = GaugeMetricFamily(
                "rowboat_runs", "Runs known to Airflow, by DAG and state.", labels=["dag", "state"]
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
_STATES = ("loading", "loaded", "failed", "unmatched", "unloaded")
_OF_DATABASE = {
    "ingest_lag_seconds": "Age of the oldest load still in progress or failed; 0 if none.",
    "quarantine_rows": "Refused rows in quarantine.",
    "backup_age_seconds": "Age of the newest verified backup; absent if there is none.",
    "drill_age_seconds": "Time since the last drill, or since the database was created.",
    "database_connections": "Connections of all clients to the database server.",
    "database_connections_limit": "Connections that the database server allows.",
}


def render_metrics(context: Context) -> bytes:
    """Return the metrics of all workers in the text format of Prometheus."""
    found = CollectorRegistry()
    made = SettingsCollector(), DatabaseCollector(context), AirflowCollector()
    for each in current_app.extensions.setdefault("numbers", made):
        found.register(each)
    # With several processes, their files include the counters of this one.
    if FOLDER in os.environ:
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
        return generate_latest(found)
    return generate_latest(_own) + generate_latest(found)
