"""The operations that do not depend on tables, and those of the metrics."""

from collections.abc import Callable
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.actions.backups import BackupForm
from api.actions.ingest import IngestForm
from api.actions.restores import ApprovalForm, RestoreForm, UndoForm
from api.openapi import samples
from api.openapi.parts import (
    CSV,
    FORMAT_ABOUT,
    SAFE_ABOUT,
    Facts,
    Json,
    as_json,
    as_text,
    flag_parameter,
    parameter,
    schema_ref,
    success,
)
from api.openapi.shapes import body_of, query_of
from api.rest import rejects
from api.rest.metrics import FORMATS
from rowboat.csvfile.writer import csv_text
from rowboat.metrics.definitions import Metric, all_metrics
from rowboat.metrics.parameters import Parameter

_KINDS: dict[str, Json] = {
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "text": {"type": "string"},
    "date": {"type": "string", "format": "date"},
}


def _says(name: str, example: Any, status: int = 200) -> dict[int, Json]:
    return {status: success(status, as_json(schema_ref(name), example))}


_RUN = parameter("run", {"type": "string", "minLength": 1}, "The run's ID.", "path", True)
_NUMBER = parameter(
    "number", {"type": "integer", "minimum": 0}, "The restore's number.", "path", True
)
_STARTED = _says("Started", samples.STARTED, 202)
_REJECTS = as_json(schema_ref("Rejects"), samples.REJECTS) | as_text(CSV, samples.REJECTS_CSV)
_NUMBERS = as_text(CONTENT_TYPE_LATEST, samples.NUMBERS)
_DOCUMENT = as_json({"type": "object"}, {"openapi": "3.1.0"})


def fixed_operations() -> dict[str, Facts]:
    """Return endpoint → facts of the operations that do not depend on tables."""
    return {
        "health.health": Facts(_says("Health", samples.HEALTH)),
        "health.ready": Facts(
            _says("Ready", samples.READY) | _says("Ready", samples.READY | {"ready": False}, 503)
        ),
        "health.metrics": Facts({200: success(200, _NUMBERS)}),
        "tables.tables": Facts(_says("Tables", samples.TABLES)),
        "openapi.openapi": Facts({200: success(200, _DOCUMENT)}, (500, 503)),
        "metrics.every_metric": Facts(
            _says("Metrics", {"metrics": [each.document() for each in all_metrics().values()][:1]})
        ),
        "ingest.load": Facts(_STARTED, (409,), body=body_of(IngestForm, {"dry_run": True})),
        "ingest.everything": Facts(_says("Ingest", samples.INGEST)),
        "ingest.one_run": Facts(_says("IngestRun", samples.INGEST_RUN), (404,), [_RUN]),
        "rejects.page": Facts(
            {200: success(200, _REJECTS, ["Link"])}, (404, 406), query_of(rejects.RejectQuery)
        ),
        "rejects.again": Facts(
            _says("Retried", samples.RETRIED), (404, 409), body=body_of(rejects.RetryForm, {})
        ),
        "backups.shelf": Facts(_says("Shelf", samples.SHELF)),
        "backups.take": Facts(_STARTED, (404, 409), body=body_of(BackupForm, {"pin": True})),
        "backups.one_run": Facts(_says("BackupRun", samples.BACKUP_RUN), (404,), [_RUN]),
        "restores.plan": Facts(
            _STARTED, (404, 409), body=body_of(RestoreForm, {"table": "schema.table"})
        ),
        "restores.one_run": Facts(_says("RestoreRun", samples.RESTORE_RUN), (404,), [_RUN]),
        "restores.approve": Facts(
            _says("RestoreRun", samples.RESTORE_RUN, 202), (404, 409), [_RUN],
            body_of(ApprovalForm, {"approve": True}),
        ),
        "restores.undo": Facts(
            _STARTED, (404, 409), [_NUMBER], body_of(UndoForm, {"cascade": False})
        ),
    }  # fmt: skip


def metric_facts(metric: Metric, year: bool = False) -> Facts:
    """Return the facts of a metric's operation; with `year`, the year is part of the path."""
    known = {each["name"]: each["default"] for each in metric.document()["parameters"]}
    said = {"metric": metric.name, "parameters": known, "as_of": samples.TIME,
            "left_out": dict.fromkeys(metric.tables, 0), "rows": []}  # fmt: skip
    media = as_json(schema_ref("Figures"), said) | as_text(CSV, csv_text([metric.name], []))
    media |= {FORMATS["xlsx"]: {}} | ({FORMATS["png"]: {}} if metric.chart else {})
    return Facts(
        {200: success(200, media, ["ETag", "X-As-Of", "X-Left-Out"]), 304: success(304, {})},
        (404, 406),
        [
            *(_parameter(each, year and each.name == "year") for each in metric.parameters),
            parameter("format", {"type": "string", "enum": list(FORMATS)}, FORMAT_ABOUT),
            flag_parameter("safe", SAFE_ABOUT),
        ],
    )


OF_METRICS: dict[str, Callable[[Metric], Facts]] = {
    "metrics.one_metric": metric_facts,
    "metrics.metric_of_year": lambda metric: metric_facts(metric, year=True),
}


def _parameter(each: Parameter, in_path: bool) -> Json:
    """Return a parameter of a metric as its file declares it."""
    schema = dict(_KINDS[each.kind])
    known = each.document()
    if each.kind != "date":
        names = ("minLength", "maxLength") if each.kind == "text" else ("minimum", "maximum")
        bounds = zip(names, (known["least"], known["most"]), strict=True)
        schema |= {name: bound for name, bound in bounds if bound is not None}
    if known["default"] is not None:
        schema["default"] = known["default"]
    place = "path" if in_path else "query"
    return parameter(each.name, schema, each.help, place, in_path or each.default is None)
