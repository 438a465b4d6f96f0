"""What a stranger may bring in names, rows, headers and files: it is shown, and never obeyed."""

import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from psycopg2.extensions import parse_dsn

from rowboat.backup.recovery import source
from rowboat.cli.commands import main
from rowboat.database import connections, embedded
from rowboat.errors import BackupRefused
from rowboat_airflow.processes import Programs
from tests.conftest import Boat
from tests.integration.conftest import ClientOf, Visitor
from tests.support.fake_airflow import FakeAirflow
from tests.support.servers import until

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]
ORDERS = "\x1b[2J\x1b]0;mine\x07\x9b2J\x7f\r\u202e\u2066"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def run(boat: Boat, setting: Setting, tmp_path: Path) -> Callable[..., Result]:
    """Run a command against the boat's database, with a shelf of its own."""
    setting("backups", str(tmp_path / "shelf"))
    for name in ("airflow_port", "api_port"):
        setting(name, str(embedded.free_port()))  # where nobody answers
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_no_order_reaches_a_terminal(boat: Boat, run: Callable[..., Result]) -> None:
    """Whatever names, rows, headers and arguments hold, it is spelled out."""
    boat.write(f"departments{ORDERS}\n.csv", "1,a\n")
    boat.write("departments.csv", f"id,{ORDERS}\n1,a\n")
    boat.write("jobs.csv", f"1,ok{ORDERS.replace(chr(13), '')}\n2,\n{ORDERS},3\n")
    key = json.loads(run("keys", "create", f"key{ORDERS}", "--scope", "read", "--json").stdout)
    shown = 0
    for command in (
        ["ingest"], ["status"], ["rejects", "list"], ["trace", "jobs", "1"], ["keys", "list"],
        ["trace", f"jobs{ORDERS}", "1"], ["trace", f"{ORDERS}\udcff:1"], ["backup"], ["backups"],
        ["restore", "jobs", "--from", f"x{ORDERS}\udcff", "--yes"], ["verify", ORDERS],
        ["metric", f"x{ORDERS}"], ["metric", "quarters", "--year", ORDERS],
        ["keys", "revoke", f"{key['id']}{ORDERS}"], ["rejects", "export", ORDERS],
    ):  # fmt: skip
        for more in ([], ["--json"]):
            done = run(*command, *more)
            assert done.exception is None or isinstance(done.exception, SystemExit), command
            assert not OBEYED.search(done.output), command
            if more:
                json.loads(done.stdout)
            shown += "\\u001b" in done.output
    assert shown > 10


@pytest.mark.parametrize("kind", ["pipe", "folder", "zero", "link", "void", "none"])
def test_what_is_no_backup_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """`restore --from FILE`: nobody waits for a pipe, and nothing of the file is told."""
    path = tmp_path / kind
    (tmp_path / "secret").write_text("Obj\x01of-somebody-else")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "void":
        path.touch()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(source.source_of_file, path, "hired_employees.jobs")
        try:
            with pytest.raises(BackupRefused) as refused:
                done.result(60)
        finally:
            if not done.done():  # it waits for a writer: be one, and let it end
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    assert refused.value.fact.startswith((f"{kind} ", f"{path} cannot be read: "))
    assert refused.value.hint
    assert "somebody" not in refused.value.fact


def test_a_line_of_the_log_stays_one(client_of: ClientOf, capfd: Any) -> None:
    """Line ends and orders in paths, parameters, headers and bodies write no line of their own."""
    client = client_of("operate")
    capfd.readouterr()
    forged = f'x\r\n{{"event": "forged"}}\n{ORDERS}\u2028\x85\0'
    headers = {"User-Agent": quote(forged), "X-Forwarded-For": quote(forged), "If-Match": "*"}
    count = 0
    for text in (forged, quote(forged), forged.encode().decode("latin-1")):
        for path in (f"/{quote(text)}", f"/api/{quote(text)}", f"/api/jobs/{quote(text)}"):
            for method in ("GET", "PUT", "DELETE"):
                answer = client.open(f"{path}?{quote(text)}", method=method, headers=headers)
                assert answer.status_code in (404, 405, 415, 422), path
                count += 1
        for body in ([{"id": text, "job": text}], {text: text}, text):
            assert client.post("/api/jobs", json=body).status_code in (400, 422)
            count += 1
    written = capfd.readouterr().out
    lines = written.split("\n")
    assert (len(lines), lines[-1]) == (count + 1, "")
    assert all(json.loads(line)["event"] == "answered" for line in lines[:-1])
    assert written.isascii()
    assert not OBEYED.search(written)


def test_no_header_is_made_of_what_is_asked(client_of: ClientOf, app: Flask) -> None:
    """A line end in a parameter begins no header, whichever the address."""
    client, break_ = client_of("operate"), "%0d%0aSet-Cookie:%20mine=1"
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:int:)?(\w+)>", lambda name: "1" if name[1] == "number" else break_,
                      re.sub(r"<table:\w+>", "jobs", rule.rule))  # fmt: skip
        for asked in ("", f"?next=/{break_}&order={break_}&format={break_}&{break_}=1&x=%0d%0a"):
            with client.get(path + asked) as answer:
                assert answer.status_code not in (500, 503) or "/runs" in path, path
                assert "mine=1" not in str(answer.headers.getlist("Set-Cookie")), path
                assert all("\n" not in value for _, value in answer.headers), path


def test_no_secret_is_told_by_commands(
    boat: Boat, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away, refuses, or whose address makes no sense: its password stays."""
    seed, real = "seed%25of%20the-database", boat.uri("loader")
    for address in (
        f"postgresql://rowboat:{seed}@127.0.0.1:9/x", f"postgresql://{seed}@nowhere.invalid/x",
        f"postgresql://rowboat:{seed}@127.0.0.1:no/x", f"postgresql://rowboat:%zz{seed}@[::1/x",
        f"host=127.0.0.1 port=9 password={seed}", f"password='{seed}", f"mysql://rowboat:{seed}@x/y",
        real.replace(parse_dsn(real)["password"], seed), f"{seed}@", f"postgresql://a:{seed}@x@y/z",
    ):  # fmt: skip
        monkeypatch.setattr(connections, "uri", lambda _, address=address: address)
        for command in ("status", "check", "backup"):
            done = run(command)
            assert done.exit_code == 1
            assert "HINT: " in done.output
            assert not re.search("seed(%25|%)of", done.output), address


def test_a_program_can_be_kept_from_secrets(tmp_path: Path) -> None:
    programs = Programs({"AIRFLOW_CONN": "secret", "PATH": os.environ["PATH"]}, tmp_path)
    programs.start("whole", ["env"])
    programs.start("api", ["env"], without="AIRFLOW_")
    until(lambda: "PATH=" in (tmp_path / "api.log").read_text())
    until(lambda: "PATH=" in (tmp_path / "whole.log").read_text())
    programs.stop()
    assert "secret" in (tmp_path / "whole.log").read_text()
    assert "secret" not in (tmp_path / "api.log").read_text()


# Names that are SQL, and HTML

DROP = "x\"; drop table canary; --' %s %(a)s {0} <b onclick=x>"
HOSTILE = """
create table public.canary (id integer primary key);
create schema {schema};
create table {schema}.{table} (
    {key} integer generated by default as identity primary key,
    {text} text not null check ({text} <> 'no'), {parent} integer references {schema}.{table}
);
comment on table {schema}.{table} is {comment};
comment on column {schema}.{table}.{text} is {comment};
"""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def hostile(
    boat: Boat, declare: Declare, setting: Setting, tmp_path: Path
) -> Iterator[tuple[str, ...]]:
    """A table every name of which is an attack: its full name, key, text and parent."""
    setting("backups", str(tmp_path / "shelf"))
    schema, table, key, text, parent = (f"{n}{DROP}"[:63] for n in "stkap")
    named = {
        name: quoted(value)
        for name, value in {
            "schema": schema,
            "table": table,
            "key": key,
            "text": text,
            "parent": parent,
        }.items()
    }
    comment = "'" + f"{DROP}\r\nSet-Cookie: a=b".replace("'", "''") + "'"
    declare(HOSTILE.format(**named, comment=comment))
    yield f"{schema}.{table}", key, text, parent
    assert boat.query("select count(*) from public.canary") == [0]


def test_names_are_names_at_the_api(
    boat: Boat, hostile: tuple[str, ...], client_of: ClientOf, airflow: FakeAirflow
) -> None:
    table, key, text, parent = hostile
    client, address = client_of("operate"), f"/api/{quote(table, safe='')}"
    rows = [{key: n, text: f"{n} {DROP}", parent: None} for n in (1, 2, 3)]
    assert client.post(address, json=rows).status_code == 201
    assert client.post("/api/batch", json={table: [{key: 4, text: "d", parent: 9}]}).status_code \
        == 422  # fmt: skip
    assert client.post(address, json=[{key: 4, text: "no", parent: 1}]).status_code == 422
    assert client.post(f"{address}?on_conflict=update", json=[rows[0]]).status_code == 201
    for asked in (
        {"order": f"-{text},{key}"}, {f"{text}.ne": DROP, "count": "true"}, {"sample": "2"},
        {f"{key}.in": "1,2"}, {f"{parent}.null": "true", "limit": "1"}, {key: "1"}, {text: DROP},
    ):  # fmt: skip
        assert client.get(address, query_string=asked).status_code == 200, asked
    for asked in (
        {"order": DROP}, {DROP: DROP}, {f"{text}.{DROP}": "1"}, {"order": f'{key}") desc; --'},
    ):  # fmt: skip
        assert client.get(address, query_string=asked).status_code == 422, asked
    etag = {"If-Match": client.get(f"{address}/1").headers["ETag"]}
    assert client.patch(f"{address}/1", json={text: DROP}, headers=etag).status_code == 200
    assert client.put(f"{address}/7", json={text: "g"}).status_code in (201, 428)
    assert client.get(f"{address}/1/trace").get_json()["fields"][text] == DROP
    assert client.delete(f"{address}/2", headers={"If-Match": "*"}).status_code == 204
    assert client.get("/api/rejects", query_string={"table": table}).status_code == 200
    assert client.post("/api/rejects/retry", json={"table": table}).status_code == 200
    assert table in client.get("/openapi.json").text.replace('\\"', '"')
    for media in ("text/csv", "application/json"):
        assert client.get(address, headers={"Accept": media}).status_code == 200


def test_names_are_names_in_files_and_backups(
    boat: Boat, hostile: tuple[str, ...], run: Callable[..., Result]
) -> None:
    table, *_ = hostile
    in_sql = ".".join(map(quoted, table.split("."))).replace("%", "%%")
    for n in (1, 2):
        boat.query(f"insert into {in_sql} values (%s, %s, null)", [n, DROP])
    before = boat.query(f"select * from {in_sql}", [])
    assert json.loads(run("backup", table, "--json").stdout)["tables"][0]["rows"] == 2
    boat.query(f"delete from {in_sql}", [])
    for command in ("drill", "verify", "status", "backups"):
        assert run(command).exit_code == 0
    planned = run("restore", table, "--plan", "--json")
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.stdout)["insert"] == 2
    restored = run("restore", table, "--yes", "--json")
    assert boat.query(f"select * from {in_sql}", []) == before
    assert run("trace", table, "1").exit_code == 0
    assert run("undo", str(json.loads(restored.stdout)["id"]), "--yes").exit_code == 0
    assert boat.query(f"select * from {in_sql}", []) == []
    assert run("restore", table, "--into", f"n{DROP}"[:60], "--yes").exit_code == 0


def test_names_are_text_on_pages(
    boat: Boat, hostile: tuple[str, ...], signed_in: Callable[..., Visitor], airflow: FakeAirflow
) -> None:
    table, _, text, _ = hostile
    visitor = signed_in()
    address = quote(table, safe="")
    for path in (
        "/tables", f"/tables/{address}", f"/tables/{address}?order={quote(text)}",
        f"/tables/{address}?{quote(DROP)}={quote(DROP)}", f"/tables/{address}/new", "/quarantine",
        f"/quarantine?table={address}", "/files", "/backups", f"/audit?table={address}",
        "/tables/map",
    ):  # fmt: skip
        answer = visitor.get(path)
        assert answer.status_code in (200, 404, 422), (path, answer.status_code)
        assert "<b onclick" not in answer.text, path
        assert "Set-Cookie" not in str(answer.headers) or "a=b" not in str(answer.headers), path
