"""The server itself: real processes, real sockets, real signals."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.shared.logs import FILE
from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.servers import ROWBOAT, Launcher, Served, _answers, until


@contextmanager
def held(boat: Boat) -> Iterator[None]:
    """Hold a table, so that requests for it wait until the end of the block."""
    connection = boat.connect("owner")
    with connection.cursor() as cursor:
        cursor.execute("lock table hired_employees.jobs in access exclusive mode")
        yield
    connection.rollback()


def waiting(boat: Boat) -> bool:
    """Tell whether a statement waits for the lock."""
    [found] = boat.query("select count(*) from pg_locks where not granted")
    return bool(found)


def test_health_ready_and_logs(serve: Launcher) -> None:
    served = serve()
    assert served.get("/health").json() == {"alive": True, "version": "0.1.0"}
    ready = served.get("/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "database": True, "raw_data": True, "backups": True, "airflow": False},
    )
    assert served.get("/api/tables").status_code == 200
    until(lambda: len(served.workers()) == 2)
    asked = [each for each in served.lines() if each.get("path") == "/api/tables"]
    assert len(asked) == 1
    assert set(asked[0]) == {"event", "method", "path", "status", "caller", "seconds", "request",
                             "level", "timestamp"}  # fmt: skip
    assert any(each["event"].startswith("Listening at") for each in served.lines())
    kept = [json.loads(line) for line in (served.logs / FILE).read_text().splitlines()]
    assert asked[0] in kept


def test_ready_names_the_part_that_fails(serve: Launcher) -> None:
    served = serve()
    serve.boat.raw.rmdir()
    ready = served.get("/ready")
    assert (ready.status_code, ready.json()["ready"], ready.json()["raw_data"]) == (
        503, False, False,
    )  # fmt: skip
    serve.boat.raw.mkdir()
    serve.boat.query("alter table rowboat.migrations rename to moved")
    ready = served.get("/ready")
    assert (ready.status_code, ready.json()["database"]) == (503, False)
    serve.boat.query("alter table rowboat.moved rename to migrations")
    assert served.get("/ready").status_code == 200


def number(text: str, name: str) -> float:
    """Add up the samples whose names and labels begin so."""
    found = re.findall(rf"^{re.escape(name)}[^ ]* ([\d.e+-]+)$", text, re.MULTILINE)
    return sum(map(float, found))


def test_numbers_of_all_workers_add_up(serve: Launcher) -> None:
    served = serve()
    serve.boat.ingest(serve.boat.write("jobs.csv", "1,Rower\n2,\n3,\n"))
    with httpx.Client() as one, httpx.Client() as other:
        for each in (one, other) * 50:
            assert each.get(f"{served.address}/api/tables", headers=served.headers).is_success
    for _ in range(100):  # connections of their own reach both workers
        assert served.get("/health").is_success
    workers = {str(each) for each in served.workers()}
    folder = served.numbers()
    assert {each.stem.rpartition("_")[2] for each in folder.glob("counter_*")} >= workers
    text = served.get("/metrics").text
    tables = 'rowboat_requests_total{method="GET",status="200",view="tables.tables"'
    health = 'rowboat_requests_total{method="GET",status="200",view="health.health"'
    assert number(text, tables) == 100
    assert number(text, health) >= 101
    assert number(text, 'rowboat_request_seconds_count{view="tables.tables"') == 100
    assert number(text, "rowboat_quarantine_rows") == 2
    assert number(text, "rowboat_database_up") == 1
    assert number(text, "rowboat_request_threads") == 8
    assert number(text, "rowboat_requests_in_progress") == 1
    assert 1 <= number(text, "rowboat_connections_idle") <= 8
    assert "rowboat_backup_age_seconds" not in text.replace("# ", "")
    killed = served.workers()[0]
    os.kill(killed, signal.SIGKILL)
    until(lambda: not (folder / f"gauge_livesum_{killed}.db").exists())
    assert number(served.get("/metrics").text, tables) == 100
    served.process.terminate()
    assert served.process.wait(40) == 0
    assert not folder.exists()


def test_sigterm_lets_a_slow_request_end(serve: Launcher) -> None:
    served = serve(API_LOCK_SECONDS="20")
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(served.get("/api/jobs")))
    with held(serve.boat):
        thread.start()
        until(lambda: waiting(serve.boat))
        served.process.terminate()
        until(lambda: not _answers(served.address))  # it takes no new ones
        assert served.process.poll() is None
        assert thread.is_alive()
    thread.join(20)
    assert [each.status_code for each in answers] == [200]
    assert served.process.wait(20) == 0


@contextmanager
def load(served: Served, threads: int, new: bool) -> Iterator[dict[str, list[Any]]]:
    """Ask without a pause; collect answers, refused connections and dropped requests."""
    seen: dict[str, list[Any]] = {"answered": [], "refused": [], "dropped": []}

    def ask() -> None:
        connection = HTTPConnection(served.address.removeprefix("http://"), timeout=30)
        while not seen["refused"]:
            try:
                connection.connect()
            except ConnectionRefusedError as error:
                seen["refused"].append(error)
                return
            try:
                again = True
                while again:
                    connection.request("GET", "/api/tables", headers=served.headers)
                    answer = connection.getresponse()
                    seen["answered"].append((answer.status, len(answer.read()) > 100))
                    again = not (new or answer.will_close)
            except (OSError, HTTPException) as error:
                seen["dropped"].append(error)
            connection.close()

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield seen
    finally:
        for thread in running:
            thread.join(60)


@pytest.mark.parametrize("new", [False, True], ids=["kept connections", "new connections"])
def test_sigterm_under_load_drops_no_request(serve: Launcher, new: bool) -> None:
    for _ in range(tries(1, 3)):
        served = serve()
        with load(served, 16, new) as seen:
            until(lambda seen=seen: len(seen["answered"]) > 100)
            served.process.terminate()
        assert seen["dropped"] == []
        assert set(seen["answered"]) == {(200, True)}
        assert served.process.wait(40) == 0


def test_what_a_killed_server_left_goes_at_the_next_start(serve: Launcher) -> None:
    first, other = serve(), serve()
    left, used = first.numbers(), other.numbers()
    workers = first.workers()
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(30)
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    assert serve().get("/metrics").is_success
    assert not left.exists()
    assert used.exists()
    assert other.get("/metrics").is_success


def test_a_killed_worker_is_replaced(serve: Launcher) -> None:
    served = serve(API_WORKERS="1")
    [worker] = served.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: served.workers() not in ([], [worker]))
    assert served.get("/api/tables").status_code == 200


def test_a_taken_port_is_named_before_anything_starts(serve: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [ROWBOAT, "serve"], env=serve.environment(API_PORT=str(port)),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "",
        f"port {port} is taken, and the API needs it\n"
        "HINT: stop what listens there (another `rowboat up`?), or set ROWBOAT_API_PORT to "
        "another port\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"API_HOST": "203.0.113.7"}, "the API cannot listen on 203.0.113.7:"),
        ({"API_LOG": "/dev/null/logs"}, "the log cannot be written to /dev/null/logs: "),
        ({"API_PORT": "many"}, "ROWBOAT_API_PORT cannot be used: "),
    ],
)
def test_what_cannot_be_served_is_told(serve: Launcher, changes: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [ROWBOAT, "serve"], env=serve.environment(**changes),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert "\nHINT: " in done.stderr
    assert "Traceback" not in done.stderr


def send(served: Served, *pieces: bytes) -> bytes:
    """Speak to the server byte by byte, then say no more, and return all that comes."""
    host, port = served.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while piece := connection.recv(65_536):
            found += piece
    return found


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BROKEN\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: strange\r\n\r\n", 501),
    ],
)
def test_what_is_no_http_is_answered_as_a_problem(
    serve: Launcher, request_: bytes, status: int
) -> None:
    head, _, body = send(serve(API_WORKERS="1"), request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert set(problem) == {"type", "title", "status", "detail", "errors", "request"}


def test_a_broken_upload_leaves_no_file(serve: Launcher) -> None:
    """A connection that ends early, by length, chunks and form; then one that holds."""
    served = serve(API_WORKERS="1")
    key = f"Authorization: {served.headers['Authorization']}\r\n".encode()
    head = b"POST /api/jobs/file?name=jobs.csv HTTP/1.1\r\nHost: x\r\n" + key
    form = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n" \
        b'Content-Disposition: form-data; name="f"; filename="jobs.csv"\r\n\r\n1,Row'  # fmt: skip
    for rest in (
        b"Content-Type: text/csv\r\nContent-Length: 1000\r\n\r\n1,Row",
        b"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1,Row\r\n",
        b"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1,R",
        form,
    ):
        assert not send(served, head + rest).startswith(b"HTTP/1.1 2")
        until(lambda: not any(serve.boat.raw.iterdir()))
    body = gzip.compress(b"".join(b"%d,Rower\n" % n for n in range(200_000)))
    pieces = (body[at : at + 5000] for at in range(0, len(body), 5000))
    answer = httpx.post(
        f"{served.address}/api/jobs/file?name=jobs.csv.gz", content=pieces,
        headers=served.headers | {"Content-Type": "application/gzip"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["bytes"]) == (202, len(body))
    assert (serve.boat.raw / "jobs.csv.gz").read_bytes() == body
