"""Health: whether the service is alive and ready, and its metrics for Prometheus."""

import time
from dataclasses import dataclass, field
from threading import Lock

from flask import Blueprint, Response, current_app
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.shared import prometheus
from api.shared.access import scope
from api.shared.airflow import airflow
from api.shared.answers import answer_with
from api.shared.context import context, reading
from rowboat import __version__
from rowboat.catalog import migrations
from rowboat.errors import RowboatError
from rowboat.health import Finding, check_raw_data, check_shelf
from rowboat.settings import settings

blueprint = Blueprint("health", __name__)

_FRESH = 5.0  # seconds for which the last known health of Airflow is used
_PATIENCE = 2.0  # seconds that Airflow has to answer


@dataclass(kw_only=True)
class Health:
    """The service is alive."""

    alive: bool
    version: str


@dataclass(kw_only=True)
class Ready:
    """Which parts work, and what to do about those that do not; Airflow is not needed for ready."""

    ready: bool
    database: bool
    raw_data: bool
    backups: bool
    airflow: bool
    remedies: dict[str, str] = field(default_factory=dict)


@blueprint.get("/health")
@scope("public")
def health() -> Response:
    """Report that the service is alive."""
    return answer_with(Health(alive=True, version=__version__))


@blueprint.get("/ready")
@scope("public")
def ready() -> Response:
    """Report whether the service is ready, and which parts work; Airflow is optional."""
    now = settings()
    needed = {
        "database": _database(),
        "raw_data": check_raw_data(now.raw_data),
        "backups": check_shelf(now.backups),
    }
    works = {part: found.ok for part, found in needed.items()}
    remedies = {part: found.hint or "" for part, found in needed.items() if not found.ok}
    well = not remedies
    found = Ready(ready=well, **works, airflow=_airflow(), remedies=remedies)
    return answer_with(found, 200 if well else 503)


@blueprint.get("/metrics")
@scope("public")
def metrics() -> Response:
    """Return metrics for Prometheus."""
    return Response(prometheus.render_metrics(context()), content_type=CONTENT_TYPE_LATEST)


def _database() -> Finding:
    """Check that the database answers and has Rowboat's schema."""
    try:
        with reading() as cursor:
            return Finding(
                "database", bool(migrations.applied_migrations(cursor)), "", "run `rowboat migrate`"
            )
    except RowboatError as error:
        return Finding("database", False, error.fact, error.hint)


def _airflow() -> bool:
    known: _AirflowHealth = current_app.extensions.setdefault("airflow_health", _AirflowHealth())
    return known.is_healthy()


class _AirflowHealth:
    """The health of Airflow, checked at most every five seconds and by one thread at a time.

    The other threads use the last known result meanwhile, so a hanging Airflow cannot make the
    readiness probe time out.
    """

    def __init__(self) -> None:
        self._lock, self._at, self._healthy = Lock(), float("-inf"), False

    def is_healthy(self) -> bool:
        """Return whether Airflow was healthy when last checked."""
        if self._at < time.monotonic() - _FRESH and self._lock.acquire(blocking=False):
            try:
                self._healthy = airflow().healthy(_PATIENCE)
                self._at = time.monotonic()
            finally:
                self._lock.release()
        return self._healthy
