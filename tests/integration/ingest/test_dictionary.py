"""Tables that are changed: what was refused by their old columns and rules is judged again."""

import asyncio
import os
from collections.abc import Callable

import pytest

from rowboat_airflow import watcher
from rowboat_airflow.watcher import listing, news
from tests.conftest import Boat, counts
from tests.support.loading import position, utf16

Declare = Callable[[str], None]

# table → its columns after the key, what changes, its file, and the rows that go in then
CASES = {
    "wider": ("n smallint", "alter n type integer", "id,n\n1,1\n2,70000\n3,x\n", [2]),
    "nullable": ("n integer not null", "alter n drop not null", "1,1\n2,\n3,x\n", [2]),
    "unchecked": ("n integer check (n > 0)", "drop constraint unchecked_n_check",
                  "1,1\n2,-1\n3,x\n", [2]),
    "repeatable": ("n integer unique", "drop constraint repeatable_n_key", "1,1\n2,1\n3,x\n", [2]),
    "unexcluded": ("n integer, constraint c exclude (n with =)", "drop constraint c",
                   "1,1\n2,1\n3,x\n", [2]),
    "domain": ("n s.few", "owner to current_user; alter domain s.few drop constraint few_check",
               "1,1\n2,7\n3,x\n", [2]),
    "label": ("n s.mood[]", "owner to current_user; alter type s.mood add value 'b'",
              '1,{a}\n2,"{a,b}"\n3,x\n', [2]),
    "added": ("n integer", "add m text", '1,1\n2,1,"a ""b"", c"\n3,1,2,3\n4,7,z\r\n5,x,"y\nz"\n',
              [2, 4]),
    "dropped": ("n integer, m text, o text", "drop o", "1,1,a,b\n2,1,\n3,1\n", [2]),
    "same": ("n integer", "add m text", "id,n\n1,1\n2,1,x\n3,x\n", []),
}  # fmt: skip
FEW = """
create schema s;
create type s.mood as enum ('a');
create domain s.few as integer constraint few_check check (value < 5);
"""


def table(boat: Boat, declare: Declare, columns: str = "n integer") -> None:
    declare(f"create schema s; create table s.t (id integer primary key, {columns})")


def note(went: int, of: str, name: str = "t") -> list[str]:
    return [f"the dictionary of s.{name} has changed since: {went} of {of} went in"]


def state(boat: Boat) -> tuple[str, str | None]:
    found: list[tuple[str, str | None]] = boat.query(
        "select state, error from ingest_status.ingest_status"
    )
    return found[0]


def ids(boat: Boat) -> list[int]:
    return boat.query("select id from s.t order by id")


def test_refused_rows_are_judged_again(boat: Boat, declare: Declare) -> None:
    declare(FEW + "".join(f"create table s.{name} (id integer primary key, {columns});"
                          for name, (columns, *_) in CASES.items()))  # fmt: skip
    for name, (_, _, content, _) in CASES.items():
        boat.write(f"{name}.csv", content)
    loaded = boat.ingest()
    assert {each.state for each in loaded.values()} == {"loaded"}
    assert boat.query("select count(*) from s.domain") == [1]
    before = boat.query("select id from ingest_status.rejected_rows order by id")
    assert news(listing()) == []
    for name, (_, change, *_) in CASES.items():
        boat.query(f"alter table s.{name} {change}")
    files = sorted(f"{name}.csv" for name in CASES)
    assert news(listing()) == files
    dry = boat.ingest(dry_run=True)
    assert news(listing()) == files, "a dry run changes nothing"
    found = boat.ingest()
    for name, (*_, went) in CASES.items():
        report, refused = found[f"{name}.csv"], loaded[f"{name}.csv"].report.rejected
        of = "1 refused row" if refused == 1 else f"{refused} refused rows"
        assert (report.state, report.notes) == ("unchanged", note(len(went), of, name))
        assert (report.notes, report.state) == (dry[report.file].notes, dry[report.file].state)
        assert boat.query(f"select id from s.{name} order by id") == [1, *went]
        assert position(boat, report.file)[-1] == refused - len(went)
    assert boat.query("select m from s.added order by id") == [None, 'a "b", c', "z"]
    assert boat.query("select id from ingest_status.rejected_rows order by id") == before
    assert ["shape: has 4 fields instead of 3"] in [why for _, _, why in boat.rejects()]
    assert ["type: 'x' is not an integer"] in [why for _, _, why in boat.rejects()]
    assert news(listing()) == []
    assert all(not each.notes for each in boat.ingest().values()), "told once"


def test_a_file_of_refused_rows_is_no_longer_failed(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint not null")
    boat.write("t.csv", "id,n\n1,70000\n2,80000\n3,\n")
    assert boat.ingest()["t.csv"].state == "failed"
    before = boat.query("select id, line from ingest_status.rejected_rows order by id")
    boat.query("comment on table s.t is 'no rule'")
    assert news(listing()) == []
    boat.query("alter table s.t alter n type integer")
    assert news(listing()) == ["t.csv"]
    report = boat.ingest()["t.csv"]
    assert (report.outcome, report.notes) == ("loaded with 1 refused", note(2, "3 refused rows"))
    assert report.reasons == ["1 × n is empty, e.g. in line 4"]
    assert (state(boat), ids(boat), news(listing())) == (("loaded", None), [1, 2], [])
    assert boat.query("select id, line from ingest_status.rejected_rows order by id") == before
    boat.query("alter table s.t alter n type bigint")
    report = boat.ingest()["t.csv"]
    assert (report.outcome, report.notes) == ("unchanged", note(0, "1 refused row"))


def test_the_watcher_sees_a_changed_table(
    boat: Boat,
    declare: Declare,
    setting: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing() -> None:
        return

    for name, value in {
        "use_aws_async": nothing, "use_connection_async": nothing, "AGAIN": 0.05, "RARELY": 0.05,
    }.items():  # fmt: skip
        monkeypatch.setattr(watcher, name, value)
    setting("poll", "0.05")
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n")
    boat.ingest()

    async def watch() -> list[list[str]]:
        events = watcher.RawDataChanged().run()
        coming = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(boat.query, "alter table s.t alter n type integer")
        first = (await coming).payload["files"]
        await asyncio.to_thread(boat.ingest)
        boat.write("jobs.csv", "1,b\n")
        while (second := (await anext(events)).payload["files"]) == first:
            pass
        await events.aclose()
        return [first, second]

    assert asyncio.run(asyncio.wait_for(watch(), 60)) == [["t.csv"], ["jobs.csv"]]


def test_a_failed_file_stays_failed(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,x\n2,y\n")
    boat.ingest()
    boat.query("alter table s.t alter n type integer")
    report = boat.ingest()["t.csv"]
    assert (report.state, report.notes) == ("failed", note(0, "2 refused rows"))
    assert report.error == "all 2 rows are refused: 2 × n is not an integer, e.g. 'x' in line 2"
    assert (state(boat)[0], news(listing())) == ("failed", [])


@pytest.mark.parametrize(
    ("columns", "content", "change", "expected"),
    [
        ("n integer", "id,n,m\n1,1,a\n", "add m text", [(1, 1, "a")]),
        ("n integer", "1,1,a\n2,7,b\n", "add m text", [(1, 1, "a"), (2, 7, "b")]),
        ("n integer", "1;2,5\n2;3,5\n", "alter n type text", [(1, "2,5"), (2, "3,5")]),
        ("n integer", utf16("1,1,a\n2,7,b\n", "le"), "add m text", [(1, 1, "a"), (2, 7, "b")]),
    ],
    ids=["header", "no header", "delimiter", "UTF-16"],
)  # fmt: skip
def test_a_file_that_failed_as_a_whole_is_tried_again(
    boat: Boat, declare: Declare, columns: str, content: str | bytes, change: str,
    expected: list[tuple[object, ...]],
) -> None:  # fmt: skip
    table(boat, declare, columns)
    boat.write("t.csv", content)
    assert boat.ingest()["t.csv"].state == "failed"
    assert news(listing()) == []
    boat.query(f"alter table s.t {change}")
    assert news(listing()) == ["t.csv"]
    assert boat.ingest()["t.csv"].outcome == "loaded"
    assert (state(boat), boat.rejects(), news(listing())) == (("loaded", None), [], [])
    assert boat.query("select * from s.t order by id") == expected


def test_a_row_of_utf16_is_cut_again(boat: Boat, declare: Declare) -> None:
    table(boat, declare)
    boat.write("t.csv", utf16("1,1\n2,1,\u00e4\n", "le", b"\xff\xfe"))
    assert boat.ingest()["t.csv"].outcome == "loaded with 1 refused"
    boat.query("alter table s.t add m text")
    assert boat.ingest()["t.csv"].notes == note(1, "1 refused row")
    assert boat.query("select m from s.t where id = 2") == ["\u00e4"]


def test_a_value_of_a_renamed_column_is_not_lost(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n integer, d text")
    boat.write("t.csv", "id,n,d\n1,1,a\n2,x,precious\n")
    boat.ingest()
    boat.query("alter table s.t rename d to e; alter table s.t alter n type text")
    assert boat.ingest()["t.csv"].notes == note(0, "1 refused row")
    assert ids(boat) == [1]
    boat.query("alter table s.t rename e to d")
    assert boat.ingest()["t.csv"].notes == note(1, "1 refused row")
    assert boat.query("select d from s.t where id = 2") == ["precious"]


def test_rows_of_a_file_that_is_gone_are_judged_again(
    boat: Boat, declare: Declare, tmp_path: os.PathLike[str]
) -> None:
    table(boat, declare, "n smallint")
    gone = boat.write("t.csv", "id,n\n1,1\n2,70000\n3,x\n")
    elsewhere = boat.write("../t-2.csv", "id,n\n7,80000\n8,x\n").resolve()
    boat.ingest()
    assert boat.ingest(elsewhere)[str(elsewhere)].state == "failed"
    gone.unlink()
    boat.query("alter table s.t alter n type integer")
    assert news(listing()) == sorted([str(elsewhere), "t.csv"])
    boat.write("jobs.csv", "id,job\n1,a\n")
    found = boat.ingest()
    assert found["t.csv"].notes == note(1, "2 refused rows")
    assert found[str(elsewhere)].notes == note(1, "2 refused rows")
    assert ids(boat) == [1, 2, 7]
    assert boat.query(
        "select state from ingest_status.ingest_status where file_name = %s", [str(elsewhere)]
    ) == ["loaded"]
    assert news(listing()) == []
    assert set(boat.ingest()) == {"jobs.csv"}


def test_the_dictionary_of_an_earlier_version_is_unknown(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n3,x\n")
    boat.ingest()
    boat.query("update ingest_status.ingest_status set dictionary = null, relation = null")
    boat.query("alter table s.t alter n type integer")
    assert news(listing()) == []
    boat.ingest(dry_run=True)
    assert boat.query("select dictionary from ingest_status.ingest_status") == [None]
    assert boat.ingest()["t.csv"].notes == []
    oid = boat.query("select 's.t'::regclass::oid")
    assert boat.query("select relation from ingest_status.ingest_status") == oid
    boat.query("alter table s.t alter n type bigint")
    assert boat.ingest()["t.csv"].notes == note(1, "2 refused rows")


def test_a_rewritten_file_brings_no_old_rows(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n")
    boat.ingest()
    boat.query("alter table s.t alter n type integer")
    boat.write("t.csv", "id,n\n1,1\n3,70000\n")
    report = boat.ingest()["t.csv"]
    assert (counts(report), report.notes) == ((2, 1, 0, 1, 0), [])
    assert (ids(boat), boat.rejects(), news(listing())) == ([1, 3], [], [])


def test_rows_are_judged_again_before_the_tail(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n")
    boat.ingest()
    boat.query("alter table s.t alter n type integer")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n3,70000\n2,5\n")
    report = boat.ingest()["t.csv"]
    assert (counts(report), report.notes) == ((2, 1, 1, 0, 0), note(1, "1 refused row"))
    assert boat.query("select n from s.t order by id") == [1, 5, 70000]


def test_children_of_rows_judged_again_follow(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.t (id integer primary key, n smallint);"
        "create table s.u (id integer primary key, t integer references s.t)"
    )
    boat.write("t.csv", "id,n\n1,1\n2,70000\n")
    boat.write("u.csv", "id,t\n1,1\n2,2\n")
    boat.ingest()
    assert boat.query("select count(*) from s.u") == [1]
    boat.query("alter table s.t alter n type integer")
    boat.ingest()
    assert boat.query("select count(*) from s.u") == [2]


def test_a_file_that_still_fails_is_tried_once(boat: Boat, declare: Declare) -> None:
    table(boat, declare, "n smallint")
    boat.write("t.csv", "id,n\n1,1\n2,70000\n")
    boat.ingest()
    boat.write("t.csv", "id,q\n1,1\n2,7\n")
    boat.query("alter table s.t alter n type integer")
    assert boat.ingest()["t.csv"].state == "failed"
    assert news(listing()) == []


def test_other_tables_and_words_do_not_count(boat: Boat, declare: Declare) -> None:
    table(boat, declare)
    first = boat.catalog().table("s.t")
    boat.query(
        "comment on column s.t.n is 'x'; create table s.u (id integer references s.t);"
        "create index on s.t (n)"
    )
    second = boat.catalog().table("s.t")
    assert second != first
    assert second.fingerprint == first.fingerprint
    for change in (
        "create unique index once on s.t (n)",
        "create function s.f() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger f before insert on s.t for each row execute function s.f()",
        "create or replace function s.f() returns trigger language plpgsql as"
        " 'begin return new; end'",
        "create policy p on s.t using (n > 0)",
        "alter table s.t alter n set default 7",
    ):
        boat.query(change)
        third = boat.catalog().table("s.t")
        assert third.fingerprint != second.fingerprint, change
        second = third
