"""Reads what requests say, JSON objects and parameters, before anything is done."""

import json
from datetime import datetime
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from api.shared.problems import Problem
from rowboat.errors import BodyRefused


class Form(BaseModel):
    """Fields of a JSON object: no others, and of no other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


Filled = TypeVar("Filled", bound=Form)


def parse_body(kind: type[Filled]) -> Filled:
    """Read the body; none at all is an empty object."""
    given = request.get_data()
    if given and request.mimetype != "application/json":
        raise Problem(415, "the request comes as application/json", "set the header Content-Type")
    return fill_form(kind, _parsed(given) if given else {})


def parse_query(kind: type[Filled]) -> Filled:
    """Read the parameters, each given once; a form for them is not strict, as all are text."""
    several = [name for name, values in request.args.lists() if len(values) > 1]
    if several:
        raise _wrong([_error(several[0], "is given twice")])
    return fill_form(kind, request.args.to_dict())


def fill_form(kind: type[Filled], given: Any) -> Filled:
    """Make a form of its fields; raises Problem with what is wrong with each."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise _wrong(
            [_error(".".join(map(str, each["loc"])), each["msg"].lower()) for each in faults]
        ) from None


def as_json(value: Any) -> str:
    """Write what JSON has no form for: times as ISO 8601, the rest as its text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _parsed(given: bytes) -> Any:
    try:
        return json.loads(given)
    except json.JSONDecodeError as error:
        raise BodyRefused(
            f"the body is no JSON: {error.msg.lower()}, in line {error.lineno}, column "
            f"{error.colno}", "send a JSON object",
        ) from None  # fmt: skip
    except (ValueError, RecursionError):
        raise BodyRefused("the body is no JSON", "send a JSON object") from None


def _wrong(errors: list[dict[str, Any]]) -> Problem:
    return Problem(422, "the request is not as it should be", "/docs tells its fields", errors)


def _error(name: str, said: str) -> dict[str, Any]:
    name = name.encode("utf-8", "replace").decode()  # halves of characters cannot be answered
    return {"row": None, "column": name or None, "rule": "shape", "message": f"{name} {said}"}
