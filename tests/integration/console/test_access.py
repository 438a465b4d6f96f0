"""Every route of the console: who gets there, by which forms, under which headers."""

import io
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.shared import access
from rowboat.access import sessions
from tests.conftest import Boat
from tests.integration.conftest import ClientOf, Visitor
from tests.support import restoring
from tests.support.fake_airflow import NOW, FakeAirflow

SCOPES = ("read", "write", "operate")
RUN = "manual__1"
ARGUMENTS = {
    "table": "jobs", "key": "1", "key_id": "aaaaaaaa", "metric": "quarters", "dag": "ingest",
    "run": RUN, "number": 1, "reject_id": 1,
}  # fmt: skip
NAMES = {"console.backups": "{set}", "console.static": "console.css", "console.metrics": "quarters"}
QUERIES = {"console.files.one": "?name=jobs.csv"}
Route = tuple[str, str, str]


def routes(app: Flask, set_: str = "20210101T000000Z") -> Iterator[Route]:
    """Yield (method, address, scope) of every route of the console, arguments filled in."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("console."):
            continue
        names = {start: name for start, name in NAMES.items() if rule.endpoint.startswith(start)}
        given = ARGUMENTS | {"name": "".join(names.values()).replace("{set}", set_)}
        values = {name: given[name] for name in rule.arguments}
        address = adapter.build(rule.endpoint, values) + QUERIES.get(rule.endpoint, "")
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            yield method, address, app.view_functions[rule.endpoint].scope  # type: ignore[attr-defined]


@pytest.fixture
def stub(app: Flask) -> Callable[[], None]:
    """Replace every view by one that only lets in, once somebody has signed in."""

    def replace() -> None:
        for name, view in app.view_functions.items():
            found = access.scope(view.scope)(lambda **_: "in")  # type: ignore[attr-defined]
            app.view_functions[name] = found

    return replace


@pytest.fixture
def shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> str:
    """A set of backups on a shelf of its own, of rows that came from files; its name."""
    setting("backups", str(tmp_path / "backups"))
    setting("api_log", str(tmp_path))
    boat.write("jobs.csv", "1,Rower\n2,<script>alert(1)</script>\n3, \n")
    boat.write("departments.csv", '1,"=cmd()"\n2,\u202eright to left\n3,' + "long " * 2000 + "\n")
    boat.write("hired_employees.csv", "1,Ann,2021-01-02T00:00:00Z,1,1\n2,Bob,2021-05-02,9,1\n")
    boat.write("lost.csv", "1\n")
    boat.ingest()
    return restoring.take(boat)


@pytest.fixture
def world(shelf: str, boat: Boat, airflow: FakeAirflow, client_of: ClientOf) -> Callable[[], Any]:
    """Something to see on every page; return what tells whether anything of it was changed."""
    order = restoring.order(boat, shelf, [restoring.JOBS])
    restoring.carried_out(boat, order)
    airflow.add_run("ingest", RUN, "running")
    airflow.add_run("restore", RUN, "running", table=restoring.JOBS)
    airflow.results[RUN, "plan"] = restoring.planned(boat, order).to_json()
    airflow.questions[RUN] = {"subject": "Restore?", "body": "1", "created_at": NOW}
    airflow.add_task(RUN, "plan", "success")
    airflow.add_task(RUN, "approve", "awaiting_input")
    client = client_of("write")
    client.patch("/api/jobs/1", json={"job": "<b>Cox</b>"}, headers={"If-Match": "*"})
    client.post("/api/jobs", json=[{"id": n, "job": f"Job {n}"} for n in range(10, 20)])
    boat.query("update rowboat.keys set id = 'aaaaaaaa'")
    tables = boat.query(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname !~ '^pg_'"
        " and schemaname <> 'information_schema' and tablename not in ('usage', 'sessions')"
    )

    def state() -> Any:
        kept = "select to_jsonb(t) - 'used_at' as kept from {} as t order by 1"
        rows = [boat.query(kept.format(table)) for table in tables]
        files = sorted(path for path in boat.raw.parent.rglob("*") if path.is_file())
        return (
            rows,
            [(path, path.read_bytes()) for path in files],
            airflow.triggered,
            airflow.answers,
        )

    return state


def test_without_a_session_one_is_led_to_sign_in(app: Flask, visitor: Visitor) -> None:
    visitor.get("/sign-in")
    found = 0
    for method, address, scope in routes(app):
        if scope == "public":
            continue
        answer = visitor.open(address, method=method)
        asked = f"?{urlencode({'next': address}, safe='/?')}" if method == "GET" else ""
        wanted = "/sign-in" + (asked if address != "/" else "")
        assert (answer.status_code, answer.location) == (303, wanted), address
        assert visitor.open(address, method="HEAD").status_code in (303, 405)
        assert visitor.open(address, method="OPTIONS").status_code == 303
        found += 1
    assert found > 30


@pytest.mark.parametrize("scope", SCOPES)
def test_nobody_beyond_his_scope(
    app: Flask, signed_in: Callable[..., Visitor], stub: Callable[[], None], scope: str
) -> None:
    visitor = signed_in(scope)
    stub()
    seen = set()
    for method, address, needed in routes(app):
        send = visitor.post_form if method == "POST" else visitor.get
        answer = send(address)
        is_in = needed == "public" or SCOPES.index(needed) <= SCOPES.index(scope)
        assert answer.status_code == (200 if is_in else 403), (method, address)
        if not is_in:
            assert f"has the scope {scope}; this needs {needed}" in answer.text
        seen.add((method, needed))
    assert {("GET", "public"), ("GET", "read"), ("POST", "write"), ("POST", "operate")} <= seen
    assert {method for method, _ in seen} == {"GET", "POST"}  # forms send no others


@pytest.mark.parametrize("scope", SCOPES)
def test_nobody_is_shown_what_he_may_not_do(
    app: Flask, signed_in: Callable[..., Visitor], shelf: str, world: Any, scope: str
) -> None:
    """No page that one may see has a form or a link that would be refused."""
    visitor, adapter, found = signed_in(scope), app.url_map.bind("localhost"), 0
    for address, page in pages(app, visitor, shelf):
        for method, action in page.leads:
            path = re.split("[?#]", action)[0] or re.split("[?#]", address)[0]
            if not path.startswith("/") or path == "/docs":
                continue
            endpoint, _ = adapter.match(path, method)
            needed = app.view_functions[endpoint].scope  # type: ignore[attr-defined]
            is_his = needed == "public" or SCOPES.index(needed) <= SCOPES.index(scope)
            assert is_his, (address, method, action, needed)
            found += 1
    assert found > 50


def test_a_form_without_the_right_token_changes_nothing(
    app: Flask, signed_in: Callable[..., Visitor], shelf: str, world: Callable[[], Any]
) -> None:
    visitor, other = signed_in(), signed_in()
    theirs = other.get_cookie(sessions.COOKIE)
    assert theirs
    before, found = world(), 0
    for method, address, _ in routes(app, shelf):
        if method == "GET":
            continue
        for token in (None, "", "0" * 64, sessions.form_token(theirs.value), theirs.value):
            answer = sent(visitor, address, token)
            assert answer.status_code == 403, address
            assert "the form does not belong to your session" in answer.text
            found += 1
        header = {"X-CSRF-Token": "0" * 64}
        assert visitor.post(address, headers=header).status_code in (403, 411, 415), address
    assert found > 50
    assert world() == before
    assert visitor.get("/").status_code == 200


def sent(visitor: Visitor, address: str, token: str | None) -> TestResponse:
    """Send a form with all that any of them would want, but the token."""
    fields: dict[str, Any] = {
        "name": "A key", "scope": "operate", "days": "", "per_minute": "1", "job": "Other",
        "table": "hired_employees.jobs", "tables": "hired_employees.jobs", "confirm": "yes",
    }  # fmt: skip
    if token is not None:
        fields = {"csrf": token} | fields
    if address == "/files":
        fields["file"] = (io.BytesIO(b"9,Cook\n"), "jobs-9.csv")
    return visitor.post(address, data=fields)


class Page(HTMLParser):
    """What a page is made of, and what it must not have."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self.leads: list[tuple[str, str]] = []  # methods and addresses
        self.ids: list[str] = []
        self.heads = self.places = 0
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.faults += [f"<{tag} {name}>" for name in found if name == "style" or name[:2] == "on"]
        self.faults += [f"<{tag}>" for _ in "." if tag in ("style", "iframe", "object", "base")]
        self.faults += [f"<script {found}>" for _ in "." if tag == "script" and "src" not in found]
        for name in ("src", "href", "action", "formaction", "xlink:href"):
            if re.match(r"\s*(javascript|data|https?:)?", found.get(name, ""), re.I)[1]:  # type: ignore[index]
                self.faults += [f"{found[name]}"] if "rel" not in found else []
        self.heads += tag == "h1"
        self.places += found.get("aria-current") == "page"
        self.ids += [found["id"]] if "id" in found else []
        if tag == "a":
            self.leads.append(("GET", found.get("href", "")))
        if tag == "form":
            self.forms.append({"method": found.get("method", "get").upper(), "csrf": None})
            self.leads.append((self.forms[-1]["method"], found.get("action", "")))
        if "formaction" in found:
            self.leads.append((self.forms[-1]["method"], found["formaction"]))
        if tag == "input" and found.get("name") == "csrf":
            self.forms[-1]["csrf"] = found["value"]


def pages(app: Flask, visitor: Visitor, set_: str) -> Iterator[tuple[str, Page]]:
    """Yield address and content of every page that a visitor may see."""
    for method, address, _ in routes(app, set_):
        if method == "GET":
            with visitor.get(address) as answer:
                assert answer.status_code != 500, address
                if answer.mimetype == "text/html" and answer.status_code < 400:
                    yield address, Page(answer)


def test_pages_have_nothing_inline(
    app: Flask, signed_in: Callable[..., Visitor], shelf: str, world: Any
) -> None:
    visitor, found = signed_in(), []
    cookie = visitor.get_cookie(sessions.COOKIE)
    assert cookie
    for address, page in pages(app, visitor, shelf):
        assert page.faults == [], address
        assert page.heads == 1, address
        assert page.places == (address != "/sign-in"), address
        assert len(page.ids) == len(set(page.ids)), address
        token = sessions.form_token(cookie.value)
        for form in page.forms:
            assert form["csrf"] == (token if form["method"] == "POST" else None), (address, form)
        found.append(address)
    shown = {address for method, address, _ in routes(app, shelf) if method == "GET"}
    without = {"/static/console.css", "/quarantine.csv", "/sign-in/issuer", "/sign-in/issuer/back"}
    assert shown - set(found) - without == set()


def test_every_answer_is_guarded(
    app: Flask, signed_in: Callable[..., Visitor], shelf: str, world: Any
) -> None:
    """Pages, refusals, errors and files alike."""
    operator, reader = signed_in(), signed_in("read")
    for method, address, _ in routes(app, shelf):
        for visitor in (operator, reader, app.test_client()):
            with visitor.open(address, method=method) as answer:
                guarded(answer, address)
    for address in ("/audit?from=x", "/keys/none/revoke", "/tables/none", "/metric/none"):
        guarded(operator.get(address), address)
    guarded(operator.get("/nothing", headers={"Accept": "text/html"}), "/nothing")


def guarded(answer: TestResponse, address: str) -> None:
    """Assert the headers of an answer."""
    found = dict(
        each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert found["default-src"] == "'none'", address
    assert found["frame-ancestors"] == found["base-uri"] == "'none'"
    assert found["script-src"] == found["style-src"] == found["form-action"] == "'self'"
    assert "unsafe" not in str(found)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    cached = "no-cache" if answer.status_code == 200 and "/static/" in address else "no-store"
    assert answer.headers["Cache-Control"] == cached, address


def test_style_and_script_are_public_and_nothing_beside_them(visitor: Visitor) -> None:
    for name, media in (("console.css", "text/css"), ("console.js", "text/javascript")):
        with visitor.get(f"/static/{name}") as answer:
            assert answer.mimetype == media
    for path in ("../__init__.py", "..%2f__init__.py", "%2e%2e/pages.py", "/etc/passwd", ""):
        assert visitor.get(f"/static/{path}").status_code == 404, path
