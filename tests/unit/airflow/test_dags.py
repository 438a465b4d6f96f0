"""Policy: every DAG imports, has docs and tags, and does no work while it is read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rowboat.settings import settings
from rowboat_airflow.console import console_address
from tests.conftest import ROOT

OUTLINE = [
    {"table": "trade.suppliers", "parents": []},
    {"table": "trade.deliveries", "parents": ["trade.suppliers"]},
    {"table": "other.suppliers", "parents": []},
]


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ROWBOAT_HOME", str(tmp_path))
    settings.cache_clear()
    (tmp_path / "catalog.json").write_text(json.dumps(OUTLINE))
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags")
    settings.cache_clear()
    assert bag.import_errors == {}
    return bag.dags


def test_every_dag_has_docs_tags_and_no_catchup(dags: Any) -> None:
    assert set(dags) == {path.stem for path in (ROOT / "dags").glob("*.py")}
    for name, dag in dags.items():
        page = console_address("/files" if name == "ingest" else "/backups")
        assert re.search(
            rf"^\*\*In the console:\*\* \[[^]]+\]\({page}\)$", dag.doc_md, re.MULTILINE
        )
        assert dag.tags == {"rowboat"}
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        assert dag.owner == "rowboat"


def test_a_task_whose_worker_dies_is_tried_again(dags: Any) -> None:
    once = [task.task_id for dag in dags.values() for task in dag.tasks if not task.retries]
    assert once == []


def test_ingest_follows_the_foreign_keys(dags: Any) -> None:
    tasks = dags["ingest"].task_dict
    assert tasks["deliveries.load"].upstream_task_ids == {
        "deliveries.files",
        "deliveries.stage",
        "trade_suppliers.load",
    }
    assert tasks["trade_suppliers.load"].upstream_task_ids == {
        "trade_suppliers.files",
        "trade_suppliers.stage",
    }
    assert tasks["report"].upstream_task_ids == {
        "detect", "deliveries.load", "trade_suppliers.load", "other_suppliers.load",
    }  # fmt: skip


def test_files_of_a_table_are_loaded_one_after_the_other(dags: Any) -> None:
    loads = [task for task in dags["ingest"].tasks if task.task_id.endswith(".load")]
    assert [task.max_active_tis_per_dagrun for task in loads] == [1, 1, 1]


def test_dag_files_hold_no_sql_and_no_variables() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        text = path.read_text().lower()
        assert not [
            word for word in ("select ", "insert ", "variable.get", "pandas") if word in text
        ]


@pytest.mark.parametrize(
    ("files", "groups", "largest"),
    [(0, 0, 0), (1, 1, 1), (100, 100, 1), (101, 51, 2), (2_500, 100, 25)],
)
def test_many_files_of_a_table_share_tasks(files: int, groups: int, largest: int) -> None:
    from rowboat_airflow.tasks.ingest import group_files

    names = [f"t-{n}.csv" for n in range(files)]
    found = group_files(names)
    assert (len(found), max(map(len, found), default=0)) == (groups, largest)
    assert [name for group in found for name in group] == names
