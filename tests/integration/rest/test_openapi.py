"""The document that the API gives of itself: valid, complete, and true to rows and routes."""

import io
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from api.shared import context
from rowboat.catalog.literals import BLANKS
from rowboat.database.connections import transaction
from tests.conftest import Boat
from tests.support.every_type import declared, generated

Declare = Callable[[str], None]
Document = dict[str, Any]
HIRING = ("departments", "jobs", "hired_employees")
METHODS = {"get", "post", "put", "patch", "delete"}
ODD = """
create schema odd;
create table odd.metrics (id integer primary key);
create table odd."2021" (id integer primary key);
create table odd."a/b" (id integer primary key);
create table odd."Mixed {case} 100%~?#" ("order" text, "a.b" integer, "format" text,
    primary key ("a.b", "order"));
create table odd.keyless (note text);
create table odd.computed (
    id bigint generated always as identity primary key,
    price numeric(6,2) not null default 1,
    twice numeric generated always as (price * 2) stored,
    unit varchar(3) not null,
    mood text check (mood <> 'bad')
);
comment on constraint computed_mood_check on odd.computed is 'the mood is bad';
comment on column odd.computed.unit is 'What it is counted in.';
create table odd.departments (id integer primary key);
"""


@pytest.fixture
def document(client: FlaskClient) -> Document:
    return read(client)


def read(client: FlaskClient) -> Document:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: Document = answer.get_json()
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        assert methods.keys() <= METHODS
        for method, operation in methods.items():
            yield path, method.upper(), operation


def walk(value: Any) -> Iterator[Document]:
    """Yield every object of the document."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from walk(each)


def validator(document: Document, schema: Document) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def of(document: Document, name: str) -> Draft202012Validator:
    return validator(document, {"$ref": f"#/components/schemas/{name}"})


def parameters(document: Document, path: str, method: str = "get") -> dict[str, Document]:
    found = document["paths"][path][method]["parameters"]
    assert len({(each["in"], each["name"]) for each in found}) == len(found)
    return {each["name"]: each for each in found}


def check(document: Document) -> None:
    """Assert that a document is OpenAPI 3.1, and every schema JSON Schema."""
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    for each in walk(document):
        if "$ref" in each:
            target: Any = document
            for part in each["$ref"].removeprefix("#/").split("/"):
                target = target[part]
        if "schema" in each:
            Draft202012Validator.check_schema(each["schema"])
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_document_is_valid(document: Document) -> None:
    check(document)


def test_document_is_public(app: Flask) -> None:
    assert app.test_client().get("/openapi.json").status_code == 200


def test_examples_are_valid(document: Document) -> None:
    """Every body has an example that its schema accepts, every default is a value."""
    seen = 0
    for each in walk(document["paths"]):
        for media, body in each.get("content", {}).items():
            if media == "application/json":
                validator(document, body["schema"]).validate(body["example"])
                seen += 1
        if "in" in each and "default" in each["schema"]:
            Draft202012Validator(each["schema"]).validate(each["schema"]["default"])
    assert seen > 40
    for status, problem in document["components"]["responses"].items():
        example = problem["content"]["application/problem+json"]["example"]
        of(document, "Problem").validate(example)
        assert str(example["status"]) == status


def routes(app: Flask) -> dict[tuple[str, str], str]:
    """Return (endpoint, method) → scope of every route."""
    return {
        (rule.endpoint, method): app.view_functions[rule.endpoint].scope  # type: ignore[attr-defined]
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(("docs.", "console."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_routes_and_document_agree(app: Flask, document: Document) -> None:
    """Every route and method is in the document with its scope, and nothing else."""
    adapter = app.url_map.bind("localhost")
    found = {}
    for path, method, operation in operations(document):
        address = re.sub(r"\{(\w+)\}", "7", path)
        endpoint, arguments = adapter.match(address, method)
        found[endpoint, method] = operation["x-scope"]
        named = [each for each in operation["parameters"] if each["in"] == "path"]
        assert {each["name"] for each in named} <= arguments.keys()
        assert [each["name"] for each in named] == re.findall(r"\{(\w+)\}", path)
        needs = f"requires a key of the scope `{operation['x-scope']}`"
        is_public = operation["x-scope"] == "public"
        assert (needs in operation["description"]) != is_public
        assert bool(operation["security"]) != is_public
    assert found == routes(app)


@pytest.mark.parametrize("table", HIRING)
def test_every_table_has_every_address(document: Document, table: str) -> None:
    known = {
        (path.removeprefix(f"/api/{table}"), method)
        for path, method, _ in operations(document)
        if path == f"/api/{table}" or path.startswith(f"/api/{table}/")
    }
    assert known == {
        ("", "GET"), ("", "POST"), ("/file", "POST"), ("/{key}", "GET"), ("/{key}", "PUT"),
        ("/{key}", "PATCH"), ("/{key}", "DELETE"), ("/{key}/trace", "GET"),
    }  # fmt: skip


def test_metrics_have_their_parameters(document: Document) -> None:
    (year,) = [p for p in document["paths"]["/api/{year}/quarters"]["get"]["parameters"]
               if p["name"] == "year"]  # fmt: skip
    assert (year["in"], year["required"], year["description"]) == (
        "path", True, "The year of the hires.",
    )  # fmt: skip
    assert year["schema"] == {"type": "integer", "minimum": 1, "maximum": 9999, "default": 2021}
    again = parameters(document, "/api/metrics/quarters")["year"]
    assert (again["in"], again.get("required")) == ("query", None)
    forms = document["paths"]["/api/metrics/quarters"]["get"]["responses"]["200"]["content"]
    assert [each.partition(";")[0].rpartition(".")[2] for each in forms] == [
        "application/json", "text/csv", "sheet", "image/png",
    ]  # fmt: skip


def test_words_come_from_the_views(document: Document) -> None:
    found = document["paths"]["/api/departments/{key}"]["put"]
    assert found["operationId"] == "row_writes_replace_hired_employees.departments"
    assert found["summary"] == (
        "Replace a row or create one with this key; omitted columns get their defaults."
    )
    assert sorted(found["responses"]) == [
        "200", "201", "400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "429",
        "500", "503",
    ]  # fmt: skip
    assert document["paths"]["/health"]["get"]["responses"].keys() == {"200"}


def test_a_table_is_told_by_its_columns(document: Document) -> None:
    schemas = document["components"]["schemas"]
    row, given = (schemas[f"hired_employees.hired_employees{end}"] for end in ("", ".given"))
    assert row["properties"]["hired_date"] == {
        "type": "string",
        "format": "date-time",
        "description": "When the employee was hired, ISO 8601; without an offset in UTC."
        " (timestamp with time zone)",
    }
    assert row["required"] == ["id", "employee_name", "hired_date", "department_id", "job_id"]
    assert "Refused if employee_name is blank." in row["description"]
    assert given["properties"]["department_id"] == {
        "type": ["integer", "string"],
        "format": "int32",
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
        "pattern": f"^[{BLANKS}]*([-+]?[0-9]+(\\.0*)?)[{BLANKS}]*$",
        "description": "The department that the employee was hired into. (integer)",
    }
    body = document["paths"]["/api/hired_employees"]["post"]["requestBody"]["content"]
    assert list(body) == ["application/json", "application/x-ndjson", "text/csv"]
    one = body["application/json"]["schema"]["oneOf"][1]
    assert one["required"] == ["employee_name", "hired_date", "department_id", "job_id"]


ROWS: list[tuple[Any, bool]] = [
    ({"department": "Boats"}, True),
    ({"id": "12", "department": "Boats"}, True),
    ([{"department": "Boats"}], True),
    ({"id": 2**31, "department": "Boats"}, False),
    ({"id": "0x1F", "department": "Boats"}, False),
    ({"id": True, "department": "Boats"}, False),
    ({"id": 1.5, "department": "Boats"}, False),
    ({"id": 8.0, "department": "Boats"}, True),
    ({"id": " 8.00 ", "department": "Boats"}, True),
    ({"id": "+8", "department": "Boats"}, True),
    ({"id": "8.5", "department": "Boats"}, False),
    ({"id": "", "department": "Boats"}, False),
    ({"id": " ", "department": "Boats"}, False),
    ({"id": None, "department": "Boats"}, False),
    ({"department": None}, False),
    ({"department": 12}, False),
    ({"department": "Boats", "colour": "red"}, False),
    ({}, False),
    ([], False),
    ("Boats", False),
]


@pytest.mark.parametrize(("body", "good"), ROWS, ids=lambda each: json.dumps(each))
def test_document_and_door_agree(client: FlaskClient, body: Any, good: bool) -> None:
    document = read(client)
    content = document["paths"]["/api/departments"]["post"]["requestBody"]["content"]
    assert validator(document, content["application/json"]["schema"]).is_valid(body) == good
    answer = client.post("/api/departments", json=body)
    assert answer.status_code == (201 if good else 422)
    of(document, "Receipt" if good else "Problem").validate(answer.get_json())


def test_filters_are_parameters(document: Document) -> None:
    found = parameters(document, "/api/hired_employees")
    assert {name for name in found if name.startswith("department_id")} == {
        "department_id", *(f"department_id.{sign}" for sign in ("ne", "lt", "lte", "gt", "gte",
                                                                "in", "null")),
    }  # fmt: skip
    assert found["department_id"]["schema"]["type"] == "integer"
    assert found["employee_name.prefix"]["schema"] == {"type": "string"}
    assert (found["id.in"]["style"], found["id.in"]["explode"]) == ("form", False)
    assert found["limit"]["schema"]["default"] == 100
    assert {"order", "limit", "after", "count", "sample", "format", "safe"} <= found.keys()


def test_every_type(boat: Boat, declare: Declare, client: FlaskClient) -> None:
    """The schema of a table of all types accepts what the API answers."""
    declare(declared())
    with transaction(boat.connect("owner")) as cursor:
        cursor.copy_expert("copy s.t from stdin", io.StringIO("".join(generated(300))))
    document = read(client)
    check(document)
    test_examples_are_valid(document)
    body = validator(document, document["paths"]["/api/t"]["get"]["responses"]["200"]["content"]
                     ["application/json"]["schema"])  # fmt: skip
    row = of(document, "s.t")
    answer = client.get("/api/t?limit=300").get_json()
    body.validate(answer)
    assert len(answer["rows"]) == 300
    row.validate(client.get("/api/t/7").get_json())
    for column, wrong in [("whole", "1"), ("flag", "true"), ("mood", "odd"), ("wholes", [True]),
                          ("part_full", None), ("short", "x" * 10)]:  # fmt: skip
        assert not row.is_valid(answer["rows"][0] | {column: wrong}), column


def test_what_may_be_written(boat: Boat, declare: Declare, client: FlaskClient) -> None:
    """The example of a table of all types goes in, and is read as the document says."""
    declare(declared())
    document = read(client)
    post = document["paths"]["/api/t"]["post"]["requestBody"]["content"]["application/json"]
    answer = client.post("/api/t", json=post["example"])
    assert (answer.status_code, answer.get_json().get("errors")) == (201, [])
    of(document, "s.t").validate(client.get("/api/t/1").get_json())


def test_a_new_table_appears(
    boat: Boat, declare: Declare, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_FRESH", 0)
    assert "/api/keyless" not in read(client)["paths"]
    declare(ODD)
    document = read(client)
    check(document)
    test_examples_are_valid(document)
    paths = document["paths"]
    assert "/api/keyless" in paths
    assert "/api/keyless/{key}" not in paths
    assert "/api/odd.metrics/{key}" in paths
    assert "/api/odd.2021/{key}" in paths
    assert "/api/odd.departments/{key}" in paths  # two tables of one name
    assert "/api/hired_employees.departments/{key}" in paths
    assert "/api/departments" not in paths
    assert not [
        path for path in paths if "a/b" in path or "a%2Fb" in path
    ]  # no address leads there
    for path in paths:
        if path.startswith("/api/odd.") and path.endswith("}"):
            answer = client.get(path.replace("{key}", "1"))
            assert answer.get_json()["detail"] == f"{path.split('/')[2]} has no row with id 1"


def test_odd_names(declare: Declare, client: FlaskClient) -> None:
    declare(ODD)
    document = read(client)
    (path,) = [path for path in document["paths"] if "Mixed" in path and path.endswith("}")]
    assert path == "/api/Mixed%20%7Bcase%7D%20100%25~%3F%23/{key}"
    assert client.get(path.replace("{key}", "1,x")).get_json()["detail"] == (
        "odd.Mixed {case} 100%~?# has no row with a.b 1, order x"
    )
    found = parameters(document, path.removesuffix("/{key}"))
    assert {"a.b", "a.b.lt", "order", "order.eq", "format", "format.eq"} <= found.keys()
    assert "order" in found["order.eq"]["description"]
    assert found["order"]["schema"]["items"]["enum"] == [
        "order", "-order", "a.b", "-a.b", "format", "-format",
    ]  # fmt: skip


def test_what_the_database_sets(declare: Declare, client: FlaskClient) -> None:
    declare(ODD)
    schemas = read(client)["components"]["schemas"]
    row, given = schemas["odd.computed"], schemas["odd.computed.given"]
    assert list(row["properties"]) == ["id", "price", "twice", "unit", "mood"]
    assert list(given["properties"]) == ["price", "unit", "mood"]
    assert row["properties"]["unit"] == {
        "type": "string", "maxLength": 3, "description": "What it is counted in. (character"
        " varying(3))",
    }  # fmt: skip
    assert given["properties"]["price"]["exclusiveMaximum"] == 10_000
    assert given["properties"]["mood"]["type"] == ["string", "null"]
    assert row["description"] == "Refused if the mood is bad."


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_docs_load_nothing_from_elsewhere(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/docs", follow_redirects=True)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    links = Links()
    links.feed(page.get_data(as_text=True))
    assert len(links.found) == 6
    for each in links.found:
        assert each.startswith("/docs/")
        answer = client.get(each)
        assert answer.status_code == 200
        answer.close()
    config = json.loads(re.search(r"user_config = (\{.*?\});", page.text)[1])  # type: ignore[index]
    assert config["validatorUrl"] is None
    assert config["url"] == "/openapi.json"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")


def test_docs_say_nothing_of_the_caller(app: Flask) -> None:
    """No header of a request gets into the page."""
    page = app.test_client().get("/docs/", headers={"Host": "evil.example"})
    assert "evil" not in page.text
    missing = app.test_client().get("/docs/nothing.js")
    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
