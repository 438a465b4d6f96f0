"""The reader of sql/queries: what it takes, and what it says of what it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2 import sql

from rowboat.database import statements
from rowboat.errors import SqlFileError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "queries").mkdir()
    monkeypatch.setattr(statements, "SQL_FOLDER", tmp_path)
    statements.read_statements.cache_clear()
    yield tmp_path / "queries"
    statements.read_statements.cache_clear()


GOOD = """-- About nothing.

-- name: one
-- The first.
select 1;

-- name: two_b
-- The second.
select {column} from t
where a = %(a)s;

-- fragment: three
-- The third,
-- of two lines.
{column} > 3  -- not one more
"""


def test_statements(folder: Path) -> None:
    (folder / "good.sql").write_text(GOOD)
    assert statements.read_statements("good") == {
        "one": "-- The first.\nselect 1",
        "two_b": "-- The second.\nselect {column} from t\nwhere a = %(a)s",
        "three": "{column} > 3  -- not one more",
    }


def test_parts_are_filled_in(folder: Path) -> None:
    (folder / "good.sql").write_text(GOOD)
    found = statements.query("good.two_b", column=sql.SQL("x"))
    assert "".join(part.string for part in found) == (
        "-- The second.\nselect x from t\nwhere a = %(a)s"
    )


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (
            "\n-- name: one\nselect 1;\n",
            "sql/queries/bad.sql:2: one has no description",
        ),
        (
            "-- name: one\n-- First.\nselect 1;\n\n-- name: one\n-- Again.\nselect 2;\n",
            "sql/queries/bad.sql:5: one is defined twice",
        ),
        (
            "-- name: one\n-- First.\n\n-- name: two\n-- Second.\nselect 2;\n",
            "sql/queries/bad.sql:1: one has no statement",
        ),
        (
            "-- name: One more\n-- First.\nselect 1;\n",
            "sql/queries/bad.sql:1: 'One more' is not a valid name of a statement",
        ),
        (
            "-- name: one\n-- First.\nselect 1\n",
            "sql/queries/bad.sql:1: the statement one does not end with a semicolon",
        ),
        (
            "-- fragment: one\n-- First.\ntrue;\n",
            "sql/queries/bad.sql:1: the fragment one ends with a semicolon",
        ),
        (
            "-- Nothing.\nselect 1;\n",
            "sql/queries/bad.sql:2: there is text before the first statement",
        ),
    ],
)
def test_malformed_files(folder: Path, content: str, fact: str) -> None:
    (folder / "bad.sql").write_text(content)
    with pytest.raises(SqlFileError) as raised:
        statements.query("bad.one")
    assert (raised.value.fact, raised.value.hint) == (
        fact,
        "each statement starts with '-- name: NAME' and a line that says what it does",
    )


def test_unknown_statement(folder: Path) -> None:
    (folder / "good.sql").write_text(GOOD)
    with pytest.raises(SqlFileError) as raised:
        statements.query("good.four")
    assert raised.value.fact == "good.sql in sql/queries has no statement 'four'"


def test_unknown_file(folder: Path) -> None:
    with pytest.raises(SqlFileError) as raised:
        statements.query("nothing.one")
    assert raised.value.fact == "there is no nothing.sql in sql/queries"


def test_printed_percent_signs_are_no_placeholders() -> None:
    assert statements.as_printed("a % b like '%s' {x}").string == "a %% b like '%%s' {x}"
