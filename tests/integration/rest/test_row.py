"""One row over HTTP: its version, where it came from, and its end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from rowboat.database.connections import transaction
from rowboat.rendering import loads
from rowboat.rows.read import trace
from rowboat.rows.write import audit
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.writing import audited

Declare = Callable[[str], None]
EMPLOYEES = "hired_employees.hired_employees"
DEPARTMENTS = "hired_employees.departments"


@pytest.fixture
def crew(boat: Boat, parents: None) -> None:
    """Department 1 with two employees, department 2 with none."""
    boat.query(
        "insert into hired_employees.hired_employees values"
        " (1, 'x', '2021-01-01Z', 1, 1), (2, 'y', '2021-01-02Z', 1, 1)"
    )


def version(client: FlaskClient, address: str) -> str:
    return client.get(address).headers["ETag"]


# Reading


def test_row(boat: Boat, client: FlaskClient, crew: None) -> None:
    answer = client.get("/api/employees/1")
    assert answer.status_code == 200
    assert answer.text == (
        '{"id":1,"employee_name":"x","hired_date":"2021-01-01T00:00:00+00:00",'
        '"department_id":1,"job_id":1}\n'
    )
    (xmin,) = boat.query("select xmin::text from hired_employees.hired_employees where id = 1")
    assert answer.headers["ETag"] == f'"{xmin}"'
    assert client.get("/api/hired_employees.hired_employees/001").text == answer.text


def test_known_version(boat: Boat, client: FlaskClient, crew: None) -> None:
    tag = version(client, "/api/departments/1")
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = client.get("/api/departments/1", headers={"If-None-Match": known})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert client.get("/api/departments/1", headers={"If-None-Match": '"x"'}).status_code == 200
    boat.query("update hired_employees.departments set department = 'c' where id = 1")
    answer = client.get("/api/departments/1", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json["department"]) == (200, "c")
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("address", "status", "detail"),
    [
        ("departments/9", 404, f"{DEPARTMENTS} has no row with id 9"),
        ("departments/abc", 404, f"{DEPARTMENTS} has no row with id abc"),
        ("departments/0x1", 404, f"{DEPARTMENTS} has no row with id 0x1"),
        ("departments/ 1", 404, f"{DEPARTMENTS} has no row with id  1"),
        ("departments/99999999999", 404, f"{DEPARTMENTS} has no row with id 99999999999"),
        ("departments/%00", 404, f"{DEPARTMENTS} has no row with id ?"),
        ("departments/1%00", 404, f"{DEPARTMENTS} has no row with id 1?"),
        ("departments/1,2", 404, f"the key of {DEPARTMENTS} is (id): 2 values were given"),
        ("boats/1", 404, "there is no table boats"),
    ],
)
@pytest.mark.parametrize("end", ["", "/trace"])
def test_no_such_row(
    client: FlaskClient, crew: None, address: str, status: int, detail: str, end: str
) -> None:
    answer = client.get(f"/api/{address}{end}")
    assert (answer.status_code, answer.json["detail"]) == (status, detail)
    if not end:
        answer = client.delete(f"/api/{address}", headers={"If-Match": "*"})
        assert (answer.status_code, answer.json["detail"]) == (status, detail)


@pytest.mark.parametrize("end", ["", "/trace"])
def test_row_comes_as_json_alone(client: FlaskClient, crew: None, end: str) -> None:
    answer = client.get(f"/api/departments/1{end}", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json["detail"]) == (
        406, "this address returns application/json",
    )  # fmt: skip
    answer = client.get(f"/api/departments/1{end}?x=1&format=csv")
    assert answer.status_code == 422
    assert [each["column"] for each in answer.json["errors"]] == ["x", "format"]


def test_keys_of_several_columns_and_none(
    boat: Boat, declare: Declare, client_of: ClientOf
) -> None:
    declare(
        "create schema s; create table s.pair (a text, b integer, n numeric, primary key (b, a));"
        "create table s.loose (a integer)"
    )
    boat.query("insert into s.pair values ('x y', 1, 0.100), ('%', 2, 1e30)")
    client = client_of("write")
    assert client.get("/api/pair/1,x y").text == '{"a":"x y","b":1,"n":0.100}\n'
    assert client.get("/api/pair/2,%25").json["a"] == "%"
    assert '"n":0.100}' in client.get("/api/pair/1,x y/trace").text
    answer = client.get("/api/pair/x y,1")
    assert answer.json["detail"] == "s.pair has no row with b x y, a 1"
    for address in ("/api/loose/1", "/api/loose/1/trace"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.json["detail"] == "s.loose has no key to find a row by"
    assert client.delete("/api/pair/2,%25", headers={"If-Match": "*"}).status_code == 204
    assert boat.query("select a from s.pair") == ["x y"]


# Where it came from


def test_trace_of_a_row_of_a_file(boat: Boat, client: FlaskClient) -> None:
    boat.write("departments.csv", "1,a\n7,b\n")
    boat.ingest()
    found = client.get("/api/departments/7/trace").json
    assert found["fields"] == {"id": 7, "department": "b"}
    assert (found["table"], found["key"]) == (DEPARTMENTS, ["7"])
    writer = found["writer"]
    assert (writer["file"], writer["line"], writer["request"]) == ("departments.csv", 2, None)
    assert writer["load"]["actor"] == "tester"


def test_trace_of_a_row_of_a_request(boat: Boat, client: FlaskClient) -> None:
    answer = client.post("/api/departments", json=[{"id": 7, "department": "b"}])
    assert answer.status_code == 201, answer.text
    found = client.get("/api/departments/7/trace").json["writer"]
    assert found["request"] == answer.headers["X-Request-Id"]
    (key,) = boat.query("select id from rowboat.keys")
    assert (found["caller"], found["file"], found["load"]["source"]) == (key, None, "api")


def test_trace_in_sentences(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    boat.query("update ingest_status.loads set source = 'api', source_name = 'r1', actor = 'k1'")
    with transaction(boat.connect()) as cursor:
        found = trace.trace_row(cursor, boat.catalog().table("departments"), ["1"])
    assert found.writer
    assert (found.writer.request, found.writer.caller) == ("r1", "k1")
    assert "written by request r1 with the key k1, load 1 of r1 by k1 at" in str(
        loads.row_trace_view(found)
    )


# Its end


def test_delete(boat: Boat, client: FlaskClient, crew: None) -> None:
    tag = version(client, "/api/departments/2")
    answer = client.delete("/api/departments/2", headers={"If-Match": tag})
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert boat.departments() == [(1, "a")]
    assert audited(boat) == [("delete", DEPARTMENTS, [{"id": 2, "department": "b"}], [])]
    ((key, asked),) = boat.query("select actor, request from rowboat.audit")
    assert (key, asked) == (
        boat.query("select id from rowboat.keys")[0],
        answer.headers["X-Request-Id"],
    )
    assert client.delete("/api/departments/2", headers={"If-Match": tag}).status_code == 404


@pytest.mark.parametrize("match", ['"1"', "W/{}", '"x", "y"', "", "x"])
def test_delete_of_another_version(boat: Boat, client: FlaskClient, crew: None, match: str) -> None:
    tag = version(client, "/api/departments/2")
    answer = client.delete("/api/departments/2", headers={"If-Match": match.format(tag)})
    assert (answer.status_code, answer.json["detail"]) == (412, "the row has another version")
    assert answer.headers["ETag"] == tag
    assert len(boat.departments()) == 2
    assert audited(boat) == []


@pytest.mark.parametrize("match", ["*", '"x", {}', "{}"])
def test_delete_of_this_version(boat: Boat, client: FlaskClient, crew: None, match: str) -> None:
    tag = version(client, "/api/departments/2")
    answer = client.delete("/api/departments/2", headers={"If-Match": match.format(tag)})
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("address", "status", "detail"),
    [
        ("departments/2", 428, "the request does not say which version of the row it is about"),
        ("departments/2?cascade=yes", 422, "the query parameters cannot be used"),
        ("departments/2?force=true", 422, "the query parameters cannot be used"),
        ("departments", 405, "this address does not support this method"),
    ],
)
def test_delete_that_is_not_said_well(
    boat: Boat, client: FlaskClient, crew: None, address: str, status: int, detail: str
) -> None:
    answer = client.delete(f"/api/{address}")
    assert (answer.status_code, answer.json["detail"]) == (status, detail)
    assert len(boat.departments()) == 2


def test_delete_needs_the_scope(boat: Boat, client_of: ClientOf, crew: None) -> None:
    answer = client_of("read").delete("/api/departments/2", headers={"If-Match": "*"})
    assert answer.status_code == 403
    other = client_of("write", [EMPLOYEES])
    assert other.delete("/api/departments/2", headers={"If-Match": "*"}).status_code == 403
    assert len(boat.departments()) == 2


def test_delete_never_cascades_unasked(boat: Boat, client: FlaskClient, crew: None) -> None:
    answer = client.delete("/api/departments/1", headers={"If-Match": "*"})
    assert answer.status_code == 409
    assert answer.json["detail"] == (
        f"other rows refer to the row: 2 of {EMPLOYEES} would be deleted too"
    )
    assert answer.json["hint"] == "delete those first, or delete them too with ?cascade=true"
    assert answer.json["dependents"] == {EMPLOYEES: 2}
    assert len(boat.departments()) == 2
    assert audited(boat) == []
    answer = client.delete("/api/departments/1?cascade=true", headers={"If-Match": "*"})
    assert (answer.status_code, answer.json) == (200, {"deleted": {DEPARTMENTS: 1, EMPLOYEES: 2}})
    assert boat.query("select count(*) from hired_employees.hired_employees") == [0]
    first, second = audited(boat)
    assert first == ("delete", DEPARTMENTS, [{"id": 1, "department": "a"}], [])
    assert second[:2] == ("delete", EMPLOYEES)
    assert sorted(each["id"] for each in second[2]) == [1, 2]


def test_cascade_without_dependents_is_told_alike(client: FlaskClient, crew: None) -> None:
    answer = client.delete("/api/departments/2?cascade=true", headers={"If-Match": "*"})
    assert (answer.status_code, answer.json) == (200, {"deleted": {DEPARTMENTS: 1}})


def test_cascade_goes_not_beyond_the_key(boat: Boat, client_of: ClientOf, crew: None) -> None:
    client = client_of("write", [DEPARTMENTS])
    answer = client.delete("/api/departments/1?cascade=true", headers={"If-Match": "*"})
    assert answer.status_code == 403
    assert answer.json["detail"].endswith(f"is not valid for {EMPLOYEES}")
    assert len(boat.departments()) == 2


FAMILY = """
create schema s;
create table s.a (id integer primary key, boss integer references s.a on delete cascade);
create table s.b (id integer primary key, a integer references s.a on delete cascade);
create table s.c (id integer primary key, a integer references s.a on delete cascade,
    b integer references s.b on delete cascade);
create table s.d (id integer primary key, b integer default 0 references s.b on delete set null,
    e integer references s.b on delete set default default null);
create table s.e (id integer primary key, c integer references s.c {rule});
"""


@pytest.fixture
def family(boat: Boat, declare: Declare) -> Callable[[str], None]:
    def make(rule: str) -> None:
        declare(FAMILY.format(rule=rule))
        boat.query("insert into s.a values (1, 1), (2, 1), (3, null)")
        boat.query("insert into s.b values (1, 1), (2, 2), (3, 3)")
        boat.query("insert into s.c values (1, 1, 1), (2, 3, 2), (3, 3, 3)")
        boat.query("insert into s.d values (1, 1, 3), (2, 3, 2), (3, 3, 3)")

    return make


def test_cascade_at_any_depth(
    boat: Boat, family: Callable[[str], None], client_of: ClientOf
) -> None:
    """Row 1 of s.a takes row 2 with it; rows to which two ways lead count once."""
    family("on delete cascade")
    boat.query("insert into s.e values (1, 1), (2, 3)")
    client = client_of("write")
    answer = client.delete("/api/s.a/1", headers={"If-Match": "*"})
    assert answer.json["dependents"] == {"s.a": 1, "s.b": 2, "s.c": 2, "s.d": 2, "s.e": 1}
    assert answer.json["detail"] == (
        "other rows refer to the row: 1 of s.a would be deleted too, 2 of s.b would be deleted too,"
        " 2 of s.c would be deleted too, 2 of s.d would be changed, 1 of s.e would be deleted too"
    )
    answer = client.delete("/api/s.a/1?cascade=true", headers={"If-Match": "*"})
    assert answer.json == {"deleted": {"s.a": 2, "s.b": 2, "s.c": 2, "s.e": 1}}
    left = {name: boat.query(f"select id from s.{name} order by id") for name in "abcde"}
    assert left == {"a": [3], "b": [3], "c": [3], "d": [1, 2, 3], "e": [2]}
    told = [
        (action, table, *(sorted(row["id"] for row in rows_) for rows_ in (before, after)))
        for action, table, before, after in audited(boat)
    ]
    assert told == [
        ("delete", "s.a", [1], []), ("delete", "s.a", [2], []), ("delete", "s.b", [1, 2], []),
        ("delete", "s.c", [1, 2], []), ("update", "s.d", [1, 2], [1, 2]),
        ("delete", "s.e", [1], []),
    ]  # fmt: skip
    changed = next(each for each in audited(boat) if each[1] == "s.d")
    assert [(row["b"], row["e"]) for row in sorted(changed[2], key=lambda row: row["id"])] == [
        (1, 3), (3, 2),
    ]  # fmt: skip
    assert [(row["b"], row["e"]) for row in sorted(changed[3], key=lambda row: row["id"])] == [
        (None, 3), (3, None),
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["set null", "no action"])
def test_what_is_deleted_is_neither_changed_nor_in_the_way(
    boat: Boat, declare: Declare, client_of: ClientOf, rule: str
) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key);"
        "create table s.u (id integer primary key, t integer references s.t on delete cascade,"
        f" also integer references s.t on delete {rule})"
    )
    boat.query("insert into s.t values (1), (2); insert into s.u values (1, 1, 1), (2, 1, 2)")
    client = client_of("write")
    answer = client.delete("/api/t/1", headers={"If-Match": "*"})
    assert answer.json["dependents"] == {"s.u": 2}
    answer = client.delete("/api/t/1?cascade=true", headers={"If-Match": "*"})
    assert answer.json == {"deleted": {"s.t": 1, "s.u": 2}}
    assert [each[:2] for each in audited(boat)] == [("delete", "s.t"), ("delete", "s.u")]


@pytest.mark.parametrize("rule", ["on delete restrict", "on delete no action",
                                  "on delete no action deferrable initially deferred"])  # fmt: skip
def test_what_forbids_is_not_overruled(
    boat: Boat, family: Callable[[str], None], client_of: ClientOf, rule: str
) -> None:
    family(rule)
    boat.query("insert into s.e values (1, 1), (2, 3)")
    client = client_of("write")
    for cascade in ("", "?cascade=true"):
        answer = client.delete(f"/api/s.a/1{cascade}", headers={"If-Match": "*"})
        assert answer.status_code == 409
        assert answer.json["dependents"] == {"s.a": 1, "s.b": 2, "s.c": 2, "s.d": 2, "s.e": 1}
        assert answer.json["hint"] == (
            "their foreign key forbids it: delete or change those rows first"
        )
    assert boat.query("select count(*) from s.a") == [3]
    boat.query("delete from s.e where id = 1")
    answer = client.delete("/api/s.a/1?cascade=true", headers={"If-Match": "*"})
    assert answer.status_code == 200


def test_row_that_refers_to_itself(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    declare("create schema s; create table s.t (id integer primary key, a integer references s.t)")
    boat.query("insert into s.t values (1, 1)")
    answer = client_of("write").delete("/api/t/1", headers={"If-Match": "*"})
    assert answer.status_code == 204


def test_trigger_that_keeps_a_row(boat: Boat, declare: Declare, client_of: ClientOf) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key);"
        "create function s.keep() returns trigger language plpgsql as"
        " 'begin if old.id = 1 then return null; end if; raise exception ''not this one''; end';"
        "create trigger keep before delete on s.t for each row execute function s.keep()"
    )
    boat.query("insert into s.t values (1), (2)")
    client = client_of("write")
    for key, detail in ((1, "a trigger of s.t keeps the row"), (2, "not this one")):
        answer = client.delete(f"/api/t/{key}", headers={"If-Match": "*"})
        assert (answer.status_code, answer.json["detail"]) == (422, detail)
    assert boat.query("select id from s.t order by id") == [1, 2]
    assert audited(boat) == []


# Many at once


def at_once(client: FlaskClient, address: str, tag: str, count: int) -> list[int]:
    def go(_: int) -> int:
        one = client.application.test_client()
        one.environ_base.update(client.environ_base)
        return one.delete(address, headers={"If-Match": tag}).status_code

    with ThreadPoolExecutor(10) as pool:
        return sorted(pool.map(go, range(count)))


def test_many_delete_one_row(boat: Boat, client: FlaskClient, crew: None) -> None:
    tag = version(client, "/api/departments/2")
    assert at_once(client, "/api/departments/2", tag, 50) == [204] + [404] * 49
    assert len(audited(boat)) == 1


def test_many_delete_a_version_of_the_past(boat: Boat, client: FlaskClient, crew: None) -> None:
    tag = version(client, "/api/departments/2")
    boat.query("update hired_employees.departments set department = 'new' where id = 2")
    assert at_once(client, "/api/departments/2", tag, 50) == [412] * 50
    assert boat.departments()[1] == (2, "new")


def test_child_that_comes_meanwhile_is_seen(boat: Boat, client: FlaskClient, crew: None) -> None:
    """A row that was inserted under the parent, not committed yet, is waited for and counted."""
    other = boat.connect("owner")
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute(
            "insert into hired_employees.hired_employees values (9, 'z', '2021-01-01Z', 2, 1)"
        )
        answer = pool.submit(client.delete, "/api/departments/2", headers={"If-Match": "*"})
        waiting = "select count(*) from pg_locks where not granted"
        while boat.query(waiting) == [0] and not answer.done():
            pass
        assert not answer.done()
        other.commit()
        assert answer.result().status_code == 409
        assert answer.result().json["dependents"] == {EMPLOYEES: 1}


# The audit itself


def test_audit_is_written_with_what_it_tells_of(boat: Boat) -> None:
    table = boat.catalog().table("departments")
    with transaction(boat.connect("api"), keep=False) as cursor:
        audit.record_change(cursor, "k", "r", "delete", table, '[{"id": 1}]')
    assert audited(boat) == []
    with transaction(boat.connect("api")) as cursor:
        audit.record_change(cursor, "k", "r", "update", table, '[{"a": 0.10}]', '[{"a": 1e400}]')
    assert boat.query("select before::text, table_name from rowboat.audit") == [
        ('[{"a": 0.10}]', DEPARTMENTS)
    ]
