"""Files that the user names: one that is missing or has no table does not stop the others."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from rowboat.cli.commands import main
from rowboat.errors import FileRefused
from tests.conftest import Boat

MISSING = "cannot be read: no such file or directory"
NO_TABLE = "belongs to no table: its name begins with none of departments, jobs, hired_employees"
GOES_ON = "belongs to no table: its name begins with jobs but goes on with _history"
NAMED = [
    ("departments.csv", "loaded", None),
    ("nothing.csv", "failed", MISSING),
    ("nowhere/jobs.csv", "failed", MISSING),
    ("departments.csv/x.csv", "failed", "cannot be read: not a directory"),
    (f"{'x' * 300}.csv", "failed", "cannot be read: file name too long"),
    ("boats.csv", "unmatched", NO_TABLE),
    ("jobs_history.csv", "unmatched", GOES_ON),
    ("jobs", "unmatched", "is a folder, not a file"),
]


@pytest.fixture
def filled(boat: Boat) -> Boat:
    """A folder with files of tables and of none."""
    for name in ("departments.csv", "boats.csv", "jobs_history.csv", "jobs/may.csv"):
        boat.write(name, "1,a\n")
    return boat


def ingest(*paths: object) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code, and file → report."""
    result = CliRunner().invoke(main, ["ingest", "--json", *map(str, paths)])
    return result.exit_code, {each["file"]: each for each in json.loads(result.stdout)["files"]}


@pytest.mark.parametrize(("name", "state", "error"), NAMED)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_named_path(filled: Boat, name: str, state: str, error: str, elsewhere: bool) -> None:
    """It ends with 1 unless the file was loaded, and the file named after it is loaded anyway."""
    place = filled.raw
    if elsewhere:
        place = filled.raw.rename(filled.raw.with_name("elsewhere"))
        filled.raw.mkdir()
    code, found = ingest(place / name, place / "jobs/may.csv")
    shown = {path: each for path, each in found.items() if path.endswith(name)}
    assert [(each["state"], each["error"]) for each in shown.values()] == [(state, error)]
    assert list(shown) == [str(place / name) if elsewhere else name]
    assert code == (0 if state == "loaded" else 1)
    assert filled.query("select job from hired_employees.jobs") == ["a"]


def test_what_is_not_named_may_have_no_table(filled: Boat) -> None:
    code, found = ingest()
    assert (code, found["boats.csv"]["state"]) == (0, "unmatched")


def test_a_missing_file_stays_as_it_is_recorded(filled: Boat) -> None:
    """Its rows are there, and where they came from; a mistyped name leaves nothing."""
    filled.ingest()
    (filled.raw / "departments.csv").unlink()
    query = "select * from ingest_status.ingest_status order by file_name"
    before = filled.query(query)
    assert ingest(filled.raw / "departments.csv", filled.raw / "departmnets.csv")[0] == 1
    assert filled.query(query) == before


def test_a_missing_file_in_a_dry_run(filled: Boat) -> None:
    reports = filled.ingest(filled.raw / "nothing.csv", filled.raw / "jobs/may.csv", dry_run=True)
    assert {name: each.state for name, each in reports.items()} == {
        "jobs/may.csv": "loaded", "nothing.csv": "failed",
    }  # fmt: skip


class Context(dict[str, Any]):
    """The context of a task: its parameters, and what tasks leave for others."""

    def __init__(self, **params: Any) -> None:
        self.left: dict[str, Any] = {}
        params = {"files": None, "dry_run": False, "checksum": False, "again": False} | params
        run = type("DagRun", (), {"run_type": "manual", "triggering_user_name": "ann"})
        super().__init__(ti=self, params=params, dag_run=run, run_id="run")

    dag_id = "ingest"

    def xcom_push(self, key: str, value: Any) -> None:
        self.left[key] = value

    def xcom_pull(self, task: str, key: str) -> Any:
        return self.left.get(key)

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        return {}


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        (["nothing.csv", "departments.csv"], ["nothing.csv"]),
        (["boats.csv", "jobs_history.csv", "departments.csv"], ["boats.csv", "jobs_history.csv"]),
        (["departments.csv"], []),
        (None, []),
    ],
)
def test_named_files_in_airflow(
    filled: Boat, files: list[str] | None, refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other files are loaded, and then the run fails."""
    from rowboat_airflow.tasks import ingest as tasks

    context = Context(files=files)
    monkeypatch.setattr(tasks, "use_connection", lambda: None)
    monkeypatch.setattr(tasks, "get_current_context", lambda: context)
    found = tasks.detect.function({"hired_employees.departments": "d", "hired_employees.jobs": "j"})
    assert "d.files" in found
    assert context.left["refused"] == refused
    if refused:
        with pytest.raises(FileRefused) as raised:
            tasks.report.function()
        assert raised.value.fact.endswith(f"could not be loaded: {', '.join(refused)}")
    else:
        tasks.report.function()


def test_file_may_be_named_as_status_shows_it(filled: Boat) -> None:
    code, reports = ingest("jobs/may.csv")
    assert (code, reports["jobs/may.csv"]["state"]) == (0, "loaded")
