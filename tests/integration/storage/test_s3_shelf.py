"""The shelf in a bucket: whole sets only, proven, restored, and tidied after the killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from rowboat import health
from rowboat.backup import retention, sets, shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.backup.take import take_backup
from rowboat.cli.commands import main
from rowboat.database.connections import transaction
from rowboat.errors import BackupRefused, ShelfUnusable, UnknownSet
from rowboat.settings import settings
from rowboat.storage import s3
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import DEPARTMENTS, EMPLOYEES, JOBS, take
from tests.support.s3 import Bucket, bucket, s3_server

__all__ = ["bucket", "s3_server"]
Setting = Callable[[str, str], None]
FILES = ["departments.avro", "hired_employees.avro", "jobs.avro", "manifest.json"]


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    setting("backups", f"{bucket.url}/shelf")
    backups.fill(boat)


def run(*words: str) -> Any:
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def rows(boat: Boat) -> list[Any]:
    return [
        boat.query(f"select * from {table} order by 1") for table in (DEPARTMENTS, JOBS, EMPLOYEES)
    ]


def grow(boat: Boat) -> None:
    """Give the departments six megabytes more."""
    rows_ = "select n, n || repeat('x', 1000) from generate_series(1000, 7000) as n"
    boat.query(f"insert into {DEPARTMENTS} {rows_}")


def test_a_set_from_its_writing_to_its_end(boat: Boat, bucket: Bucket) -> None:
    before = rows(boat)
    name = take(boat, pinned=True).set
    assert bucket.keys() == [f"shelf/{name}/{file}" for file in [*FILES, "pinned"]]
    written = [path for method, path, _ in bucket.requests.asked if method == "PUT"]
    assert written[-1].endswith(f"{name}/manifest.json")
    assert [(each.name, each.state, each.counts, each.pinned) for each in backups.known(boat)] == [
        (name, "whole", True, True)
    ]
    assert [each["name"] for each in run("backups")["sets"]] == [name]
    boat.query(f"delete from {JOBS} where id = 1")
    boat.query(f"update {DEPARTMENTS} set department = 'Changed'")
    after = rows(boat)
    done = run("restore", "--all", "--from", name, "--yes")
    assert rows(boat) == before
    with transaction(boat.connect()) as cursor:
        safety = restore.recorded_plan(cursor, done["id"])["safety_set"]
    assert f"shelf/{safety}/manifest.json" in bucket.keys("shelf/")
    run("undo", str(done["id"]), "--yes")
    assert rows(boat) == after
    url = f"{bucket.url}/shelf/{name}/jobs.avro"
    run("restore", "jobs", "--from", url, "--yes")
    assert rows(boat)[1] == before[1]
    assert run("drill")["ok"]
    run("pin", name, "--off")
    assert not shelf.is_pinned(name)
    shelf.remove_set(name)
    assert bucket.keys(f"shelf/{name}/") == []
    deleted = [
        path for method, path, _ in bucket.requests.asked if method == "DELETE" and name in path
    ]
    assert deleted[-5].endswith(f"{name}/manifest.json")
    with pytest.raises(UnknownSet):
        shelf.read_manifest(name)


def test_a_lost_database_takes_its_sets_on_record_again(boat: Boat, bucket: Bucket) -> None:
    name = take(boat).set
    boat.query("delete from backup_status.backup_status")
    assert [each.name for each in backups.known(boat)] == [name]
    other = take(boat).set
    assert backups.names(boat) == [name, other]
    assert len(backups.record(boat)) == 6


def test_one_flipped_byte_is_found(boat: Boat, bucket: Bucket) -> None:
    name = take(boat).set
    key = f"shelf/{name}/jobs.avro"
    content = bytearray(bucket.get(key))
    content[len(content) // 2] ^= 1
    bucket.put(key, bytes(content))
    assert "jobs.avro: is not byte for byte the file that was written" in backups.findings(boat)
    with pytest.raises(BackupRefused):
        source_of_set(name, JOBS)
    bucket.remove(key)
    assert [each.state for each in backups.known(boat)] == ["damaged"]
    assert backups.findings(boat, name) == ["jobs.avro: cannot be read: there is no such object"]
    bucket.put(f"shelf/{name}/manifest.json", "?")
    assert backups.findings(boat, name) == [f"the manifest of {name} is damaged"]
    assert [each.state for each in backups.known(boat)] == ["damaged"]


def test_what_is_replaced_while_it_is_restored(boat: Boat, bucket: Bucket) -> None:
    name = take(boat).set
    found = source_of_set(name, JOBS)
    content = bucket.get(f"shelf/{name}/departments.avro")

    def replace(method: str, path: str) -> None:
        if method == "GET" and path.endswith(f"{name}/jobs.avro"):
            bucket.put(f"shelf/{name}/jobs.avro", content)

    bucket.requests.before = replace
    order = RestoreOrder({JOBS: found}, "replace", "tester")
    before = rows(boat)
    with pytest.raises(BackupRefused) as raised:
        restore.restore_tables(boat.connect(), order)
    assert raised.value.fact == (
        f"{name}/jobs.avro cannot be read: it was replaced while it was read"
    )
    assert rows(boat) == before


def test_large_files_go_out_in_parts(
    boat: Boat, bucket: Bucket, setting: Setting, monkeypatch: Any
) -> None:
    monkeypatch.setattr(s3, "_PART", 5 * 2**20)
    setting("backup_codec", "null")
    grow(boat)
    name = take(boat).set
    parts = [path for method, path, _ in bucket.requests.asked if "partNumber" in path]
    assert (len(parts), bucket.uploads()) == (2, [])
    assert backups.findings(boat, name) == []
    before = rows(boat)
    boat.query(f"delete from {DEPARTMENTS} where id > 1000")
    run("restore", "departments", "--yes")
    assert rows(boat) == before


KILLED = """
import sys
from rowboat.backup.take import take_backup
from rowboat.database import connections
from rowboat.storage import s3
connections.uri = lambda role: sys.argv[1]
s3._PART = 5 * 2**20
print("begun", flush=True)
take_backup(connections.connect(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["partNumber=2", "manifest.json"])
def test_a_killed_writer_leaves_nothing_that_is_seen(
    boat: Boat, bucket: Bucket, setting: Setting, moment: str
) -> None:
    """It dies as soon as the server sees the request."""
    setting("backup_codec", "null")
    grow(boat)
    old = take(boat).set
    writer = subprocess.Popen([sys.executable, "-c", KILLED, boat.uri("loader")], env=os.environ)

    def kill(method: str, path: str) -> tuple[int, str] | None:
        if method in ("PUT", "POST") and moment in path and old not in path:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            return 500, "InternalError"
        return None

    bucket.requests.refuse = kill
    assert writer.wait(120) == -signal.SIGKILL
    bucket.requests.reset()
    assert backups.names(boat) == [old]
    assert backups.findings(boat) == []
    if moment == "partNumber=2":
        assert len(bucket.uploads()) == 1
    new = take(boat).set
    assert bucket.keys() == [f"shelf/{name}/{file}" for name in (old, new) for file in FILES]
    assert bucket.uploads() == []


def test_a_set_that_lost_only_its_mark_stays(boat: Boat, bucket: Bucket) -> None:
    """Killed between the manifest and the end: the set is whole. Others' files stay too."""
    name = take(boat).set
    bucket.put(f"shelf/.{name}.part", "")
    bucket.put("shelf/notes/readme.txt", "mine")
    bucket.put("shelf/.notes", "mine")
    assert shelf.clean_shelf() == []
    assert bucket.keys("shelf/.") == ["shelf/.notes"]
    assert backups.findings(boat, name) == []
    assert bucket.get("shelf/notes/readme.txt") == b"mine"


def test_a_removal_that_was_killed_is_ended(boat: Boat, bucket: Bucket) -> None:
    name = take(boat).set
    bucket.requests.refuse = lambda method, path: (
        (403, "AccessDenied") if method == "DELETE" and path.endswith("avro") else None
    )
    with pytest.raises(ShelfUnusable) as raised:
        shelf.remove_set(name)
    assert (raised.value.fact, raised.value.hint) == (
        f"{bucket.url}/shelf cannot be written: access is denied",
        "give the credentials the rights that docs/s3.md lists",
    )
    assert shelf.set_names() == []
    bucket.requests.reset()
    assert shelf.clean_shelf() == [name]
    assert bucket.keys() == []


def test_old_sets_are_pruned(boat: Boat, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [take(boat).set for _ in range(5)]
    boat.query("update backup_status.backup_status set taken_at = taken_at - interval '900 days'"
               " where set_name = %s", [names[0]])  # fmt: skip
    for setting_ in ("DAILY", "WEEKLY", "MONTHLY"):
        monkeypatch.setenv(f"ROWBOAT_KEEP_{setting_}", "0")
    settings.cache_clear()
    gone = [each.set for each in retention.prune_sets(boat.connect()) if not each.keep]
    assert names[0] in gone
    assert shelf.set_names() == [name for name in names if name not in gone]


@pytest.mark.parametrize(("encryption", "key"), [("AES256", None), ("aws:kms", "alias/boat")])
def test_encryption_is_asked_for(
    boat: Boat, bucket: Bucket, setting: Setting, encryption: str, key: str | None, monkeypatch: Any
) -> None:
    monkeypatch.setattr(s3, "_PART", 2**20)
    setting("s3_encryption", encryption)
    if key:
        setting("s3_kms_key", key)
    take(boat)
    url = settings().backups / "large"
    large = s3.MultipartUpload(url)
    large.write(b"x" * 2**20)
    large.leave()
    written = [
        (method, path, headers)
        for method, path, headers in bucket.requests.asked
        if (method == "PUT" and "partNumber" not in path) or path.endswith("?uploads")
    ]
    assert len(written) == 6
    for _, _, headers in written:
        assert headers["x-amz-server-side-encryption"] == encryption
        assert headers.get("x-amz-server-side-encryption-aws-kms-key-id") == key


def test_what_cannot_be_used_is_told(
    boat: Boat, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_TRIES", 1)
    bucket.requests.refuse = lambda *_: (403, "AccessDenied")
    with pytest.raises(ShelfUnusable) as raised:
        shelf.set_names()
    assert raised.value.fact == f"{bucket.url}/shelf cannot be read: access is denied"
    found = health.check_shelf(settings().backups)
    assert (found.ok, found.fact) == (False, f"{bucket.url}/shelf cannot be read: access is denied")
    bucket.requests.refuse = lambda method, _: (403, "AccessDenied") if method == "PUT" else None
    with pytest.raises(ShelfUnusable) as raised:
        take_backup(boat.connect())
    assert raised.value.fact == f"{bucket.url}/shelf cannot be written: access is denied"
    with transaction(boat.connect()) as cursor:
        assert sets.read_sets(cursor) == []
