"""Metrics over HTTP: forms, parameters, keys, and answers that are kept while they hold."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient

from api.actions import metrics
from api.application import create_app
from rowboat.metrics import definitions
from rowboat.metrics.figures import compute_figures
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.backups import eventually

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "department,job,Q1,Q2,Q3,Q4\r\n=D,J,1,0,0,0\r\nE,J,0,1,0,0\r\n"
SAFE = CSV.replace("=D", "'=D")
ROWS = [
    {"department": "=D", "job": "J", "Q1": 1, "Q2": 0, "Q3": 0, "Q4": 0},
    {"department": "E", "job": "J", "Q1": 0, "Q2": 1, "Q3": 0, "Q4": 0},
]
KINDS = """-- title: Kinds
-- about: One value of each kind.
-- tables: hired_employees.departments
-- param: day date 2000-01-01.. | A day.
-- param: word text ..3 = é | A word.
select
    %(day)s::date as day, %(word)s::text as word, 1.5::numeric as n, 'NaN'::numeric as nan,
    'infinity'::float8 as infinity, true as b, null::integer as none, '{"a": [1]}'::jsonb as j,
    timestamptz '2021-06-01 12:00+02' as at, timestamp '2021-06-01 12:00' as local,
    E'\\x01#N/A' as control, '#N/A' as error, 2147483647 as i,
    '00000000-0000-0000-0000-000000000000'::uuid as u,
    interval '1 day' as span, '\\x00'::bytea as raw,
    timestamptz 'infinity' as never, date '0001-01-01 BC' as early, timestamp '99999-01-01' as late,
    array['1 day'::interval] as spans, array[1, null] as numbers, time '12:00' as hour
"""
BROKEN = """-- title: Broken
-- about: Divides by zero.
-- tables: hired_employees.departments
select 1 / count(*) from hired_employees.departments where false
"""
OPEN = """
select count(*) from pg_stat_activity
where datname = current_database() and usename = 'rowboat_api' and state = 'idle in transaction'
"""
NOW = BROKEN.replace("1 / count(*)", "now() as at, count(*)")


@pytest.fixture
def hires(boat: Boat) -> Boat:
    boat.query("insert into hired_employees.departments values (1, '=D'), (2, 'E'), (3, 'F')")
    boat.query("insert into hired_employees.jobs values (1, 'J')")
    boat.query(
        "insert into hired_employees.hired_employees values"
        " (1, 'A', '2021-01-01Z', 1, 1), (2, 'B', '2021-04-01Z', 2, 1)"
    )
    return boat


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Metrics beside the product's own."""
    folder = tmp_path / "sql" / "metrics"
    folder.mkdir(parents=True)
    for path in (definitions.SQL_FOLDER / "metrics").glob("*.sql"):
        (folder / path.name).write_text(path.read_text())
    for name, text in (("kinds", KINDS), ("broken", BROKEN), ("moment", NOW)):
        (folder / f"{name}.sql").write_text(text)
    monkeypatch.setattr(definitions, "SQL_FOLDER", folder.parent)
    definitions.all_metrics.cache_clear()
    yield
    definitions.all_metrics.cache_clear()


def problem(status: int, title: str, detail: str, hint: str) -> dict[str, Any]:
    head = {"type": "about:blank", "title": title, "status": status}
    return head | {"detail": detail, "hint": hint, "errors": []}


def unprocessable(detail: str, hint: str = "correct its value") -> dict[str, Any]:
    return problem(422, "Unprocessable Entity", detail, hint)


def unknown(detail: str, hint: str = "`rowboat metric` lists them") -> dict[str, Any]:
    return problem(404, "Not Found", detail, hint)


FORMS = "use one of json, csv, xlsx, png"
NO_FORM = problem(406, "Not Acceptable", "metrics are not available in this format", FORMS)
TWICE = unprocessable("year is given twice", "give it once")
AT_LEAST = unprocessable("year is '0' and must be at least 1")
AT_MOST = unprocessable("year is '10000' and must be at most 9999")


@pytest.mark.parametrize(
    ("address", "accept", "status", "body"),
    [
        ("/api/2021/quarters", None, 200, ROWS),
        ("/api/2021/quarters", "*/*", 200, ROWS),
        ("/api/2021/quarters", "application/json;q=0.5, text/csv;q=0.1", 200, ROWS),
        ("/api/2020/quarters", None, 200, []),
        ("/api/1/quarters", None, 200, []),
        ("/api/9999/quarters", None, 200, []),
        ("/api/2021/departments", None, 200, [
            {"id": 1, "department": "=D", "hired": 1}, {"id": 2, "department": "E", "hired": 1},
        ]),
        ("/api/metrics/quarters", None, 200, ROWS),
        ("/api/metrics/quarters?year=2021", None, 200, ROWS),
        ("/api/metrics/quarters?year=2020", None, 200, []),
        ("/api/2021/quarters", "text/csv", 200, CSV),
        ("/api/2021/quarters?format=csv", "application/json", 200, CSV),
        ("/api/2021/quarters?format=csv&safe=true", None, 200, SAFE),
        ("/api/2021/quarters?format=csv&safe=false", None, 200, CSV),
        ("/api/2020/quarters?format=csv", None, 200, "department,job,Q1,Q2,Q3,Q4\r\n"),
        ("/api/2021/quarters", "text/html", 406, NO_FORM),
        ("/api/2021/quarters?format=pdf", None, 406, NO_FORM),
        ("/api/2021/quarters?format=", None, 406, NO_FORM),
        ("/api/metrics/kinds?day=2021-01-01&format=png", None, 406,
         problem(406, "Not Acceptable", "the metric kinds has no chart", FORMS)),
        ("/api/2021/quarters?safe=yes", None, 422,
         unprocessable("safe is 'yes', but must be true or false")),
        ("/api/0/quarters", None, 422, AT_LEAST),
        ("/api/10000/quarters", None, 422, AT_MOST),
        ("/api/metrics/quarters?year=0", None, 422, AT_LEAST),
        ("/api/99999999999999999999/quarters", None, 422,
         unprocessable("year is '99999999999999999999' and must be an integer in digits")),
        ("/api/metrics/quarters?year=2021.0", None, 422,
         unprocessable("year is '2021.0' and must be an integer in digits")),
        ("/api/metrics/quarters?year=2021;drop", None, 422,
         unprocessable("year is '2021;drop' and must be an integer in digits")),
        ("/api/metrics/quarters?year=%00", None, 422,
         unprocessable(r"year is '\x00' and must be an integer in digits")),
        ("/api/metrics/quarters?year=2021&year=2021", None, 422, TWICE),
        ("/api/2021/quarters?year=2021", None, 422, TWICE),
        ("/api/metrics/quarters?yeer=2021", None, 422,
         unprocessable("the metric quarters has no parameter 'yeer'", "it takes year")),
        ("/api/metrics/nothing", None, 404, unknown("there is no metric nothing")),
        ("/api/2021/nothing", None, 404, unknown("there is no metric nothing")),
        ("/api/2021/kinds", None, 404,
         unknown("the metric kinds has no parameter year", "use /api/metrics/kinds")),
        ("/api/metrics/kinds", None, 422, unprocessable("day is missing", "give it a value")),
        ("/api/metrics/kinds?day=1999-12-31", None, 422,
         unprocessable("day is '1999-12-31' and must be at least 2000-01-01")),
        ("/api/metrics/kinds?day=2021-01-01&word=four", None, 422,
         unprocessable("word is 'four' and must be of at most 3 characters")),
    ],
)  # fmt: skip
def test_answers(
    hires: Boat, more: None, client: FlaskClient, address: str, accept: str | None, status: int,
    body: Any,
) -> None:  # fmt: skip
    answer = client.get(address, headers={"Accept": accept} if accept else {})
    assert answer.status_code == status, answer.text
    if isinstance(body, str):
        assert (answer.content_type, answer.text) == ("text/csv; charset=utf-8", body)
    elif status == 200:
        assert answer.content_type == "application/json"
        assert answer.json["rows"] == body
    else:
        assert answer.content_type == "application/problem+json"
        assert answer.json.pop("request")
        assert {**answer.json, "request": None} == {**body, "request": None}


def test_the_whole_document(hires: Boat, client: FlaskClient) -> None:
    hires.write("departments.csv", "9,\n")
    hires.ingest()
    answer = client.get("/api/2021/departments")
    as_of = answer.json["as_of"]
    assert answer.json == {
        "metric": "departments",
        "parameters": {"year": 2021},
        "as_of": as_of,
        "left_out": {"hired_employees.hired_employees": 0, "hired_employees.departments": 1},
        "rows": [
            {"id": 1, "department": "=D", "hired": 1},
            {"id": 2, "department": "E", "hired": 1},
        ],
    }
    [clock] = hires.query("select now()")
    assert abs((clock - datetime.fromisoformat(as_of)).total_seconds()) < 5
    assert answer.headers["X-As-Of"] == as_of
    assert answer.headers["X-Left-Out"] == (
        "hired_employees.hired_employees=0, hired_employees.departments=1"
    )
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_the_list(boat: Boat, client_of: ClientOf) -> None:
    answer = client_of("read").get("/api/metrics")
    expected = [each.document() for each in definitions.all_metrics().values()]
    assert answer.json == {"metrics": json.loads(json.dumps(expected))}
    assert [each["name"] for each in answer.json["metrics"]] == ["departments", "quarters"]


HIRES, PARENTS, JOBS = (f"hired_employees.{t}" for t in ("hired_employees", "departments", "jobs"))


@pytest.mark.parametrize(
    ("tables", "seen", "forbidden"),
    [
        ([HIRES, PARENTS, JOBS], ["departments", "quarters"], None),
        ([HIRES, PARENTS], ["departments"], JOBS),
        ([HIRES, JOBS], [], PARENTS),
        ([], [], HIRES),
    ],
)
def test_keys_of_some_tables(
    hires: Boat, client_of: ClientOf, tables: list[str], seen: list[str], forbidden: str | None
) -> None:
    """Also an answer that is in the cache already is only for those who may see its tables."""
    client_of("read").get("/api/2021/quarters")
    client = client_of("read", tables)
    assert [each["name"] for each in client.get("/api/metrics").json["metrics"]] == seen
    answer = client.get("/api/2021/quarters")
    if forbidden is None:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert answer.json["detail"].endswith(f" is not valid for {forbidden}")
    assert (client.get("/api/2021/departments").status_code == 200) is ("departments" in seen)


def test_without_a_key(hires: Boat, app: Any) -> None:
    for address in ("/api/metrics", "/api/metrics/quarters", "/api/2021/quarters"):
        assert app.test_client().get(address).status_code == 401


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_file_names(hires: Boat, more: None, client: FlaskClient, form: str) -> None:
    answer = client.get(f"/api/2021/quarters?format={form}")
    assert answer.headers["Content-Disposition"] == f"attachment; filename=quarters-2021.{form}"
    for word, shown in (("a%20b", "a_b"), ("%22%0a/", "")):
        answer = client.get(f"/api/metrics/kinds?day=2021-01-02&word={word}&format={form}")
        disposition = f"attachment; filename=kinds-2021-01-02-{shown}.{form}"
        assert answer.headers["Content-Disposition"] == disposition


ALIKE = {  # in JSON and in a workbook
    "word": "é",
    "n": 1.5,
    "nan": "NaN",
    "infinity": "inf",
    "b": True,
    "none": None,
    "error": "#N/A",
    "i": 2147483647,
    "u": "00000000-0000-0000-0000-000000000000",
    "span": "P1D",
    "raw": "\\x00",
    "never": "infinity",
    "early": "0001-01-01 BC",
    "late": "99999-01-01 00:00:00",
    "spans": "{P1D}",
    "hour": "12:00:00",
}


def test_every_kind_of_value(boat: Boat, more: None, client: FlaskClient) -> None:
    address = "/api/metrics/kinds?day=2021-01-02"
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.json["parameters"] == {"day": "2021-01-02", "word": "é"}
    assert answer.json["rows"] == [
        ALIKE
        | {
            "day": "2021-01-02",
            "j": {"a": [1]},
            "at": "2021-06-01T10:00:00+00:00",
            "local": "2021-06-01T12:00:00",
            "control": "\x01#N/A",
            "numbers": [1, None],
        }
    ]
    found = book(client, address)["kinds"]
    values = {name.value: cell.value for name, cell in zip(*found.iter_rows(), strict=True)}
    assert values == ALIKE | {
        "day": datetime(2021, 1, 2),
        "j": "{'a': [1]}",
        "at": datetime(2021, 6, 1, 10),
        "local": datetime(2021, 6, 1, 12),
        "control": "\N{REPLACEMENT CHARACTER}#N/A",
        "numbers": "[1, None]",
    }


def book(client: FlaskClient, address: str) -> Any:
    answer = client.get(address, headers={"Accept": XLSX})
    assert (answer.status_code, answer.content_type) == (200, XLSX)
    return openpyxl.load_workbook(io.BytesIO(answer.data))


def test_a_workbook(hires: Boat, client: FlaskClient) -> None:
    found = book(client, "/api/2021/quarters")
    assert found.sheetnames == ["quarters", "about quarters"]
    sheet = found["quarters"]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["department", "job", "Q1", "Q2", "Q3", "Q4"],
        ["=D", "J", 1, 0, 0, 0],
        ["E", "J", 0, 1, 0, 0],
    ]
    assert [cell.data_type for cell in sheet[2]] == ["s", "s", "n", "n", "n", "n"]  # no formula
    assert all(cell.font.bold for cell in sheet[1])
    assert sheet.freeze_panes == "A2"
    about = {row[0].value: row[1].value for row in found["about quarters"].iter_rows()}
    assert about.pop("as of (UTC)").year >= 2024
    assert about.pop("about").startswith("How many employees")
    assert about == {
        "title": "Hires by quarter",
        "year": 2021,
        "refused rows of hired_employees.hired_employees": 0,
        "refused rows of hired_employees.departments": 0,
        "refused rows of hired_employees.jobs": 0,
    }
    empty = book(client, "/api/2020/quarters")["quarters"]
    assert [cell.value for cell in empty[1]] == ["department", "job", "Q1", "Q2", "Q3", "Q4"]
    assert empty.max_row == 1


def test_a_picture(hires: Boat, client: FlaskClient) -> None:
    for how in ({"query_string": "format=png"}, {"headers": {"Accept": "image/png"}}):
        answer = client.get("/api/2021/quarters", **how)
        assert (answer.status_code, answer.content_type) == (200, "image/png")
        assert answer.data.startswith(b"\x89PNG\r\n\x1a\n")
        assert answer.headers["Content-Disposition"] == "attachment; filename=quarters-2021.png"


def test_what_the_statement_cannot_do(boat: Boat, more: None, client: FlaskClient) -> None:
    answer = client.get("/api/metrics/broken")
    assert (answer.status_code, answer.json["detail"]) == (422, "division by zero")


# The cache


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The metrics that were computed."""
    found: list[str] = []

    def figures(cursor: Any, metric: Any, *of: Any) -> Any:
        found.append(metric.name)
        return compute_figures(cursor, metric, *of)

    monkeypatch.setattr(metrics, "compute_figures", figures)
    return found


def test_an_answer_is_computed_once(hires: Boat, client_of: ClientOf, computed: list[str]) -> None:
    """For all keys; not for another year, form or choice of safety."""
    first, second = client_of("read"), client_of("operate")
    answers = [each.get("/api/2021/quarters") for each in (first, second, first)]
    assert len({answer.data for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    assert computed == ["quarters"]
    more = ("format=csv", "format=csv&safe=true", "format=xlsx", "year=2020")
    for address in (f"/api/metrics/quarters?{each}" for each in more):
        bodies = {first.get(address).data for _ in range(3)}
        assert len(bodies) == 1
    assert computed == ["quarters"] * 5


def test_who_asks_together_waits_for_one_answer(
    hires: Boat, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, asking = [], 4

    def figures(*of: Any) -> Any:
        computed.append(1)
        eventually(lambda: hires.query(OPEN, role="api") == [asking])
        return compute_figures(*of)

    monkeypatch.setattr(metrics, "compute_figures", figures)
    with ThreadPoolExecutor(asking) as pool:
        asked = [pool.submit(client.get, "/api/2021/quarters") for _ in range(asking)]
        assert [each.result().json["rows"] for each in asked] == [ROWS] * asking
    assert len(computed) == 1


def test_no_worker_is_stale(hires: Boat, client: FlaskClient, computed: list[str]) -> None:
    """Two applications, each with a cache of its own, and somebody at psql."""
    other_app = create_app()
    other = other_app.test_client()
    other.environ_base.update(client.environ_base)
    try:
        for n in range(3, 13):
            writer = [client, other, None][n % 3]
            row = {"id": n, "employee_name": "A", "hired_date": "2021-09-01", "job_id": 1}
            if writer is None:
                hires.query(
                    "insert into hired_employees.hired_employees"
                    f" values ({n}, 'A', '2021-09-01Z', 1, 1)"
                )
            else:
                answer = writer.post("/api/hired_employees", json=[row | {"department_id": 1}])
                assert answer.status_code == 201, answer.text
            for reader in (client, other, client, other):
                found = reader.get("/api/2021/quarters").json["rows"][0]
                assert found["Q3"] == n - 2
        assert len(computed) == 20  # once after each write in each of two
    finally:
        other_app.extensions["rowboat"].close()


def test_a_refused_row_is_left_out_at_once(hires: Boat, client: FlaskClient) -> None:
    assert client.get("/api/2021/departments").json["left_out"][PARENTS] == 0
    assert client.post("/api/departments", json=[{"id": 9, "department": " "}]).status_code == 422
    assert client.get("/api/2021/departments").json["left_out"][PARENTS] == 1


def test_figures_of_the_moment_are_not_kept(
    boat: Boat, more: None, client: FlaskClient, computed: list[str]
) -> None:
    assert len({client.get("/api/metrics/moment").json["rows"][0]["at"] for _ in range(3)}) == 3
    assert computed == ["moment"] * 3


def test_etags(hires: Boat, client: FlaskClient) -> None:
    tag = client.get("/api/2021/quarters").headers["ETag"]
    assert tag.startswith('"')
    for given, status in ((tag, 304), (f'"x", {tag}', 304), ("*", 304), ('"x"', 200)):
        answer = client.get("/api/2021/quarters", headers={"If-None-Match": given})
        assert (answer.status_code, answer.headers["ETag"]) == (status, tag)
        assert (answer.data == b"") is (status == 304)
    hires.query("update hired_employees.jobs set job = 'K'")
    answer = client.get("/api/2021/quarters", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json["rows"][0]["job"]) == (200, "K")
    assert answer.headers["ETag"] != tag


def test_counts_are_added_up_in_passing(hires: Boat, client: FlaskClient) -> None:
    hires.query(
        "do $$ begin for n in 1..1100 loop"
        " update hired_employees.jobs set job = 'J' || n; end loop; end $$"
    )
    for _ in range(2):
        assert client.get("/api/2021/quarters").json["rows"][0]["job"] == "J1100"
    assert hires.query("select count(*) from rowboat.writes")[0] < 10
    hires.query("update hired_employees.jobs set job = 'K'")
    assert client.get("/api/2021/quarters").json["rows"][0]["job"] == "K"
