"""S3 from the processes of others: after a fork, by Airflow's connection, from its triggerer."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from rowboat.database import connections as database
from rowboat.storage.s3 import _given
from rowboat_airflow import connections
from rowboat_airflow.watcher import RawDataChanged, news
from tests.conftest import Boat
from tests.integration.server.test_serve import Launcher
from tests.support.s3 import Bucket, s3, s3_server

__all__ = ["s3", "s3_server"]
Setting = Callable[[str, str], None]
FORK = """
import os, signal
from rowboat.ingest import discovery
assert [each.name for each in discovery.open_raw_data().entries()] == ["jobs.csv"]
child = os.fork()
if not child:
    signal.alarm(30)
    names = [each.name for each in discovery.open_raw_data().entries()]
    os._exit(names != ["jobs.csv"])
assert os.waitpid(child, 0)[1] == 0, "the child hangs or sees something else"
assert [each.name for each in discovery.open_raw_data().entries()] == ["jobs.csv"]
"""


@pytest.fixture(autouse=True)
def _raw_data(boat: Boat, s3: Bucket, setting: Setting) -> None:
    setting("raw_data", f"{s3.url}/raw")


@pytest.fixture
def launcher(boat: Boat, tmp_path: Path) -> Iterator[Launcher]:
    """Starts servers, and ends them."""
    made = Launcher(boat, tmp_path)
    yield made
    for process in made.running:
        process.terminate()
        process.wait(60)


def test_a_fork_has_connections_of_its_own(boat: Boat, s3: Bucket) -> None:
    s3.put("raw/jobs.csv", "")
    done = subprocess.run(
        [sys.executable, "-c", FORK], env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_uploads_to_several_workers(boat: Boat, s3: Bucket, launcher: Launcher) -> None:
    served = launcher(API_WORKERS="2", RAW_DATA=f"{s3.url}/raw", BACKUPS=f"{s3.url}/shelf")
    body = b"1,Rower\n" * 2**17 * 9

    def send(n: int) -> int:
        return httpx.post(
            f"{served.address}/api/jobs/file?name={n}.csv",
            headers=served.headers | {"Content-Type": "text/csv"},
            content=body,
            timeout=120,
        ).status_code

    with ThreadPoolExecutor(6) as pool:
        assert [*pool.map(send, range(6))] == [202] * 6
    assert s3.keys("raw") == [f"raw/jobs-{n}.csv" for n in range(6)]
    assert s3.get("raw/jobs-5.csv") == body
    assert httpx.get(f"{served.address}/ready").json()["backups"] is True
    assert "a-secret-of-the-test" not in served.output.read_text()


@pytest.fixture
def aws_default(s3: Bucket, boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connections; nothing else tells where the server is."""
    extra = {"region_name": "eu-west-3", "endpoint_url": s3.endpoint}
    known = {"conn_type": "aws", "login": "connected", "password": "hidden", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(known))
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", boat.uri("loader"))
    monkeypatch.setattr(database, "use_database", lambda _: None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ROWBOAT_S3_ENDPOINT"):
        monkeypatch.delenv(name)


def signers(s3: Bucket) -> set[str]:
    """By whom, and for which region, the requests were signed."""
    signed = [each[2]["authorization"] for each in s3.requests.asked]
    parts = [each.partition("Credential=")[2].split("/") for each in signed]
    return {f"{part[0]} {part[2]}" for part in parts}


@pytest.mark.usefixtures("aws_default")
def test_airflows_connection_is_used(boat: Boat, s3: Bucket, setting: Setting) -> None:
    setting("settle", "0")  # reads the settings anew
    s3.put("raw/departments.csv", "1,a\n")
    connections.use_connection()
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert signers(s3) == {"connected eu-west-3"}
    assert "hidden" not in repr(_given)


def test_without_that_connection_the_usual_chain_holds(
    boat: Boat, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", boat.uri("loader"))
    monkeypatch.setattr(database, "use_database", lambda _: None)
    s3.put("raw/departments.csv", "1,a\n")
    connections.use_connection()
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert signers(s3) == {"rower us-east-1"}


@pytest.mark.usefixtures("aws_default")
def test_the_watcher_sees_objects(boat: Boat, s3: Bucket, setting: Setting) -> None:
    setting("poll", "0.05")
    s3.put("raw/departments.csv", "1,a\n")

    async def watch() -> list[list[str]]:
        events = RawDataChanged().run()
        first = (await anext(events)).payload["files"]
        await asyncio.to_thread(boat.ingest)
        s3.put("raw/jobs.csv", "1,b\n")
        s3.put("raw/departments.csv", "1,b\n")
        while (second := (await anext(events)).payload["files"]) == first:
            pass
        await events.aclose()
        return [first, second]

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == [
        ["departments.csv"], ["departments.csv", "jobs.csv"],
    ]  # fmt: skip
    assert news({}) == []
    assert signers(s3) == {"connected eu-west-3"}
