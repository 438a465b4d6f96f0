"""Schemas of the bodies other than rows, from the dataclasses that views and the library return.

The shapes in this module describe answers that are put together from other documents.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.actions.restores import RestoreRun
from api.openapi.parts import Json, parameter
from api.rest.backups import BackupList, BackupRun
from api.rest.health import Health, Ready
from api.rest.ingest import FileList, IngestRun
from api.rest.metrics import MetricList
from api.rest.rejects import Retried
from api.rest.tables import TableList
from api.rest.uploads import UploadReceipt
from api.shared.airflow import StartedRun
from api.shared.answers import HIDDEN
from api.shared.forms import Form
from rowboat.door.passage import Report
from rowboat.door.rejected_rows import Reject
from rowboat.ingest.position import Position
from rowboat.rows.read.trace import RowTrace


@dataclass(kw_only=True)
class RowFault:
    """What is wrong with a row, counted from 0; `table` is given if the request has several."""

    row: int | None
    column: str | None
    rule: str
    message: str
    table: str = ""


@dataclass(kw_only=True)
class TableReceipt(Report):
    """The counts of one table, and the keys of its rows in order, null for refused ones."""

    ids: list[Any] = field(default_factory=list)


@dataclass(kw_only=True)
class BatchReceipt(Report):
    """The outcome of a batch: the counts of all tables together, then of each table."""

    request: str
    dry_run: bool
    tables: dict[str, TableReceipt]
    errors: list[RowFault]


@dataclass(kw_only=True)
class RejectPage:
    """A page of refused rows; `next` is the address of the next page."""

    rows: list[Reject]
    limit: int
    next: str | None


@dataclass(kw_only=True)
class FiguresDocument:
    """The rows of a metric, and the number of refused rows of each table that it leaves out."""

    metric: str
    parameters: dict[str, Any]
    as_of: datetime
    left_out: dict[str, int]
    rows: list[dict[str, Any]]


class _Untitled(GenerateJsonSchema):
    """Omits titles, which only repeat the names."""

    def field_title_should_be_set(self, *_: Any) -> bool:
        """Return False for all fields."""
        return False


_SHAPES = (
    *(BatchReceipt, StartedRun, UploadReceipt, FileList, IngestRun, RejectPage, Retried),
    *(BackupList, BackupRun, RestoreRun, FiguresDocument, TableList, MetricList, Health, Ready),
    RowTrace,
)
# Component names are part of the API: clients are generated from them. They do not change when a
# class is renamed.
_COMPONENTS = {
    "BatchReceipt": "Receipt",
    "TableReceipt": "Delivery",
    "RowFault": "Fault",
    "StartedRun": "Started",
    "UploadReceipt": "Upload",
    "FileList": "Ingest",
    "RunOutline": "Run",
    "RunTask": "Task",
    "RejectPage": "Rejects",
    "BackupList": "Shelf",
    "FiguresDocument": "Figures",
    "TableList": "Tables",
    "MetricList": "Metrics",
}


def body_schemas() -> Json:
    """Return component name → schema of all shapes and of the records in them."""
    kinds: list[Any] = [(each, "serialization", TypeAdapter(each)) for each in _SHAPES]
    _, found = TypeAdapter.json_schemas(
        kinds, ref_template="#/components/schemas/{model}", schema_generator=_Untitled
    )
    named = {_COMPONENTS.get(name, name): each for name, each in found["$defs"].items()}
    defs: Json = {name: each | {"title": name} for name, each in sorted(named.items())}
    _rename_references(defs)
    for name in HIDDEN[Position]:
        defs["Position"]["properties"].pop(name)
    defs["Position"]["required"] = list(defs["Position"]["properties"])
    # The bytes of a refused row are text in JSON, or hexadecimal digits if they are not UTF-8.
    text = {"type": "string"}
    defs["Reject"]["properties"] |= {"raw": text, "raw_hex": text}
    return defs


def body_of(form: type[Form], example: Any) -> Json:
    """Return the request body for a form."""
    schema = form.model_json_schema(schema_generator=_Untitled)
    return {"application/json": {"schema": schema, "example": example}}


def query_of(form: type[Form]) -> list[Json]:
    """Return the optional query parameters of a form."""
    schema = form.model_json_schema(schema_generator=_Untitled)
    about = schema["description"]
    return [
        parameter(name, each.get("anyOf", [each])[0], about)
        for name, each in schema["properties"].items()
    ]


def _rename_references(schema: Any) -> None:
    """Let references in a schema point to components instead of classes, in place."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            prefix, _, name = schema["$ref"].rpartition("/")
            schema["$ref"] = f"{prefix}/{_COMPONENTS.get(name, name)}"
        for each in schema.values():
            _rename_references(each)
    elif isinstance(schema, list):
        for each in schema:
            _rename_references(each)
