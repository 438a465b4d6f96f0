"""How a merge is planned: which of its statements are needed, and whether they must be one."""

from dataclasses import replace

import pytest

from rowboat.catalog.tables import ForeignKey, Unique
from rowboat.door.context import Judged, OnKnown, StagedRows, Terms
from rowboat.door.merge import MergePlan, plan_merge
from rowboat.door.stage import Cargo
from rowboat.door.staged_columns import StagedColumns
from tests.support.tables import column, table

BOATS = replace(
    table(column("id", type="integer", base="int4")), key=Unique("boats_pkey", ("id",), False)
)
PARENT = ForeignKey("towed_by", ("id",), "s", "boats", ("id",), "a", False)


def judged(
    count: int, refused: int = 0, on_known: OnKnown = "update", refers_to_itself: bool = False
) -> Judged:
    found = replace(BOATS, foreign_keys=(PARENT,)) if refers_to_itself else BOATS
    terms = Terms(found, "file", count, on_known=on_known)
    columns = StagedColumns.of_cargo(
        found, Cargo(("id",), lambda: pytest.fail("staged"), count), "file"
    )
    return Judged(StagedRows(terms, columns, count, None), refused)


def planned(
    rows: Judged,
    different: int = 0,
    unchanged: int = 0,
    displaced: int = 0,
    deletes: bool = False,
) -> MergePlan:
    return plan_merge(rows, different, unchanged, displaced, deletes)


def test_new_rows_are_inserted() -> None:
    plan = planned(judged(3))
    assert (plan.inserts, plan.updates, plan.at_once, plan.has_matches) == (
        3, 0, False, False,
    )  # fmt: skip


@pytest.mark.parametrize(("count", "refused"), [(0, 0), (2, 2), (3, 1)])
def test_nothing_new_needs_no_insert(count: int, refused: int) -> None:
    plan = planned(judged(count, refused), unchanged=count - refused)
    assert (plan.inserts, plan.updates, plan.has_matches) == (0, 0, count > refused)


def test_different_rows_are_updated() -> None:
    plan = planned(judged(3), different=2)
    assert (plan.inserts, plan.updates, plan.at_once) == (1, 2, False)


def test_different_rows_are_left_if_told_to() -> None:
    plan = planned(judged(3, on_known="leave"), different=3)
    assert (plan.inserts, plan.updates) == (0, 0)


def test_displaced_rows_are_inserted_again() -> None:
    plan = planned(judged(2), different=2, displaced=1)
    assert (plan.inserts, plan.updates) == (1, 1)
    plan = planned(judged(2), different=2, displaced=2)
    assert (plan.inserts, plan.updates) == (2, 0)


def test_a_table_that_refers_to_itself_is_updated_at_once() -> None:
    assert planned(judged(2, refers_to_itself=True), different=1).at_once
    assert not planned(judged(2, refers_to_itself=True)).at_once


def test_deletes_are_part_of_the_one_statement() -> None:
    assert planned(judged(2), deletes=True).at_once
