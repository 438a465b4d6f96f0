"""Building blocks of operations: bodies, parameters, answers, errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

JSON, CSV, LINES = "application/json", "text/csv", "application/x-ndjson"
PROBLEM = "application/problem+json"
FORMAT_ABOUT = "Takes precedence over the header Accept."
SAFE_ABOUT = "In CSV, escape text that a spreadsheet would take for a formula."


@dataclass(frozen=True)
class Facts:
    """The part of an operation that its view does not declare itself.

    `answers` is status → answer. `refusals` are the error statuses besides those that follow from
    the view's scope, body and query parameters.
    """

    answers: Mapping[int, Json]
    refusals: tuple[int, ...] = ()
    parameters: Sequence[Json] = ()
    body: Json | None = None
    body_needed: bool = True


def schema_ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def as_json(schema: Json, example: Any) -> Json:
    """Return a JSON body."""
    return {JSON: {"schema": schema, "example": example}}


def as_text(media: str, example: str) -> Json:
    """Return a body that is not JSON: it has an example but no schema."""
    return {media: {"example": example}}


def object_schema(properties: Json, optional: Iterable[str] = ()) -> Json:
    """Return the schema of an object with these properties, required unless listed as optional."""
    needed = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": needed}


def parameter(
    name: str, schema: Json, about: str, place: str = "query", required: bool = False, **more: Any
) -> Json:
    """Return a parameter; `place` is query, path or header."""
    found = {"name": name, "in": place, "description": about, "schema": schema} | more
    return found | ({"required": True} if required else {})


def list_parameter(name: str, items: Json, about: str, apart: bool = False) -> Json:
    """Return a parameter with several values: separated by commas, or repeated if `apart`."""
    schema = {"type": "array", "items": items, "minItems": 1}
    return parameter(name, schema, about, style="form", explode=apart)


def flag_parameter(name: str, about: str) -> Json:
    """Return a boolean parameter, false by default."""
    return parameter(name, {"type": "boolean", "default": False}, about)


def success(status: int, body: Json, headers: Iterable[str] = (), about: str = "") -> Json:
    """Return a successful answer with headers of the document; `about` describes it."""
    names = ["X-Request-Id", *headers]
    return {
        "description": about or HTTPStatus(status).phrase,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    } | ({"content": body} if body else {})


def refusal_ref(status: int) -> Json:
    """Return a reference to an error answer of the document."""
    return {"$ref": f"#/components/responses/{status}"}


PROBLEM_SCHEMA = object_schema(
    {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong."},
        "hint": {"type": "string", "description": "What to do."},
        "errors": {
            "type": "array",
            "items": object_schema(
                {
                    "table": {"type": "string"},
                    "row": {"type": ["integer", "null"], "description": "Counted from 0."},
                    "column": {"type": ["string", "null"]},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                },
                optional=["table"],
            ),
        },
        "request": {"type": "string", "description": "The ID of the request in the log."},
    },
    optional=["hint"],
) | {"description": "Every error of the API (RFC 9457)."}

HEADERS: dict[str, tuple[Json, str]] = {
    "X-Request-Id": ({"type": "string"}, "The ID of the request in the log."),
    "ETag": ({"type": "string"}, "The version of the row, for If-Match and If-None-Match."),
    "Location": ({"type": "string"}, "The address of the new row."),
    "Link": ({"type": "string"}, "The next page, if there is one."),
    "X-Limit": ({"type": "integer"}, "The maximum number of rows in a page."),
    "X-Count": ({"type": "integer"}, "The number of rows that match the filters, if requested."),
    "X-Note": ({"type": "string"}, "Why there is no next page."),
    "X-As-Of": (
        {"type": "string", "format": "date-time"},
        "The time of the snapshot from which the figures were computed.",
    ),
    "X-Left-Out": (
        {"type": "string"},
        "The number of refused rows that the figures do not include, by table.",
    ),
    "Idempotency-Replayed": (
        {"type": "string"},
        "true if this is the stored answer to an earlier request.",
    ),
    "Retry-After": ({"type": "integer"}, "Seconds to wait before the next attempt."),
    "WWW-Authenticate": ({"type": "string"}, "How to send a key."),
}

_REFUSALS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request cannot be read.", ()),
    401: ("The request has no valid key.", ("WWW-Authenticate",)),
    403: ("The key does not allow this.", ()),
    404: ("It does not exist.", ()),
    406: ("The answer is not available in this media type.", ()),
    409: ("The request conflicts with the current state.", ()),
    412: ("The row has another version.", ("ETag",)),
    413: ("The body is too large.", ()),
    414: ("The address is too long.", ()),
    415: ("The media type of the body is not supported.", ()),
    422: ("The request is refused; errors gives the reasons.", ()),
    428: ("If-Match is missing.", ()),
    429: ("There were too many requests in this minute.", ("Retry-After",)),
    500: ("The service failed.", ()),
    503: ("A service that this operation needs does not answer.", ("Retry-After",)),
}


def shared_components() -> Json:
    """Return the components that all operations share."""
    return {
        "headers": {
            name: {"schema": schema, "description": about}
            for name, (schema, about) in HEADERS.items()
        },
        "responses": {str(status): _problem(status) for status in _REFUSALS},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A key (rb_…), or an"
                       " OpenID Connect token if an issuer is configured."},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "A key (rb_…)."},
        },
    }  # fmt: skip


def _problem(status: int) -> Json:
    about, headers = _REFUSALS[status]
    title, request = HTTPStatus(status).phrase, "5f0c2b1d9a3e4c77"
    example = {"type": "about:blank", "title": title, "status": status,
               "detail": about.lower().rstrip("."), "errors": [], "request": request}  # fmt: skip
    media = {PROBLEM: {"schema": schema_ref("Problem"), "example": example}}
    return success(status, media, headers, about)
