"""Files over HTTP: safe names, any size, never half."""

import gzip
import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rowboat.ingest import upload
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.fake_airflow import FakeAirflow
from tests.support.problems import wrong

Setting = Callable[[str, str], None]
ROW = b"1,Rower\n"
ROW_PACKED = gzip.compress(ROW, mtime=0)
CSV, GZIP = "text/csv", "application/gzip"


pytestmark = pytest.mark.usefixtures("airflow")


def put(
    client: FlaskClient, body: Any = ROW, query: str = "", media: str = CSV, **more: Any
) -> Any:
    return client.post(f"/api/jobs/file{query}", data=body, content_type=media, **more)


def lying(boat: Boat) -> list[str]:
    """Everything that lies in raw_data, hidden files included."""
    return sorted(each.name for each in boat.raw.iterdir())


def test_a_file_is_stored_and_its_load_started(
    client: FlaskClient, boat: Boat, airflow: FakeAirflow
) -> None:
    answer = put(client, query="?name=jobs-march.csv")
    assert answer.status_code == 202
    assert answer.get_json() == {
        "file": "jobs-march.csv", "bytes": 8, "sha256": hashlib.sha256(ROW).hexdigest(),
        "run": "manual__1", "state": "queued", "url": "/api/ingest/manual__1",
    }  # fmt: skip
    assert (boat.raw / "jobs-march.csv").read_bytes() == ROW
    assert lying(boat) == ["jobs-march.csv"]
    assert airflow.triggered[0][:2] == ("ingest", {"files": ["jobs-march.csv"]})
    [report] = boat.ingest().values()
    assert (report.table, report.report.inserted) == ("hired_employees.jobs", 1)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("jobs.csv", "jobs.csv"),
        ("JOBS.CSV", "JOBS.CSV"),
        ("march.csv", "jobs-march.csv"),
        ("departments.csv", "jobs-departments.csv"),
        ("jobs2.csv", "jobs2.csv"),
        ("jobs_old.csv", "jobs-jobs_old.csv"),
        ("hired_employees.jobs.csv", "hired_employees.jobs.csv"),
        ("../../etc/passwd.csv", "jobs-passwd.csv"),
        ("/etc/cron.d/x.csv", "jobs-x.csv"),
        ("..\\..\\windows\\x.csv", "jobs-x.csv"),
        (".hidden.csv", "jobs-hidden.csv"),
        ("..csv", None),
        (".csv", None),
        ("-rf.csv", "jobs-rf.csv"),
        ("a b\tc;d$(e)`f`.csv", "jobs-a-b-c-d-e-f-.csv"),
        ("Zürich März.csv", "jobs-Z-rich-M-rz.csv"),
        ("\u202efdp.csv", "jobs-fdp.csv"),
        ("a\0b.csv", "jobs-a-b.csv"),
        ("a\nb.csv", "jobs-a-b.csv"),
        ("CON.csv", "jobs-CON.csv"),
        ("x.part.csv", "jobs-x.part.csv"),
        ("x.csv~", None),
        ("x.csv.part", None),
        ("x.txt", None),
        ("x", None),
        ("", None),
        ("x.csv/", None),
        ("a" * 146 + ".csv", "jobs-" + "a" * 146 + ".csv"),
        ("a" * 147 + ".csv", None),
        ("é" * 5000 + ".csv", None),
    ],
)
def test_names(
    client: FlaskClient, boat: Boat, airflow: FakeAirflow, given: str, stored: str | None
) -> None:
    answer = client.post("/api/jobs/file", query_string={"name": given}, data=ROW, content_type=CSV)
    if given == "":
        stored = f"jobs-upload-{answer.headers['X-Request-Id']}.csv"  # as if there were none
    if stored is None:
        assert wrong(answer)[0] == 422
        assert lying(boat) == []
        assert airflow.triggered == []
    else:
        assert answer.get_json()["file"] == stored
        assert lying(boat) == [stored]


@pytest.mark.parametrize(
    ("media", "body", "ending"), [(CSV, ROW, "csv"), (GZIP, ROW_PACKED, "csv.gz")]
)
def test_a_file_without_a_name_gets_that_of_its_request(
    client: FlaskClient, boat: Boat, media: str, body: bytes, ending: str
) -> None:
    answer = put(client, body, media=media)
    assert answer.get_json()["file"] == f"jobs-upload-{answer.headers['X-Request-Id']}.{ending}"
    [report] = boat.ingest().values()
    assert report.report.inserted == 1


def test_length_is_not_limited(
    client: FlaskClient, boat: Boat, setting: Setting, app: Flask
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1024
    body = b"".join(b"%d,Rower %d\n" % (n, n) for n in range(100_000))
    assert put(client, body, "?name=jobs.csv").get_json()["bytes"] == len(body)
    body = body[:400_000]  # above it the test's own client leaves a file open
    form = {"file": (io.BytesIO(body), "more.csv")}
    answer = put(client, form, media="multipart/form-data")
    assert answer.get_json()["file"] == "jobs-more.csv"
    assert answer.get_json()["sha256"] == hashlib.sha256(body).hexdigest()
    assert wrong(client.post("/api/ingest", data=b"{" * 2000, content_type="application/json"))[0] \
        == 413  # fmt: skip


@pytest.mark.parametrize(
    ("body", "query", "media", "headers", "status", "said"),
    [
        (b"", "?name=jobs.csv", CSV, {}, 422, "jobs.csv is empty"),
        (ROW, "?name=jobs.csv.gz", CSV, {}, 422, "jobs.csv.gz is not packed by gzip"),
        (ROW_PACKED, "?name=jobs.csv", GZIP, {}, 422, "jobs.csv is packed by gzip"),
        (ROW, "", "application/json", {}, 415,
         "a file is accepted as text/csv, application/gzip, application/x-gzip, "
         "multipart/form-data"),
        (ROW, "", CSV, {"Content-Encoding": "gzip"}, 415, "Content-Encoding is not supported"),
        (ROW, "?overwrite=perhaps", CSV, {}, 422, "the request is invalid"),
        (ROW, "?over=true", CSV, {}, 422, "the request is invalid"),
        (ROW, "?name=a.csv&name=b.csv", CSV, {}, 422, "the request is invalid"),
        (b"--x\r\n", "", "multipart/form-data; boundary=x", {}, 400,
         "the body ended before it was complete"),
        (b"--x--\r\n", "", "multipart/form-data; boundary=x", {}, 422, "the form contains no file"),
        (ROW, "", "multipart/form-data", {}, 400, "the body ended before it was complete"),
        (b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\n1,Row', "",
         "multipart/form-data; boundary=x", {}, 400, "the body ended before it was complete"),
    ],
)  # fmt: skip
def test_what_is_no_file_leaves_none(
    client: FlaskClient, boat: Boat, airflow: FakeAirflow, body: bytes, query: str, media: str,
    headers: dict[str, str], status: int, said: str,
) -> None:  # fmt: skip
    assert wrong(put(client, body, query, media, headers=headers))[:2] == (status, said)
    assert lying(boat) == []
    assert airflow.triggered == []


def test_a_form_has_one_file(client: FlaskClient, boat: Boat) -> None:
    form = {"a": (io.BytesIO(ROW), "a.csv"), "b": (io.BytesIO(ROW), "b.csv")}
    assert wrong(put(client, form, media="multipart/form-data"))[:2] == (
        422, "the form contains more than one file",
    )  # fmt: skip
    assert lying(boat) == []


def test_nothing_is_overwritten_without_saying_so(client: FlaskClient, boat: Boat) -> None:
    boat.write("jobs.csv", "7,Old\n")
    answer = put(client, query="?name=jobs.csv")
    assert wrong(answer)[:2] == (409, "jobs.csv is there already")
    assert "?overwrite=true" in answer.get_json()["hint"]
    assert (boat.raw / "jobs.csv").read_text() == "7,Old\n"
    assert put(client, query="?name=jobs.csv&overwrite=true").status_code == 202
    assert (boat.raw / "jobs.csv").read_bytes() == ROW
    assert lying(boat) == ["jobs.csv"]


def test_of_two_at_once_one_is_stored(boat: Boat) -> None:
    with upload.open_upload("jobs.csv") as first, upload.open_upload("jobs.csv") as second:
        first.write(b"1,First\n")
        second.write(b"2,Second\n")
        first.keep()
        with pytest.raises(upload.FileExists):
            second.keep()
    assert (boat.raw / "jobs.csv").read_bytes() == b"1,First\n"
    assert lying(boat) == ["jobs.csv"]


def test_a_link_is_replaced_not_followed(client: FlaskClient, boat: Boat) -> None:
    other = boat.raw.parent / "other.csv"
    other.write_text("precious")
    (boat.raw / "jobs.csv").symlink_to(other)
    assert put(client, query="?name=jobs.csv&overwrite=true").status_code == 202
    assert other.read_text() == "precious"
    assert not (boat.raw / "jobs.csv").is_symlink()


def test_a_folder_is_not_replaced(client: FlaskClient, boat: Boat) -> None:
    (boat.raw / "jobs.csv").mkdir()
    assert wrong(put(client, query="?name=jobs.csv"))[0] == 409
    answer = wrong(put(client, query="?name=jobs.csv&overwrite=true"))
    assert answer[:2] == (503, "jobs.csv cannot be written into raw_data: is a directory")
    assert lying(boat) == ["jobs.csv"]


def test_ingest_does_not_see_what_is_on_its_way(boat: Boat) -> None:
    with upload.open_upload("jobs.csv") as arrival:
        arrival.write(ROW)
        arrival._incoming._file.flush()
        assert lying(boat) != []
        assert boat.ingest() == {}
    assert lying(boat) == []


def test_what_a_killed_process_left_goes_after_a_day(boat: Boat, client: FlaskClient) -> None:
    for name, age in ((".upload-old", 90_000), (".upload-new", 10)):
        path = boat.write(name, ROW)
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    put(client, query="?name=jobs.csv")
    assert lying(boat) == [".upload-new", "jobs.csv"]


def test_a_missing_folder_is_told(client: FlaskClient, boat: Boat) -> None:
    boat.raw.rmdir()
    said = wrong(put(client, query="?name=jobs.csv"))
    assert said[:2] == (
        503, "jobs.csv cannot be written into raw_data: no such file or directory",
    )  # fmt: skip


def test_airflow_down_keeps_the_file(client: FlaskClient, boat: Boat, airflow: FakeAirflow) -> None:
    airflow.stop()
    answer = put(client, query="?name=jobs.csv")
    assert answer.status_code == 202
    found = answer.get_json()
    assert (found["file"], found["run"], found["url"]) == ("jobs.csv", None, None)
    assert found["hint"] == "the file is safe in raw_data and will be loaded once Airflow is back"
    assert lying(boat) == ["jobs.csv"]


def test_tables_that_are_not_there_or_not_ones_own(client_of: ClientOf, boat: Boat) -> None:
    client = client_of("operate", ["departments"])
    assert wrong(put(client))[0] == 403
    assert wrong(client.post("/api/boats/file", data=ROW, content_type=CSV))[0] == 404
    assert lying(boat) == []


def test_a_name_that_two_tables_share_takes_the_schema(
    client: FlaskClient, boat: Boat, declare: Callable[[str], None]
) -> None:
    declare("create schema other; create table other.jobs (id bigint primary key, job text);")
    answer = client.post(
        "/api/other.jobs/file?name=x.csv", data=ROW, content_type=CSV
    ).get_json()  # fmt: skip
    assert answer["file"] == "other.jobs-x.csv"
    [report] = boat.ingest().values()
    assert (report.table, report.report.inserted) == ("other.jobs", 1)
