"""Whoever holds the server's connections keeps it from nobody: slow clients, many, endless ones."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from psycopg2.extensions import parse_dsn

from tests.support.servers import Launcher, Served, until

MANY = 24  # connections of a kind, three times the threads of the server
POST = b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
FORM = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
SLOW = {
    "nothing": b"",
    "a byte": b"G",
    "empty lines": b"\r\n\r\n",
    "half a head": b"GET /health HTTP/1.1\r\nX: y",
    "a head and a half": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
    "an answer that nobody waits for": b"GET /health HTTP/1.0\r\n\r\n",
    "no HTTP": b"BROKEN\r\n\r\n",
    "a short body": POST + b"Content-Length: 1000\r\n\r\n[",
    "a long body": POST + b"Content-Length: 1000000\r\n\r\n[",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[",
    "a caller's short body": POST + b"Authorization: KEY\r\nContent-Length: 1000\r\n\r\n[",
    "a caller's long body": POST + b"Authorization: KEY\r\nContent-Length: 1000000\r\n\r\n[",
    "a form": FORM + b"Content-Length: 1000\r\n\r\nkey=",
    "a long form": FORM + b"Content-Length: 1000000\r\n\r\nkey=",
    "a form in chunks": FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\nk",
}


@contextmanager
def holding(served: Served, sent: bytes, many: int = MANY) -> Iterator[list[socket.socket]]:
    """Open connections, send these bytes on each, and say no more."""
    host, port = served.address.removeprefix("http://").split(":")
    with ExitStack() as opened:
        found = []
        for _ in range(many):
            connection = socket.create_connection((host, int(port)), timeout=60)
            found.append(opened.enter_context(connection))
            connection.sendall(sent)
        yield found


def test_slow_clients_hold_up_nobody(serve: Launcher) -> None:
    """All at once, of every kind: whoever else asks is answered."""
    served = serve()
    key = served.headers["Authorization"].encode()
    with ExitStack() as held:
        for kind, sent in SLOW.items():
            held.enter_context(holding(served, sent.replace(b"KEY", key)))
            for _ in range(3):
                assert served.get("/api/tables").status_code == 200, kind
    assert not [each for each in served.lines() if each["level"] == "error"]


def test_who_says_nothing_more_is_sent_away(serve: Launcher) -> None:
    served = serve(API_WORKERS="1")
    sent = POST + b"Content-Length: 9\r\n\r\n["
    with holding(served, sent, 1) as [slow], holding(served, b"", 1) as [silent]:
        head, _, body = slow.recv(65_536).partition(b"\r\n\r\n")
        assert silent.recv(1) == b""
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["detail"] == "the request did not arrive completely in time"


def test_huge_heads(serve: Launcher) -> None:
    """A head without end is refused before it has come."""
    served = serve(API_WORKERS="1")
    for sent, status in (
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 70_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X-1: y\r\n" * 9_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
    ):
        with holding(served, sent, 1) as [connection]:
            assert connection.recv(12) == b"HTTP/1.1 %d" % status
        assert served.get("/health").status_code == 200


def test_connections_that_come_and_go_leave_nothing(serve: Launcher) -> None:
    served = serve(API_WORKERS="1")
    [worker] = until(served.workers)

    def handles() -> int:
        return len(list(Path(f"/proc/{worker}/fd").iterdir()))

    assert served.get("/api/tables").status_code == 200
    before = handles()
    for sent in (b"", b"G", b"BROKEN\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):
        with holding(served, sent, 100):
            assert served.get("/health").status_code == 200
    until(lambda: handles() <= before + 2)


SEEDS = {
    "AIRFLOW_PASSWORD": "seed-of-airflow",
    "ALERT_URL": "http://127.0.0.1:9/seed-of-the-webhook",
    "OIDC_CLIENT_SECRET": "seed-of-the-issuer",
}
ISSUER = {
    "OIDC_ISSUER": "http://127.0.0.1:9", "OIDC_AUDIENCE": "rowboat", "OIDC_CLIENT_ID": "console",
    "AIRFLOW_URL": "http://127.0.0.1:9",
}  # fmt: skip
TABLES = """
select format('%I.%I', table_schema, table_name) from information_schema.tables
where table_type = 'BASE TABLE' and table_schema !~ '^pg_|^infor'
"""


def test_no_secret_is_told(serve: Launcher) -> None:
    """Whatever goes wrong: not in answers, logs, arguments, titles of processes, or tables."""
    served = serve(**SEEDS, **ISSUER)
    boat, token = serve.boat, served.headers["Authorization"].removeprefix("Bearer ")
    password = parse_dsn(boat.uri("api"))["password"]
    secrets = [*SEEDS.values(), "seed-of-the-webhook", token, token[3:].partition("_")[2], password]
    said = []

    def ask(method: str, path: str, **options: object) -> None:
        address = f"{served.address}{path}"
        options = {"headers": served.headers} | options
        answer = httpx.request(method, address, timeout=30, **options)  # type: ignore[arg-type]
        said.append(f"{answer.status_code} {answer.headers} {answer.text}")

    def provoke() -> None:
        ask("GET", "/api/tables")
        ask("GET", "/api/jobs?key=" + token)
        ask("GET", "/api/jobs", headers={"X-API-Key": token + "x"})
        ask("GET", "/api/jobs", headers={"Authorization": f"Basic {token}"})
        ask("POST", "/api/jobs", json=[{"id": "x", "job": 1}], headers=served.headers | {
            "Idempotency-Key": "\x7f" + token[:5]})  # fmt: skip
        ask("POST", "/api/ingest", json={})
        ask("POST", "/api/jobs/file?name=jobs.csv", content=b"1,Rower\n")
        ask("POST", "/sign-in", data={"key": token, "csrf": "x"})
        ask("GET", "/sign-in/issuer")
        ask("GET", "/sign-in/issuer/back?code=x&state=y")
        for public in ("/ready", "/metrics", "/openapi.json", "/health", "/"):
            ask("GET", public, headers={})

    provoke()
    serve.boat.query("alter table rowboat.keys rename to hidden")
    provoke()
    serve.boat.query("alter table rowboat.hidden rename to keys")
    raw = serve.boat.raw.rename(serve.boat.raw.with_name("moved"))
    provoke()
    raw.rename(serve.boat.raw)
    assert {"200", "401", "500", "503"} <= {each[:3] for each in said}
    for process in (served.process.pid, *served.workers()):
        said += [Path(f"/proc/{process}/{name}").read_bytes().decode()
                 for name in ("cmdline", "comm", "status")]  # fmt: skip
    said += [served.output.read_text(), (served.logs / "api.log").read_text()]
    for table in boat.query(TABLES):
        said += boat.query(f"select t::text from {table} t")
    for secret in secrets:
        assert len(secret) > 10
        assert not [each for each in said if secret in each], secret
