"""Builds the OpenAPI document: each route of the application, for each table and metric."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from api.openapi import parts, shapes, tables
from api.openapi.operations import OF_METRICS, fixed_operations
from api.openapi.parts import Facts, Json
from api.openapi.tables import OF_TABLES
from rowboat import __version__
from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import UnknownTable
from rowboat.metrics.definitions import all_metrics

CONSOLE = "console"  # blueprint of the pages, which are not part of the document
DOCS = "docs"  # blueprint of the pages that show the document
_WITH_KEY = {401, 403, 429, 500, 503}
_WITH_BODY = {400, 413, 415, 422}
_WITH_QUERY = {414, 422}


@dataclass(frozen=True)
class _Place:
    """A path of a route: the values of its arguments, and the facts of the operation there."""

    filled: dict[str, str]
    facts: Facts
    tag: str
    suffix: str = ""


def build_document(app: Flask, catalog: Catalog) -> Json:
    """Return the OpenAPI document of an application with the tables of a catalog."""
    paths: Json = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in (DOCS, CONSOLE):
            continue
        view = app.view_functions[rule.endpoint]
        for place in _places(app, rule, catalog):
            methods = paths.setdefault(_path(rule, place), {})
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                methods[method.lower()] = _operation(rule, view, place)
    schemas = {"Problem": parts.PROBLEM_SCHEMA} | shapes.body_schemas()
    for table in catalog:
        schemas |= tables.row_schemas(table)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rowboat", "version": __version__, "description": _doc("api")},
        "tags": _tags(app, catalog, paths),
        "paths": dict(sorted(paths.items())),
        "components": parts.shared_components() | {"schemas": schemas},
    }


def _places(app: Flask, rule: Rule, catalog: Catalog) -> Iterator[_Place]:
    endpoint = rule.endpoint
    if endpoint in OF_TABLES:
        for table in catalog:
            name = _address(app, catalog, table)
            if name and (table.key or "key" not in rule.arguments):
                facts = OF_TABLES[endpoint](table)
                yield _Place({"table": name}, facts, table.full_name, tables.component_name(table))
    elif endpoint in OF_METRICS:
        for metric in all_metrics().values():
            if {each.name for each in metric.parameters} >= rule.arguments - {"name"}:
                facts = OF_METRICS[endpoint](metric)
                yield _Place({"name": metric.name}, facts, "metrics", metric.name)
    elif endpoint == "batches.batch":
        facts = tables.batch_facts(catalog, lambda table: _address(app, catalog, table))
        yield _Place({}, facts, "batches")
    else:
        yield _Place({}, fixed_operations()[endpoint], endpoint.partition(".")[0])


def _address(app: Flask, catalog: Catalog, table: Table) -> str | None:
    """Return the shortest name by which a table can be addressed, or None.

    A name can be unusable because it is ambiguous, or because another route has the address.
    """
    # The routes themselves decide: a table `metrics` is not at /api/metrics.
    adapter = app.url_map.bind("")
    for name in (table.name, table.full_name):
        try:
            leads = (adapter.match(f"/api/{name}{end}")[1] for end in ("", "/1"))
            if catalog.table(name) is table and all(a.get("table") == name for a in leads):
                return name
        except (UnknownTable, HTTPException):
            continue
    return None


def _path(rule: Rule, place: _Place) -> str:
    def fill(argument: re.Match[str]) -> str:
        name = argument[1]
        return quote(place.filled[name], safe="") if name in place.filled else f"{{{name}}}"

    return re.sub(r"<(?:\w+:)?(\w+)>", fill, rule.rule)


def _operation(rule: Rule, view: Callable[..., Any], place: _Place) -> Json:
    facts, needed = place.facts, view.scope  # type: ignore[attr-defined]
    summary, _, more = (inspect.getdoc(view) or "").partition("\n")
    key = "requires no key" if needed == "public" else f"requires a key of the scope `{needed}`"
    found: Json = {
        "operationId": "_".join(filter(None, [rule.endpoint.replace(".", "_"), place.suffix])),
        "summary": summary,
        "description": f"{more.strip()}\n\nThis operation {key}.".strip(),
        "tags": [place.tag],
        "x-scope": needed,
        "security": [] if needed == "public" else [{"bearer": []}, {"key": []}],
        "parameters": list(facts.parameters),
        "responses": _responses(facts, needed),
    }
    return found | ({"requestBody": _body(facts.body)} if facts.body else {})


def _body(content: Json) -> Json:
    """Return a request body; it is optional if the empty object is valid."""
    schema = next(iter(content.values())).get("schema", {})
    may_lack = schema.get("additionalProperties") is False and not schema.get("required")
    return {"content": content, "required": not may_lack}


def _responses(facts: Facts, needed: str) -> Json:
    refusals = set(facts.refusals)
    refusals |= set() if needed == "public" else _WITH_KEY
    refusals |= _WITH_BODY if facts.body else set()
    if any(each["in"] == "query" for each in facts.parameters):
        refusals |= _WITH_QUERY
    found = {status: parts.refusal_ref(status) for status in refusals} | dict(facts.answers)
    return {str(status): found[status] for status in sorted(found)}


def _tags(app: Flask, catalog: Catalog, paths: Json) -> list[Json]:
    """Return the tags with descriptions: tables first, then blueprints."""
    known = {each.full_name: each.comment or "" for each in catalog}
    known |= {name: _doc(each.import_name) for name, each in app.blueprints.items()}
    used = {each["tags"][0] for methods in paths.values() for each in methods.values()}
    return [{"name": name, "description": known[name]} for name in known if name in used]


def _doc(module: str) -> str:
    """Return the first line of a module's docstring."""
    return (sys.modules[module].__doc__ or "").strip().partition("\n")[0]
