"""What the console and the API say of a file that was unloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.pages import table, words
from tests.support.unloading import unloaded


def test_an_unloaded_file_is_told_as_such(
    signed_in: Callable[..., Visitor],
    client: Any,
    boat: Boat,
    setting: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    setting("backups", str(tmp_path / "shelf"))
    boat.ingest(boat.write("departments.csv", "1,Bow\n2,Stern\n"), boat.write("jobs.csv", "1,R\n"))
    done = unloaded(boat, "departments.csv")
    visitor = signed_in()
    assert [row[:3] for row in table(visitor.get("/files?state=unloaded"))[1:]] == [
        ["departments.csv", "hired_employees.departments", "unloaded"]
    ]
    assert "have been taken out again" in words(visitor.get("/file?name=departments.csv"))
    files = client.get("/api/ingest").json["files"]
    assert [(each["file_name"], each["state"]) for each in files] == [
        ("departments.csv", "unloaded"), ("jobs.csv", "loaded"),
    ]  # fmt: skip
    assert "departments.csv unload tester" in words(visitor.get("/restores"))
    assert "Mode unload" in words(visitor.get(f"/restores/{done.id}"))
