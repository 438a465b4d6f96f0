"""Whether the service lives, whether it can work, and its numbers."""

import time
from threading import Lock
from typing import Any

from flask import Blueprint, Response, current_app
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.shared import prometheus
from api.shared.access import scope
from api.shared.airflow import airflow
from api.shared.context import context, reading
from rowboat import __version__
from rowboat.catalog import migrations
from rowboat.errors import RowboatError
from rowboat.health import Finding, check_raw_data, check_shelf
from rowboat.settings import settings

blueprint = Blueprint("health", __name__)

_FRESH = 5.0  # seconds for which a look at Airflow is good
_PATIENCE = 2.0  # seconds that it has to answer


@blueprint.get("/health")
@scope("public")
def health() -> dict[str, Any]:
    """Tell that the service is alive."""
    return {"alive": True, "version": __version__}


@blueprint.get("/ready")
@scope("public")
def ready() -> tuple[dict[str, Any], int]:
    """Tell whether the service can work, part by part; it goes on without Airflow."""
    now = settings()
    needed = {
        "database": _database(),
        "raw_data": check_raw_data(now.raw_data),
        "backups": check_shelf(now.backups),
    }
    works = {part: found.ok for part, found in needed.items()}
    remedies = {part: found.hint for part, found in needed.items() if not found.ok}
    well = not remedies
    return {
        "ready": well, **works, "airflow": _airflow(), **({} if well else {"remedies": remedies}),
    }, 200 if well else 503  # fmt: skip


@blueprint.get("/metrics")
@scope("public")
def metrics() -> Response:
    """Return numbers for Prometheus."""
    return Response(prometheus.text(context()), content_type=CONTENT_TYPE_LATEST)


def _database() -> Finding:
    """Look whether the database answers and has Rowboat's schema."""
    try:
        with reading() as cursor:
            return Finding(
                "database", bool(migrations.applied_migrations(cursor)), "", "run `rowboat migrate`"
            )
    except RowboatError as error:
        return Finding("database", False, error.fact, error.hint)


def _airflow() -> bool:
    look: _Look = current_app.extensions.setdefault("airflow_health", _Look())
    return look.healthy()


class _Look:
    """Airflow's health as seen in the last seconds; while one thread looks, no other waits."""

    def __init__(self) -> None:
        self._lock, self._at, self._healthy = Lock(), float("-inf"), False

    def healthy(self) -> bool:
        """Tell whether Airflow is healthy."""
        if self._at < time.monotonic() - _FRESH and self._lock.acquire(blocking=False):
            try:
                self._healthy = airflow().healthy(_PATIENCE)
                self._at = time.monotonic()
            finally:
                self._lock.release()
        return self._healthy
