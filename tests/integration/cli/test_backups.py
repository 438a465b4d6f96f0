"""The commands of the shelf: documents, words, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rowboat.cli import commands
from rowboat.database import connections
from tests.conftest import Boat

DEPARTMENTS = "hired_employees.departments"
JOBS = "hired_employees.jobs"
EMPLOYEES = "hired_employees.hired_employees"
TABLES = [DEPARTMENTS, EMPLOYEES, JOBS]


@pytest.fixture
def run(boat: Boat, setting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command against the boat's database, with a shelf of its own."""
    setting("backups", str(tmp_path / "shelf"))
    boat.write("departments.csv", "1,Deck\n2,Galley\n3,Sails\n")
    boat.write("jobs.csv", "1,Rower\n")
    boat.write("hired_employees.csv", "1,Ann Oar,2021-05-01T10:00:00Z,1,1\n")
    boat.ingest()

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(commands.main, list(arguments))

    return invoke


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_backup_answers_with_its_tables(run: Any) -> None:
    found = document(run("backup", "--json"))
    assert [each["table"] for each in found["tables"]] == TABLES
    assert [each["rows"] for each in found["tables"]] == [3, 1, 1]
    for each in found["tables"]:
        assert set(each) == {"table", "rows", "bytes", "sha256", "digest"}
    assert found["set"] in run("backups").stdout


def test_backup_says_what_it_did(run: Any) -> None:
    result = run("backup", "jobs")
    assert result.exit_code == 0
    assert "hired_employees.jobs     1" in result.stdout
    assert "is taken and verified" in result.stdout


def test_verify_answers_whether_all_is_well(run: Any, tmp_path: Path) -> None:
    name = document(run("backup", "--json"))["set"]
    found = document(run("verify", "--json"))
    assert (found["set"], found["ok"]) == (name, True)
    assert [each["ok"] for each in found["tables"]] == [True, True, True]
    path = tmp_path / "shelf" / name / "jobs.avro"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = document(run("verify", name, "--json"), code=1)
    assert (found["ok"], [each["ok"] for each in found["tables"]]) == (False, [True, True, False])
    result = run("verify", name)
    assert result.exit_code == 1
    assert "jobs.avro: is not byte for byte the file that was written" in result.stdout
    assert f"{name} is damaged: take another backup" in result.stdout


def test_plan_answers_in_numbers(run: Any, boat: Boat) -> None:
    run("backup")
    boat.write("departments.csv", "2,Kitchen\n3,Sails\n4,Hold\n")
    boat.ingest()
    found = document(run("restore", "departments", "--plan", "--json"))
    numbers = {name: found[name] for name in ("insert", "update", "delete", "unchanged")}
    assert numbers == {"insert": 0, "update": 1, "delete": 1, "unchanged": 2}
    assert found["table"] == DEPARTMENTS
    assert found["dependents"] == {f"{EMPLOYEES} (department_id)": 0}
    assert boat.query(f"select department from {DEPARTMENTS} where id = 2") == ["Kitchen"]


def test_restore_and_undo(run: Any, boat: Boat) -> None:
    run("backup")
    boat.write("departments.csv", "2,Kitchen\n")
    boat.ingest()
    done = document(run("restore", "departments", "--yes", "--json"))
    assert boat.query(f"select department from {DEPARTMENTS} where id = 2") == ["Galley"]
    assert f"rowboat undo {done['id']}" in run("backups").stdout
    run("undo", str(done["id"]), "--yes")
    assert boat.query(f"select department from {DEPARTMENTS} where id = 2") == ["Kitchen"]


def test_cascade_is_refused_with_the_count(run: Any, boat: Boat) -> None:
    run("backup")
    boat.write("departments.csv", "4,Hold\n")
    boat.write("hired_employees-2.csv", "2,Bo Sun,2021-05-01T10:00:00Z,4,1\n")
    boat.ingest()
    result = run("restore", "departments", "--yes")
    assert result.exit_code == 1
    assert f"1 of {EMPLOYEES} (department_id)" in result.stderr
    assert "HINT: see them with --plan; --cascade affects them too" in result.stderr
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [2]


def test_restore_asks_only_a_person(run: Any) -> None:
    run("backup")
    result = run("restore", "jobs")
    assert result.exit_code == 1
    assert result.stderr == (
        "a restore must be confirmed\nHINT: add --yes, or --plan to look first\n"
    )


def test_restore_of_all_tables(run: Any, boat: Boat) -> None:
    """The newest whole set, though a set of one table is newer; parents first."""
    name = document(run("backup", "--json"))["set"]
    run("backup", "jobs")
    for table in (EMPLOYEES, JOBS, DEPARTMENTS):
        with connections.transaction(boat.connect("loader")) as cursor:
            cursor.execute(f"delete from {table}")
    found = document(run("restore", "--all", "--yes", "--json"))
    assert found["set"] == name
    assert [each["table"] for each in found["tables"]] == [DEPARTMENTS, JOBS, EMPLOYEES]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [1]


def test_restore_into_a_new_table(run: Any, boat: Boat) -> None:
    run("backup")
    result = run("restore", "departments", "--into", "departments_then")
    assert result.exit_code == 0, result.output
    assert boat.query("select count(*) from hired_employees.departments_then") == [3]
    result = run("restore", "departments", "--into", "departments_then")
    assert "hired_employees.departments_then is there already" in result.stderr


def test_restore_from_a_file(run: Any, boat: Boat, tmp_path: Path) -> None:
    name = document(run("backup", "--json"))["set"]
    path = tmp_path / "shelf" / name / "departments.avro"
    found = document(run("restore", "departments", "--from", str(path), "--plan", "--json"))
    assert (found["set"], found["unchanged"]) == (str(path), 3)
    (tmp_path / "no.avro").write_text("1,Deck\n")
    result = run("restore", "departments", "--from", str(tmp_path / "no.avro"), "--plan")
    assert result.exit_code == 1
    assert "no.avro is not an AVRO container file" in result.stderr


def test_pin_prune_and_drill(run: Any) -> None:
    name = document(run("backup", "--json"))["set"]
    assert run("pin", name).stdout == f"{name} is kept\n"
    assert f"{name} is kept: pinned" in run("prune", "--dry-run").stdout
    assert run("pin", name, "--off").stdout == f"{name} expires by the rules again\n"
    done = run("drill")
    assert f"{name} can be restored: 5 rows of 3 tables" in done.stdout
    assert "last proven restore: 0 seconds ago" in run("status").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backup", "boats"], "there is no table boats\nHINT: `rowboat status` lists the tables\n"),
        (["verify"], "there is no backup yet\nHINT: take one with `rowboat backup`\n"),
        (["undo", "7"], "there is no restore 7\nHINT: `rowboat backups` lists the restores too\n"),
        (["restore", "jobs", "--plan"], f"there is no verified backup of {JOBS}\n"),
        (["restore", "jobs", "--from", "x", "--plan"], "there is no set x in "),
        (["verify", "../x"], "there is no set ../x in "),
        (["drill"], "there is no verified backup\n"),
    ],
)
def test_failure_is_explained(run: Any, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(said)


@pytest.mark.parametrize(
    "arguments", [["restore"], ["restore", "jobs", "--all"], ["restore", "--all", "--into", "x"]]
)
def test_wrong_use(run: Any, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
