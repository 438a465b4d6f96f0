"""S3 from the processes of others: after a fork, by Airflow's connection, from its triggerer."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rowboat.database import connections as database
from rowboat.storage import s3
from rowboat_airflow import connections
from rowboat_airflow.watcher import RawDataChanged, news
from tests.conftest import Boat
from tests.support.s3 import Bucket, bucket, s3_server
from tests.support.servers import Launcher, serve

__all__ = ["bucket", "s3_server", "serve"]
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
def _raw_data(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    setting("raw_data", f"{bucket.url}/raw")


def test_a_fork_has_connections_of_its_own(boat: Boat, bucket: Bucket) -> None:
    bucket.put("raw/jobs.csv", "")
    done = subprocess.run(
        [sys.executable, "-c", FORK], env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_uploads_to_several_workers(boat: Boat, bucket: Bucket, serve: Launcher) -> None:
    served = serve(API_WORKERS="2", RAW_DATA=f"{bucket.url}/raw", BACKUPS=f"{bucket.url}/shelf")
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
    assert bucket.keys("raw") == [f"raw/jobs-{n}.csv" for n in range(6)]
    assert bucket.get("raw/jobs-5.csv") == body
    assert httpx.get(f"{served.address}/ready").json()["backups"] is True
    assert "a-secret-of-the-test" not in served.output.read_text()


@pytest.fixture
def aws_default(bucket: Bucket, boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connections; nothing else tells where the server is."""
    extra = {"region_name": "eu-west-3", "endpoint_url": bucket.endpoint}
    known = {"conn_type": "aws", "login": "connected", "password": "hidden", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(known))
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", boat.uri("loader"))
    monkeypatch.setattr(database, "use_database", lambda _: None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ROWBOAT_S3_ENDPOINT"):
        monkeypatch.delenv(name)


def signers(bucket: Bucket) -> set[str]:
    """By whom, and for which region, the requests were signed."""
    signed = [each[2]["authorization"] for each in bucket.requests.asked]
    parts = [each.partition("Credential=")[2].split("/") for each in signed]
    return {f"{part[0]} {part[2]}" for part in parts}


@pytest.mark.usefixtures("aws_default")
def test_airflows_connection_is_used(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    setting("settle", "0")  # reads the settings anew
    bucket.put("raw/departments.csv", "1,a\n")
    connections.use_connection()
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert signers(bucket) == {"connected eu-west-3"}
    assert "hidden" not in repr(s3._given)


def test_without_that_connection_the_usual_chain_holds(
    boat: Boat, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", boat.uri("loader"))
    monkeypatch.setattr(database, "use_database", lambda _: None)
    bucket.put("raw/departments.csv", "1,a\n")
    connections.use_connection()
    assert boat.ingest()["departments.csv"].state == "loaded"
    assert signers(bucket) == {"rower us-east-1"}


@pytest.mark.usefixtures("aws_default")
def test_the_watcher_sees_objects(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    setting("poll", "0.05")
    bucket.put("raw/departments.csv", "1,a\n")

    async def watch() -> list[list[str]]:
        events = RawDataChanged().run()
        first = (await anext(events)).payload["files"]
        await asyncio.to_thread(boat.ingest)
        bucket.put("raw/jobs.csv", "1,b\n")
        bucket.put("raw/departments.csv", "1,b\n")
        while (second := (await anext(events)).payload["files"]) == first:
            pass
        await events.aclose()
        return [first, second]

    assert asyncio.run(asyncio.wait_for(watch(), 120)) == [
        ["departments.csv"], ["departments.csv", "jobs.csv"],
    ]  # fmt: skip
    assert news({}) == []
    assert signers(bucket) == {"connected eu-west-3"}
