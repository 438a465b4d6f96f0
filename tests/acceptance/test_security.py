"""Secrets of a running system: each stays with those who need it, and nobody tells it."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest

from rowboat.database.embedded import AIRFLOW, EmbeddedServer
from rowboat.errors import AirflowRefused
from tests.acceptance.conftest import System, secrets

EVERY_TABLE = """
select table_schema || '.' || table_name from information_schema.tables
where table_type = 'BASE TABLE' and table_schema !~ '^(pg_|information_schema)'
"""


def below(process: int) -> Iterator[int]:
    """Yield the numbers of a process and of all that it started, which may lead own sessions."""
    yield process
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == process:
            yield from below(int(path.parent.name))


def read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes().replace(b"\0", b"\n").decode()
    except OSError:
        return ""


@pytest.fixture(scope="module")
def troubled(system: System) -> System:
    """The system after runs that worked, runs that failed, and refusals of the API."""
    system.put("jobs-broken.csv", "id,salary\n1,1\n")
    assert system.run()[1] == "failed"
    (system.raw / "jobs-broken.csv").unlink()
    assert system.run("backup")[1] == "success"
    with pytest.raises(AirflowRefused):
        system.run("restore", table="no.such")
    port = system.environment["ROWBOAT_API_PORT"]
    for key in ("", "rb_0_wrong"):
        httpx.get(f"http://127.0.0.1:{port}/api/jobs", headers={"X-API-Key": key}, trust_env=False)
    return system


def test_no_secret_among_arguments_and_titles(troubled: System) -> None:
    found = list(below(troubled.process.pid))
    assert len(found) > 8
    for process in found:
        for name in ("cmdline", "comm"):
            text = read(process, name)
            assert not [each for each in secrets(troubled.home) if each in text], text


def test_the_api_has_no_secret_of_airflow(troubled: System) -> None:
    """It has its own login; what Airflow signs and encrypts with is not in its environment."""
    found = [*below(troubled.process.pid)]
    servers = [
        each for each in found if re.search("gunicorn|rowboat\nserve", read(each, "cmdline"))
    ]
    assert len(servers) > 1
    for process in servers:
        text = read(process, "environ")
        assert f"ROWBOAT_HOME={troubled.home}\n" in text
        assert not [each for each in secrets(troubled.home) if each in text]


def test_no_secret_in_a_database(troubled: System) -> None:
    """In no table of Airflow or Rowboat: results, rendered fields, runs, log, audit, positions."""
    known = secrets(troubled.home)
    embedded = EmbeddedServer(troubled.home)
    for role, database in ((AIRFLOW, AIRFLOW), ("rowboat_owner", None)):
        address = embedded.uri(role, database) if database else embedded.uri(role)
        with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
            cursor.execute(EVERY_TABLE)
            tables = [name for (name,) in cursor.fetchall()]
            assert len(tables) > 8
            for name in tables:
                cursor.execute(f"select t::text from {name} t")
                for (row,) in cursor.fetchall():
                    assert not [each for each in known if each in row], name


def test_no_secret_in_a_file(troubled: System) -> None:
    """But in those two that hold them, which nobody else can read."""
    known = [each.encode() for each in secrets(troubled.home)]
    folders = (troubled.home / "logs", troubled.home / "airflow", troubled.home.parent / "backups")
    seen = 0
    for path in (each for folder in folders for each in folder.rglob("*") if each.is_file()):
        if path.name == "passwords.json":
            assert path.stat().st_mode & 0o777 == 0o600
            continue
        content = path.read_bytes()
        assert not [each for each in known if each in content], path
        seen += 1
    assert seen > 10
    kept = json.loads((troubled.home / "secrets.json").read_text())
    assert (troubled.home / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert all(len(each) >= 40 for each in kept.values())
