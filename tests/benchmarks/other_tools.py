"""What this project is measured against, called alike: other tools' work in seconds.

The peers (`tests/benchmarks/peers`) run in a process of their own, with the packages of
`environments/requirements-peers.lock`; imports are not counted.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fastavro
import psycopg2

from rowboat.database import embedded
from tests.benchmarks.places import TABLE
from tests.benchmarks.serving import answers

ROOT = Path(__file__).resolve().parents[2]
PYTHON = str(ROOT / ".venv-peers/bin/python")
PEERS = Path(__file__).parent
PSQL = str(embedded.BINARIES / "psql")
DLT_TABLE = "peer_dlt.hired_employees"  # DATASET.TABLE of peers.dlt_merge
LOADS = {  # what each checks, tried with one flaw of each sort
    "pandas_to_sql": "types, NULLs, key, parents: the first flaw ends it",
    "dlt_merge": "types: the first flaw ends it; one row of each key stays",
    "dlt_parquet": "types: the first flaw ends it; one row of each key stays",
    "adbc": "types, NULLs, key: the first flaw ends it",
    "pgloader": "types, NULLs, key: flawed rows are set aside; parents: good ones with them",
}
KEY = secrets.token_urlsafe()  # of the FastAPI service


def load(name: str, address: str, file: Path) -> float | None:
    """Load a CSV with one of LOADS; returns its seconds, None where it is not installed.

    All but dlt fill the empty keyed table, whose rows the caller checks.
    """
    if name == "pgloader" and not shutil.which(name):
        return None
    if not name.startswith("dlt"):
        return _peer(name, address, str(file))
    try:
        seconds = _peer(name, address, str(file))
        with file.open("rb") as lines:
            ids = [int(line.split(b",", 1)[0]) for line in lines]
        found = _row(address, f"select count(*), sum(id) from {DLT_TABLE}")
        assert found == (len(ids), sum(ids)), f"dlt left {found}"
    finally:
        _run(address, "drop schema if exists peer_dlt, peer_dlt_staging cascade")
    return seconds


def backup(address: str, file: Path) -> float:
    """Back up the keyed table with psycopg2 and fastavro, record by record; returns the seconds."""
    seconds = _peer("fastavro_records", address, str(file), TABLE)
    with file.open("rb") as container:
        found = sum(block.num_records for block in fastavro.block_reader(container))
    assert (found,) == _row(address, f"select count(*) from {TABLE}"), f"fastavro wrote {found}"
    return seconds


def copy_client(address: str, file: Path, *first: str) -> float:
    r"""Load a CSV as it is into the keyed table with psql's \copy; returns the seconds."""
    statements = (*first, rf"\copy {TABLE} from '{file}' with (format csv)")
    psql = [PSQL, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", address]
    begun = time.perf_counter()
    subprocess.run([*psql, *(word for each in statements for word in ("-c", each))], check=True)
    return time.perf_counter() - begun


def copy_silent(address: str, file: Path) -> float:
    r"""Load a CSV with \copy, triggers not firing: no foreign key is checked, the limit."""
    return copy_client(address, file, "set session_replication_role = replica")


@contextmanager
def serving_sqlmodel(address: str) -> Iterator[str]:
    """Run the FastAPI and SQLModel service, 2 workers; yields its address, KEY opens it."""
    port = embedded.free_port()
    base = f"http://{embedded.HOST}:{port}"
    command = [PYTHON, "-m", "uvicorn", "peers.sqlmodel_service:app", "--workers", "2"]
    with tempfile.TemporaryFile() as log:
        program = subprocess.Popen(
            [*command, "--host", embedded.HOST, "--port", str(port)],
            env=_environment() | {"PEERS_ADDRESS": address, "PEERS_KEY": KEY},
            stdout=log,
            stderr=log,
        )
        try:
            while not answers(base):
                if program.poll() is not None:
                    log.seek(0)
                    raise AssertionError(log.read().decode())
                time.sleep(0.1)
            yield base
        finally:
            program.terminate()
            program.wait()


def versions() -> dict[str, str]:
    """Return the version of every rival, by name."""
    said = subprocess.run([PSQL, "--version"], capture_output=True, text=True, check=True)
    found: dict[str, str] = _python()["versions"]
    return found | {"psql": said.stdout.split()[-1]}


def _peer(*arguments: str) -> float:
    seconds: float = _python(*arguments)["seconds"]
    return seconds


def _python(*arguments: str) -> Any:
    """Return what a peer's process says in its last line."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [PYTHON, "-m", "peers", *arguments],
            cwd=folder, env=_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PEERS)}


def _row(address: str, statement: str) -> Any:
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def _run(address: str, statement: str) -> None:
    with (
        closing(psycopg2.connect(address)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
