"""Loads cells of a type: those that are values, and those that are refused."""

from collections.abc import Callable, Sequence

import pytest

from tests.conftest import Boat
from tests.support.loading import in_csv, loaded_counts, reasons

Cells = dict[str, str]  # cell -> what is stored; or the reason, of which none means: it is empty
TYPES = """
create schema s;
create type s."Mood of {x} at 5%" as enum ('calm', '50%', '{odd}', 'it''s');
create domain s.share as numeric(4,1) check (value between 0 and 100);
create domain s.code as text check (value ~ '^[A-Z]{2}$');
create domain s.days as date[];
create domain s.some_day as date;
create domain s.day as s.some_day;
create domain s.amount as numeric(6,2);
create domain s.price as s.amount check (value > 0);
create type s.span as range (subtype = s.price, multirange_type_name = s.spans);
create type s.pair as (d s.day, n numeric(6,2), t text);
create type s.nest as (p s.pair, d date[]);
"""


def each_kind(types: Sequence[tuple[str, Cells, Cells]]) -> pytest.MarkDecorator:
    """Parametrize a test by types: kind, cells that are values, cells that are refused."""
    return pytest.mark.parametrize(("kind", "good", "bad"), types, ids=[each[0] for each in types])


def check_cells(
    boat: Boat, declare: Callable[[str], None], kind: str, good: Cells, bad: Cells
) -> None:
    """Check what is stored and refused, and that what is in the table equals what the file says."""
    declare(f"{TYPES} create table s.t (id integer primary key, v {kind} not null)")
    rows = [("id", "v"), *((str(n), cell) for n, cell in enumerate([*good, *bad]))]
    boat.write("t.csv", in_csv(rows))
    report = boat.ingest()["t.csv"]
    stored = dict(boat.query("set intervalstyle = iso_8601; select id, v::text from s.t"))
    assert stored == dict(enumerate(good.values()))
    assert reasons(boat) == {
        line: [f"type: {sentence}" if sentence else "required: v is empty"]
        for line, sentence in enumerate(bad.values(), 2 + len(good))
    }
    assert loaded_counts(report) == (len(rows) - 1, len(good), 0, 0, len(bad))
    boat.write("t-2.csv", in_csv(rows[: 1 + len(good)]) + "\n")  # another text, or it is known
    assert loaded_counts(boat.ingest()["t-2.csv"]) == (len(good), 0, 0, len(good), 0)
