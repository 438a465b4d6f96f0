"""Backups at the console: the shelf, one set, taking, verifying, pinning, and who may."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.backup import retention, shelf
from rowboat.backup.recovery import restore
from tests.conftest import Boat
from tests.integration.conftest import ClientOf, Visitor
from tests.support import backups, restoring
from tests.support.fake_airflow import FakeAirflow
from tests.support.pages import RUN, said, table, words
from tests.support.restoring import DEPARTMENTS, EMPLOYEES, JOBS

SignIn = Callable[..., Visitor]
PAGES = ("/backups", "/backups/{set}", "/restores", "/restores/new", f"/restores/{RUN}",
         "/restores/1", "/restores/1/undo")  # fmt: skip
FORMS = ("/backups", "/backups/{set}/verify", "/backups/{set}/pin", "/restores/new",
         f"/restores/{RUN}", f"/restores/{RUN}/reject", "/restores/1/undo")  # fmt: skip


def test_an_empty_shelf_says_what_to_do(
    boat: Boat, tmp_path: Path, setting: Callable[[str, str], None], signed_in: SignIn,
    airflow: FakeAirflow,
) -> None:  # fmt: skip
    setting("backups", str(tmp_path / "nowhere"))
    visitor = signed_in()
    assert "There are no backups yet. Take the first one below" in words(visitor.get("/backups"))
    assert "Nothing has been restored yet." in words(visitor.get("/restores"))
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
        kept = "kept" if verdict.keep else "deleted next"
        assert row[5] == f"{kept} {', '.join(verdict.reasons)}"
        assert f"{DEPARTMENTS}: 3" in row[2]
        assert "verified 20" in row[4]
    assert [row[1].split(" ago")[0] for row in rows][1:] == ["30 days", "40 days"]
    assert "suspicious" in rows[2][4]
    assert "it holds <b>no</b> rows" in rows[2][4]
    assert {row[5].split()[0] for row in rows} == {"kept", "deleted"}


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
        f"{taken} is pinned. It is kept: pinned"
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
        f"{old} is pinned. It is kept: pinned."
    )
    assert shelf.is_pinned(old)
    assert [each.pinned for each in backups.known(hired)] == [True, False]
    assert said(visitor, visitor.post_form(address, pinned="no")) == (
        f"{old} is no longer pinned. The next backup deletes it: newer backups cover its day, "
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
    assert f"Airflow at {airflow.address} does not answer, so this page shows the record" in words(
        page
    )
    assert f"Restore {done.id}" in words(page)
    assert visitor.get(f"/restores/{done.id}").status_code == 200
    for address in ("/restores/another", f"/restores/{RUN}", f"/backups/{taken}/verify"):
        answer = visitor.get(address) if address.endswith("another") else visitor.post_form(address)
        assert answer.status_code == 503
        assert f"Airflow at {airflow.address} does not answer" in words(answer)
    assert visitor.post_form(f"/backups/{taken}/pin", pinned="yes").status_code == 303


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
