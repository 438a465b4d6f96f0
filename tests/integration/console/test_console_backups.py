"""Backups and restores at the console: the shelf, plans approved by name, reports, undo."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from rowboat.backup import restore, retention, shelf
from tests.conftest import Boat
from tests.integration.conftest import ClientOf, Visitor
from tests.support import backups, restoring
from tests.support.fake_airflow import FakeAirflow
from tests.support.restoring import BY_DEPARTMENT, DEPARTMENTS, EMPLOYEES, JOBS

SignIn = Callable[..., Visitor]
RUN = "manual__1"
PAGES = ("/backups", "/backups/{set}", "/restores", "/restores/new", f"/restores/{RUN}",
         "/restores/1", "/restores/1/undo")  # fmt: skip
FORMS = ("/backups", "/backups/{set}/verify", "/backups/{set}/pin", "/restores/new",
         f"/restores/{RUN}", f"/restores/{RUN}/reject", "/restores/1/undo")  # fmt: skip


@pytest.fixture
def hired(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> Boat:
    """A boat with rows and a shelf of its own."""
    setting("backups", str(tmp_path / "backups"))
    return restoring.hire(boat)


@pytest.fixture
def taken(hired: Boat) -> str:
    """A verified set of all tables."""
    return restoring.take(hired)


def words(answer: TestResponse) -> str:
    """Return what a page says, without its tags."""
    main = re.sub(r"(?s)^.*<main|</main>.*$", "", answer.text)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def table(answer: TestResponse) -> list[list[str]]:
    """Return the cells of the first table."""
    found = re.findall(r"(?s)<tr>(.*?)</tr>", answer.text.partition("</table>")[0])
    cells = (re.findall(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found)
    strip = re.compile(r"<[^>]*>")
    return [[" ".join(html.unescape(strip.sub(" ", c)).split()) for c in row] for row in cells]


def said(visitor: Visitor, answer: TestResponse) -> str:
    """Follow a form's answer; return what the next page says was done."""
    assert answer.status_code == 303
    page = visitor.get(answer.location)
    assert page.status_code == 200
    [found] = re.findall(r'<p class="said" role="status">(.*?)</p>', page.text)
    return html.unescape(found)


def live(answer: TestResponse) -> bool:
    return "data-live" in answer.text


def plans(boat: Boat, airflow: FakeAirflow, set_: str, tables: list[str], **more: Any) -> None:
    """Let the run have planned, and ask since a minute."""
    planned = restoring.planned(boat, restoring.order(boat, set_, tables, **more))
    airflow.results[RUN, "plan"] = planned.to_json()
    long_ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    airflow.questions[RUN] = {"subject": "Restore?", "body": "1", "created_at": long_ago}
    airflow.runs[next(key for key in airflow.runs if key[1] == RUN)]["state"] = "running"
    airflow.add_task(RUN, "plan", "success")
    airflow.add_task(RUN, "approve", "awaiting_input")


def answered(airflow: FakeAirflow, state: str, **tasks: str) -> None:
    """Let Airflow have gone on after the answer."""
    [key] = [key for key in airflow.runs if key[1] == RUN]
    airflow.runs[key]["state"] = state
    airflow.tasks[RUN] = []
    for name, found in {"plan": "success", "approve": "success", **tasks}.items():
        airflow.add_task(RUN, name, found)


def test_an_empty_shelf_says_what_to_do(
    boat: Boat, tmp_path: Path, setting: Callable[[str, str], None], signed_in: SignIn,
    airflow: FakeAirflow,
) -> None:  # fmt: skip
    setting("backups", str(tmp_path / "nowhere"))
    visitor = signed_in()
    assert "There is no backup yet. Take the first one below" in words(visitor.get("/backups"))
    assert "Nothing was restored yet." in words(visitor.get("/restores"))
    answer = visitor.post_form("/restores/new", table=JOBS)
    assert answer.status_code == 422
    assert f"there is no verified backup of {JOBS}; take one" in words(answer)


def test_the_shelf_the_newest_first_and_why_each_stays(
    hired: Boat, signed_in: SignIn, airflow: FakeAirflow, setting: Callable[[str, str], None]
) -> None:
    for name in ("daily", "weekly", "monthly", "least"):
        setting(f"keep_{name}", "1")
    names = backups.of_days_ago(hired, 40, 30, 0)
    hired.query(
        "update backup_status.backup_status set suspicion = %s where set_name = %s",
        ["it holds <b>no</b> rows", names[0]],
    )
    verdicts = {each.set: each for each in retention.prune_sets(hired.connect(), dry_run=True)}
    page = signed_in().get("/backups")
    rows = table(page)[1:]
    assert [row[0] for row in rows] == names[::-1]
    for row in rows:
        verdict = verdicts[row[0]]
        kept = "stays" if verdict.keep else "goes next"
        assert row[5] == f"{kept} {', '.join(verdict.reasons)}"
        assert f"{DEPARTMENTS}: 3" in row[2]
        assert "verified 20" in row[4]
    assert [row[1].split(" ago")[0] for row in rows][1:] == ["30 days", "40 days"]
    assert "suspicious" in rows[2][4]
    assert "it holds <b>no</b> rows" in rows[2][4]
    assert {row[5].split()[0] for row in rows} == {"stays", "goes"}


def test_a_set_tells_its_files(taken: str, signed_in: SignIn) -> None:
    page = signed_in().get(f"/backups/{taken}")
    rows = {row[0]: row for row in table(page)[1:]}
    assert set(rows) == {DEPARTMENTS, EMPLOYEES, JOBS}
    for copy in shelf.read_manifest(taken).tables:
        assert rows[copy.table][1:3] == [copy.file, str(copy.rows)]
        assert rows[copy.table][4] == f"{copy.bytes:,}"
        assert rows[copy.table][6:] == [copy.sha256, copy.digest]
    assert f"/restores/new?table={JOBS}&amp;set={taken}" in page.text


@pytest.mark.parametrize("recorded", [True, False])
def test_a_damaged_set(hired: Boat, taken: str, signed_in: SignIn, recorded: bool) -> None:
    """What the record knows of it is told, and nothing of it is offered."""
    shelf.set_path(taken, shelf.MANIFEST).write_bytes(b"?")
    if not recorded:
        hired.query("truncate backup_status.backup_status")
    visitor = signed_in()
    page = visitor.get(f"/backups/{taken}")
    assert page.status_code == 200
    assert ("the set is damaged" if recorded else f"the manifest of {taken} is damaged") in words(
        page
    )
    assert "restores/new?" not in page.text
    assert "damaged" in table(visitor.get("/backups"))[1][4]
    assert taken not in visitor.get("/restores/new").text
    assert said(visitor, visitor.post_form(f"/backups/{taken}/pin", pinned="yes")).startswith(
        f"{taken} is pinned. It stays: pinned"
    )


@pytest.mark.parametrize("address", ["/backups/20200101T000000Z", "/backups/..%2f", "/backups/%00"])
def test_what_is_no_set_is_not_found(taken: str, signed_in: SignIn, address: str) -> None:
    assert signed_in().get(address).status_code == 404


def test_taking_starts_the_dag(taken: str, signed_in: SignIn, airflow: FakeAirflow) -> None:
    visitor = signed_in()
    every = [DEPARTMENTS, JOBS, EMPLOYEES]
    answer = visitor.post_form("/backups", table=every)
    assert answer.location == f"/runs/backup/{RUN}"
    assert airflow.triggered[0][:2] == ("backup", {"tables": None, "pin": False})
    visitor.post_form("/backups", table=[JOBS], pin="yes")
    assert airflow.triggered[1][:2] == ("backup", {"tables": [JOBS], "pin": True})
    assert airflow.triggered[1][2].startswith("for the key ")
    answer = visitor.post_form("/backups")
    assert answer.status_code == 422
    assert "choose at least one table" in words(answer)
    assert visitor.post_form("/backups", table="of.nobody").status_code == 404
    assert len(airflow.triggered) == 2
    page = visitor.get("/backups")
    assert f'<a href="/runs/backup/{RUN}">' in page.text


def test_verifying_starts_the_dag(taken: str, signed_in: SignIn, airflow: FakeAirflow) -> None:
    visitor = signed_in()
    answer = visitor.post_form(f"/backups/{taken}/verify")
    assert answer.location == f"/runs/verify/{RUN}"
    assert airflow.triggered[0][:2] == ("verify", {"set": taken})
    assert visitor.post_form("/backups/unknown/verify").status_code == 404
    assert len(airflow.triggered) == 1


def test_pinning_tells_what_it_means(
    hired: Boat, signed_in: SignIn, setting: Callable[[str, str], None]
) -> None:
    for name in ("daily", "weekly", "monthly", "least"):
        setting(f"keep_{name}", "1")
    old, *_ = backups.of_days_ago(hired, 40, 0)
    hired.query("update backup_status.backup_status set pinned = false")
    monthly = f"monthly {old[:4]}-{old[4:6]}"
    setting("keep_monthly", "0")
    visitor = signed_in()
    address = f"/backups/{old}/pin"
    assert said(visitor, visitor.post_form(address, pinned="yes")) == (
        f"{old} is pinned. It stays: pinned."
    )
    assert shelf.is_pinned(old)
    assert [each.pinned for each in backups.known(hired)] == [True, False]
    assert said(visitor, visitor.post_form(address, pinned="no")) == (
        f"{old} is no longer pinned. The next backup lets it go: newer ones stand for its day, "
        "week and month."
    )
    assert not shelf.is_pinned(old)
    assert [each.pinned for each in backups.known(hired)] == [False, False]
    setting("keep_monthly", "2")
    assert monthly in said(visitor, visitor.post_form(address, pinned="no"))
    assert visitor.post_form("/backups/unknown/pin", pinned="yes").status_code == 404


def test_a_set_without_record_keeps_its_pin(hired: Boat, taken: str, signed_in: SignIn) -> None:
    """The API may not take it on record; whoever does finds the mark."""
    hired.query("truncate backup_status.backup_status")
    assert signed_in().post_form(f"/backups/{taken}/pin", pinned="yes").status_code == 303
    retention.prune_sets(hired.connect())
    assert hired.query("select distinct pinned from backup_status.backup_status") == [True]


def test_the_form_of_a_restore(taken: str, signed_in: SignIn, airflow: FakeAirflow) -> None:
    page = signed_in().get(f"/restores/new?table={JOBS}&set={taken}&mode=merge&cascade=yes")
    assert f"<option selected>{JOBS}</option>" in page.text
    assert f'<option value="{taken}" selected>' in page.text
    assert 'value="merge" checked' in page.text
    assert 'name="cascade" value="yes" checked' in page.text
    for told in ("replace : make the table equal to the backup", "missing : insert what is not"):
        assert told in words(page)


@pytest.mark.parametrize(
    ("form", "status", "beside", "fact"),
    [
        ({"table": "no.table"}, 422, "table", "there is no table no.table"),
        ({"table": JOBS, "set": "20200101T000000Z"}, 422, "set", "there is no set"),
        ({"table": JOBS, "mode": "delete"}, 422, None, "the request is not as it should be"),
    ],
)
def test_what_is_no_order_is_said_beside_the_field(
    taken: str, signed_in: SignIn, airflow: FakeAirflow, form: dict[str, str], status: int,
    beside: str | None, fact: str,
) -> None:  # fmt: skip
    answer = signed_in().post_form("/restores/new", **form)
    assert (answer.status_code, fact in words(answer)) == (status, True)
    assert airflow.triggered == []
    if beside:
        assert f'<span class="error" id="{beside}-error" role="alert">{fact}' in answer.text
        assert f'aria-describedby="{beside}-error"' in answer.text


def test_a_set_that_lacks_the_table(hired: Boat, signed_in: SignIn, airflow: FakeAirflow) -> None:
    name = restoring.take(hired, JOBS)
    answer = signed_in().post_form("/restores/new", table=DEPARTMENTS, set=name)
    assert answer.status_code == 422
    assert f"the set {name} has no {DEPARTMENTS}" in words(answer)


def test_a_restore_from_plan_to_undo(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    restoring.change(hired)
    changed = hired.departments()
    visitor = signed_in()
    address = f"/restores/{RUN}"
    assert visitor.post_form("/restores/new", table=DEPARTMENTS).location == address
    form = {"table": DEPARTMENTS, "set": taken, "mode": "replace", "cascade": False}
    assert airflow.triggered[0][:2] == ("restore", form)
    page = visitor.get(address)
    assert live(page)
    assert "It begins in a moment" in words(page)

    plans(hired, airflow, taken, [DEPARTMENTS])
    page = visitor.get(address)
    assert not live(page)
    assert table(page)[1] == [DEPARTMENTS, "1", "1", "1", "1", "0"]
    assert "Nothing is changed until you approve the plan" in words(page)
    assert f'href="{address}"' in visitor.get("/restores").text

    for typed in ("", "Departments", "jobs", "<b>"):
        answer = visitor.post_form(address, table=typed)
        assert answer.status_code == 422
        assert 'id="table-error">that is not departments; nothing was changed<' in answer.text
        assert f'value="{html.escape(typed)}"' in answer.text
    assert airflow.answers == []
    answer = visitor.post_form(address, table=" departments ")
    assert airflow.answers == [(RUN, "Approve")]
    airflow.questions[RUN]["response_received"] = True
    assert said(visitor, answer) == "You approved the plan."
    page = visitor.get(address)
    assert live(page)
    assert "Your answer is on its way" in words(page)
    assert "Run the restore" not in page.text
    again = visitor.post_form(address, table="departments")
    assert said(visitor, again) == "The plan does not wait for an answer any more."
    assert len(airflow.answers) == 1

    answered(airflow, "running", safety_copy="running")
    assert "is copied and verified" in words(visitor.get(address))
    answered(airflow, "running", safety_copy="success", apply="running")
    assert "carried out in one transaction" in words(visitor.get(address))
    wanted = restoring.order(hired, taken, [DEPARTMENTS], run=RUN)
    done = restore.restore_tables(hired.connect(), wanted)
    page = visitor.get(address)
    assert not live(page)
    assert "Report" in words(page)
    assert table(page)[1] == [DEPARTMENTS, "1", "1", "1", "1", "0"]
    assert f'href="/restores/{done.id}/undo"' in page.text

    page = visitor.get(f"/restores/{done.id}/undo")
    assert f"It brings back {DEPARTMENTS} as they were" in words(page)
    answer = visitor.post_form(f"/restores/{done.id}/undo", cascade="yes")
    assert airflow.triggered[1][:2] == ("undo", {"restore": done.id, "cascade": True})
    assert f"Undo of restore {done.id}" in words(visitor.get(answer.location))
    back = restoring.undone(hired, done)
    assert hired.departments() == changed
    rows = table(visitor.get("/restores"))[1:]
    assert [row[0] for row in rows] == [
        f"Restore {back.id} undid restore {done.id}", f"Restore {done.id}",
    ]  # fmt: skip
    assert [row[2:5] for row in rows] == [
        [DEPARTMENTS, done.safety, "replace"], [DEPARTMENTS, taken, "replace"],
    ]  # fmt: skip


def test_an_undo_of_several_tables_is_approved_by_the_parent(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    hired.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    hired.query(f"insert into {EMPLOYEES} values (3, 'Eve', '2021-03-01', 4, 1)")
    wanted = restoring.order(hired, taken, [DEPARTMENTS], cascade=True)
    done = restore.restore_tables(hired.connect(), wanted)
    visitor = signed_in()
    visitor.post_form(f"/restores/{done.id}/undo", cascade="yes")
    plans(hired, airflow, done.safety, [DEPARTMENTS, EMPLOYEES])
    page = visitor.get(f"/restores/{RUN}")
    assert [row[:2] for row in table(page)[1:]] == [[DEPARTMENTS, "1"], [EMPLOYEES, "1"]]
    assert visitor.post_form(f"/restores/{RUN}", table="hired_employees").status_code == 422
    assert visitor.post_form(f"/restores/{RUN}", table=DEPARTMENTS).status_code == 303
    assert airflow.answers == [(RUN, "Approve")]


def test_a_rejected_plan(hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow) -> None:
    visitor = signed_in()
    visitor.post_form("/restores/new", table=JOBS, mode="merge")
    plans(hired, airflow, taken, [JOBS], mode="merge")
    assert "Nothing would change" in words(visitor.get(f"/restores/{RUN}"))
    answer = visitor.post_form(f"/restores/{RUN}/reject")
    assert airflow.answers == [(RUN, "Reject")]
    assert said(visitor, answer) == "You rejected the plan."
    skipped = dict.fromkeys(("safety_copy", "apply", "report"), "skipped")
    answered(airflow, "success", **skipped)
    page = visitor.get(f"/restores/{RUN}")
    assert not live(page)
    assert "Nothing was changed." in words(page)
    assert f"/restores/new?table={JOBS}&amp;set={taken}&amp;mode=merge" in page.text


def test_a_plan_that_may_not_touch_others_cannot_be_run(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    hired.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    hired.query(f"insert into {EMPLOYEES} values (3, 'Eve', '2021-03-01', 4, 1)")
    visitor = signed_in()
    visitor.post_form("/restores/new", table=DEPARTMENTS)
    plans(hired, airflow, taken, [DEPARTMENTS])
    page = visitor.get(f"/restores/{RUN}")
    assert f"1 row of {BY_DEPARTMENT} would be deleted too." in words(page)
    assert "This plan cannot be carried out: rows of other tables would be touched" in words(page)
    assert "Run the restore" not in page.text
    assert "Reject the plan" in page.text
    airflow.runs["restore", RUN]["conf"]["cascade"] = True
    page = visitor.get(f"/restores/{RUN}")
    assert "Run the restore" in page.text
    assert "cannot be carried out" not in page.text


def test_rows_that_foreign_keys_hold_fast(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    hired.query(
        f"alter table {EMPLOYEES} drop constraint hired_employees_department_id_fkey,"
        f" add foreign key (department_id) references {DEPARTMENTS}"
    )
    hired.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    hired.query(f"insert into {EMPLOYEES} values (3, 'Eve', '2021-03-01', 4, 1)")
    visitor = signed_in()
    visitor.post_form("/restores/new", table=DEPARTMENTS, cascade="yes")
    plans(hired, airflow, taken, [DEPARTMENTS], cascade=True)
    page = visitor.get(f"/restores/{RUN}")
    assert "rows of other tables are in the way" in words(page)
    assert "Run the restore" not in page.text


def test_rejected_rows_are_in_the_plan(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    hired.query(f"delete from {DEPARTMENTS} where id = 3")
    hired.query(f"alter table {DEPARTMENTS} add check (department <> 'Galley')")
    visitor = signed_in()
    visitor.post_form("/restores/new", table=DEPARTMENTS)
    plans(hired, airflow, taken, [DEPARTMENTS])
    page = visitor.get(f"/restores/{RUN}")
    assert table(page)[1] == [DEPARTMENTS, "0", "0", "0", "2", "1"]
    assert f"1 row of {DEPARTMENTS} would be rejected, check:" in words(page)


def test_a_failed_run_tells_where(
    taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:  # fmt: skip
    airflow.add_run("restore", RUN, "failed", table=JOBS)
    airflow.add_task(RUN, "plan", "failed")
    airflow.add_task(RUN, "approve", "upstream_failed")
    page = signed_in().get(f"/restores/{RUN}")
    assert not live(page)
    assert "The run failed at plan. Nothing was changed." in words(page)
    assert f"{airflow.address}/dags/restore/runs/{RUN}" in page.text


def test_without_airflow_pages_tell_what_does_not_work(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    done = restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS], run=RUN))
    visitor = signed_in()
    airflow.stop()
    page = visitor.get("/backups")
    assert "Airflow does not answer, so no backup can be taken, verified or restored" in words(page)
    assert [row[0] for row in table(page)[1:]] == [done.safety, taken]
    assert "Airflow does not answer" in words(visitor.get("/restores"))
    assert "Airflow does not answer" in words(visitor.get("/restores/new"))
    assert visitor.get(f"/backups/{taken}").status_code == 200
    page = visitor.get(f"/restores/{RUN}")
    assert page.status_code == 200
    assert f"Airflow at {airflow.address} does not answer, so this is what the record" in words(
        page
    )
    assert f"Restore {done.id}" in words(page)
    assert visitor.get(f"/restores/{done.id}").status_code == 200
    for address in ("/restores/another", f"/restores/{RUN}", f"/backups/{taken}/verify"):
        answer = visitor.get(address) if address.endswith("another") else visitor.post_form(address)
        assert answer.status_code == 503
        assert f"Airflow at {airflow.address} does not answer" in words(answer)
    assert visitor.post_form(f"/backups/{taken}/pin", pinned="yes").status_code == 303


def test_a_run_that_airflow_has_forgotten(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS], run=RUN))
    visitor = signed_in()
    assert "this is what the record tells" in words(visitor.get(f"/restores/{RUN}"))
    assert visitor.get("/restores/unknown").status_code == 404


def test_the_copy_of_an_old_restore_is_gone(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    done = restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS]))
    shelf.remove_set(done.safety)
    visitor = signed_in()
    for address in ("/restores", f"/restores/{done.id}"):
        page = visitor.get(address)
        assert "its copy is no longer on the shelf" in words(page)
        assert f"/restores/{done.id}/undo" not in page.text
    page = visitor.get(f"/restores/{done.id}/undo")
    assert f"the set {done.safety} has gone" in words(page)
    assert "Plan the undo" not in page.text
    for address in ("/restores/77", "/restores/77/undo", "/restores/99999999999999999999"):
        assert visitor.get(address).status_code == 404


def test_a_long_history_goes_on_with_the_next_page(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    hired.query(
        "insert into backup_status.restores (source_name, tables, mode, cascades, safety_set,"
        " report, actor) select %s, %s, 'replace', false, %s, '{}', 'x<y' from"
        " generate_series(1, 51)",
        [taken, [JOBS], taken],
    )
    visitor = signed_in()
    page = visitor.get("/restores")
    assert [row[0] for row in table(page)[1:]] == [f"Restore {n}" for n in range(51, 1, -1)]
    assert table(page)[1][5] == "x<y"
    [older] = re.findall(r'href="([^"]*)">Older ones', page.text)
    page = visitor.get(older)
    assert [row[0] for row in table(page)[1:]] == ["Restore 1"]
    assert "Older ones" not in page.text
    assert visitor.get("/restores?before=x").status_code == 422


@pytest.mark.parametrize("scope", ["read", "write"])
def test_others_neither_see_nor_do_anything(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow, scope: str
) -> None:
    restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS]))
    airflow.add_run("restore", RUN, "running", table=JOBS)
    visitor = signed_in(scope)
    for page in PAGES:
        answer = visitor.get(page.format(set=taken))
        assert answer.status_code == 403
        assert 'href="/backups"' not in answer.text
    for form in FORMS:
        assert visitor.post_form(form.format(set=taken), table=JOBS).status_code == 403
    assert (airflow.triggered, airflow.answers) == ([], [])
    assert 'href="/backups"' in signed_in().get("/backups").text


def test_every_form_is_of_the_console(taken: str, signed_in: SignIn, airflow: FakeAirflow) -> None:
    visitor = signed_in()
    for form in FORMS:
        assert visitor.post(form.format(set=taken), data={"table": JOBS}).status_code == 403
    assert (airflow.triggered, airflow.answers) == ([], [])


def test_a_key_of_some_tables(
    hired: Boat, taken: str, signed_in: SignIn, client_of: ClientOf, airflow: FakeAirflow
) -> None:
    """It sees and orders what is its own; what holds more than that it does not touch."""
    own = restoring.take(hired, JOBS)
    others = restoring.take(hired, DEPARTMENTS)
    done = restore.restore_tables(hired.connect(), restoring.order(hired, taken, [DEPARTMENTS]))
    mine = restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS]))
    airflow.add_run("restore", "of-others", "running", table=DEPARTMENTS)
    visitor = signed_in("operate", ["jobs"])
    for address in ("/backups", f"/backups/{taken}", "/restores", "/restores/new"):
        page = visitor.get(address)
        assert page.status_code == 200
        assert DEPARTMENTS not in page.text
        assert EMPLOYEES not in page.text
    assert {row[0] for row in table(visitor.get("/backups"))[1:]} == {own, taken, mine.safety}
    assert visitor.get(f"/backups/{others}").status_code == 404
    assert visitor.get(f"/restores/{mine.id}").status_code == 200
    for address in (f"/restores/{done.id}", f"/restores/{done.id}/undo", "/restores/of-others"):
        assert visitor.get(address).status_code == 403
    for address, form in [
        (f"/backups/{taken}/verify", {}),
        (f"/backups/{taken}/pin", {"pinned": "yes"}),
        ("/backups", {"table": DEPARTMENTS}),
        ("/restores/new", {"table": DEPARTMENTS}),
        ("/restores/new", {"table": JOBS, "cascade": "yes"}),
        ("/restores/of-others", {"table": "departments"}),
        ("/restores/of-others/reject", {}),
        (f"/restores/{done.id}/undo", {}),
    ]:
        assert visitor.post_form(address, **form).status_code == 403, address
    assert (airflow.triggered, airflow.answers) == ([], [])
    assert not shelf.is_pinned(taken)
    assert visitor.post_form(f"/backups/{own}/verify").status_code == 303
    assert visitor.post_form(f"/backups/{own}/pin", pinned="yes").status_code == 303
    assert visitor.post_form("/backups", table=JOBS).status_code == 303
    assert airflow.triggered[1][:2] == ("backup", {"tables": [JOBS], "pin": False})
    client = client_of("operate", ["jobs"])
    listed = client.get("/api/backups").get_json()
    assert {table for each in listed["sets"] for table in each["tables"]} == {JOBS}
    assert [each["id"] for each in listed["restores"]] == [mine.id]
