"""The files of metrics: what their headers promise, and what Postgres plans for them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rowboat.database.connections import transaction
from rowboat.errors import DatabaseRefused
from rowboat.metrics import definitions
from rowboat.metrics.definitions import Metric
from rowboat.metrics.figures import (
    years_with_rows,
)
from tests.conftest import Boat
from tests.support.figures import BOTH, HIRES, QUARTERS, compute, plan


@pytest.mark.parametrize("wanted", definitions.all_metrics().values(), ids=lambda each: each.name)
def test_a_header_tells_the_truth(boat: Boat, wanted: Metric) -> None:
    """The cache and the keys rely on the tables that it names, charts and years on the columns."""
    plans = list(plan(boat, wanted))
    found = {f"{node['Schema']}.{node['Relation Name']}" for node in plans if "Schema" in node}
    assert found == set(wanted.tables)
    columns = compute(boat.connect("api"), wanted).result.columns
    assert wanted.chart
    assert {wanted.chart.x, *wanted.chart.y} <= set(columns)
    with transaction(boat.connect("api")) as cursor:
        assert wanted.years
        assert years_with_rows(cursor, wanted) == []


@pytest.mark.parametrize("wanted", BOTH, ids=lambda each: each.name)
def test_names_are_sorted_by_bytes(boat: Boat, wanted: Metric) -> None:
    """The embedded server has no other order; the plan tells what others would do."""
    keys = [key for node in plan(boat, wanted) for key in node.get("Sort Key", ())]
    names = [key for key in keys if re.search(r"\b(department|job)\b", key)]
    assert names
    assert all(key.endswith('COLLATE "C"') for key in names)


def test_a_metric_writes_nothing(boat: Boat) -> None:
    writes = replace(QUARTERS, statement=f"delete from {HIRES} returning %(year)s")
    with pytest.raises(DatabaseRefused, match="cannot execute DELETE in a read-only transaction"):
        compute(boat.connect("owner"), writes)


def test_a_file_that_cannot_be_read_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.application import create_app

    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "bad.sql").write_text("select 1")
    monkeypatch.setattr(definitions, "SQL_FOLDER", tmp_path)
    definitions.all_metrics.cache_clear()
    with pytest.raises(
        definitions.SqlFileError, match=r"^sql/metrics/bad.sql:1: has no '-- title: …'"
    ):
        create_app()
    definitions.all_metrics.cache_clear()
