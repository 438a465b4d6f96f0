"""raw_data in a bucket: found, read, changed, and taken in as in a folder."""

import gzip
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from rowboat import health
from rowboat.address import S3Url, parse_address
from rowboat.cli.commands import main
from rowboat.errors import FileExists, FileRefused, SettingError, Unwritable
from rowboat.ingest import discovery, upload
from rowboat.rows.read import trace
from rowboat.settings import settings
from rowboat.storage import s3
from tests.conftest import Boat, counts
from tests.support.s3 import Bucket, bucket, s3_server

__all__ = ["bucket", "s3_server"]
Setting = Callable[[str, str], None]
MIB = 2**20


@pytest.fixture(autouse=True)
def _raw_data(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    setting("raw_data", f"{bucket.url}/raw/")


def states(boat: Boat) -> dict[str, tuple[str, str | None]]:
    return {name: (each.state, each.error) for name, each in boat.ingest().items()}


def test_it_loads_what_a_folder_would(boat: Boat, bucket: Bucket, setting: Setting) -> None:
    bucket.put("raw/departments.csv", "1,Oars\n2,Sails\n")
    bucket.put("raw/jobs/march.csv.gz", gzip.compress(b"1,Rower\n2,Cox\n"))
    bucket.put(
        "raw/hired_employees.csv", "1,Zoé,2021-01-02T03:04:05Z,1,1\n2,Bo,,2,9\n".encode("utf-16")
    )
    bucket.put("elsewhere/jobs.csv", "9,Nobody\n")
    for left_out in ("raw/.hidden.csv", "raw/jobs.csv.part", "raw/.tmp/jobs.csv", "raw/jobs/"):
        bucket.put(left_out, "")
    bucket.put("raw/readme.md", "no data")
    found = boat.ingest()
    assert {name: counts(each) for name, each in found.items() if each.state == "loaded"} == {
        "departments.csv": (2, 2, 0, 0, 0),
        "jobs/march.csv.gz": (2, 2, 0, 0, 0),
        "hired_employees.csv": (2, 1, 0, 0, 1),
    }
    assert (found["readme.md"].state, len(found)) == ("unmatched", 4)
    assert {each.state for each in boat.ingest().values()} == {"unchanged", "unmatched"}
    rejected, positions = (
        boat.rejects(),
        "select file_name, loaded_bytes, loaded_lines, prefix_sha256",
    )
    positions += " from ingest_status.ingest_status where state = 'loaded' order by 1"
    known = boat.query(positions)
    setting("raw_data", str(boat.raw))
    boat.query("truncate ingest_status.ingest_status, ingest_status.rejected_rows cascade")
    boat.query("truncate hired_employees.departments, hired_employees.jobs cascade")
    for name in ("departments.csv", "jobs/march.csv.gz", "hired_employees.csv"):
        boat.write(name, bucket.get(f"raw/{name}"))
    boat.ingest()
    assert (boat.rejects(), boat.query(positions)) == (rejected, known)


def test_an_object_that_grew_or_was_rewritten(boat: Boat, bucket: Bucket) -> None:
    bucket.put("raw/departments.csv", "1,a\n2,b\n")
    assert counts(boat.ingest()["departments.csv"]) == (2, 2, 0, 0, 0)
    bucket.put("raw/departments.csv", "1,a\n2,b\n3,c\n")
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)
    bucket.put("raw/departments.csv", "1,a\n2,x\n3,c\n")  # of the same size, in the same second
    assert counts(boat.ingest()["departments.csv"]) == (3, 0, 1, 2, 0)
    bucket.put("raw/departments.csv", "1,a\n2,x\n")
    report = boat.ingest()["departments.csv"]
    assert (counts(report), report.vanished) == ((2, 0, 0, 2, 0), ["[3]"])
    bucket.remove("raw/departments.csv")
    assert boat.ingest() == {}
    assert boat.departments() == [(1, "a"), (2, "x"), (3, "c")]


def test_the_last_line_needs_no_end(boat: Boat, bucket: Bucket) -> None:
    """An object is whole: nobody is in the middle of a line."""
    bucket.put("raw/departments.csv", "1,a\n2,b")
    assert counts(boat.ingest()["departments.csv"]) == (2, 2, 0, 0, 0)


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_what_changes_while_it_is_read_is_read_anew(
    boat: Boat, bucket: Bucket, setting: Setting, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting("chunk_bytes", str(2**18))
    monkeypatch.setattr(s3, "RANGE", 2**18)
    old = b"".join(b"%d,old name of a department %d\n" % (n, n) for n in range(1, 10_001))
    new = old.replace(b"old", b"new")
    bucket.put("raw/departments.csv", old)
    second = [2]

    def meddle(method: str, path: str) -> None:
        if method == "GET" and path.endswith("departments.csv"):
            second[0] -= 1
            if not second[0] and change == "replaced":
                bucket.put("raw/departments.csv", new)
            elif not second[0]:
                bucket.remove("raw/departments.csv")

    bucket.requests.before = meddle
    report = boat.ingest()["departments.csv"]
    said = (
        "it was replaced while it was read"
        if change == "replaced"
        else "it vanished before it was read"
    )
    assert (report.state, report.error) == ("failed", said)
    assert 0 < len(boat.departments()) < 10_000
    bucket.requests.reset()
    bucket.put("raw/departments.csv", new)
    report = boat.ingest()["departments.csv"]
    assert counts(report)[0] == 10_000
    assert boat.departments() == [(n, f"new name of a department {n}") for n in range(1, 10_001)]
    assert boat.ingest()["departments.csv"].state == "unchanged"


def test_reading_is_in_bounded_ranges(boat: Boat, bucket: Bucket) -> None:
    line = b"%07d," + b"x" * 991 + b"\n"
    whole = b"".join(line % n for n in range(1, 20_001))
    bucket.put("raw/departments.csv", whole[:15_000_000])
    boat.ingest()
    asked = bucket.requests.ranges("departments.csv")
    assert [first for first, _ in asked] == [0, 8 * MIB]
    assert max(last - first for first, last in asked) < 8 * MIB
    headers = [each[2] for each in bucket.requests.asked if "range" in each[2]]
    assert len({each["if-match"] for each in headers}) == 1
    bucket.put("raw/departments.csv", whole)
    report = boat.ingest()["departments.csv"]
    assert (report.report.read, len(boat.departments())) == (5_000, 20_000)
    assert max(last - first for first, last in bucket.requests.ranges("departments.csv")) < 8 * MIB


def test_any_number_of_objects(boat: Boat, bucket: Bucket) -> None:
    names = [f"jobs/{n:04}.csv" for n in range(1500)]
    bucket.fill(*(f"raw/{name}" for name in names))
    assert [each.name for each in discovery.scan_folder(boat.catalog())] == names
    assert sum("list-type=2" in path for _, path, _ in bucket.requests.asked) == 2


def test_strange_keys_are_told(boat: Boat, bucket: Bucket) -> None:
    bucket.fill("raw//departments.csv", "raw/departments\n.csv")
    bucket.put("raw/departments-ü?versionId=1 %2F+.csv", "1,a\n")
    bucket.put("raw/departments.csv/departments-2.csv", "2,b\n")
    assert states(boat) == {
        "/departments.csv": ("unmatched", "has a name that begins with a slash"),
        "departments\n.csv": ("unmatched", "has a name with unprintable characters"),
        "departments-ü?versionId=1 %2F+.csv": ("loaded", None),
        "departments.csv/departments-2.csv": ("loaded", None),
    }


def test_files_by_name_and_by_url(boat: Boat, bucket: Bucket, tmp_path: Any) -> None:
    bucket.put("raw/jobs/may.csv", "1,a\n")
    bucket.put("raw/departments.csv", "1,a\n")
    local = tmp_path / "departments-2.csv"
    local.write_text("2,b\n")

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, "--json"])

    done = run("ingest", f"{bucket.url}/raw/jobs/may.csv", "departments.csv", str(local))
    assert [each["file"] for each in json.loads(done.stdout)["files"]] == [
        str(local), "departments.csv", "jobs/may.csv",
    ]  # fmt: skip
    for name in (f"{bucket.url}/raw/jobs/may.csv", "jobs/may.csv"):
        assert json.loads(run("trace", f"{name}:1").stdout)["state"] == trace.IS_ROW
    assert json.loads(run("trace", "jobs", "1").stdout)["writer"]["line"] == 1
    assert json.loads(run("trace", f"{local}:1").stdout)["state"] == trace.IS_ROW
    elsewhere, nothing = f"{bucket.url}/other/jobs.csv", tmp_path / "nothing.csv"
    done = run("ingest", elsewhere, "nothing.csv", str(nothing), "departments.csv")
    assert done.exit_code == 1
    assert {
        each["file"]: (each["state"], each["error"]) for each in json.loads(done.stdout)["files"]
    } == {
        elsewhere: ("failed", f"is not in {bucket.url}/raw"),
        "nothing.csv": ("failed", "cannot be read: there is no such object"),
        str(nothing): ("failed", "cannot be read: no such file or directory"),
        "departments.csv": ("unchanged", None),
    }
    assert run("ingest", "ftp://there/jobs.csv").exit_code == 2


def test_retried_rows_and_status(boat: Boat, bucket: Bucket) -> None:
    bucket.put("raw/hired_employees.csv", "1,Zoe,2021-01-02T03:04:05Z,1,1\n")
    boat.ingest()
    bucket.put("raw/departments.csv", "1,a\n")
    bucket.put("raw/jobs.csv", "1,b\n")
    boat.ingest()
    assert boat.rejects() == []
    found = json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)
    assert [each["state"] for each in found["files"]] == ["loaded"] * 3


# Uploads


def test_an_upload_is_there_whole_or_not_at_all(boat: Boat, bucket: Bucket) -> None:
    body = b"1,Rower\n" * (20 * MIB // 8)
    with upload.open_upload("jobs.csv") as arrival:
        for at in range(0, len(body), MIB):
            arrival.write(body[at : at + MIB])
        assert (bucket.keys(), bucket.uploads()) == ([], ["raw/jobs.csv"])
        received = arrival.keep()
    assert received.sha256 == hashlib.sha256(body).hexdigest()
    assert (bucket.get("raw/jobs.csv"), bucket.uploads()) == (body, [])
    parts = [path for method, path, _ in bucket.requests.asked if method == "PUT"]
    assert len(parts) == 3
    with suppress(ZeroDivisionError), upload.open_upload("jobs-2.csv") as arrival:
        arrival.write(body)
        assert bucket.uploads() == ["raw/jobs-2.csv"]
        raise ZeroDivisionError
    assert (bucket.keys(), bucket.uploads()) == (["raw/jobs.csv"], [])


@pytest.mark.parametrize("size", [8, 9 * MIB])
def test_of_two_at_once_one_is_stored(boat: Boat, bucket: Bucket, size: int) -> None:
    with upload.open_upload("jobs.csv") as first, upload.open_upload("jobs.csv") as second:
        first.write(b"1" * size)
        second.write(b"2" * size)
        first.keep()
        looks = [0]

        def blind(method: str, _: str) -> tuple[int, str] | None:
            looks[0] += method == "HEAD"
            return (404, "NotFound") if method == "HEAD" else None

        bucket.requests.refuse = blind  # it is not there yet when the second one looks
        with pytest.raises(FileExists) as raised:
            second.keep()
    assert (raised.value.fact, looks) == ("jobs.csv is there already", [1])
    assert (bucket.get("raw/jobs.csv"), bucket.uploads()) == (b"1" * size, [])


def test_nothing_is_overwritten_without_saying_so(boat: Boat, bucket: Bucket) -> None:
    bucket.put("raw/jobs.csv", "7,Old\n")
    with pytest.raises(FileExists), upload.open_upload("jobs.csv"):
        pass
    with upload.open_upload("jobs.csv", overwrite=True) as arrival:
        arrival.write(b"1,New\n")
        arrival.keep()
    assert bucket.get("raw/jobs.csv") == b"1,New\n"


def test_files_over_http(
    boat: Boat, bucket: Bucket, client: FlaskClient, airflow: Any, setting: Setting
) -> None:
    sent: dict[str, Any] = {"data": b"1,Rower\n", "content_type": "text/csv"}
    answer = client.post("/api/jobs/file?name=march.csv", **sent)
    assert (answer.status_code, bucket.keys()) == (202, ["raw/jobs-march.csv"])
    assert client.post("/api/jobs/file?name=march.csv", **sent).status_code == 409
    assert client.post("/api/ingest", json={"files": ["jobs-march.csv"]}).status_code == 202
    assert client.post("/api/ingest", json={"files": ["jobs-may.csv"]}).status_code == 422
    assert client.get("/ready").get_json()["raw_data"] is True
    bucket.requests.refuse = lambda *_: (403, "AccessDenied")
    answer = client.post("/api/jobs/file?name=may.csv", **sent)
    assert (answer.status_code, answer.get_json()["detail"], answer.get_json()["hint"]) == (
        503,
        "jobs-may.csv cannot be written into raw_data: access is denied",
        "give the credentials the rights that docs/s3.md lists",
    )
    assert client.get("/ready").status_code == 503


# What can go wrong


FAILURES: dict[str, tuple[tuple[int, str], str, str]] = {
    "denied": ((403, "AccessDenied"), "access is denied",
               "give the credentials the rights that docs/s3.md lists"),
    "wrong key": ((403, "InvalidAccessKeyId"), "the credentials are not accepted",
                  "renew or correct them; docs/s3.md lists the places they are read from"),
    "busy": ((503, "SlowDown"), "the server asks to slow down", "try again in a minute"),
    "defect": ((418, "Teapot"), "the server answers Teapot", "look in the server's log"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_failures_are_told(
    boat: Boat, bucket: Bucket, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_TRIES", 1)
    answer, fact, hint = FAILURES[failure]
    bucket.put("raw/departments.csv", "1,a\n")
    bucket.requests.refuse = lambda *_: answer
    with pytest.raises(FileRefused) as raised:
        boat.ingest()
    assert (raised.value.fact, raised.value.hint) == (
        f"{bucket.url}/raw cannot be read: {fact}", hint,
    )  # fmt: skip
    with upload.open_upload("jobs.csv", overwrite=True) as arrival:
        arrival.write(b"1,a\n")
        with pytest.raises(Unwritable) as unwritable:
            arrival.keep()
    assert (unwritable.value.fact, unwritable.value.hint) == (
        f"jobs.csv cannot be written into raw_data: {fact}", hint,
    )  # fmt: skip
    bucket.requests.refuse = lambda method, path: (
        answer if "." in path and method == "GET" else None
    )
    report = boat.ingest()["departments.csv"]
    assert (report.state, report.error, report.hint) == (
        "failed", f"it cannot be read: {fact}", hint,
    )  # fmt: skip


def test_a_server_that_is_busy_for_a_moment(boat: Boat, bucket: Bucket) -> None:
    bucket.put("raw/departments.csv", "1,a\n")
    busy = [2]

    def refuse(method: str, _: str) -> tuple[int, str] | None:
        busy[0] -= method == "GET"
        return (503, "SlowDown") if method == "GET" and busy[0] >= 0 else None

    bucket.requests.refuse = refuse
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(("breaks", "state"), [(3, "loaded"), (4, "failed")])
def test_a_transfer_that_breaks_is_begun_again(
    boat: Boat, bucket: Bucket, breaks: int, state: str
) -> None:
    bucket.put("raw/departments.csv", "1,a\n")
    left = [breaks]

    def cut(method: str, path: str) -> bool:
        left[0] -= method == "GET" and path.endswith(".csv")
        return method == "GET" and path.endswith(".csv") and left[0] >= 0

    bucket.requests.cut = cut
    report = boat.ingest()["departments.csv"]
    assert report.state == state
    assert len(bucket.requests.ranges("departments.csv")) == 4
    if state == "failed":
        assert report.error == f"it cannot be read: {bucket.endpoint} does not answer"


def test_no_bucket_and_no_server(
    boat: Boat, bucket: Bucket, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_TRIES", 1)
    setting("raw_data", "s3://nobodys-bucket/raw")
    found = health.check_raw_data(settings().raw_data)
    assert (found.ok, found.fact, found.hint) == (
        False,
        "s3://nobodys-bucket/raw cannot be read: there is no bucket nobodys-bucket",
        "create it, or correct the URL",
    )
    setting("s3_endpoint", "http://127.0.0.1:1")
    found = health.check_raw_data(settings().raw_data)
    assert (found.ok, found.fact, found.hint) == (
        False,
        "s3://nobodys-bucket/raw cannot be read: http://127.0.0.1:1 does not answer",
        "check the network and ROWBOAT_S3_ENDPOINT",
    )


def test_no_credentials(boat: Boat, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    found = health.check_raw_data(settings().raw_data)
    assert found.fact == f"{bucket.url}/raw cannot be read: there are no credentials for S3"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("s3://bucket", S3Url("bucket")),
        ("s3://bucket/", S3Url("bucket")),
        ("s3://bucket/a/b/", S3Url("bucket", "a/b")),
        ("gs://bucket/a", None),
        ("s3://", None),
        ("s3:///a", None),
        ("file:///a", None),
    ],
)
def test_settings(setting: Setting, value: str, place: S3Url | None) -> None:
    setting("backups", value)
    if place is None:
        with pytest.raises(SettingError) as raised:
            settings()
        assert raised.value.fact == (
            "ROWBOAT_BACKUPS cannot be used: value error, must be a folder or s3://bucket/prefix"
        )
    else:
        assert settings().backups == place
        assert parse_address(str(place)) == place
