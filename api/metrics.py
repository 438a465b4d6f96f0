"""Metrics: every file in sql/metrics is an address, as JSON, CSV or a workbook."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from werkzeug.utils import secure_filename

from api.access import scope
from api.context import reading, writing
from api.errors import Problem
from rowboat.csv_out import csv_text
from rowboat.errors import ParameterRefused, UnknownMetric
from rowboat.figures import Cache, Figures, add_up_writes, figures, moment
from rowboat.metrics import Metric, metric, metrics
from rowboat.parameters import RESERVED
from rowboat.sheet import workbook

blueprint = Blueprint("metrics", __name__)
FORMATS = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MANY = 1000  # counts of writes that are added up


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    metrics()  # a file that cannot be read stops the start
    state.app.extensions["figures"] = Cache()


@blueprint.get("/api/metrics")
@scope("read")
def every_metric() -> dict[str, Any]:
    """List the metrics whose tables the caller may see."""
    seen = [each for each in metrics().values() if all(map(g.caller.sees, each.tables))]
    return {"metrics": [each.document() for each in seen]}


@blueprint.get("/api/metrics/<name>")
@scope("read")
def one_metric(name: str) -> Response:
    """Answer a metric; the query gives its parameters."""
    return _answer(metric(name), {})


@blueprint.get("/api/<int:year>/<name>")
@scope("read")
def metric_of_year(year: int, name: str) -> Response:
    """Answer a metric that has a year for a parameter."""
    wanted = metric(name)
    if not any(each.name == "year" for each in wanted.parameters):
        raise UnknownMetric(f"the metric {name} has no year", f"it is at /api/metrics/{name}")
    return _answer(wanted, {"year": str(year)})


def _answer(wanted: Metric, of_path: Mapping[str, str]) -> Response:
    for table in wanted.tables:
        g.caller.check(table)
    form, safe = _format(), _safe()
    values = wanted.judge(_given(of_path))
    cache: Cache = current_app.extensions["figures"]
    asked = (wanted.name, *values.items(), form, safe)
    with reading() as cursor:
        now = moment(cursor, wanted)
        kept = cache.find(asked, now.version)
        found = figures(cursor, wanted, values, now) if kept is None else None
    if now.pieces > _MANY:
        writing(add_up_writes)
    if found:
        kept = _encoded(found, form, safe)
        cache.keep(asked, now.version, *kept)
    assert kept is not None
    body, headers = kept
    answer = Response(body, headers=headers)
    answer.make_conditional(request)
    return answer


def _format() -> str:
    """Return what the query or the header Accept asks for."""
    form = request.args.get("format")
    if form is None:
        wanted = request.accept_mimetypes
        best = wanted.best_match(FORMATS.values()) if wanted else FORMATS["json"]
        form = next((name for name, kind in FORMATS.items() if kind == best), None)
    if form not in FORMATS:
        raise Problem(406, "a metric has no such form", f"there are {', '.join(FORMATS)}")
    return form


def _safe() -> bool:
    given = request.args.get("safe", "false")
    if given not in {"true", "false"}:
        raise ParameterRefused(f"safe is {given!r} and must be true or false")
    return given == "true"


def _given(of_path: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of path and query, each given once."""
    found = dict(of_path)
    for name, values in request.args.lists():
        if name in found or len(values) > 1:
            raise ParameterRefused(f"{name} is given twice", "give it once")
        found[name] = values[0]
    return {name: value for name, value in found.items() if name not in RESERVED}


def _encoded(found: Figures, form: str, safe: bool) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of an answer."""
    if form == "json":
        body = json.dumps(found.document(), ensure_ascii=False).encode() + b"\n"
    elif form == "csv":
        body = csv_text(found.result.columns, found.result.rows, safe).encode()
    else:
        body = workbook(found)
    headers = {
        "Content-Type": FORMATS[form] + ("; charset=utf-8" if form == "csv" else ""),
        "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        "X-As-Of": found.as_of.isoformat(),
        "X-Left-Out": ", ".join(f"{quote(name)}={rows}" for name, rows in found.left_out.items()),
    }
    if form != "json":
        name = "-".join([found.metric.name, *map(str, found.values.values())])
        headers["Content-Disposition"] = f"attachment; filename={secure_filename(name)}.{form}"
    return body, headers
