"""Rules, dashboard and their documentation: they hold together, and promtool reads them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow._shared.observability.metrics.metrics_registry import MetricsRegistry

from tests.conftest import ROOT
from tests.support.observed import DASHBOARD, FOLDER, PANELS, QUERIES, names, rules
from tests.support.promtool import promtool

DOCS = (ROOT / "docs" / "observe.md").read_text()
ALERTS = [rule["alert"] for rule in rules()]
ENDINGS = {"counter": "_total", "timer": "_milliseconds", "gauge": ""}


def check(*arguments: str, folder: Path = FOLDER) -> None:
    done = subprocess.run(
        [promtool(), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    check(*arguments)


def test_every_query_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(QUERIES)
    ]
    groups = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "queries.yml").write_text(yaml.safe_dump(groups))
    check("check", "rules", "queries.yml", folder=tmp_path)


@pytest.mark.parametrize("name", sorted(names("airflow")))
def test_airflow_has_what_is_asked_for(name: str) -> None:
    """By the names that Prometheus makes of those of Airflow's own list."""
    known = {
        f"airflow_{re.sub(r'[^a-z0-9_]', '_', each)}{ENDINGS[about['type']]}"
        for each, about in MetricsRegistry()._metrics.items()
    }
    assert name in known


@pytest.mark.parametrize("rule", rules(), ids=ALERTS)
def test_alert_is_explained(rule: dict[str, Any]) -> None:
    """What it says, how bad it is, and a place that tells what to do."""
    told = rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert told["summary"].endswith(".")
    assert told["description"].endswith(".")
    assert told["runbook_url"] == f"docs/observe.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in DOCS


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_seen_to_fire_and_to_be_silent(alert: str) -> None:
    tests = yaml.safe_load((FOLDER / "rules.test.yml").read_text())["tests"]
    fires = {
        bool(each.get("exp_alerts"))
        for test in tests
        for each in test["alert_rule_test"]
        if each["alertname"] == alert
    }
    assert fires == {True, False}


@pytest.mark.parametrize("name", sorted(names("rowboat") | names("airflow")))
def test_metric_is_documented(name: str) -> None:
    assert f"`{name.removesuffix('_bucket')}`" in DOCS


def test_dashboard_finds_its_source() -> None:
    """The source that is set up has the name that every panel asks for; panels do not overlap."""
    folder = FOLDER / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    asked = [panel["datasource"] for panel in PANELS]
    asked += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    assert {(each["type"], each["uid"]) for each in asked} == {(source["type"], source["uid"])}
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
