"""The pages of keys and of the audit."""

import csv
import html
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from rowboat.access import keys
from rowboat.database.connections import transaction
from rowboat.rows.read import audit_log
from rowboat.rows.read.audit_log import AuditEntry
from rowboat.rows.write import audit
from tests.conftest import Boat
from tests.integration.conftest import ClientOf, Visitor

SignedIn = Callable[..., Visitor]
JOBS, KEYS = "hired_employees.jobs", "rowboat.keys"
GOOD = {"name": "The payroll", "scope": "write", "days": "30", "per_minute": "60"}


def token_of(page: str) -> str:
    [found] = re.findall(r"rb_[a-z0-9]{8}_[\w-]{43}", page)
    return str(found)


def test_a_key_is_made_and_shown_once(signed_in: SignedIn, boat: Boat) -> None:
    visitor = signed_in()
    assert "Create a key" in visitor.get("/keys").text
    answer = visitor.post_form("/keys/new", **GOOD, tables=[JOBS])
    assert answer.headers["Cache-Control"] == "no-store"
    token = token_of(answer.text)
    with transaction(boat.connect("api")) as cursor:
        key = keys.find_key(cursor, token)
    assert (key.name, key.scope, key.tables, key.per_minute) == (
        "The payroll", "write", frozenset([JOBS]), 60
    )  # fmt: skip
    assert boat.query("select expires_at - created_at = '30 days' from rowboat.keys where id = %s",
                      [key.id]) == [True]  # fmt: skip
    page = visitor.get("/keys").text
    assert "The payroll" in page
    assert token.split("_", 2)[2] not in page
    [entry] = boat.query("select actor, action, table_name, after::text from rowboat.audit")
    maker = boat.query("select id from rowboat.keys where name = 'a test'")[0]
    assert entry[:3] == (maker, "insert", KEYS)
    assert json.loads(entry[3]) == [
        {"id": key.id, "name": "The payroll", "scope": "write", "tables": [JOBS],
         "per_minute": 60, "days": 30}
    ]  # fmt: skip
    assert "The payroll" in visitor.get("/audit").text


def test_a_key_without_end_for_all_tables(signed_in: SignedIn, boat: Boat) -> None:
    token = token_of(signed_in().post_form("/keys/new", **GOOD | {"days": ""}).text)
    assert boat.query(
        "select tables, expires_at from rowboat.keys where id = %s", [token.split("_")[1]]
    ) == [(None, None)]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " ", "name string should have at least 1 character"),
        ("name", "a" * 201, "name string should have at most 200 characters"),
        ("name", "a\0b", "name string should match pattern"),
        ("scope", "all", "scope string should match pattern"),
        ("scope", "", "scope string should match pattern"),
        ("days", "0", "days should be greater than or equal to 1"),
        ("days", "36501", "days should be less than or equal to 36500"),
        ("days", "soon", "days should be a valid integer"),
        ("per_minute", "", "per_minute should be a valid integer"),
        ("per_minute", "0", "per_minute should be greater than or equal to 1"),
        ("per_minute", "9" * 30, "per_minute should be less than 2147483648"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    signed_in: SignedIn, boat: Boat, field: str, value: str, said: str
) -> None:
    answer = signed_in().post_form("/keys/new", **GOOD | {field: value}, tables=[JOBS])
    assert answer.status_code == 422
    assert f'id="{field}-error">{said}' in answer.text
    assert f'value="{JOBS}" checked' in answer.text
    assert boat.query("select count(*) from rowboat.keys") == [1]


def test_a_key_for_an_unknown_table_is_not_made(signed_in: SignedIn, boat: Boat) -> None:
    answer = signed_in().post_form("/keys/new", **GOOD, tables=["rowboat.keys"])
    assert answer.status_code == 404
    assert boat.query("select count(*) from rowboat.keys") == [1]


def test_names_are_text(signed_in: SignedIn) -> None:
    visitor = signed_in()
    for name in ("<script>alert(1)</script>", "\u202e=cmd()", "a" * 200):
        visitor.post_form("/keys/new", **GOOD | {"name": name})
    page = visitor.get("/keys").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_key_is_revoked_after_a_question(signed_in: SignedIn, boat: Boat) -> None:
    visitor = signed_in()
    token = token_of(visitor.post_form("/keys/new", **GOOD).text)
    key_id = token.split("_")[1]
    question = visitor.get(f"/keys/{key_id}/revoke")
    assert "Revoke the key The payroll?" in question.text
    assert "You are signed in with this key" not in question.text
    assert boat.query("select count(*) from rowboat.keys where revoked_at is null") == [2]
    answer = visitor.post_form(f"/keys/{key_id}/revoke")
    assert (answer.status_code, answer.location) == (303, "/keys")
    assert f"The key The payroll ({key_id}) is revoked." in visitor.get("/keys").text
    [before] = boat.query("select revoked_at from rowboat.keys where id = %s", [key_id])
    assert "It was revoked" in visitor.get(f"/keys/{key_id}/revoke").text
    visitor.post_form(f"/keys/{key_id}/revoke")
    assert boat.query("select revoked_at from rowboat.keys where id = %s", [key_id]) == [before]
    assert boat.query(
        "select before::text, after::text from rowboat.audit where action = 'update'"
    ) == [
        (f'[{{"id": "{key_id}", "state": "good"}}]', f'[{{"id": "{key_id}", "state": "revoked"}}]')
    ]


def test_revoking_the_own_key_signs_out(signed_in: SignedIn) -> None:
    visitor = signed_in()
    [key_id] = re.findall(r"/keys/(\w+)/revoke", visitor.get("/keys").text)
    assert "You are signed in with this key" in visitor.get(f"/keys/{key_id}/revoke").text
    answer = visitor.post_form(f"/keys/{key_id}/revoke")
    assert answer.location == "/sign-in"
    assert "is revoked. This has signed you out." in visitor.get("/sign-in").text
    assert visitor.get("/keys").status_code == 303


def test_no_such_key(signed_in: SignedIn) -> None:
    visitor = signed_in()
    for answer in (visitor.get("/keys/x/revoke"), visitor.post_form("/keys/x/revoke")):
        assert answer.status_code == 404
        assert "there is no key x" in answer.text


def test_who_is_limited_to_tables_makes_no_keys(signed_in: SignedIn, boat: Boat) -> None:
    visitor = signed_in("operate", ["jobs"])
    assert 'href="/keys"' not in visitor.get("/audit").text
    [key_id] = boat.query("select id from rowboat.keys")
    for answer in (
        visitor.get("/keys"),
        visitor.get("/keys/new"),
        visitor.get(f"/keys/{key_id}/revoke"),
        visitor.post_form("/keys/new", **GOOD),
        visitor.post_form(f"/keys/{key_id}/revoke"),
    ):
        assert answer.status_code == 403
        assert "is limited to some tables" in answer.text
    assert boat.query("select count(*), count(revoked_at) from rowboat.keys") == [(1, 0)]


def rows_of(page: str) -> list[list[str]]:
    """Return the cells of all table bodies, without what marks them up."""
    bodies = "".join(re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL))
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", bodies, re.DOTALL)
    ]


def titles(page: str) -> list[str]:
    return re.findall(r'<h2 id="entry-\d+"><a href="/audit/\d+">(.*?)</a></h2>', page)


def test_what_changed_stands_side_by_side(signed_in: SignedIn, client_of: ClientOf) -> None:
    client = client_of("write")
    client.post("/api/jobs", json=[{"id": 7, "job": "Rower"}])
    client.patch("/api/jobs/7", json={"job": "<b>Cox</b>"}, headers={"If-Match": "*"})
    client.delete("/api/jobs/7", headers={"If-Match": "*"})
    visitor = signed_in()
    page = visitor.get("/audit").text
    assert titles(page) == [f"{each} · {JOBS} · 1 row" for each in ("delete", "update", "insert")]
    gone, changed, new = rows_of(page)
    assert changed == ["7", "job", "Rower", "&lt;b&gt;Cox&lt;/b&gt;"]
    assert (gone, new) == (["7", "&lt;b&gt;Cox&lt;/b&gt;"], ["7", "Rower"])
    assert visitor.get("/audit/9").status_code == 404
    assert visitor.get(f"/audit/{2**70}").status_code == 404
    assert rows_of(visitor.get("/audit/2").text) == [changed]


def test_long_values_are_whole_on_the_page_of_their_entry(
    signed_in: SignedIn, client_of: ClientOf
) -> None:
    client, long = client_of("write"), "<b>" + "a" * 9_997
    client.post("/api/jobs", json=[{"id": 7, "job": long}])
    client.patch("/api/jobs/7", json={"job": " Cox"}, headers={"If-Match": "*"})
    visitor = signed_in()
    cut = "&lt;b&gt;" + "a" * 197 + "… (10,000 characters)"
    assert rows_of(visitor.get("/audit").text) == [["7", "job", cut, "Cox"], ["7", cut]]
    whole = html.unescape(visitor.get("/audit/1").text)
    assert f"<td>{long}</td>" in whole


def test_a_batch_is_folded_and_shown_whole_on_its_own_page(
    signed_in: SignedIn, client_of: ClientOf
) -> None:
    client = client_of("write")
    client.post("/api/jobs", json=[{"id": n, "job": f"Job {n}"} for n in range(1, 501)])
    rows = [{"id": n, "job": f"New {n}"} for n in range(251, 1251)]
    assert client.post("/api/jobs?on_conflict=update", json=rows).status_code == 201
    visitor = signed_in()
    page = visitor.get("/audit").text
    assert titles(page) == [f"upsert · {JOBS} · 1,000 rows", f"insert · {JOBS} · 500 rows"]
    assert len(rows_of(page)) == 6
    assert "997 more, before and after" in page
    whole = rows_of(visitor.get("/audit/2").text)
    assert len(whole) == 1000
    assert whole[0] == ["251", "job", "Job 251", "New 251"]
    assert whole[-1] == ["1250", "New 1250"]


def test_an_entry_of_very_many_rows_has_pages(signed_in: SignedIn, boat: Boat) -> None:
    record(boat, before=json.dumps([{"id": n} for n in range(2500)]), action="delete")
    visitor = signed_in()
    pages = [visitor.get("/audit/1", query_string={"row": at}).text for at in (0, 1000, 2000)]
    assert [len(rows_of(page)) for page in pages] == [1000, 1000, 500]
    assert "Rows 2,001 to 2,500 of 2,500" in pages[2]
    assert ["Next rows" in page for page in pages] == [True, True, False]


def record(boat: Boat, **facts: Any) -> None:
    default = {"actor": "ann", "request": "r", "action": "insert", "table": JOBS}
    with transaction(boat.connect("api")) as cursor:
        audit.record_change(cursor, **default | facts)  # type: ignore[arg-type]


def at(boat: Boat, number: int, time: str) -> None:
    boat.query("update rowboat.audit set at = %s where id = %s", [time, number])


@pytest.fixture
def history(boat: Boat) -> Boat:
    """Four entries of two tables, actors and days; the last was written down first."""
    record(boat, action="insert")
    record(boat, action="update", actor="oidc:bob", table=KEYS)
    record(boat, action="delete", table="gone.table")
    record(boat, action="upsert", actor="oidc:bob")
    days = ("2021-03-04T00:00Z", "2021-03-01T23:59:59Z", "2021-03-02T00:00Z", "2021-03-03T12:00Z")
    for number, moment in enumerate(days, 1):
        at(boat, number, moment)
    return boat


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", [1, 4, 3, 2]),
        ("?table=&actor=&action=&from=&to=", [1, 4, 3, 2]),
        (f"?table={JOBS}", [1, 4]),
        ("?table=gone.table", [3]),
        ("?table=none", []),
        ("?actor=oidc:bob", [4, 2]),
        ("?action=delete", [3]),
        ("?from=2021-03-02", [1, 4, 3]),
        ("?to=2021-03-02", [3, 2]),
        ("?from=2021-03-02&to=2021-03-03", [4, 3]),
        ("?from=2021-03-05&to=2021-03-01", []),
        (f"?table={JOBS}&actor=oidc:bob&action=upsert&from=2021-03-03", [4]),
        ("?after=4", [3, 2]),
        ("?after=999", []),
        ("?actor=%27%25%3B--", []),
    ],
)
def test_filters(signed_in: SignedIn, history: Boat, asked: str, found: list[int]) -> None:
    visitor = signed_in()
    page = visitor.get(f"/audit{asked}")
    assert page.status_code == 200
    assert [int(each) for each in re.findall(r'<h2 id="entry-(\d+)"', page.text)] == found
    sign = "&" if asked else "?"
    answer = visitor.get(f"/audit{asked}{sign}format=csv")
    assert answer.mimetype == "text/csv"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == len(found)
    if not found:
        assert "No entry matches" in page.text or "There are no older entries" in page.text


@pytest.mark.parametrize(
    "asked",
    ["?from=soon", "?to=2021-13-01", "?action=truncate", "?after=-1", "?after=x", "?format=pdf",
     "?other=1", "?table=a&table=b", "?actor=%00", "?table=a%00", f"?after={2**63}"],
)  # fmt: skip
def test_filters_that_are_none(signed_in: SignedIn, asked: str) -> None:
    answer = signed_in().get(f"/audit{asked}")
    assert answer.status_code == 422
    assert asked[1:].partition("=")[0] in answer.text


def test_who_is_limited_to_tables_sees_only_those(signed_in: SignedIn, history: Boat) -> None:
    visitor = signed_in("operate", ["jobs"])
    page = visitor.get("/audit").text
    assert re.findall(r'<h2 id="entry-(\d+)"', page) == ["1", "4"]
    assert KEYS not in page
    assert [visitor.get(f"/audit/{n}").status_code for n in (1, 2, 3, 4)] == [200, 404, 404, 200]
    assert visitor.get(f"/audit?table={KEYS}").text.count("<h2") == 0
    assert visitor.get("/audit?format=csv").text.count("\r\n") == 3


def test_pages_hold_every_entry_once_while_others_write(signed_in: SignedIn, boat: Boat) -> None:
    boat.query(
        "insert into rowboat.audit (actor, request, action, table_name, before, after) select"
        " 'ann', 'r', 'insert', 'a', '[]', '[]' from generate_series(1, 60)"
    )  # one moment for all
    visitor, address, found = signed_in(), "/audit?actor=ann", list[int]()
    while address:
        page = visitor.get(address).text
        found += map(int, re.findall(r'<h2 id="entry-(\d+)"', page))
        record(boat)
        [address] = re.findall(r'href="([^"]*)" rel="next"', page) or [""]
        address = address.replace("&amp;", "&")
    assert found == list(range(60, 0, -1))


def test_all_is_in_the_file(signed_in: SignedIn, boat: Boat) -> None:
    boat.query(
        "insert into rowboat.audit (actor, request, action, table_name, before, after) select"
        " '=cmd()', n::text, 'insert', 'a', '[]', '[{\"n\": 1.50}]' from generate_series(1, 250) n"
    )
    answer = signed_in().get("/audit?format=csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=audit.csv"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["request"] for each in lines] == [str(n) for n in range(250, 0, -1)]
    assert lines[0]["actor"] == "'=cmd()"
    assert lines[0]["after"] == '[{"n": 1.50}]'
    assert signed_in().get("/audit?format=csv&actor=none").text.count("\r\n") == 1


def entry(before: str, after: str) -> AuditEntry:
    rows = [len(json.loads(each)) for each in (before, after)]
    return AuditEntry(1, None, "a", None, "r", "update", "t", *rows, before, after)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "key", "changed", "new", "gone"),
    [
        ('[{"id": 1, "a": 1.10}]', '[{"id": 2, "a": 1.1}]', ("id",),
         [("1", [("id", "1", "2"), ("a", "1.10", "1.1")])], [], []),
        ('[{"id": 2, "a": null}, {"id": 1, "a": 1}]', '[{"id": 1, "a": 1}, {"id": 2, "a": ""}]',
         ("id",), [("1", []), ("2", [("a", None, "")])], [], []),
        ('[{"id": 2}]', '[{"id": 1}, {"id": 3}]', ("id",), [], [{"id": "1"}, {"id": "3"}],
         [{"id": "2"}]),
        ('[{"a": 1}, {"a": 2}]', '[{"a": 3}, {"a": 4}]', (), [], [{"a": "3"}, {"a": "4"}],
         [{"a": "1"}, {"a": "2"}]),
        ('[{"a": {"x": [1.0, true]}}]', '[{"b": false}]', (),
         [("", [("a", '{"x": [1.0, true]}', None), ("b", None, "false")])], [], []),
    ],
)  # fmt: skip
def test_outcome(
    before: str, after: str, key: tuple[str, ...], changed: Any, new: Any, gone: Any
) -> None:
    found = audit_log.outcome_of(entry(before, after).pairs(key), key)
    assert (found.changed, found.new, found.gone) == (changed, new, gone)


def test_a_long_history_is_no_slower(signed_in: SignedIn, boat: Boat) -> None:
    """100,000 entries, those of the first page with a thousand rows each."""
    boat.query(
        "insert into rowboat.audit (actor, request, action, table_name, before, after)"
        " select 'a' || n %% 1000, 'r', 'update', 't' || n %% 10, '[{\"id\": 1}]',"
        " '[{\"id\": 1}]' from generate_series(1, 100000) as n", {}
    )  # fmt: skip
    boat.query("update rowboat.audit set at = now() - make_interval(mins => 100000 - id::integer)")
    boat.query(
        "insert into rowboat.audit (actor, request, action, table_name, before, after)"
        " select 'big', 'r', 'upsert', 't1', rows, rows from generate_series(1, 25), (select"
        " json_agg(json_build_object('id', n, 'name', 'A longer name ' || n,"
        " 'and', repeat('more ', 30))) as rows"
        " from generate_series(1, 1000) as n)"
    )
    boat.query("analyze rowboat.audit")
    visitor = signed_in()
    [day] = boat.query("select to_char(now() - interval '40 days', 'YYYY-MM-DD')")
    addresses = ["/audit", "/audit?actor=a7", "/audit?table=t3", "/audit?actor=nobody",
                 f"/audit?to={day}&action=update", f"/audit?from={day}&to={day}&actor=a8",
                 "/audit?after=5000", "/audit/100025"]  # fmt: skip
    for address in addresses:
        assert visitor.get(address).status_code == 200, address
