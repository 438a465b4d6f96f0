"""`rowboat check` names every part and the remedy."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from rowboat.backup import take
from rowboat.cli.commands import main
from rowboat.database import connections, embedded
from tests.conftest import Boat

Setting = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def alone(boat: Boat, setting: Setting, tmp_path: Path) -> None:
    """Neither Airflow nor API; a shelf of the test's own."""
    for name in ("airflow_port", "api_port"):
        setting(name, str(embedded.free_port()))
    setting("backups", str(tmp_path / "backups"))


def checked() -> dict[str, tuple[bool, str, str | None]]:
    """Return part → whether it works, fact, hint."""
    done = CliRunner().invoke(main, ["check", "--json"])
    found = json.loads(done.stdout)
    assert done.exit_code == (0 if all(each["ok"] for each in found) else 1)
    return {each["part"]: (each["ok"], each["fact"], each["hint"]) for each in found}


def test_every_part_is_named(boat: Boat, tmp_path: Path) -> None:
    found = checked()
    assert list(found) == [
        "postgres", "schema", "rights", "backups", "newest backup", "raw_data", "files",
        "loaded rows", "airflow", "api",
    ]  # fmt: skip
    assert {part for part, (ok, _, _) in found.items() if not ok} == {
        "newest backup", "airflow", "api",
    }  # fmt: skip
    assert found["newest backup"][1] == "there is no verified backup"
    assert found["files"] == (True, "no file has failed", None)
    assert "`rowboat up`" in str(found["airflow"][2])
    assert found["api"][2] == "start it with `rowboat serve`"


def test_a_verified_backup_is_told_with_its_age(boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n"))
    with connections.session("loader") as connection:
        name = take.take_backup(connection).set
    assert checked()["newest backup"] == (True, f"{name} is verified and 0 hours old", None)
    boat.query("update backup_status.backup_status set taken_at = taken_at - interval '49 hours'")
    ok, fact, hint = checked()["newest backup"]
    assert (ok, fact) == (False, f"{name} is verified and 49 hours old")
    assert "`rowboat backup`" in str(hint)


def test_failed_files_are_named(boat: Boat) -> None:
    for name in ("departments.csv", "jobs.csv"):
        boat.write(name, "a,b\n")
        boat.ingest()
    said = (False, "2 files have failed: departments.csv, jobs.csv", "`rowboat status` says why")
    assert checked()["files"] == said
    (boat.raw / "jobs.csv").unlink()
    assert checked()["files"][1] == "1 file has failed: departments.csv"


def test_what_fails_names_its_remedy(boat: Boat, monkeypatch: pytest.MonkeyPatch) -> None:
    boat.query("delete from rowboat.migrations where number = 2")
    boat.raw.rmdir()
    found = checked()
    assert found["schema"] == (False, "0002_hired_employees is missing", "run `rowboat migrate`")
    assert found["raw_data"] == (
        False, f"there is no folder {boat.raw}", "make it, or set ROWBOAT_RAW_DATA",
    )  # fmt: skip
    monkeypatch.setattr(connections, "uri", lambda _: "postgresql://x@127.0.0.1:1/x")
    found = checked()
    assert found["postgres"][0] is False
    assert "check that Postgres is running" in str(found["postgres"][2])


def test_it_is_readable(boat: Boat) -> None:
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1
    assert re.search(r"^postgres +works  Postgres 1\d\.\d+ answers as the role rowboat_loader$",
                     done.stdout, re.MULTILINE)  # fmt: skip
    assert "rowboat_loader may load rows; foreign keys are checked set by set\n" in done.stdout
    assert "newest backup  FAILS  there is no verified backup\n    HINT: " in done.stdout
