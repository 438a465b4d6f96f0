"""What operations are put together from: bodies, parameters, answers, errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

JSON, CSV, LINES = "application/json", "text/csv", "application/x-ndjson"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Facts:
    """What the document tells of a view besides what the view tells itself.

    `answers` is status → body by media type; `refusals` are the errors beside those that its
    scope, body and parameters bring.
    """

    answers: Mapping[int, Json]
    refusals: tuple[int, ...] = ()
    parameters: Sequence[Json] = ()
    body: Json | None = None
    body_needed: bool = True


def ref(name: str) -> Json:
    """Point at a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def as_json(schema: Json, example: Any) -> Json:
    """Return a body of JSON."""
    return {JSON: {"schema": schema, "example": example}}


def as_text(media: str, example: str) -> Json:
    """Return a body that is no JSON, of which no schema can tell more."""
    return {media: {"example": example}}


def an_object(properties: Json, optional: Iterable[str] = ()) -> Json:
    """Return the schema of an object that has these properties."""
    needed = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": needed}


def parameter(
    name: str, schema: Json, about: str, place: str = "query", required: bool = False, **more: Any
) -> Json:
    """Return a parameter."""
    found = {"name": name, "in": place, "description": about, "schema": schema} | more
    return found | ({"required": True} if required else {})


def listed(name: str, items: Json, about: str, apart: bool = False) -> Json:
    """Return a parameter of several values: separated by commas, or `apart`, each by its name."""
    schema = {"type": "array", "items": items, "minItems": 1}
    return parameter(name, schema, about, style="form", explode=apart)


def flag(name: str, about: str) -> Json:
    """Return a parameter that is true or false."""
    return parameter(name, {"type": "boolean", "default": False}, about)


def answer(status: int, body: Json, headers: Iterable[str] = (), about: str = "") -> Json:
    """Return a success, with headers of the document."""
    names = ["X-Request-Id", *headers]
    return {
        "description": about or HTTPStatus(status).phrase,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    } | ({"content": body} if body else {})


def refusal(status: int) -> Json:
    """Point at an error of the document."""
    return {"$ref": f"#/components/responses/{status}"}


PROBLEM_SCHEMA = an_object(
    {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong."},
        "hint": {"type": "string", "description": "What to do."},
        "errors": {
            "type": "array",
            "items": an_object(
                {
                    "table": {"type": "string"},
                    "row": {"type": ["integer", "null"], "description": "From 0."},
                    "column": {"type": ["string", "null"]},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                },
                optional=["table"],
            ),
        },
        "request": {"type": "string", "description": "The request's number in the log."},
    },
    optional=["hint"],
) | {"description": "Every error of the API (RFC 9457)."}

HEADERS: dict[str, tuple[Json, str]] = {
    "X-Request-Id": ({"type": "string"}, "The request's number in the log."),
    "ETag": ({"type": "string"}, "The version, for If-Match and If-None-Match."),
    "Location": ({"type": "string"}, "The address of the new row."),
    "Link": ({"type": "string"}, "The next page, where there is one."),
    "X-Limit": ({"type": "integer"}, "How many rows a page has."),
    "X-Count": ({"type": "integer"}, "How many rows pass the filters, where that was asked for."),
    "X-Note": ({"type": "string"}, "Why there is no way to the next page."),
    "X-As-Of": ({"type": "string", "format": "date-time"}, "Of when the figures are."),
    "X-Left-Out": ({"type": "string"}, "How many refused rows the figures leave out, by table."),
    "Idempotency-Replayed": ({"type": "string"}, "true: the answer had been given before."),
    "Retry-After": ({"type": "integer"}, "Seconds after which to try it again."),
    "WWW-Authenticate": ({"type": "string"}, "How to send a key."),
}

_REFUSALS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request cannot be read.", ()),
    401: ("The request bears no key that is good.", ("WWW-Authenticate",)),
    403: ("The key does not allow this.", ()),
    404: ("There is no such thing.", ()),
    406: ("There is no such form of the answer.", ()),
    409: ("Others stand against it.", ()),
    412: ("The row has another version.", ("ETag",)),
    413: ("The body is too large.", ()),
    414: ("The address is too long.", ()),
    415: ("The body is in a form that is not taken.", ()),
    422: ("The request can be read and is refused; errors tells why.", ()),
    428: ("If-Match is missing.", ()),
    429: ("Too many requests in this minute.", ("Retry-After",)),
    500: ("The service failed.", ()),
    503: ("Something that this needs does not answer; the rest goes on.", ("Retry-After",)),
}


def components() -> Json:
    """Return what all operations share."""
    return {
        "headers": {
            name: {"schema": schema, "description": about}
            for name, (schema, about) in HEADERS.items()
        },
        "responses": {str(status): _problem(status) for status in _REFUSALS},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A key, rb_…, or, where"
                       " an issuer is set, an OpenID Connect token."},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "A key, rb_…"},
        },
    }  # fmt: skip


def _problem(status: int) -> Json:
    about, headers = _REFUSALS[status]
    title, request = HTTPStatus(status).phrase, "5f0c2b1d9a3e4c77"
    example = {"type": "about:blank", "title": title, "status": status,
               "detail": about.lower().rstrip("."), "errors": [], "request": request}  # fmt: skip
    media = {PROBLEM: {"schema": ref("Problem"), "example": example}}
    return answer(status, media, headers, about)
