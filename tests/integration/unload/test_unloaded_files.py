"""Files after they were unloaded: their state, when they are loaded again, and undoing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from rowboat import unload
from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.database.connections import transaction
from rowboat.door.dependents import RowsToDelete
from rowboat.errors import Contended, DatabaseRefused, UnloadRefused
from rowboat.ingest import file_states
from rowboat.unload import UnloadOrder
from rowboat_airflow.watcher import listing, news
from tests.conftest import Boat, counts
from tests.support.killing import MORTAL
from tests.support.unloading import content, of_table, planned, refused, state, unloaded

DEPARTMENTS = "hired_employees.departments"
EMPLOYEES = "hired_employees.hired_employees"
FILE = "departments.csv"
# Unloads a file, and dies right after so many commits.
KILLED = f"""
{MORTAL}
from rowboat.cli.commands import main
Mortal.left = int(sys.argv[1])
main(["unload", sys.argv[2], "--yes"])
"""


@pytest.fixture
def gone(boat: Boat) -> int:
    """A file of two departments and a refused one that was unloaded; the number for undo."""
    boat.ingest(boat.write(FILE, "1,Hull\n2,Sail\nx,y\n"))
    return unloaded(boat, FILE).id


def states(boat: Boat) -> dict[str, str]:
    with transaction(boat.connect()) as cursor:
        found = file_states.list_file_states(cursor, boat.catalog())
    return {each.name: each.outcome for each in found}


def undo(boat: Boat, number: int) -> None:
    restore.restore_tables(boat.connect(), restore.undo_order(boat.connect(), number, "tester"))


# When it is loaded again


def test_it_is_not_loaded_by_itself(boat: Boat, gone: int) -> None:
    path = boat.raw / FILE
    for options in ({}, {"checksum": True}, {}):
        assert boat.ingest(**options)[FILE].state == "unloaded"
        assert (boat.departments(), states(boat)) == ([], {FILE: "unloaded"})
        assert news(listing()) == []
    os.utime(path, ns=(1, 1))  # another time, the same text
    assert news(listing()) == [FILE]
    assert boat.ingest()[FILE].state == "unloaded"
    assert (boat.departments(), states(boat), news(listing())) == ([], {FILE: "unloaded"}, [])


@pytest.mark.parametrize(
    ("text", "read"),
    [("1,Hull\n2,Sail\nx,y\n3,Galley\n", 4), ("1,Hull\n2,S\n", 2), ("1,Hull\n2,Sail\nx,yz\n", 3)],
    ids=["longer", "rewritten", "its last line goes on"],
)
def test_it_is_loaded_whole_when_it_changes(boat: Boat, gone: int, text: str, read: int) -> None:
    boat.write(FILE, text)
    assert states(boat) == {FILE: "waiting"}
    report = boat.ingest()[FILE]
    refused_ = text.count("x")
    assert counts(report) == (read, read - refused_, 0, 0, refused_)
    assert [f"{id_},{name}" for id_, name in boat.departments()] == [
        line for line in text.splitlines() if "x" not in line
    ]
    assert report.vanished == []
    assert states(boat) == {FILE: f"loaded with {refused_} refused" if refused_ else "loaded"}
    assert of_table(planned(boat, FILE)).leaving == read - refused_


@pytest.mark.parametrize("line", ["2,Sa", '2,"Sa'], ids=["loaded", "refused"])
def test_its_unfinished_last_line_goes_on(boat: Boat, line: str) -> None:
    boat.ingest(boat.write(FILE, f"1,Hull\n{line}"))
    unloaded(boat, FILE)
    end = 'il"\n' if '"' in line else "il\n"
    assert counts(boat.ingest(boat.write(FILE, f"1,Hull\n{line}{end}"))[FILE]) == (2, 2, 0, 0, 0)
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]


def test_it_is_loaded_again_if_asked_for(boat: Boat, gone: int) -> None:
    assert counts(boat.ingest(boat.raw / FILE, again=True)[FILE]) == (3, 2, 0, 0, 1)
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]
    assert boat.ingest()[FILE].state == "unchanged"
    done = unloaded(boat, FILE)
    assert (of_table(done.plan).leaving, of_table(done.plan).lost) == (2, 0)


def test_it_is_loaded_whole_after_it_failed_in_between(boat: Boat, gone: int) -> None:
    text = (boat.raw / FILE).read_text()
    boat.write(FILE, "id,department,colour\n1,Hull,red\n")
    assert boat.ingest()[FILE].state == "failed"
    boat.write(FILE, text)
    assert boat.ingest()[FILE].state == "unloaded"  # as it was
    boat.write(FILE, "id,department,colour\n1,Hull,red\n")
    assert boat.ingest()[FILE].state == "failed"
    boat.write(FILE, text + "3,Galley\n")
    assert counts(boat.ingest()[FILE]) == (4, 3, 0, 0, 1)
    assert boat.departments() == [(1, "Hull"), (2, "Sail"), (3, "Galley")]


def test_it_is_not_loaded_when_its_table_changes(boat: Boat) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\n2,Sail\n"))
    boat.ingest(boat.write(FILE, "3,Galley,a\n4,Deck,b\n"))  # all of it is refused
    unloaded(boat, FILE)
    boat.query(f"alter table {DEPARTMENTS} add note text")  # now it could be loaded
    for options in ({}, {"checksum": True}):
        assert (news(listing()), boat.ingest(**options)[FILE].state) == ([], "unloaded")


def test_one_without_a_key_is_loaded_again(boat: Boat, declare: Callable[[str], None]) -> None:
    declare("create schema lake; create table lake.notes (text text);")
    boat.ingest(boat.write("notes.csv", "text\na\nb\n"))
    unloaded(boat, "notes.csv")
    assert counts(boat.ingest(boat.write("notes.csv", "text\nb\n"))["notes.csv"]) == (1, 1, 0, 0, 0)


def test_another_file_of_the_same_text_is_loaded(boat: Boat, gone: int) -> None:
    boat.ingest(boat.write("departments-2.csv", (boat.raw / FILE).read_text()))
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]


def test_a_failed_file_is_unloaded(boat: Boat) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\n"))
    boat.ingest(boat.write(FILE, "id,department,colour\n1,Hull,red\n"))
    done = unloaded(boat, FILE)
    assert (boat.departments(), states(boat)) == ([], {FILE: "unloaded"})
    assert boat.ingest()[FILE].state == "unloaded"
    undo(boat, done.id)
    assert (boat.departments(), states(boat)) == ([(1, "Hull")], {FILE: "failed"})


# Undoing


def test_undo_brings_back_the_very_same_rows(boat: Boat) -> None:
    boat.ingest(boat.write("departments-2.csv", "9,Other\n"))
    boat.ingest(boat.write(FILE, "1,Hull\n2,Sail\nx,y\nz,y\n"))
    boat.query(
        "update ingest_status.rejected_rows set settled_at = now(), settled_as = 'discarded',"
        " discarded_by = 'me', discarded_because = 'why' where line = 4 returning id"
    )
    boat.query("update ingest_status.ingest_status set discarded = 1 where rejected = 2")
    before = content(boat), boat.rejects(), states(boat)
    assert before[2][FILE] == "loaded with 1 refused"
    done = unloaded(boat, FILE)
    [(name, purpose)] = boat.query(
        "select distinct set_name, purpose from backup_status.backup_status"
    )
    assert (name, purpose, shelf.set_names()) == (done.safety, "safety", [done.safety])
    with transaction(boat.connect()) as cursor:
        [record] = restore.list_restores(cursor)
    assert (record["mode"], record["source_name"], record["tables"], record["actor"]) == (
        "unload", FILE, [DEPARTMENTS], "tester",
    )  # fmt: skip
    undo(boat, done.id)
    assert (content(boat), boat.rejects(), states(boat)) == before
    assert boat.ingest()[FILE].state == "unchanged"
    boat.write(FILE, "1,Hull\n2,Sail\nx,y\nz,y\n3,Galley\n")
    assert counts(boat.ingest()[FILE]) == (1, 1, 0, 0, 0)


def test_undo_after_it_was_loaded_again_leaves_its_position(boat: Boat, gone: int) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\n5,New\nq,\n"))
    undo(boat, gone)
    assert boat.departments() == [(1, "Hull"), (2, "Sail")]
    assert states(boat) == {FILE: "loaded with 1 refused"}
    assert [raw for _, raw, _ in boat.rejects()] == [b"q,"]


# Others at work, and interruptions


def test_a_file_that_is_being_loaded_is_left_alone(boat: Boat) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\n"))
    with transaction(boat.connect()) as loader:
        loader.execute(
            "select pg_advisory_lock(hashtextextended('rowboat.file.' || %s, 0))", (FILE,)
        )
        assert refused(boat, UnloadOrder(FILE, "tester"), UnloadRefused) == (
            f"{FILE} is being loaded\nHINT: try again when that has ended"
        )
        loader.execute("select pg_advisory_unlock_all()")


def test_it_does_not_wait_long_for_other_writers(
    boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\n"))
    query = unload.query

    def hasty(name: str, **parts: object) -> object:
        composed = query(name, **parts)  # type: ignore[arg-type]
        return "set local lock_timeout = '50ms'" if name == "unload.wait_for_locks" else composed

    monkeypatch.setattr(unload, "query", hasty)
    with transaction(boat.connect(), keep=False) as writer:
        writer.execute(f"insert into {EMPLOYEES} select where false")
        assert refused(boat, UnloadOrder(FILE, "tester"), UnloadRefused).startswith(
            "others are writing to the tables"
        )


def test_nobody_may_refer_to_a_leaving_row_meanwhile(
    boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of a child that is written between the plan and the delete would lose its parent."""
    boat.ingest(boat.write(FILE, "1,Hull\n"), boat.write("jobs.csv", "1,Cook\n"))
    delete, tried = RowsToDelete.delete_rest, list[str]()

    def meanwhile(self: RowsToDelete, cursor: object) -> int:
        row = "(1, 'Ann', '2021-01-01', 1, 1)"
        with pytest.raises(DatabaseRefused, match="lock timeout"):
            boat.query(f"set lock_timeout = '50ms'; insert into {EMPLOYEES} values {row}")
        tried.append("once")
        return delete(self, cursor)  # type: ignore[arg-type]

    monkeypatch.setattr(RowsToDelete, "delete_rest", meanwhile)
    unload.unload_file(boat.connect(), UnloadOrder(FILE, "tester"))
    assert (tried, boat.departments()) == (["once"], [])


def test_an_unload_that_fails_at_its_end_changes_nothing(
    boat: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    boat.ingest(boat.write(FILE, "1,Hull\nx,y\n"))

    def fail(*_: object) -> None:
        raise Contended("no")

    monkeypatch.setattr(unload, "record_restore", fail)
    monkeypatch.setattr(unload, "persistently", lambda work: work())
    assert refused(boat, UnloadOrder(FILE, "tester"), Contended).startswith("no\n")


def test_a_kill_leaves_all_or_nothing(boat: Boat) -> None:
    """It is killed after its first commit, its second, …, until it is done before that."""
    boat.ingest(boat.write(FILE, "1,Hull\nx,y\n"))
    found = []
    for commits in range(1, 20):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(commits), FILE],
            env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("loader")},
            capture_output=True,
            timeout=60,
            check=False,
        )
        left = state(boat, FILE), boat.departments(), len(boat.rejects())
        assert left in (("loaded", [(1, "Hull")], 1), ("unloaded", [], 0))
        found.append((killed.returncode, left[0]))
        if killed.returncode == 0:
            break
        boat.ingest(boat.raw / FILE, again=True)
        assert boat.departments() == [(1, "Hull")]
    assert {(-signal.SIGKILL, "loaded"), (-signal.SIGKILL, "unloaded")} < set(found)
    assert found[-1] == (0, "unloaded")
