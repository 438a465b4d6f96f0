"""The API while Postgres is restarted under it: nothing that was acknowledged is lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event

import httpx
import psycopg2
import pytest

from rowboat.access import keys
from rowboat.catalog import migrations
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.database.embedded import HOST, SUPERUSER, EmbeddedServer, free_port

CLIENTS = 6
TABLE = "hired_employees.departments"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that may be restarted without harm to other tests."""
    embedded = EmbeddedServer(tmp_path / "home")
    embedded.acquire()
    with closing(connections.connect(embedded.uri("rowboat_owner"))) as owner:
        migrations.migrate(owner)
    yield embedded
    embedded.release()


@pytest.fixture
def service(own_server: EmbeddedServer, tmp_path: Path) -> Iterator[httpx.Client]:
    """`rowboat serve` over it, and a client that may write."""
    owner = connections.connect(own_server.uri("rowboat_owner"))
    with closing(owner), transaction(owner) as cursor:
        _, token = keys.create_key(cursor, "outage", "write", per_minute=1_000_000)
    port = free_port()
    environment = os.environ | {
        "ROWBOAT_DATABASE_URL": own_server.uri("rowboat_api"),
        "ROWBOAT_HOME": str(own_server.home),
        "ROWBOAT_API_PORT": str(port),
    }
    command = [Path(sys.executable).with_name("rowboat"), "serve"]
    with (tmp_path / "serve.log").open("wb") as log:
        program = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    client = httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )
    with client:
        while True:
            try:
                client.get("/health")
                break
            except httpx.HTTPError:
                assert program.poll() is None, (tmp_path / "serve.log").read_text()
                time.sleep(0.05)
        yield client
    program.terminate()
    assert program.wait(40) == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_under_load(
    service: httpx.Client, own_server: EmbeddedServer, mode: str, tmp_path: Path
) -> None:
    """Clients get 503 with a hint while it lasts, and the service is back within 5 seconds."""
    numbers, over = count(1), Event()
    kept: list[int] = []
    answers: list[tuple[float, int]] = []

    def write() -> None:
        while not over.is_set():
            number = next(numbers)
            answer = service.post("/api/departments", json=[{"id": number, "department": "D"}])
            answers.append((time.monotonic(), answer.status_code))
            if answer.status_code == 201:
                kept.append(number)
            else:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["hint"]

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(write) for _ in range(CLIENTS)]
        wait_for(lambda: len(kept) > 50)
        own_server.cluster.control("restart", "-w", "-m", mode)
        restarted, before = time.monotonic(), len(kept)
        wait_for(lambda: len(kept) > before + 50)
        over.set()
        for each in clients:
            each.result()
    codes = {code for _, code in answers}
    assert codes <= {201, 503}, (tmp_path / "serve.log").read_text()
    assert 503 in codes
    assert next(at for at, code in answers if at > restarted and code == 201) < restarted + 5
    address = own_server.uri(SUPERUSER)
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select id from {TABLE}")
        there = {number for (number,) in cursor.fetchall()}
    assert set(kept) <= there


def wait_for(condition: object) -> None:
    """Wait until a condition holds, a minute at most."""
    end = time.monotonic() + 60
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
