"""The outline that DAGs follow, on machines that share nothing but the database."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.catalog.outline import outline_path
from rowboat.database import connections
from rowboat_airflow.outline import outline
from tests.conftest import Boat

OURS = ["hired_employees.departments", "hired_employees.jobs", "hired_employees.hired_employees"]
HOUR = 3600


@pytest.fixture
def machine(
    boat: Boat, tmp_path: Path, setting: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> Boat:
    """One that has Airflow's connection and an empty home."""
    setting("home", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", boat.uri("loader"))
    monkeypatch.setattr(connections, "_used", [])
    return boat


def names() -> list[str]:
    return [each.table for each in outline()]


def test_a_machine_without_the_file_asks_the_database(machine: Boat) -> None:
    assert sorted(names()) == sorted(OURS)
    assert names()[-1] == OURS[-1]


def test_a_new_table_shows_when_the_file_is_old(machine: Boat) -> None:
    names()
    machine.query("create table hired_employees.boats (id bigint primary key)")
    assert "hired_employees.boats" not in names()
    age()
    assert "hired_employees.boats" in names()


def test_the_old_file_serves_while_the_database_is_away(
    machine: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    names()
    age()
    monkeypatch.setenv("AIRFLOW_CONN_ROWBOAT", "postgresql://loader@127.0.0.1:1/none")
    assert sorted(names()) == sorted(OURS)


def age() -> None:
    """Make the file of this machine an hour old."""
    then = outline_path().stat().st_mtime - HOUR
    os.utime(outline_path(), (then, then))
