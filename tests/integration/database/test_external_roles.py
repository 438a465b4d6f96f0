"""A server of the user's own, made ready by the page docs/managed.md: each login does its work."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner

from api.application import create_app
from rowboat.cli.commands import main
from rowboat.database import embedded
from rowboat.settings import settings
from tests.conftest import ROOT
from tests.support.postgres import BareServer, oldest

PAGE = (ROOT / "docs" / "managed.md").read_text(encoding="utf-8")
ADMINISTRATOR = "administrator"
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)  # databases, Airflow's, the fast way
DATABASE = "employee_data_db"
COUNTS = {"departments": 12, "jobs": 180, "hired_employees": 1_943}


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareServer]:
    """A Postgres 16 whose administrator is no superuser, as with those who let servers."""
    found = BareServer(tmp_path_factory.mktemp("managed"), oldest())
    found.acquire()
    run(
        found.uri(embedded.SUPERUSER, "postgres"),
        f"create role {ADMINISTRATOR} login createdb createrole password 'ADMINISTRATOR-PASSWORD'",
    )
    for block in BLOCKS[:2]:
        for statement in filter(None, block.split(";\n")):
            run(login(found, ADMINISTRATOR, "postgres"), statement)
    yield found
    found.release()


@pytest.fixture
def rowboat(
    managed: BareServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Run a command with the login of a role: rowboat("loader", "ingest"); return its document."""
    monkeypatch.setenv("ROWBOAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROWBOAT_BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setenv("ROWBOAT_SETTLE", "0")

    def command(role: str, *arguments: str, code: int = 0) -> Any:
        use(managed, role, monkeypatch)
        done = CliRunner().invoke(main, [*arguments, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    yield command
    settings.cache_clear()


def test_each_login_does_its_work(managed: BareServer, rowboat: Callable[..., Any]) -> None:
    assert "0001_service" in rowboat("owner", "migrate")["ran"]
    loaded = rowboat("loader", "ingest")["files"]
    assert {each["table"].partition(".")[2]: each["inserted"] for each in loaded} == COUNTS
    taken = rowboat("loader", "backup")
    assert taken["findings"] == []

    key = rowboat("api", "keys", "create", "mobile", "--scope", "operate")
    assert [each["id"] for each in rowboat("api", "keys", "list")] == [key["id"]]
    app = create_app()
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key['token']}"
    assert client.get("/ready").json["database"] is True  # type: ignore[index]
    answer = client.post("/api/departments", json=[{"department": "Boats"}, {"department": " "}])
    assert answer.status_code == 207
    hires = client.post("/api/hired_employees", json={
        "employee_name": "Ann", "hired_date": "2021-05-01T00:00:00Z", "department_id": 13,
        "job_id": 1})  # fmt: skip
    assert hires.status_code == 201
    assert len(client.get("/api/2021/quarters").json) > 0  # type: ignore[arg-type]
    app.extensions["rowboat"].close()
    rowboat("api", "keys", "revoke", key["id"])

    rowboat("loader", "restore", "--all", "--yes")
    again = rowboat("loader", "backup")
    assert [each["digest"] for each in again["tables"]] == [
        each["digest"] for each in taken["tables"]
    ]
    assert rowboat("loader", "drill")["ok"] is True
    found = {each["part"]: each for each in rowboat("loader", "check", code=1)}
    assert found["postgres"]["fact"].startswith("Postgres 16.")
    assert found["postgres"]["fact"].endswith(" answers as the role rowboat_loader")
    assert found["rights"]["fact"] == (
        "rowboat_loader may load rows; "
        "foreign keys are checked row by row, which is slower: docs/managed.md"
    )
    ours = ("postgres", "schema", "rights", "backups", "newest backup")
    for role in ("loader", "api"):
        found = {each["part"]: each for each in rowboat(role, "check", code=1)}
        assert [part for part in ours if not found[part]["ok"]] == []
    run(managed.uri(embedded.SUPERUSER, DATABASE), BLOCKS[2])
    found = {each["part"]: each for each in rowboat("loader", "check", code=1)}
    assert found["rights"]["fact"].endswith("foreign keys are checked set by set")


def test_airflow_has_a_database_of_its_own(managed: BareServer) -> None:
    run(login(managed, "airflow", "airflow"), "create table public.dag (id integer)")
    for role, database in (("airflow", DATABASE), ("rowboat_loader", "airflow")):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(login(managed, role, database))


@pytest.mark.parametrize(
    ("role", "command", "fact"),
    [
        ("api", "migrate", "the role rowboat_api may not migrate the database employee_data_db: "
         "its schema is rowboat_owner's"),
        ("reader", "migrate", "the role rowboat_reader may not migrate the database "
         "employee_data_db: its schema is rowboat_owner's"),
        ("reader", "status", "the database refused: permission denied for table rejected_rows"),
        ("api", "backup", "the database refused: permission denied for table backup_status"),
        ("loader", "keys list", "the database refused: permission denied for table keys"),
    ],
)  # fmt: skip
def test_no_login_does_the_work_of_another(
    rowboat: Callable[..., Any], role: str, command: str, fact: str
) -> None:
    rowboat("owner", "migrate")
    found = rowboat(role, *command.split(), code=1)
    assert found["error"] == fact
    assert found["hint"] in {
        "set ROWBOAT_DATABASE_URL to the login of rowboat_owner for `rowboat migrate`",
        "log in as the role for this work; "
        "`rowboat migrate` by the owner gives each role its rights",
    }


def use(managed: BareServer, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ROWBOAT_DATABASE_URL be a role's login."""
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", login(managed, f"rowboat_{role}"))
    settings.cache_clear()


def login(managed: BareServer, role: str, database: str = DATABASE) -> str:
    password = role.removeprefix("rowboat_").upper() + "-PASSWORD"
    return f"postgresql://{role}:{password}@{embedded.HOST}:{managed.port}/{database}"


def run(address: str, statement: str) -> None:
    with closing(psycopg2.connect(address)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
