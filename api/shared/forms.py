"""Parses and validates JSON objects and query parameters into forms."""

import json
from datetime import datetime
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from api.shared.problems import Problem
from rowboat.errors import BodyRefused


class Form(BaseModel):
    """Base class of forms: unknown fields and values of other types are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True)


Filled = TypeVar("Filled", bound=Form)


def parse_body(kind: type[Filled]) -> Filled:
    """Return the body as a form; an empty body counts as {}.

    Raises BodyRefused, Problem (415, 422).
    """
    given = request.get_data()
    if given and request.mimetype != "application/json":
        hint = "set the header Content-Type"
        raise Problem(415, "the request is accepted as application/json", hint)
    return fill_form(kind, _parsed(given) if given else {})


def parse_query(kind: type[Filled]) -> Filled:
    """Return the query parameters as a form; raises Problem (422), also for repeated ones.

    Such forms are declared with strict=False, since all parameters are text.
    """
    several = [name for name, values in request.args.lists() if len(values) > 1]
    if several:
        raise _wrong([_error(several[0], "is given twice")])
    return fill_form(kind, request.args.to_dict())


def fill_form(kind: type[Filled], given: Any) -> Filled:
    """Return a form made from its fields; raises Problem (422) with one error per wrong field."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise _wrong(
            [_error(".".join(map(str, each["loc"])), _reword(each)) for each in faults]
        ) from None


def json_default(value: Any) -> str:
    """Return a value that JSON cannot represent as text: times in ISO 8601, others by str()."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _parsed(given: bytes) -> Any:
    try:
        return json.loads(given)
    except json.JSONDecodeError as error:
        raise BodyRefused(
            f"the body is not JSON: {error.msg.lower()}, at line {error.lineno}, column "
            f"{error.colno}", "send a JSON object",
        ) from None  # fmt: skip
    except (ValueError, RecursionError):
        raise BodyRefused("the body is not JSON", "send a JSON object") from None


def _wrong(errors: list[dict[str, Any]]) -> Problem:
    return Problem(422, "the request is invalid", "/docs describes its fields", errors)


def _reword(fault: ErrorDetails) -> str:
    """Return the predicate of a sentence about a field, from pydantic's message."""
    known = {"extra_forbidden": "is unknown", "model_type": "must be a JSON object"}
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return known.get(fault["type"], message[:1].lower() + message[1:])


def _error(name: str, said: str) -> dict[str, Any]:
    name = name.encode("utf-8", "replace").decode()  # lone surrogates cannot be encoded as UTF-8
    message = f"{name or 'the body'} {said}"
    return {"row": None, "column": name or None, "rule": "shape", "message": message}
