"""The SQL of the library: named, described statements in sql/queries/*.sql.

A statement is text between one `-- name: NAME` line and the next. The comment line below the
name tells what it does. `{…}` stands for identifiers and fragments (psycopg2.sql), `%(…)s` for
values. The form follows aiosql; every file is read and checked at first use.
"""

import re
from functools import cache
from pathlib import Path

from psycopg2 import sql

from rowboat.errors import SqlFileError

SQL_FOLDER = Path(__file__).resolve().parents[2] / "sql"

_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


def query(name: str, **parts: sql.Composable) -> sql.Composed:
    """Return the statement `file.name`, its `{…}` filled with the given parts.

    Raises SqlFileError where there is no such statement or a file is malformed.
    """
    file, _, statement = name.partition(".")
    try:
        text = statements(file)[statement]
    except KeyError:
        raise SqlFileError(f"sql/queries/{file}.sql has no statement {statement!r}") from None
    return sql.SQL(text).format(**parts)


@cache
def statements(file: str) -> dict[str, str]:
    """Read sql/queries/FILE.sql into name → text."""
    path = SQL_FOLDER / "queries" / f"{file}.sql"
    text = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    heads = list(_NAME.finditer(text))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : after.start() if after else len(text)].strip()
        line = text.count("\n", 0, head.start()) + 1
        if not body.startswith("-- "):
            raise SqlFileError(f"sql/queries/{file}.sql:{line}: {head['name']} has no description")
        if head["name"] in found:
            raise SqlFileError(f"sql/queries/{file}.sql:{line}: {head['name']} stands twice")
        found[head["name"]] = body.rstrip(";")
    return found


def printed(text: str) -> sql.SQL:
    """Return SQL that Postgres printed (a type, a default, a CHECK) as a part of a statement."""
    return sql.SQL(text.replace("%", "%%"))


def identifiers(names: list[str] | tuple[str, ...]) -> sql.Composed:
    """Join names as a list of quoted identifiers."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
