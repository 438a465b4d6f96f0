"""The bodies that are no rows: schemas of the library's own records, and of what views add."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.actions.ingest import INWARD
from api.openapi.parts import Json, parameter
from api.shared.forms import Form
from rowboat.backup.sets import Set
from rowboat.door.passage import Report
from rowboat.door.rejected_rows import Reject
from rowboat.ingest.position import Position
from rowboat.rows.read.trace import RowTrace


@dataclass(kw_only=True)
class Fault:
    """What is wrong with a row (from 0); `table` where the request has several."""

    row: int | None
    column: str | None
    rule: str
    message: str
    table: str = ""


@dataclass(kw_only=True)
class Delivery(Report):
    """The counts of one table, and the keys of its rows in order, null for refused ones."""

    ids: list[Any] = field(default_factory=list)


@dataclass(kw_only=True)
class Receipt(Report):
    """What became of a batch: the counts of all tables, then each table's."""

    request: str
    dry_run: bool
    tables: dict[str, Delivery]
    errors: list[Fault]


@dataclass(kw_only=True)
class Started:
    """A run of Airflow that was started; its address tells its state."""

    run: str
    state: str
    url: str


@dataclass(kw_only=True)
class Upload:
    """A file in raw_data and the run that loads it, null while Airflow does not answer."""

    file: str
    bytes: int
    sha256: str
    run: str | None
    state: str | None
    url: str | None
    detail: str = ""
    hint: str = ""


@dataclass(kw_only=True)
class Run:
    """A run of Airflow."""

    run: str
    state: str
    started: datetime | None
    ended: datetime | None


@dataclass(kw_only=True)
class Task:
    """A task of a run."""

    task: str
    of: str | None
    state: str | None
    tries: int | None
    started: datetime | None
    ended: datetime | None


@dataclass(kw_only=True)
class IngestRun(Run):
    """A run, what it loaded, and its files."""

    totals: Report
    files: list[Position]
    tasks: list[Task]


@dataclass(kw_only=True)
class Ingest:
    """All files and the newest runs; `airflow` tells whether it answers."""

    files: list[Position]
    airflow: bool
    runs: list[Run]


@dataclass(kw_only=True)
class Rejects:
    """A page of refused rows; `next` is the address of the next."""

    rows: list[Reject]
    limit: int
    next: str | None


@dataclass(kw_only=True)
class Retried:
    """What became of refused rows, by table."""

    tables: dict[str, Report]


@dataclass(kw_only=True)
class Shelf:
    """All sets, oldest first, and the newest restores."""

    sets: list[Set]
    restores: list[dict[str, Any]]


@dataclass(kw_only=True)
class BackupRun(Run):
    """A run and the set that it took."""

    set: dict[str, Any] | None
    tasks: list[Task]


@dataclass(kw_only=True)
class RestoreRun(Run):
    """A run, its plan, what it asks while it waits, and how to take it back."""

    waits: bool
    plan: dict[str, Any] | None
    question: dict[str, Any] | None
    restore: int | None
    undo: str | None
    tasks: list[Task]


@dataclass(kw_only=True)
class Figures:
    """The rows of a metric, and how many refused rows of each table they leave out."""

    metric: str
    parameters: dict[str, Any]
    as_of: datetime
    left_out: dict[str, int]
    rows: list[dict[str, Any]]


@dataclass(kw_only=True)
class Tables:
    """The tables as the database declares them."""

    tables: list[dict[str, Any]]


@dataclass(kw_only=True)
class Metrics:
    """The metrics as their files describe them."""

    metrics: list[dict[str, Any]]


@dataclass(kw_only=True)
class Health:
    """The service is alive."""

    alive: bool
    version: str


@dataclass(kw_only=True)
class Ready:
    """Which parts work; the service is ready without Airflow. What to do for those that do not."""

    ready: bool
    database: bool
    raw_data: bool
    backups: bool
    airflow: bool
    remedies: dict[str, str] = field(default_factory=dict)


class _Untitled(GenerateJsonSchema):
    """Leaves out titles, which say the names once more."""

    def field_title_should_be_set(self, *_: Any) -> bool:
        """Set none."""
        return False


_SHAPES = (
    *(Receipt, Started, Upload, Ingest, IngestRun, Rejects, Retried, Shelf, BackupRun),
    *(RestoreRun, Figures, Tables, Metrics, Health, Ready, RowTrace),
)


def schemas() -> Json:
    """Return all of them by name."""
    kinds: list[Any] = [(each, "serialization", TypeAdapter(each)) for each in _SHAPES]
    _, found = TypeAdapter.json_schemas(
        kinds, ref_template="#/components/schemas/{model}", schema_generator=_Untitled
    )
    defs: Json = found["$defs"]
    for name in INWARD:
        defs["Position"]["properties"].pop(name)
    defs["Position"]["required"] = list(defs["Position"]["properties"])
    text = {"type": "string"}
    defs["Reject"]["properties"] |= {"raw": text, "raw_hex": text}
    return defs


def body_of(form: type[Form], example: Any) -> Json:
    """Return the body that a form reads."""
    schema = form.model_json_schema(schema_generator=_Untitled)
    return {"application/json": {"schema": schema, "example": example}}


def query_of(form: type[Form]) -> list[Json]:
    """Return the parameters that a form reads; each may be left out."""
    schema = form.model_json_schema(schema_generator=_Untitled)
    about = schema["description"]
    return [
        parameter(name, each.get("anyOf", [each])[0], about)
        for name, each in schema["properties"].items()
    ]
