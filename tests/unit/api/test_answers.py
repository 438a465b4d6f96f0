"""Records as JSON: order of fields, defaults left out, what callers do not see."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from api.openapi.shapes import body_schemas
from api.shared import forms
from api.shared.answers import HIDDEN, answer_with, as_document
from rowboat.ingest.position import Position

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(kw_only=True)
class Inner:
    number: int = 1


@dataclass(kw_only=True)
class Outer:
    second: datetime
    first: list[Inner]
    note: str = ""
    remedies: dict[str, Inner] = field(default_factory=dict)


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__)
    made.json.sort_keys = False  # type: ignore[attr-defined]
    made.json.default = forms.json_default  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, '"second":"2026-11-21T00:00:00+00:00","first":[{"number":1}]'),
        ({"note": "x", "remedies": {"a": Inner(number=2)}},
         '"second":"2026-11-21T00:00:00+00:00","first":[{"number":1}],"note":"x",'
         '"remedies":{"a":{"number":2}}'),
    ],
)  # fmt: skip
def test_fields_in_order_without_defaults_of_the_record_itself(
    app: Flask, more: dict[str, Any], text: str
) -> None:
    with app.test_request_context():
        answer = answer_with(Outer(second=MOMENT, first=[Inner()], **more), 202)
    assert (answer.status_code, answer.mimetype) == (202, "application/json")
    assert answer.get_data(as_text=True) == f"{{{text}}}\n"


def test_hidden_fields_are_neither_answered_nor_described() -> None:
    values = dict.fromkeys(each.name for each in fields(Position))
    found = as_document({"files": [Position(**values)]})["files"][0]  # type: ignore[arg-type]
    assert set(HIDDEN[Position]) == set(values) - set(found)
    assert list(found) == list(body_schemas()["Position"]["properties"])


def test_components_keep_their_names() -> None:
    """Clients are generated from them, whatever the classes are called."""
    assert " ".join(sorted(body_schemas())) == (
        "BackupRun Delivery Fault Figures Health Ingest IngestRun Metrics Origin Position Ready "
        "Receipt Reject Rejects Report RestoreRun Retried RowTrace Run Set Shelf Started Tables "
        "Task Upload"
    )
