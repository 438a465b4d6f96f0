"""The operations of a table, described by its own columns."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from api.openapi import columns, samples, shapes
from api.openapi.parts import (
    CSV,
    FORMAT_ABOUT,
    LINES,
    SAFE_ABOUT,
    Facts,
    Json,
    as_json,
    as_text,
    flag_parameter,
    list_parameter,
    object_schema,
    parameter,
    schema_ref,
    success,
)
from api.rest import uploads
from rowboat.catalog.tables import Catalog, Column, Table
from rowboat.csvfile.writer import csv_text
from rowboat.rows.read import filters
from rowboat.rows.read.listing_params import LIMIT, MOST
from rowboat.rows.write.bodies import MOST_ROWS

_OPERATORS = {
    "eq": "equals", "ne": "differs from, or is null", "lt": "is less than",
    "lte": "is at most", "gt": "is greater than", "gte": "is at least", "in": "is one of",
    "prefix": "begins with", "null": "is null",
}  # fmt: skip
_OUTCOMES = {
    200: "Dry run: all rows would be loaded.",
    201: "All rows were loaded.",
    207: "Some rows were loaded; errors gives the reasons for the others.",
}
_WORDS = {"order", "limit", "after", "sample", "count", "format", "safe"}


def row_schemas(table: Table) -> Json:
    """Return name → schema of a table's rows: as they are read, and as they are written."""
    about = [table.comment, *(f"Refused if {check.message}." for check in table.checks)]
    about += [f"{', '.join(k.columns)}: refers to a row of {k.parent}." for k in table.foreign_keys]
    text = {"description": "\n\n".join(filter(None, about))}
    name = component_name(table)
    return {
        name: object_schema({each.name: columns.read_schema(each) for each in table.columns})
        | text,
        f"{name}.given": {
            "type": "object",
            "properties": {each.name: columns.write_schema(each) for each in table.settable},
            "additionalProperties": False,
        }
        | text,
    }


def component_name(table: Table) -> str:
    """Return the name of the schema of a table's rows, in characters that OpenAPI allows."""
    return quote(table.full_name, safe="").replace("%", "-").replace("~", "-7E")


def new_row_schema(table: Table, but: tuple[str, ...] = ()) -> Json:
    """Return the schema of a new row; the columns `but` are optional in any case."""
    needed = [each.name for each in table.settable if each.required and each.name not in but]
    return schema_ref(f"{component_name(table)}.given") | ({"required": needed} if needed else {})


def example_row(table: Table) -> Json:
    """Return an example of a new row, without identity columns."""
    given = [each for each in table.settable if each.identity is None]
    found = {each.name: columns.example_value(each) for each in given}
    return {name: value for name, value in found.items() if value is not None}


def page_facts(table: Table) -> Facts:
    """Return the facts of listing rows."""
    rows = {"type": "array", "items": schema_ref(component_name(table))}
    link = {"type": ["string", "null"], "description": "The next page, or null."}
    body = {"rows": rows, "limit": {"type": "integer"}, "next": link,
            "count": {"type": "integer"}, "note": {"type": "string"}}  # fmt: skip
    row = _whole(table)
    known, text = {"rows": [row], "limit": LIMIT, "next": None}, _csv(row)
    media = as_json(object_schema(body, ("count", "note")), known) | as_text(CSV, text)
    headers = ("X-Limit", "X-Count", "X-Note", "Link")
    return Facts(
        {200: success(200, media, headers)}, (404, 406), [*_words(table), *_filters(table)]
    )


def row_facts(table: Table) -> Facts:
    """Return the facts of reading a row."""
    media = as_json(schema_ref(component_name(table)), _whole(table))
    has = parameter(
        "If-None-Match", {"type": "string"}, "The version that the caller already has.", "header"
    )
    done = {200: success(200, media, ["ETag"]), 304: success(304, {}, ["ETag"])}
    return Facts(done, (404, 406, 422), [key_parameter(table), has])


def trace_facts(table: Table) -> Facts:
    """Return the facts of tracing a row."""
    its = {"type": "object", "properties": {"fields": schema_ref(component_name(table))}}
    known = {"fields": _whole(table), "table": table.full_name, "key": ["1"], "writer": None,
             "earlier": [], "held_by": []}  # fmt: skip
    media = as_json({"allOf": [schema_ref("RowTrace"), its]}, known)
    return Facts({200: success(200, media)}, (404, 406, 422), [key_parameter(table)])


def delete_facts(table: Table) -> Facts:
    """Return the facts of deleting a row."""
    gone = {"deleted": {"type": "object", "additionalProperties": {"type": "integer"}}}
    media = as_json(object_schema(gone), {"deleted": {table.full_name: 1}})
    cascade = flag_parameter("cascade", "Also apply ON DELETE actions to rows that refer to it.")
    done = {204: success(204, {}), 200: success(200, media)}
    return Facts(done, (404, 409, 412, 428), [key_parameter(table), _match(True), cascade])


def replace_facts(table: Table) -> Facts:
    """Return the facts of replacing a row."""
    media = as_json(schema_ref(component_name(table)), _whole(table))
    done = {
        200: success(200, media, ["ETag"]),
        201: success(201, media, ["ETag", "Location"]),
    }
    names = table.key.columns if table.key else ()
    body = as_json(
        new_row_schema(table, names),
        {n: v for n, v in example_row(table).items() if n not in names},
    )
    return Facts(done, (404, 409, 412, 428), [key_parameter(table), _match(False)], body)


def change_facts(table: Table) -> Facts:
    """Return the facts of changing columns of a row."""
    media = as_json(schema_ref(component_name(table)), _whole(table))
    some = list(example_row(table).items())[-1:]
    body = as_json(schema_ref(f"{component_name(table)}.given"), dict(some))
    done = {200: success(200, media, ["ETag"])}
    return Facts(done, (404, 409, 412, 428), [key_parameter(table), _match(True)], body)


def insert_facts(table: Table) -> Facts:
    """Return the facts of inserting rows into a table."""
    some = {"type": "array", "items": new_row_schema(table), "minItems": 1, "maxItems": MOST_ROWS}
    known = example_row(table)
    body = (
        as_json({"oneOf": [some, new_row_schema(table)]}, [known])
        | as_text(LINES, json.dumps(known) + "\n")
        | as_text(CSV, _csv(known))
    )
    return _batch(body, {table.full_name: [None]})


def batch_facts(catalog: Catalog, address: Callable[[Table], str | None]) -> Facts:
    """Return the facts of inserting rows into several tables; `address` names each table."""
    known = [(name, each) for each in catalog.in_order() if (name := address(each))]
    properties = {
        name: {"type": "array", "items": new_row_schema(each), "maxItems": MOST_ROWS}
        for name, each in known
    }
    schema = {"type": "object", "properties": properties, "minProperties": 1,
              "additionalProperties": False}  # fmt: skip
    some = {name: [example_row(each)] for name, each in known[:2]}
    return _batch(as_json(schema, some), {each.full_name: [None] for _, each in known[:2]})


def upload_facts(table: Table) -> Facts:
    """Return the facts of uploading a file."""
    file = object_schema({"file": {"type": "string", "contentMediaType": CSV}})
    body = as_text(CSV, _csv(example_row(table)))
    body |= {
        "application/gzip": {},
        "multipart/form-data": {"schema": file},
    }
    known = samples.UPLOAD | {"file": f"{table.name}-march.csv"}
    done = {202: success(202, as_json(schema_ref("Upload"), known))}
    return Facts(done, (404, 409), shapes.query_of(uploads.UploadQuery), body)


OF_TABLES: dict[str, Callable[[Table], Facts]] = {
    "rows.page": page_facts,
    "rows.row": row_facts,
    "rows.traced": trace_facts,
    "rows.delete": delete_facts,
    "row_writes.replace": replace_facts,
    "row_writes.change": change_facts,
    "batches.insert": insert_facts,
    "uploads.receive": upload_facts,
}


def key_parameter(table: Table) -> Json:
    """Return the parameter for the key in the path; several columns are separated by commas."""
    names = table.key.columns if table.key else ()
    if len(names) == 1:
        column = table.by_name[names[0]]
        return parameter(
            "key", columns.address_schema(column), f"{names[0]} of the row", "path", True
        )
    parts = [columns.address_schema(table.by_name[name]) for name in names]
    schema = {"type": "array", "prefixItems": parts, "minItems": len(parts),
              "maxItems": len(parts)}  # fmt: skip
    about = f"{', '.join(names)} of the row, separated by commas"
    return parameter("key", schema, about, "path", True, style="simple")


def _whole(table: Table) -> Json:
    """Return an example of a row with all columns."""
    given = example_row(table)
    return {each.name: given.get(each.name, columns.example_value(each)) for each in table.columns}


def _csv(row: Json) -> str:
    return csv_text(list(row), [list(row.values())])


def _batch(body: Json, keys: dict[str, list[Any]]) -> Facts:
    idempotency_key = parameter(
        "Idempotency-Key",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "A request repeated with the same key takes effect only once.",
        "header",
    )
    parameters = [
        parameter("mode", {"type": "string", "enum": ["partial", "atomic"], "default": "partial"},
                  "partial: load the valid rows; atomic: load all rows or none."),
        parameter("on_conflict",
                  {"type": "string", "enum": ["error", "update", "ignore"], "default": "error"},
                  "What to do with rows whose key already exists."),
        flag_parameter("dry_run", "Only report what would happen to the rows."),
        idempotency_key,
    ]  # fmt: skip
    done = {
        status: success(
            status,
            as_json(schema_ref("Receipt"), known),
            ["Idempotency-Replayed"],
            _OUTCOMES[status],
        )
        for status, known in samples.sample_receipts(keys).items()
    }
    return Facts(done, (404, 409), parameters, body)


def _match(required: bool) -> Json:
    about = "The version that the request is about: the row's ETag, or * for any."
    return parameter("If-Match", {"type": "string"}, about, "header", required)


def _words(table: Table) -> Iterator[Json]:
    order = [f"{sign}{each.name}" for each in table.columns if filters.is_comparable(each)
             for sign in ("", "-")]  # fmt: skip
    most = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
    capped = f"values above {MOST} mean {MOST}"
    yield list_parameter(
        "order", {"type": "string", "enum": order}, "Columns to order by; a minus means descending."
    )
    yield parameter(
        "limit", most | {"default": LIMIT}, f"Maximum number of rows in a page; {capped}."
    )
    yield parameter("after", {"type": "string"}, "Where the previous page ended: use next.")
    yield parameter("sample", most, f"Return this many random rows; {capped}.")
    yield flag_parameter("count", "Count all rows that match the filters.")
    yield parameter("format", {"type": "string", "enum": ["json", "csv"]}, FORMAT_ABOUT)
    yield flag_parameter("safe", SAFE_ABOUT)


def _filters(table: Table) -> Iterator[Json]:
    for column in table.columns:
        for operator in filters.operators_of(column):
            yield _filter(column, operator)


def _filter(column: Column, operator: str) -> Json:
    name, its = f"{column.name}.{operator}", columns.address_schema(column)
    about = f"{column.name} {_OPERATORS[operator]}"
    if operator == "null":
        return parameter(name, {"type": "boolean"}, about)
    if operator == "in":
        return list_parameter(name, its, about)
    if operator == "ne":
        return list_parameter(name, its, about, apart=True)
    if operator == "eq" and column.name not in _WORDS:
        name = column.name
    return parameter(name, {"type": "string"} if operator == "prefix" else its, about)
