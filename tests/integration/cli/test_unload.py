"""The command `unload`: plan, question, document, and what other commands say of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rowboat.cli import unload
from rowboat.cli.commands import main
from tests.conftest import Boat

DEPARTMENTS = "hired_employees.departments"


@pytest.fixture
def run(boat: Boat, setting: Callable[[str, str], None], tmp_path: Path) -> Callable[..., Result]:
    """Run a command; three departments are loaded, one of which another file has changed."""
    setting("backups", str(tmp_path / "shelf"))
    boat.query(f"insert into {DEPARTMENTS} values (7, 'By hand'), (8, 'By hand')")
    boat.ingest(boat.write("departments-1.csv", "1,Deck\n2,Galley\n3,Sails\n7,Seven\nx,y\n"))
    boat.ingest(boat.write("departments-2.csv", "3,Masts\n"))
    boat.query(f"delete from {DEPARTMENTS} where id = 2")
    return lambda *arguments, **more: CliRunner().invoke(main, list(arguments), **more)


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


PLAN = """\
departments-1.csv
  hired_employees.departments
    rows that leave: 1 (1)
    rows that stay, changed since by the file departments-2.csv: 1
    rows that stay as the file updated them, since their earlier values are not known: 1 (7)
    rows deleted, or changed outside Rowboat, since the file brought them: 1
  refused rows that are discarded: 1
"""


def test_plan(run: Callable[..., Result], boat: Boat) -> None:
    before = boat.departments()
    assert run("unload", "departments-1.csv", "--plan").stdout == PLAN
    found = document(run("unload", str(boat.raw / "departments-1.csv"), "--plan", "--json"))
    assert found == {
        "file": "departments-1.csv",
        "tables": [{
            "table": DEPARTMENTS,
            "leaving": 1, "leaving_examples": ["1"], "updated": 1, "updated_examples": ["7"],
            "changed": [
                {"source": "file", "name": "departments-2.csv", "actor": "tester", "rows": 1}
            ],
            "lost": 1, "dependents": {}, "actions": {}, "bringers": [],
        }],
        "refused": 1,
    }  # fmt: skip
    assert boat.departments() == before


def test_unload_and_what_other_commands_say(run: Callable[..., Result], boat: Boat) -> None:
    found = document(run("unload", "departments-1.csv", "--yes", "--json"))
    assert (found["id"], found["tables"][0]["leaving"]) == (1, 1)
    assert boat.departments() == [(3, "Masts"), (7, "Seven"), (8, "By hand")]
    files = {
        each["file_name"]: each["state"] for each in document(run("status", "--json"))["files"]
    }
    assert files == {"departments-1.csv": "unloaded", "departments-2.csv": "loaded"}
    ingested = run("ingest").stdout
    assert "`rowboat ingest --again FILE` loads an unloaded file" in ingested
    assert document(run("ingest", "--json"))["files"][0]["state"] == "unloaded"
    traced = run("trace", "departments-1.csv:1").stdout
    assert "has been unloaded since" in traced
    assert "\n  unload 3 of departments-1.csv by " in traced
    assert "departments-1.csv  unload  departments  rowboat undo 1" in run("backups").stdout
    undone = document(run("undo", "1", "--yes", "--json"))
    assert (undone["insert"], undone["delete"], undone["unchanged"]) == (1, 0, 3)
    assert boat.departments() == [(1, "Deck"), (3, "Masts"), (7, "Seven"), (8, "By hand")]


def test_unload_says_what_it_did(run: Callable[..., Result]) -> None:
    result = run("unload", "departments-1.csv", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith(PLAN)
    assert "unloaded; `rowboat undo 1` brings the rows back (set " in result.stdout
    assert "`rowboat ingest --again departments-1.csv` loads it again" in result.stdout


def test_without_a_terminal_it_must_be_confirmed(run: Callable[..., Result], boat: Boat) -> None:
    before = boat.departments()
    result = run("unload", "departments-1.csv")
    assert (result.exit_code, result.stderr) == (
        1, "an unload must be confirmed\nHINT: add --yes, or --plan to look first\n",
    )  # fmt: skip
    assert boat.departments() == before


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(
    run: Callable[..., Result], boat: Boat, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    class Terminal:
        class stdin:  # noqa: N801
            isatty = staticmethod(lambda: True)

    monkeypatch.setattr(unload, "sys", Terminal)
    result = run("unload", "departments-1.csv", input=f"{answer}\n")
    assert "rows that leave: 1 (1)" in result.stderr
    if answer == "y":
        assert (result.exit_code, len(boat.departments())) == (0, 3)
    else:
        assert "the unload was not confirmed; nothing was changed" in result.stderr
        assert (result.exit_code, len(boat.departments())) == (1, 4)


def test_names_that_are_near(run: Callable[..., Result]) -> None:
    for name, hint in (
        ("department-1.csv", "the nearest names are: departments-1.csv, departments-2.csv"),
        ("boats", "`rowboat status` lists the files"),
    ):
        assert document(run("unload", name, "--json"), 1) == {
            "error": f"{name} is not known", "hint": hint,
        }  # fmt: skip


def test_what_forbids_it_is_shown(run: Callable[..., Result], boat: Boat) -> None:
    boat.ingest(
        boat.write("jobs.csv", "1,Cook\n"),
        boat.write("hired_employees.csv", "1,Ann,2021-01-01,1,1\n"),
    )
    shown = run("unload", "departments-1.csv", "--plan").stdout
    label = "hired_employees.hired_employees (department_id)"
    assert (
        f"    rows of {label} that refer to leaving ones and would be deleted too: 1\n"
        "    so nothing can be unloaded: unload first hired_employees.csv\n"
    ) in shown
    for options in ([], ["--yes"]):
        result = run("unload", "departments-1.csv", *options)
        assert result.exit_code == 1
        assert "HINT: unload first what brought those: hired_employees.csv" in result.stderr
