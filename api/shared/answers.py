"""Records as JSON documents: what callers get, in the order of the fields."""

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from flask import Response, jsonify

from rowboat.ingest.position import Position

# Fields that callers do not see: internal to the loading of files.
HIDDEN: dict[type[Any], tuple[str, ...]] = {
    Position: (
        "id", "version", "dialect", "file_version", "pass_bytes", "prefix_sha256", "dictionary",
        "relation", "types", "unloaded_from",
    ),
}  # fmt: skip


def answer_with(record: Any, status: int = 200) -> Response:
    """Return a response with the JSON of a dataclass instance.

    Fields of the record itself that have their default are left out: they are optional.
    """
    body = {
        each.name: as_document(value)
        for each in fields(record)
        if (value := getattr(record, each.name)) != _default(each)
    }
    answer = jsonify(body)
    answer.status_code = status
    return answer


def as_document(value: Any) -> Any:
    """Return a value with each dataclass instance in it as a dict, without hidden fields."""
    if is_dataclass(value):
        hidden = HIDDEN.get(type(value), ())
        return {
            each.name: as_document(getattr(value, each.name))
            for each in fields(value)
            if each.name not in hidden
        }
    if isinstance(value, dict):
        return {name: as_document(each) for name, each in value.items()}
    return [as_document(each) for each in value] if isinstance(value, list | tuple) else value


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
