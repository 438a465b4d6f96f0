"""The SQL that `rowboat sql` shows: kept in tests/golden/sql, so that a change of it is seen.

ROWBOAT_REWRITE_GOLDEN=1 writes those files anew.
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from rowboat.catalog.tables import read_catalog
from rowboat.cli.commands import main
from rowboat.database.connections import transaction
from rowboat.door.shown_sql import judge_statements, merge_statements
from tests.conftest import ROOT, Boat

GOLDEN = ROOT / "tests" / "golden" / "sql"
TABLE = "hired_employees.hired_employees"
HINT = "run this test with ROWBOAT_REWRITE_GOLDEN=1 if the change is meant, and review the diff"
WHAT = ("judge", "merge", "restore")


@pytest.mark.parametrize("what", WHAT)
def test_shown_sql_is_that_of_the_golden_file(boat: Boat, what: str) -> None:
    shown = CliRunner().invoke(main, ["sql", what, TABLE]).output
    path = GOLDEN / f"{what}.sql"
    if os.environ.get("ROWBOAT_REWRITE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text(), HINT


@pytest.mark.parametrize("what", WHAT)
def test_document(boat: Boat, what: str) -> None:
    answer = CliRunner().invoke(main, ["sql", what, "departments", "--json"])
    found = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert found
    assert all(set(each) == {"name", "text"} for each in found)


def test_unknown_table(boat: Boat) -> None:
    answer = CliRunner().invoke(main, ["sql", "judge", "ships"])
    assert (answer.exit_code, answer.stderr) == (
        1,
        "there is no table ships\nHINT: `rowboat status` lists the tables\n",
    )


def test_nothing_is_run(boat: Boat) -> None:
    for what in WHAT:
        CliRunner().invoke(main, ["sql", what, TABLE])
    assert boat.query("select count(*) from ingest_status.loads") == [0]


def test_statements_run_with_their_values(boat: Boat) -> None:
    """What is shown is complete: Postgres runs it once the values are there."""
    values: dict[str, Any] = dict.fromkeys(
        ("first_line", "last_line", "first_byte", "last_byte", "run", "rejected_ids")
    )
    values |= {"own": ["7"], "least": 1, "greatest": 9, "refuse": False, "repeated": [2]}
    values |= dict.fromkeys(("read", "inserted", "updated", "unchanged", "rejected"), 0)
    values |= {"table": TABLE, "source": "file", "source_name": "a.csv", "version": 1}
    values |= {"actor": "tester", "load_id": 1, "value": 1}
    values |= {"sequence": "hired_employees.hired_employees_id_seq"}
    connection = boat.connect()
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
    table = catalog.table(TABLE)
    judged = judge_statements(connection, catalog, table)
    merged = merge_statements(connection, catalog, table)
    with transaction(connection, keep=False) as cursor:
        for each in [*judged, *merged]:
            if " from stdin" not in each.text:
                cursor.execute(re.sub(r"%(?!\()", "%%", each.text), values)


def test_every_rule_of_a_table_is_shown(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        """
        create schema s;
        create table s.people (
            id integer primary key check (id > 0), badge text unique,
            boss integer references s.people, one integer, two integer,
            foreign key (one, two) references s.people (id, boss) match full,
            unique (id, boss)
        )
        """
    )
    with transaction(boat.connect()) as cursor:
        catalog = read_catalog(cursor)
    table = catalog.table("people")
    judged = [each.name for each in judge_statements(boat.connect(), catalog, table)]
    names = [name for name in judged if name.startswith("judge.")]
    assert names == [
        "judge.cells",
        "judge.dirty_columns",
        "judge.checks",
        "judge.own_reference",
        "judge.own_reference",
        "judge.halves",
        "judge.known",
        "judge.repeated",
        "judge.repeated",
        "judge.taken",
        "judge.repeated",
        "judge.taken",
        "judge.own_reference",
        "judge.own_reference",
        "judge.taken",
        "judge.taken",
    ]
    merged = [each.name for each in merge_statements(boat.connect(), catalog, table)]
    assert "merge.at_once" in merged
    assert "merge.update" not in merged
