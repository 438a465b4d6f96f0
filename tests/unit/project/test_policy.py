"""Rules of the house that no single test would see broken."""

import ast
import re
from pathlib import Path

import pytest

from rowboat.database.statements import SQL_FOLDER, read_statements
from tests.conftest import ROOT

LIBRARY = sorted((ROOT / "plugins" / "rowboat").glob("**/*.py"))
QUERIES = sorted((SQL_FOLDER / "queries").glob("**/*.sql"))
CODE = [
    path
    for folder in ("plugins", "api", "dags")
    for path in sorted((ROOT / folder).glob("**/*.py"))
]
NAMES = [f"{path.stem}.{name}" for path in QUERIES for name in read_statements(path.stem)]


def imports(path: Path) -> set[str]:
    """Return the top packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_library_knows_no_framework(path: Path) -> None:
    assert not imports(path) & {"airflow", "flask"}


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_library_knows_no_cargo(path: Path) -> None:
    """Nothing in the code knows the tables that it carries."""
    names = re.compile(r"hired_employee|department|\bjobs?\b", re.IGNORECASE)
    assert not names.findall(path.read_text())


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_sql_stands_in_sql_files(path: Path) -> None:
    """No statement in a string of the code, no f-string handed to sql.SQL or execute."""
    starts = re.compile(r"\s*(select|insert|update|delete|create|drop|alter|with|copy|set)\s\S+\s",
                        re.IGNORECASE)  # fmt: skip
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr not in {"SQL", "execute", "copy_expert"} or not node.args:
                continue
            first = node.args[0]
            assert not isinstance(first, ast.JoinedStr), f"line {node.lineno}"
            if isinstance(first, ast.Constant):
                assert not starts.match(str(first.value)), f"line {node.lineno}"


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.name)
def test_statement_files_are_well_formed(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("-- ")
    heads = text.count("-- name: ") + text.count("-- fragment: ")
    assert len(read_statements(path.stem)) == heads


@pytest.mark.parametrize("name", NAMES)
def test_statement_is_used(name: str) -> None:
    """Every statement is named in the code, or by a name that the code puts together."""
    built = {"grants": r'f"grants\.\{', "literals": r'f"literals\.\{'}
    file = name.partition(".")[0]
    pattern = re.compile(rf'"{re.escape(name)}"' + (f"|{built[file]}" if file in built else ""))
    assert any(pattern.search(path.read_text()) for path in CODE)


@pytest.mark.parametrize("name", NAMES)
def test_percent_signs_are_doubled(name: str) -> None:
    """A single % that is no placeholder would be one for the driver."""
    file, _, statement = name.partition(".")
    assert not re.findall(r"%(?!\(\w+\)s)", read_statements(file)[statement].replace("%%", ""))


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_statements_that_the_code_names_exist(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = {
        node.args[0].value
        for node in calls
        if ast.unparse(node.func) == "query" and isinstance(node.args[0], ast.Constant)
    }
    assert named <= set(NAMES)
