"""The operations of a table, in the words of its own columns."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from api.openapi import columns, samples, shapes
from api.openapi.parts import (
    CSV,
    LINES,
    Facts,
    Json,
    an_object,
    answer,
    as_json,
    as_text,
    flag,
    listed,
    parameter,
    ref,
)
from api.rest import uploads
from rowboat.catalog.tables import Catalog, Column, Table
from rowboat.csvfile.writer import csv_text
from rowboat.rows.read import filters
from rowboat.rows.read.listing_params import LIMIT, MOST
from rowboat.rows.write.bodies import MOST_ROWS

_OPERATORS = {
    "eq": "equals", "ne": "is another value than, or has none", "lt": "is below",
    "lte": "is at most", "gt": "is above", "gte": "is at least", "in": "is one of",
    "prefix": "begins with", "null": "has no value",
}  # fmt: skip
_OUTCOMES = {
    200: "What would become of the rows: all would go in.",
    201: "All rows went in.",
    207: "Some rows went in; errors tells of the others.",
}
_WORDS = {"order", "limit", "after", "sample", "count", "format", "safe"}


def schemas(table: Table) -> Json:
    """Return a table's rows as they are read, and as they are written."""
    about = [table.comment, *(f"Refused where {check.message}." for check in table.checks)]
    about += [f"{', '.join(k.columns)}: names a row of {k.parent}" for k in table.foreign_keys]
    text = {"description": "\n\n".join(filter(None, about))}
    name = component(table)
    return {
        name: an_object({each.name: columns.read(each) for each in table.columns}) | text,
        f"{name}.given": {
            "type": "object",
            "properties": {each.name: columns.written(each) for each in table.settable},
            "additionalProperties": False,
        }
        | text,
    }


def component(table: Table) -> str:
    """Name the schema of a table's rows, in the letters that the document allows."""
    return quote(table.full_name, safe="").replace("%", "-").replace("~", "-7E")


def new(table: Table, but: tuple[str, ...] = ()) -> Json:
    """Return the schema of a new row; `but` are columns that it may leave out all the same."""
    needed = [each.name for each in table.settable if each.required and each.name not in but]
    return ref(f"{component(table)}.given") | ({"required": needed} if needed else {})


def example(table: Table) -> Json:
    """Return a new row to look at, as far as the types tell it; the database numbers it."""
    given = [each for each in table.settable if each.identity is None]
    found = {each.name: columns.example(each) for each in given}
    return {name: value for name, value in found.items() if value is not None}


def page(table: Table) -> Facts:
    """Tell of rows that are asked for."""
    rows = {"type": "array", "items": ref(component(table))}
    link = {"type": ["string", "null"], "description": "The next page; null where it ends here."}
    body = {"rows": rows, "limit": {"type": "integer"}, "next": link,
            "count": {"type": "integer"}, "note": {"type": "string"}}  # fmt: skip
    row = _whole(table)
    known, text = {"rows": [row], "limit": LIMIT, "next": None}, _csv(row)
    media = as_json(an_object(body, ("count", "note")), known) | as_text(CSV, text)
    headers = ("X-Limit", "X-Count", "X-Note", "Link")
    return Facts({200: answer(200, media, headers)}, (404, 406), [*_words(table), *_filters(table)])


def row(table: Table) -> Facts:
    """Tell of one row."""
    media = as_json(ref(component(table)), _whole(table))
    has = parameter("If-None-Match", {"type": "string"}, "The version that is known.", "header")
    done = {200: answer(200, media, ["ETag"]), 304: answer(304, {}, ["ETag"])}
    return Facts(done, (404, 406, 422), [key(table), has])


def traced(table: Table) -> Facts:
    """Tell of where a row came from."""
    its = {"type": "object", "properties": {"fields": ref(component(table))}}
    known = {"fields": _whole(table), "table": table.full_name, "key": ["1"], "writer": None,
             "earlier": [], "held_by": []}  # fmt: skip
    media = as_json({"allOf": [ref("RowTrace"), its]}, known)
    return Facts({200: answer(200, media)}, (404, 406, 422), [key(table)])


def delete(table: Table) -> Facts:
    """Tell of a row's end."""
    gone = {"deleted": {"type": "object", "additionalProperties": {"type": "integer"}}}
    media = as_json(an_object(gone), {"deleted": {table.full_name: 1}})
    cascade = flag("cascade", "Let rows that refer to it go too.")
    done = {204: answer(204, {}), 200: answer(200, media)}
    return Facts(done, (404, 409, 412, 428), [key(table), _match(True), cascade])


def replace(table: Table) -> Facts:
    """Tell of a whole row that is written."""
    media = as_json(ref(component(table)), _whole(table))
    done = {
        200: answer(200, media, ["ETag"]),
        201: answer(201, media, ["ETag", "Location"]),
    }
    names = table.key.columns if table.key else ()
    body = as_json(new(table, names), {n: v for n, v in example(table).items() if n not in names})
    return Facts(done, (404, 409, 412, 428), [key(table), _match(False)], body)


def change(table: Table) -> Facts:
    """Tell of columns that are written."""
    media = as_json(ref(component(table)), _whole(table))
    some = list(example(table).items())[-1:]
    body = as_json(ref(f"{component(table)}.given"), dict(some))
    done = {200: answer(200, media, ["ETag"])}
    return Facts(done, (404, 409, 412, 428), [key(table), _match(True)], body)


def insert(table: Table) -> Facts:
    """Tell of new rows."""
    some = {"type": "array", "items": new(table), "minItems": 1, "maxItems": MOST_ROWS}
    known = example(table)
    body = (
        as_json({"oneOf": [some, new(table)]}, [known])
        | as_text(LINES, json.dumps(known) + "\n")
        | as_text(CSV, _csv(known))
    )
    return _batch(body, {table.full_name: [None]})


def batch(catalog: Catalog, address: Callable[[Table], str | None]) -> Facts:
    """Tell of new rows of several tables."""
    known = [(name, each) for each in catalog.in_order() if (name := address(each))]
    properties = {
        name: {"type": "array", "items": new(each), "maxItems": MOST_ROWS} for name, each in known
    }
    schema = {"type": "object", "properties": properties, "minProperties": 1,
              "additionalProperties": False}  # fmt: skip
    some = {name: [example(each)] for name, each in known[:2]}
    return _batch(as_json(schema, some), {each.full_name: [None] for _, each in known[:2]})


def receive(table: Table) -> Facts:
    """Tell of a file."""
    file = an_object({"file": {"type": "string", "contentMediaType": CSV}})
    body = as_text(CSV, _csv(example(table)))
    body |= {
        "application/gzip": {},
        "multipart/form-data": {"schema": file},
    }
    known = samples.UPLOAD | {"file": f"{table.name}-march.csv"}
    done = {202: answer(202, as_json(ref("Upload"), known))}
    return Facts(done, (404, 409), shapes.query_of(uploads.UploadQuery), body)


OF_TABLES: dict[str, Callable[[Table], Facts]] = {
    "rows.page": page,
    "rows.row": row,
    "rows.traced": traced,
    "rows.delete": delete,
    "row_writes.replace": replace,
    "row_writes.change": change,
    "batches.insert": insert,
    "uploads.receive": receive,
}


def key(table: Table) -> Json:
    """Return the key as a part of the address; several columns are separated by commas."""
    names = table.key.columns if table.key else ()
    if len(names) == 1:
        column = table.by_name[names[0]]
        return parameter("key", columns.asked(column), f"{names[0]} of the row", "path", True)
    parts = [columns.asked(table.by_name[name]) for name in names]
    schema = {"type": "array", "prefixItems": parts, "minItems": len(parts),
              "maxItems": len(parts)}  # fmt: skip
    about = f"{', '.join(names)} of the row, separated by commas"
    return parameter("key", schema, about, "path", True, style="simple")


def _whole(table: Table) -> Json:
    """Return an example of a row as it is read."""
    given = example(table)
    return {each.name: given.get(each.name, columns.example(each)) for each in table.columns}


def _csv(row: Json) -> str:
    return csv_text(list(row), [list(row.values())])


def _batch(body: Json, keys: dict[str, list[Any]]) -> Facts:
    key_ = parameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "Sent again with the same key, the same request takes effect once.",
        "header",
    )
    parameters = [
        parameter("mode", {"type": "string", "enum": ["partial", "atomic"], "default": "partial"},
                  "partial: good rows go in; atomic: all or none."),
        parameter("on_conflict",
                  {"type": "string", "enum": ["error", "update", "ignore"], "default": "error"},
                  "What becomes of rows whose key is there already."),
        flag("dry_run", "Only tell what would become of the rows."),
        key_,
    ]  # fmt: skip
    done = {
        status: answer(
            status, as_json(ref("Receipt"), known), ["Idempotency-Replayed"], _OUTCOMES[status]
        )
        for status, known in samples.receipts(keys).items()
    }
    return Facts(done, (404, 409), parameters, body)


def _match(required: bool) -> Json:
    about = "The version that is meant: the row's ETag, or * for whatever it is now."
    return parameter("If-Match", {"type": "string"}, about, "header", required)


def _words(table: Table) -> Iterator[Json]:
    order = [f"{sign}{each.name}" for each in table.columns if filters.is_comparable(each)
             for sign in ("", "-")]  # fmt: skip
    most = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
    capped = f"more than {MOST} are taken for {MOST}"
    yield listed(
        "order", {"type": "string", "enum": order}, "Columns to order by, downwards with a minus."
    )
    yield parameter("limit", most | {"default": LIMIT}, f"Rows in a page; {capped}.")
    yield parameter("after", {"type": "string"}, "Where the page before ended: see next.")
    yield parameter("sample", most, f"So many rows by chance; {capped}.")
    yield flag("count", "Count all rows that pass the filters.")
    yield parameter(
        "format", {"type": "string", "enum": ["json", "csv"]}, "Goes before the header Accept."
    )
    yield flag("safe", "In CSV, let no text be a formula to a spreadsheet.")


def _filters(table: Table) -> Iterator[Json]:
    for column in table.columns:
        for operator in filters.operators_of(column):
            yield _filter(column, operator)


def _filter(column: Column, operator: str) -> Json:
    name, its = f"{column.name}.{operator}", columns.asked(column)
    about = f"{column.name} {_OPERATORS[operator]}"
    if operator == "null":
        return parameter(name, {"type": "boolean"}, about)
    if operator == "in":
        return listed(name, its, about)
    if operator == "ne":
        return listed(name, its, about, apart=True)
    if operator == "eq" and column.name not in _WORDS:
        name = column.name
    return parameter(name, {"type": "string"} if operator == "prefix" else its, about)
