"""The console's pages of files and runs: states, uploads as they come, runs with and without
Airflow.
"""

import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask import Flask

from rowboat.access import sessions
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support.fake_airflow import FakeAirflow

SignedIn = Callable[..., Visitor]
ROW = b"1,Rower\n"

pytestmark = pytest.mark.usefixtures("airflow")


def upload(visitor: Visitor, name: str = "jobs.csv", body: bytes = ROW, **fields: str) -> Any:
    return visitor.post_form("/files", **fields, file=(io.BytesIO(body), name))


def lying(boat: Boat) -> list[str]:
    """Everything that lies in raw_data, hidden files included."""
    return sorted(each.name for each in boat.raw.iterdir())


def alert(page: str) -> str:
    [words] = re.findall(r'<p role="alert">(.*?)</p>', page)
    return str(words)


def states(page: str) -> dict[str, str]:
    """File → state, as the table of a page shows them."""
    rows = page.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    return {
        re.findall(r'<td class="name"><a [^>]*>(.*?)</a>', row)[0]: re.findall(
            r'<span class="state[^"]*">(.*?)</span>', row
        )[0]
        for row in rows
    }


@pytest.fixture
def operator(signed_in: SignedIn) -> Visitor:
    return signed_in()


# --- the list -----------------------------------------------------------------------------------


def test_every_state_is_told(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", "1,Rower\n2,\n")
    boat.write("departments.csv", "1,Bow\n")
    boat.write("departments-old.csv", "2,Stern\n")
    boat.write("jobs-bad.csv", "id,boat\n1,x\n")
    boat.write("boats.csv", "1,x\n")
    boat.ingest()
    boat.write("departments.csv", "1,Bow\n3,Oar\n")
    boat.write("jobs-new.csv", "4,Cox\n")
    (boat.raw / "departments-old.csv").unlink()
    page = operator.get("/files").text
    assert states(page) == {
        "boats.csv": "unmatched", "departments.csv": "waiting",
        "jobs-bad.csv": "failed", "jobs-new.csv": "waiting",
        "jobs.csv": "loaded with 1 refused",
    }  # fmt: skip
    assert "belongs to no table: its name begins with none of" in page
    assert "the header names &#34;boat&#34;, which is not a column of hired_employees.jobs" in page
    assert 'href="/quarantine?file=jobs.csv"' in page
    assert 'data-live="10"' in page
    boat.query("update ingest_status.ingest_status set state = 'loading'"
               " where file_name = 'jobs.csv'")  # fmt: skip
    page = operator.get("/files").text
    assert "all 5" in page
    assert states(operator.get("/files?state=gone").text) == {"departments-old.csv": "gone"}
    gone = operator.get("/file?name=departments-old.csv").text
    assert "The rows loaded from it are still in the table." in gone
    assert states(page)["jobs.csv"] == "loading"
    assert 'data-live="2"' in page


def test_a_page_at_rest_is_not_live(operator: Visitor, boat: Boat) -> None:
    assert "There are no files yet" in operator.get("/files").text
    boat.write("jobs.csv", ROW)
    boat.ingest()
    assert "data-live" not in operator.get("/files").text


def test_all_files_are_gone(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", ROW).with_name("departments.csv").write_bytes(ROW)
    boat.ingest()
    for path in boat.raw.iterdir():
        path.unlink()
    page = operator.get("/files").text
    assert "There are no files yet" in page
    assert "gone 2" in page
    assert operator.get("/api/ingest").json["files"] == []


def test_a_failed_file_waits_again_when_it_changes(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", "id,boat\n1,x\n")
    boat.ingest()
    assert states(operator.get("/files").text) == {"jobs.csv": "failed"}
    boat.write("jobs.csv", "id,job\n1,x\n")
    page = operator.get("/files").text
    assert states(page) == {"jobs.csv": "waiting"}
    assert 'class="error"' in page  # why it failed the last time


def test_a_thousand_files_at_once(operator: Visitor, boat: Boat) -> None:
    for number in range(1000):
        boat.write(f"jobs-{number:04}.csv", "1,x\n")
    boat.query(
        "insert into ingest_status.ingest_status (file_name, table_name, state, actor)"
        " select format('jobs-%s.csv', to_char(n, 'FM0000')), 'hired_employees.jobs', 'failed', 'x'"
        " from generate_series(0, 999) as n"
    )
    page = operator.get("/files").text
    assert len(states(page)) == 100
    assert "Files 1 to 100 of 1,000, by name" in page
    seen: dict[str, str] = {}
    for number in range(1, 11):
        seen |= states(operator.get(f"/files?page={number}").text)
    assert len(seen) == 1000


def test_filters_stay_in_the_address(operator: Visitor, boat: Boat) -> None:
    for number in range(150):
        boat.write(f"jobs-{number:03}.csv", ROW)
        boat.write(f"boats-{number:03}.csv", ROW)
    page = operator.get("/files?q=-1&state=unmatched").text
    assert set(states(page)) == {f"boats-{number}.csv" for number in range(100, 150)}
    assert "all 100" in page
    page = operator.get("/files?state=unmatched").text
    assert 'href="/files?state=unmatched&amp;page=2"' in page
    assert "Page 2 of 2" in operator.get("/files?state=unmatched&page=9").text
    assert "No file matches" in operator.get("/files?q=x&state=loaded").text
    assert operator.get("/files?state=lost").status_code == 422
    assert operator.get("/files?page=0").status_code == 422


def test_the_files_of_a_run(operator: Visitor, boat: Boat) -> None:
    for name, run in (("jobs.csv", "manual__1"), ("jobs-2.csv", "manual__2")):
        boat.query(
            "insert into ingest_status.ingest_status (file_name, state, actor, run)"
            " values (%s, 'loaded', 'x', %s)", (name, run),
        )  # fmt: skip
    assert list(states(operator.get("/files?run=manual__2").text)) == ["jobs-2.csv"]


def test_strange_names_are_text(operator: Visitor, boat: Boat) -> None:
    for name in ("jobs<script>alert(1).csv", "jobs'\"&.csv", "jobs-\u05d0\u05d1.csv", "=cmd().csv"):
        boat.write(name, ROW)
    page = operator.get("/files").text
    assert "<script>alert" not in page
    assert "jobs&lt;script&gt;alert(1).csv" in page
    for address in re.findall(r'<td class="name"><a href="([^"]+)"', page):
        assert operator.get(unescape(address)).status_code == 200


def test_one_file(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", "1,Rower\n2,\n")
    boat.ingest()
    page = operator.get("/file?name=jobs.csv").text
    assert "all 11 B" in page
    assert "2 rows: 1 inserted, 0 updated" in " ".join(page.split())
    assert 'name="file" value="jobs.csv"' in page
    answer = operator.get("/file?name=../../etc/passwd")
    assert (answer.status_code, alert(answer.text)) == (404, "there is no file ../../etc/passwd")


def test_who_sees_some_tables_sees_their_files(signed_in: SignedIn, boat: Boat) -> None:
    for name in ("jobs.csv", "departments.csv", "boats.csv"):
        boat.write(name, "1,x\n")
    boat.ingest()
    visitor = signed_in("operate", ["hired_employees.jobs"])
    page = visitor.get("/files").text
    assert list(states(page)) == ["jobs.csv"]
    assert 'value="hired_employees.departments"' not in page
    assert "Ingest now" not in page  # all that changed is not for a key of one table
    assert visitor.get("/file?name=departments.csv").status_code == 404
    assert visitor.post_form("/files/ingest").status_code == 403
    assert visitor.post_form("/files/ingest", file="departments.csv").status_code == 403
    assert visitor.post_form("/files/ingest", file="jobs.csv").status_code == 303
    assert upload(visitor, "departments-2.csv").status_code == 403
    assert upload(visitor, "x.csv", table="departments").status_code == 403
    assert "departments-2.csv" not in lying(boat)


def test_a_reader_sees_no_action_and_may_do_none(
    signed_in: SignedIn, boat: Boat, airflow: FakeAirflow
) -> None:
    boat.write("jobs.csv", "1,\n")
    boat.ingest()
    visitor = signed_in("read")
    for address in ("/files", "/file?name=jobs.csv"):
        page = visitor.get(address).text
        assert "Upload" not in page
        assert "Ingest now" not in page
        assert "/quarantine" not in page  # refused rows are not for readers
    assert upload(visitor, "jobs-2.csv").status_code == 403
    assert visitor.post_form("/files/ingest").status_code == 403
    assert visitor.get("/runs/backup").status_code == 403
    assert visitor.get("/runs/backup/manual__1").status_code == 403
    assert airflow.triggered == []
    assert lying(boat) == ["jobs.csv"]


# --- uploads ------------------------------------------------------------------------------------


def test_an_upload_is_kept_and_leads_to_its_run(
    operator: Visitor, boat: Boat, airflow: FakeAirflow
) -> None:
    answer = upload(operator, "jobs-march.csv")
    assert (answer.status_code, answer.location) == (303, "/runs/ingest/manual__1")
    assert (boat.raw / "jobs-march.csv").read_bytes() == ROW
    assert airflow.triggered[0][:2] == ("ingest", {"files": ["jobs-march.csv"]})
    page = operator.get(answer.location).text
    assert "jobs-march.csv (8 B) is in raw_data; the run that loads it has been started." in page


def test_the_words_wait_for_a_reader(operator: Visitor) -> None:
    """The script follows the answer to its page, then lets the browser load it."""
    address = upload(operator).location
    script = operator.get(address, headers={"X-Requested-With": "XMLHttpRequest"})
    assert "the run that loads it" in script.text
    assert "the run that loads it" in operator.get(address).text
    assert "the run that loads it" not in operator.get(address).text


@pytest.mark.parametrize(
    ("name", "table", "stored", "words"),
    [
        ("jobs.csv", "", "jobs.csv", ""),
        ("C:\\my files\\jobs.csv", "", "jobs.csv", ""),
        ("march.csv", "hired_employees.jobs", "jobs-march.csv", ""),
        ("march.csv", "", "", "march.csv belongs to no table: its name begins with none of"),
        (
            "jobs.xlsx",
            "",
            "",
            "jobs.xlsx does not end in .csv, .tsv, .txt, with or without .gz or .zip",
        ),
        ("jobs.txt", "", "", "the name jobs.txt does not end in .csv or .csv.gz"),
        ("march.csv", "boats", "", "there is no table boats"),
        ("", "", "", "no file was chosen"),
    ],
)
def test_the_table_is_chosen_or_the_name_decides(
    operator: Visitor, boat: Boat, name: str, table: str, stored: str, words: str
) -> None:
    answer = _raw(operator, [_token(operator), ("table", table)], name)
    if stored:
        assert answer.status_code == 303
        assert lying(boat) == [stored]
    else:
        assert answer.status_code in {404, 422}
        assert alert(answer.text).startswith(words)
        assert lying(boat) == []


def test_nothing_is_replaced_without_saying_so(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", "7,Old\n")
    answer = upload(operator)
    assert (answer.status_code, alert(answer.text)) == (409, "jobs.csv is there already")
    assert "tick “Replace a file of the same name”" in answer.text
    assert (boat.raw / "jobs.csv").read_text() == "7,Old\n"
    assert upload(operator, overwrite="yes").status_code == 303
    assert (boat.raw / "jobs.csv").read_bytes() == ROW


def test_length_is_not_limited(operator: Visitor, boat: Boat, app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1024
    body = b"".join(b"%d,Rower %d\n" % (n, n) for n in range(20_000))
    assert upload(operator, body=body).status_code == 303
    assert (boat.raw / "jobs.csv").read_bytes() == body
    fields = [_token(operator), *[(f"field{n}", "x" * 2**18) for n in range(5)]]
    assert _raw(operator, fields, "jobs-2.csv").status_code == 413
    assert _raw(operator, [("f", "x")] * 20, "jobs-2.csv").status_code == 413
    assert lying(boat) == ["jobs.csv"]


def _raw(
    visitor: Visitor, fields: list[tuple[str, str]], name: str, after: str = "", **headers: str
) -> Any:
    """Send a form part by part as given, then its file, then a token."""
    parts = [f'Content-Disposition: form-data; name="{n}"\r\n\r\n{value}' for n, value in fields]
    quoted = name.replace("\\", "\\\\")
    parts.append(f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n1,x\n')
    if after:
        parts.append(f'Content-Disposition: form-data; name="csrf"\r\n\r\n{after}')
    body = "".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n"
    return visitor.post(
        "/files", data=body, content_type="multipart/form-data; boundary=x",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def _token(visitor: Visitor) -> tuple[str, str]:
    cookie = visitor.get_cookie(sessions.COOKIE)
    assert cookie
    return "csrf", sessions.form_token(cookie.value)


def test_the_token_comes_before_the_file_or_in_a_header(operator: Visitor, boat: Boat) -> None:
    _, token = _token(operator)
    for refused in (
        _raw(operator, [], "jobs.csv"),
        _raw(operator, [("csrf", "wrong")], "jobs.csv"),
        _raw(operator, [], "jobs.csv", after=token),  # too late: the file would be written by then
        _raw(operator, [("csrf", token)], "jobs.csv", X_CSRF_Token="wrong"),
        _raw(operator, [], "jobs.csv", X_CSRF_Token=""),
    ):
        assert refused.status_code == 403
        assert alert(refused.text) == "the form does not belong to your session"
        assert lying(boat) == []
    assert _raw(operator, [("csrf", token)], "jobs.csv").status_code == 303
    assert _raw(operator, [], "jobs-2.csv", X_CSRF_Token=token).status_code == 303
    assert lying(boat) == ["jobs-2.csv", "jobs.csv"]


def test_only_the_upload_checks_its_form_by_itself(app: Flask) -> None:
    """Every other view of the console has its form checked before it begins."""
    marked = {name for name, view in app.view_functions.items() if hasattr(view, "checks_form")}
    assert marked == {"console.files.receive"}


def test_a_form_that_breaks_off_leaves_nothing(operator: Visitor, boat: Boat) -> None:
    name, token = _token(operator)
    body = (
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{token}\r\n--x\r\nContent-'
        'Disposition: form-data; name="file"; filename="jobs.csv"\r\n\r\n1,Row'
    )
    answer = operator.post("/files", data=body, content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, alert(answer.text)) == (
        400,
        "the body ended before it was complete",
    )
    assert lying(boat) == []
    assert operator.post("/files", data="x", content_type="text/csv").status_code == 415


def test_airflow_down_keeps_the_file(operator: Visitor, boat: Boat, airflow: FakeAirflow) -> None:
    airflow.stop()
    answer = upload(operator)
    assert (answer.status_code, answer.location) == (303, "/files")
    page = operator.get("/files").text
    assert "the file is safe in raw_data and will be loaded once Airflow is back." in page
    assert states(page) == {"jobs.csv": "waiting"}


# --- ingest now, and runs -----------------------------------------------------------------------


def test_ingest_now(operator: Visitor, boat: Boat, airflow: FakeAirflow) -> None:
    boat.write("jobs.csv", ROW)
    answer = operator.post_form("/files/ingest")
    assert (answer.status_code, answer.location) == (303, "/runs/ingest/manual__1")
    operator.post_form("/files/ingest", file="jobs.csv", dry_run="yes", checksum="yes", again="yes")
    assert [conf for _, conf, _ in airflow.triggered] == [
        {"files": None, "dry_run": False, "checksum": False, "again": False},
        {"files": ["jobs.csv"], "dry_run": True, "checksum": True, "again": True},
    ]
    for name, status in (("../x.csv", 422), ("boats.csv", 422), ("jobs-9.csv", 422)):
        assert operator.post_form("/files/ingest", file=name).status_code == status
    assert operator.post("/files/ingest").status_code == 403
    assert len(airflow.triggered) == 2
    airflow.stop()
    answer = operator.post_form("/files/ingest")
    assert answer.status_code == 503
    assert "does not answer" in alert(answer.text)


def test_a_run_is_live_until_it_ends(operator: Visitor, boat: Boat, airflow: FakeAirflow) -> None:
    run = "manual__2026-11-21T10:00:00+00:00_x"
    airflow.add_run("ingest", run, "running")
    airflow.add_task(run, "detect", "success")
    airflow.add_task(run, "jobs.load", "running")
    answer = operator.get("/runs/ingest")
    [address] = re.findall(r'href="(/runs/ingest/[^"]+)"', answer.text)
    page = operator.get(address).text
    assert 'id="run" data-live="2"' in page
    assert "Refresh" in page
    assert f"{airflow.address}/dags/ingest/runs/manual__2026-11-21T10%3A00%3A00%2B00%3A00_x" in page
    airflow.runs["ingest", run]["state"] = "success"
    page = operator.get(address).text
    assert "data-live" not in page
    assert "No file had changed." in page


def test_what_a_run_did(operator: Visitor, boat: Boat, airflow: FakeAirflow) -> None:
    airflow.add_run("ingest", "manual__1", "failed")
    airflow.add_task("manual__1", "report", "failed")
    boat.write("jobs.csv", "1,Rower\n2,\n")
    boat.ingest()
    for name, state in [(f"jobs-{n:03}.csv", "loaded") for n in range(150)] + [("x.csv", "failed")]:
        boat.query(
            "insert into ingest_status.ingest_status (file_name, state, actor, run)"
            " values (%s, %s, 'x', 'manual__1')", (name, state),
        )  # fmt: skip
    boat.query("update ingest_status.ingest_status set run = 'manual__1'")
    boat.query("update ingest_status.loads set run = 'manual__1'")
    page = operator.get("/runs/ingest/manual__1").text
    assert "2 rows read: 1 inserted, 0 updated,\n    0 unchanged, 1 rejected." in page
    assert "100 of 152, failed ones first" in page
    assert next(iter(states(page))) == "x.csv"
    assert 'href="/files?run=manual__1"' in page
    assert "The logs in Airflow" in page


def test_a_dry_run_tells_what_it_found(operator: Visitor, airflow: FakeAirflow) -> None:
    airflow.add_run("ingest", "manual__1", "running", dry_run=True)
    assert "There is no result yet." in operator.get("/runs/ingest/manual__1").text
    airflow.add_task("manual__1", "detect", "success")
    found = {"file": "jobs.csv", "table": "hired_employees.jobs", "state": "loaded", "read": 7,
             "inserted": 4, "updated": 0, "unchanged": 0, "rejected": 3, "error": None}  # fmt: skip
    airflow.results["manual__1", "detect"] = [found]
    page = operator.get("/runs/ingest/manual__1").text
    assert states(page) == {"jobs.csv": "loaded"}
    assert "What it would do" in page
    assert "What it did" not in page
    airflow.results["manual__1", "detect"] = []
    assert "Nothing: no file has changed." in operator.get("/runs/ingest/manual__1").text


@pytest.mark.parametrize(
    ("dag", "task"), [("backup", "take"), ("verify", "read_back"), ("drill", "restore_on_trial")]
)
def test_runs_of_backups(operator: Visitor, airflow: FakeAirflow, dag: str, task: str) -> None:
    airflow.add_run(dag, "manual__1", "success")
    airflow.add_task("manual__1", task, "success")
    airflow.results["manual__1", task] = {"set": "2026-11-21T10-00-00Z", "findings": ["one byte"]}
    page = operator.get(f"/runs/{dag}/manual__1").text
    assert 'href="/backups/2026-11-21T10-00-00Z"' in page
    assert "one byte" in page
    assert f"/runs/{dag}/manual__1" in operator.get(f"/runs/{dag}").text


def test_runs_that_are_not_there(operator: Visitor) -> None:
    for address in ("/runs/ingest/manual__9", "/runs/restore", "/runs/boats/manual__1",
                    "/runs/ingest/%2e%2e%2fx"):  # fmt: skip
        assert operator.get(address).status_code == 404


def test_a_run_that_airflow_forgot_still_shows_its_files(operator: Visitor, boat: Boat) -> None:
    boat.write("jobs.csv", ROW)
    boat.ingest()
    boat.query("update ingest_status.ingest_status set run = 'manual__old'")
    page = operator.get("/runs/ingest/manual__old").text
    assert alert(page) == "there is no such run"
    assert list(states(page)) == ["jobs.csv"]
    assert "data-live" not in page


def test_airflow_down_is_told(operator: Visitor, boat: Boat, airflow: FakeAirflow) -> None:
    airflow.stop()
    for address in ("/runs/ingest", "/runs/ingest/manual__1", "/runs/backup/manual__1"):
        answer = operator.get(address)
        assert answer.status_code == 200
        assert alert(answer.text) == f"Airflow at {airflow.address} does not answer"
        assert 'data-live="10"' in answer.text
