"""Tables of very many columns, up to the 1,600 that Postgres allows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from rowboat.database.connections import Steps
from rowboat.door.rejected_rows import RejectFilter
from rowboat.ingest import discovery
from rowboat.ingest.large_files import split
from rowboat.ingest.rejudge import rejudge_rows
from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.loading import loaded_counts, reasons
from tests.support.restoring import carried_out, digests, numbers, order, take, undone

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
KINDS = {
    "integers": (("integer",), 1600),
    "doubles": (("double precision",), 900),
    "texts": (("text",), 1600),
    "mixed": (
        ("integer", "text", "double precision", "date", "numeric(9,2)", "boolean"),
        tries(400, 1200),
    ),
    "few": (("integer", "double precision", "timestamptz"), 302),
}
CELLS = {
    "integer": "{n}",
    "double precision": "-123.45678901234567",
    "text": "t",
    "date": "2024-02-29",
    "numeric(9,2)": "{n}.25",
    "boolean": "true",
    "timestamptz": "2024-02-29T12:00:00Z",
}


def declared(kind: str, required: bool = False) -> tuple[str, list[str]]:
    """Return the declaration of s.w, and the types of its columns after the key."""
    types, count = KINDS[kind]
    found = [types[n % len(types)] for n in range(count - 1)]
    must = " not null" if required else ""
    columns = ", ".join(f"c{n} {type_}{must}" for n, type_ in enumerate(found))
    return f"create schema s; create table s.w (id integer primary key, {columns});", found


def row(key: int, types: list[str], **odd: str) -> str:
    """Return a line; `odd` are cells by the name of their column."""
    cells = [odd.get(f"c{n}", CELLS[each].format(n=n)) for n, each in enumerate(types)]
    return f"{key},{','.join(cells)}\n"


@pytest.mark.parametrize("kind", list(KINDS))
def test_load(boat: Boat, declare: Declare, kind: str) -> None:
    made, types = declared(kind)
    declare(made)
    last = f"c{len(types) - 1}"
    bad = {} if kind == "texts" else {"c0": "x", last: "soon"}
    boat.write("w.csv", row(1, types) + row(2, types, **bad) + row(3, types, **{last: ""}))
    refused = 1 if bad else 0
    assert loaded_counts(boat.ingest()["w.csv"]) == (3, 3 - refused, 0, 0, refused)
    assert [len(why) for why in reasons(boat).values()] == [2] * refused
    cast = "::text" if kind == "texts" else ""
    assert boat.query(
        f"select id, c0{cast}, {last} is null from s.w where id <> 2 order by id"
    ) == [
        (1, *boat.query("select c0 from s.w where id = 1"), False),
        (3, *boat.query("select c0 from s.w where id = 1"), True),
    ]
    stored = boat.query("select to_jsonb(w) - 'id' from s.w where id = 1")[0]
    shown = {"integer": int, "double precision": float, "numeric(9,2)": float}
    for n, each in enumerate(types):
        if each in shown:
            assert stored[f"c{n}"] == shown[each](CELLS[each].format(n=n))
        elif each == "text":
            assert stored[f"c{n}"] == "t"


@pytest.mark.parametrize("kind", ["texts", "few"])
def test_rewrite_and_retry(boat: Boat, declare: Declare, kind: str) -> None:
    made, types = declared(kind)
    declare(made)
    last = f"c{len(types) - 1}"
    boat.write("w.csv", row(1, types) + row(2, types) + row(3, types))
    boat.ingest()
    rows = [row(1, types), row(2, types, **{last: ""}), row(4, types), row(4, types, c0="")]
    boat.write("w.csv", "".join(rows))
    report = boat.ingest()["w.csv"]
    assert loaded_counts(report) == (4, 1, 1, 1, 1)
    assert report.vanished == ["[3]"]
    assert reasons(boat) == {4: ["duplicate: id 4 occurs earlier in this file with other values"]}
    boat.query("delete from s.w where id = 4")
    catalog, steps = boat.catalog(), Steps(boat.connect())
    rejudge_rows(steps, catalog, catalog.table("s.w"), "tester", which=RejectFilter())
    assert boat.rejects() == []
    assert boat.query("select c0 is null from s.w where id = 4") == [True]


@pytest.mark.parametrize("kind", ["mixed", "few"])
def test_restore(boat: Boat, declare: Declare, setting: Setting, tmp_path: Path, kind: str) -> None:
    setting("backups", str(tmp_path / "shelf"))
    made, types = declared(kind)
    declare(made + "create table s.c (id integer references s.w)")
    long = {"c1": "long " * 1000, "c7": "x" * 30} if kind in ("texts", "mixed") else {}
    boat.write("w.csv", row(1, types, **long) + row(2, types) + row(3, types))
    boat.ingest()
    held, before = take(boat, "s.w"), digests(boat)
    boat.query("delete from s.w where id = 1; update s.w set c0 = null where id = 2")
    boat.query("insert into s.w (id) values (7)")
    done = carried_out(boat, order(boat, held, ["s.w"]))
    assert numbers(done.plan.tables[0]) == (1, 1, 1, 1, 0)
    assert digests(boat) == before
    undone(boat, done)
    assert boat.query("select id from s.w order by id") == [2, 3, 7]


@pytest.mark.parametrize("kind", ["doubles", "texts", "few"])
def test_batch(boat: Boat, client: FlaskClient, declare: Declare, kind: str) -> None:
    made, types = declared(kind, required=kind != "texts")
    declare(made)
    head = "id," + ",".join(f"c{n}" for n in range(len(types))) + "\n"
    body = head + row(1, types) + row(2, types, c1="") + row(3, types)
    answer = client.post("/api/w", data=body, headers={"Content-Type": "text/csv"})
    refused = 0 if kind == "texts" else 1
    assert (answer.status_code, answer.json["rejected"]) == (207 if refused else 201, refused)
    assert boat.query("select count(*) from s.w") == [3 - refused]
    update = "?on_conflict=update"
    body = head + row(1, types, c0="")
    answer = client.post(f"/api/w{update}", data=body, headers={"Content-Type": "text/csv"})
    assert answer.status_code == (422 if refused else 201)


def test_parts(boat: Boat, declare: Declare, setting: Setting) -> None:
    made, types = declared("few")
    declare(made)
    setting("part_bytes", str(2**15))
    setting("chunk_bytes", str(2**15))
    rows = [row(n, types, c6="x" if n % 9 == 0 else "5") for n in range(1, 31)]
    path = boat.write("w.csv", "".join(rows))
    found, connection = discovery.locate_file(path, boat.catalog()), boat.connect()
    parts = split.divide_file(connection, found)
    assert sum(split.stage_part(connection, found, part).staged for part in parts) == 30
    assert len(parts) > 1
    assert loaded_counts(boat.ingest()["w.csv"]) == (30, 27, 0, 0, 3)


def test_ordinary_tables_are_staged_side_by_side(boat: Boat, declare: Declare) -> None:
    """With 300 columns, even if every cell is as long as text can be that is never moved away."""
    columns = ", ".join(f"c{n} text" for n in range(299))
    declare(f"create schema s; create table s.w (id integer primary key, {columns})")
    boat.write("w.csv", "1," + ",".join(["x" * 23] * 299) + "\n")
    assert loaded_counts(boat.ingest()["w.csv"]) == (1, 1, 0, 0, 0)
