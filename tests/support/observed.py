"""The files of environments/observe: its rules, and the queries of its dashboard."""

import json
import re
from typing import Any

import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "environments" / "observe"
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "rowboat.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    """Return the rules of all groups."""
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names(prefix: str) -> set[str]:
    """Return the metrics that rules and dashboard ask for."""
    asked = [rule["expr"] for rule in rules()] + QUERIES
    return {name for each in asked for name in re.findall(rf"\b{prefix}_\w+", each)}
