"""Metrics: one address for each file in sql/metrics, as JSON, CSV, XLSX or PNG."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.utils import secure_filename

from api.actions.metrics import answer_figures, visible_metric, visible_metrics
from api.shared.access import scope
from api.shared.answers import answer_with
from api.shared.problems import Problem
from rowboat.csvfile.writer import csv_text
from rowboat.errors import ParameterRefused, UnknownMetric
from rowboat.metrics import charts
from rowboat.metrics.answer_cache import AnswerCache
from rowboat.metrics.definitions import Metric, all_metrics
from rowboat.metrics.figures import MetricFigures
from rowboat.metrics.parameters import RESERVED
from rowboat.metrics.workbook import workbook

blueprint = Blueprint("metrics", __name__)
FORMATS = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "png": "image/png",
}
_FORMS = f"use one of {', '.join(FORMATS)}"


@dataclass(kw_only=True)
class MetricList:
    """The metrics as their files describe them."""

    metrics: list[dict[str, Any]]


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    all_metrics()  # fail at start, not at the first request, if a file is invalid
    state.app.extensions["figures"] = AnswerCache()


@blueprint.get("/api/metrics")
@scope("read")
def every_metric() -> Response:
    """List the metrics that read only tables that the caller may see."""
    return answer_with(MetricList(metrics=[each.document() for each in visible_metrics()]))


@blueprint.get("/api/metrics/<name>")
@scope("read")
def one_metric(name: str) -> Response:
    """Return the figures of a metric; query parameters are its parameters."""
    return _answer(visible_metric(name), {})


@blueprint.get("/api/<int:year>/<name>")
@scope("read")
def metric_of_year(year: int, name: str) -> Response:
    """Return the figures of a metric for a year."""
    wanted = visible_metric(name)
    if not any(each.name == "year" for each in wanted.parameters):
        raise UnknownMetric(f"the metric {name} has no parameter year", f"use /api/metrics/{name}")
    return _answer(wanted, {"year": str(year)})


def _answer(wanted: Metric, of_path: Mapping[str, str]) -> Response:
    form, safe = _format(), _safe()
    values = wanted.judge(_given(of_path))
    body, headers = answer_figures(
        wanted, values, (form, safe), lambda found: _encoded(found, form, safe)
    )
    answer = Response(body, headers=headers)
    answer.make_conditional(request)
    return answer


def _format() -> str:
    """Return the format named by the query, else the best match for the header Accept."""
    form = request.args.get("format")
    if form is None:
        wanted = request.accept_mimetypes
        best = wanted.best_match(FORMATS.values()) if wanted else FORMATS["json"]
        form = next((name for name, kind in FORMATS.items() if kind == best), None)
    if form not in FORMATS:
        raise Problem(406, "metrics are not available in this format", _FORMS)
    return form


def _safe() -> bool:
    given = request.args.get("safe", "false")
    if given not in {"true", "false"}:
        raise ParameterRefused(f"safe is {given!r}, but must be true or false")
    return given == "true"


def _given(of_path: Mapping[str, str]) -> dict[str, str]:
    """Return the metric's parameters from path and query; raises ParameterRefused for repeats."""
    found = dict(of_path)
    for name, values in request.args.lists():
        if name in found or len(values) > 1:
            raise ParameterRefused(f"{name} is given twice", "give it once")
        found[name] = values[0]
    return {name: value for name, value in found.items() if name not in RESERVED}


def _encoded(found: MetricFigures, form: str, safe: bool) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a metric in one of FORMATS; raises Problem (406)."""
    if form == "json":
        body = json.dumps(found.document(), ensure_ascii=False).encode() + b"\n"
    elif form == "csv":
        body = csv_text(found.result.columns, found.result.rows, safe).encode()
    elif form == "png":
        body = _picture(found)
    else:
        body = workbook(found)
    headers = {
        "Content-Type": FORMATS[form] + ("; charset=utf-8" if form == "csv" else ""),
        "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        "Cache-Control": "private, no-cache",  # may be kept, but is checked by its ETag
        "Vary": "Accept",
        "X-As-Of": found.as_of.isoformat(),
        "X-Left-Out": ", ".join(f"{quote(name)}={rows}" for name, rows in found.left_out.items()),
    }
    if form != "json":
        name = "-".join([found.metric.name, *map(str, found.values.values())])
        headers["Content-Disposition"] = f"attachment; filename={secure_filename(name)}.{form}"
    return body, headers


def _picture(found: MetricFigures) -> bytes:
    if found.chart_lacks:
        lacks = f"the chart uses the column {found.chart_lacks[0]}, which does not exist"
        raise Problem(406, lacks, "correct the metric's file, or ask for another format")
    if (picture := charts.chart_png(found)) is None:
        raise Problem(406, f"the metric {found.metric.name} has no chart", _FORMS)
    return picture
