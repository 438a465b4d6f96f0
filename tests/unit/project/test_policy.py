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
TESTS = sorted((ROOT / "tests").glob("**/test_*.py"))
NAMES = [f"{path.stem}.{name}" for path in QUERIES for name in read_statements(path.stem)]

# Test file → the modules that it covers though it does not have their name.
ELSEWHERE = {
    "integration/backup/test_avro_types.py": (
        "backup/avro/arrays", "backup/avro/digests", "database/copy_binary",
    ),
    "integration/backup/test_restore.py": (
        "backup/recovery/plan", "backup/recovery/source", "backup/recovery/table_restore",
    ),
    "integration/backup/test_restore_undo.py": ("backup/recovery/safety",),
    "integration/backup/test_shelf.py": ("backup/sets",),
    "integration/backup/test_shelf_proofs.py": ("backup/verify", "storage/disk_shelf"),
    "integration/backup/test_upgrades.py": ("backup/recovery/drill",),
    "integration/catalog/test_shown_sql.py": ("cli/sql", "database/recording"),
    "integration/cli/test_commands.py": (
        "cli/terminal", "rendering/elements", "rendering/loads", "status",
    ),
    "integration/console/test_corrections.py": ("rows/write/correction",),
    "integration/console/test_files.py": ("ingest/file_states",),
    "integration/console/test_keys.py": ("rows/read/audit_log",),
    "integration/console/test_rows.py": ("rows/read/relatives",),
    "integration/console/test_session.py": ("access/oidc_sign_in", "access/sessions"),
    "integration/console/test_tables.py": ("catalog/sizes",),
    "integration/database/test_embedded.py": ("database/credentials",),
    "integration/database/test_external.py": ("database/connections",),
    "unit/csvfile/test_recognise.py": ("csvfile/forms", "csvfile/header"),
    "integration/ingest/test_again.py": ("ingest/changes/known_content",),
    "integration/ingest/test_changing_files.py": ("ingest/position",),
    "integration/ingest/test_dictionary.py": ("catalog/fingerprint",),
    "integration/ingest/test_dry_run_and_limit.py": (
        "ingest/load", "ingest/progress", "ingest/reports",
    ),
    "integration/ingest/test_exactly_once.py": ("ingest/file_pass", "ingest/run"),
    "integration/ingest/test_parts.py": ("ingest/large_files/split",),
    "integration/ingest/test_reject_rules.py": (
        "door/judge", "door/match", "door/passage", "door/stage",
    ),
    "integration/ingest/test_unreadable_files.py": ("storage/disk", "storage/file_names"),
    "integration/ingest/test_waiting_rows.py": ("ingest/rejudge",),
    "integration/rest/test_batch_answers.py": ("rows/write/batch",),
    "integration/rest/test_batch_audit.py": ("rows/write/audit",),
    "integration/rest/test_batch_idempotency.py": ("rows/write/idempotency",),
    "integration/rest/test_batch_keys_and_defaults.py": ("rows/write/defaults",),
    "integration/rest/test_metric_views.py": ("metrics/workbook",),
    "integration/rest/test_operations.py": ("airflow_client",),
    "integration/rest/test_rejects.py": ("door/rejected_rows",),
    "integration/rest/test_row.py": ("door/dependents", "rows/write/delete_row"),
    "integration/rest/test_row_filters.py": ("rows/read/filters", "rows/read/listing_params"),
    "integration/rest/test_row_pages.py": ("rows/read/ordering", "rows/read/reading"),
    "integration/rest/test_row_writes.py": ("rows/write/update_row",),
    "integration/rest/test_uploads.py": ("ingest/upload",),
    "integration/storage/test_s3_folder.py": (
        "address", "storage/interfaces", "storage/opening", "storage/s3",
    ),
    "unit/backup/test_avro.py": ("backup/avro/schema", "backup/avro/types", "backup/avro/unions"),
    "unit/csvfile/test_splitter.py": ("csvfile/records",),
    "unit/door/test_plan_merge.py": ("door/context", "door/merge", "door/staged_columns"),
    "unit/metrics/test_charts.py": ("metrics/line_chart", "metrics/series", "metrics/svg"),
    "unit/metrics/test_definitions.py": ("metrics/parameters",),
    "unit/rows/test_bodies.py": ("rows/exact_json",),
}  # fmt: skip


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


def test_every_module_has_tests_that_can_be_found() -> None:
    """A module has a test file of its name, or is in the table above."""
    own_names = {path.stem.removeprefix("test_") for path in TESTS}
    elsewhere = {module for modules in ELSEWHERE.values() for module in modules}
    folder = ROOT / "plugins" / "rowboat"
    modules = {str(path.relative_to(folder).with_suffix("")): path.stem for path in LIBRARY}
    without = {each for each, name in modules.items() if name not in own_names | {"__init__"}}
    assert without - elsewhere == set()
    assert elsewhere - set(modules) == set()
    assert {file for file in ELSEWHERE if not (ROOT / "tests" / file).is_file()} == set()


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_no_test_file_is_long_or_imports_another(path: Path) -> None:
    """What several need is in tests/support or in a conftest.py."""
    text = path.read_text()
    assert text.count("\n") <= 500
    assert re.findall(r"^from tests\.[\w.]*\btest_\w+ import .*", text, re.MULTILINE) == []
