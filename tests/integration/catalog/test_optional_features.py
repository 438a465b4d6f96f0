"""What not every Postgres was built with: it works if it is there, and is named if it is not.

The embedded server has none of it; with ROWBOAT_TEST_POSTGRES these tests run on another one.
"""

from collections.abc import Callable

import psycopg2
import pytest

from rowboat.errors import MigrationFailed
from tests.conftest import Boat, counts

Declare = Callable[[str], None]
HINT = "docs/machine.md tells what the embedded one lacks"

# What is needed, what shows whether it is there, the table's columns, a file, the file corrected,
# and the rows of the table then.
FEATURES = [
    (
        "create extension citext schema public",
        'extension "citext" is not available',
        "id public.citext primary key, v integer",
        "Ann,1\nBob,2\nANN,3\n",
        "Bob,4\nAnn,1\n",
        [("Ann", 1), ("Bob", 4)],
    ),
    (
        "create extension hstore schema public",
        'extension "hstore" is not available',
        "id integer primary key, v public.hstore",
        '1,"a=>1, b=>2"\n2,\nx,\n',
        '2,"b=>2, a=>1"\n1,"b=>2, a=>1"\n',
        [(1, '"a"=>"1", "b"=>"2"'), (2, '"a"=>"1", "b"=>"2"')],
    ),
    (
        "create collation s.any_case (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)",
        "ICU is not supported in this build",
        "id text collate s.any_case primary key check (id <> 'eve'), v integer unique",
        "Ann,1\nBob,2\nANN,3\nEVE,4\n",
        "Bob,4\nAnn,1\n",
        [("Ann", 1), ("Bob", 4)],
    ),
]


def has(boat: Boat, statement: str) -> bool:
    """Return whether the server can do something; nothing of it is kept."""
    connection = boat.connect("owner")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"create schema if not exists s; {statement}")
    except psycopg2.errors.FeatureNotSupported:
        return False
    finally:
        connection.rollback()
    return True


@pytest.mark.parametrize("feature", FEATURES, ids=["citext", "hstore", "ICU"])
def test_files_are_loaded_if_the_server_has_it(
    boat: Boat, declare: Declare, feature: tuple[str, str, str, str, str, list[object]]
) -> None:
    needed, missing, columns, first, second, rows = feature
    domain = f"create schema s; {needed}; create table s.t ({columns})"
    if not has(boat, needed):
        with pytest.raises(MigrationFailed, match=missing) as error:
            declare(domain)
        assert HINT in str(error.value.hint)
        return
    declare(domain)
    path = boat.write("t.csv", first)
    lines = first.count("\n")
    assert counts(boat.ingest()["t.csv"]) == (lines, 2, 0, 0, lines - 2)
    path.write_text(second)
    assert counts(boat.ingest()["t.csv"]) == (2, 0, 1, 1, 0)
    assert boat.query("select id, v::text from s.t order by id") == [
        (key, str(value)) for key, value in rows
    ]


def test_xml_is_loaded_if_the_server_has_it(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.t (id integer primary key, v xml)")
    boat.write("t.csv", "1,<a>1</a>\n2,<a>\n3,\n")
    report = boat.ingest()["t.csv"]
    if not has(boat, "select '<a/>'::xml"):
        assert report.state == "failed"
        assert "unsupported XML feature" in str(report.error)
        assert HINT in str(report.hint)
        return
    assert counts(report) == (3, 2, 0, 0, 1)
    assert boat.rejects() == [(2, b"2,<a>", ["type: '<a>' is no value of type xml"])]
