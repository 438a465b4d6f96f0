"""Restores at the console: orders, plans approved by name, reports, undo, history."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from tests.conftest import Boat
from tests.integration.conftest import Visitor
from tests.support import restoring
from tests.support.fake_airflow import FakeAirflow
from tests.support.pages import RUN, said, table, words
from tests.support.restoring import BY_DEPARTMENT, DEPARTMENTS, EMPLOYEES, JOBS

SignIn = Callable[..., Visitor]


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
        ({"table": JOBS, "mode": "delete"}, 422, None, "the request is invalid"),
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
    assert "It starts in a moment" in words(page)

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
    assert "Your approval is being processed" in words(page)
    assert "Run the restore" not in page.text
    again = visitor.post_form(address, table="departments")
    assert said(visitor, again) == "The plan no longer waits for approval."
    assert len(airflow.answers) == 1

    answered(airflow, "running", safety_copy="running")
    assert "are being copied and verified" in words(visitor.get(address))
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
    assert f"This brings back {DEPARTMENTS} as before" in words(page)
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
    assert "This plan cannot be carried out: it would change rows of other tables" in words(page)
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
    assert "rows of other tables refer to rows to be deleted" in words(page)
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


def test_a_run_that_airflow_has_forgotten(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS], run=RUN))
    visitor = signed_in()
    assert "this page shows the record" in words(visitor.get(f"/restores/{RUN}"))
    assert visitor.get("/restores/unknown").status_code == 404


def test_the_copy_of_an_old_restore_is_gone(
    hired: Boat, taken: str, signed_in: SignIn, airflow: FakeAirflow
) -> None:
    done = restore.restore_tables(hired.connect(), restoring.order(hired, taken, [JOBS]))
    shelf.remove_set(done.safety)
    visitor = signed_in()
    for address in ("/restores", f"/restores/{done.id}"):
        page = visitor.get(address)
        assert "its safety copy no longer exists" in words(page)
        assert f"/restores/{done.id}/undo" not in page.text
    page = visitor.get(f"/restores/{done.id}/undo")
    assert f"the set {done.safety} has been deleted" in words(page)
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
    [older] = re.findall(r'href="([^"]*)">Older restores', page.text)
    page = visitor.get(older)
    assert [row[0] for row in table(page)[1:]] == ["Restore 1"]
    assert "Older restores" not in page.text
    assert visitor.get("/restores?before=x").status_code == 422
