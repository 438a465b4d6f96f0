"""The SQL of the library: named, described statements in sql/queries, in rooms like the code's.

`-- name: NAME` begins a statement, which ends with a semicolon; `-- fragment: NAME` begins a part
of statements, which does not. The comment below the name describes it; that of a fragment is not
sent to the server. `{…}` stands for identifiers and fragments (psycopg2.sql), `%(…)s` for values.
The form follows aiosql; every file is read and checked at first use.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter

from psycopg2 import sql

from rowboat.errors import SqlFileError

SQL_FOLDER = Path(__file__).resolve().parents[3] / "sql"

_DESCRIPTION = re.compile(r"\A(--.*\n)+")
_HEAD = re.compile(r"^-- (name|fragment): *", re.MULTILINE)


class Statement(sql.Composed):
    """A statement or fragment of sql/queries with its parts filled in, and its name."""

    def __init__(self, name: str, parts: Sequence[sql.Composable]) -> None:
        super().__init__(parts)
        self.name = name


def query(name: str, **parts: sql.Composable) -> sql.Composed:
    """Return the statement or fragment `file.name`, its `{…}` filled with the given parts, as a
    `Statement`.

    Raises SqlFileError if there is no such statement or a file is malformed.
    """
    file, _, statement = name.partition(".")
    try:
        text = read_statements(file)[statement]
    except KeyError:
        raise SqlFileError(f"{file}.sql in sql/queries has no statement {statement!r}") from None
    flat = _Flat()
    for before, part in _pieces(text):
        flat.text.append(before)
        if part is not None:
            flat.add(parts[part])
    return Statement(name, flat.whole())


class _Flat:
    """Joins parts into one text, cut only at literals, which need a connection to be written.

    A part that is used several times in a statement is thus walked through only once.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self._found: list[sql.Composable] = []

    def add(self, part: sql.Composable) -> None:
        """Add a part."""
        if isinstance(part, sql.SQL):
            self.text.append(part.string)
        elif isinstance(part, sql.Composed):
            for each in part.seq:
                self.add(each)
        elif isinstance(part, sql.Identifier):
            self.text.append(quote_name(part.strings))
        else:
            self._end_text()
            self._found.append(part)

    def whole(self) -> list[sql.Composable]:
        """Return all parts."""
        self._end_text()
        return self._found

    def _end_text(self) -> None:
        if self.text:
            self._found.append(sql.SQL("".join(self.text)))
            self.text = []


@lru_cache(10_000)
def quote_name(names: tuple[str, ...]) -> str:
    """Quote a name of one or more parts, for a statement in which `%%` stands for a % (manual,
    "Identifiers and Key Words").
    """
    return ".".join('"' + name.replace('"', '""').replace("%", "%%") + '"' for name in names)


@cache
def _pieces(text: str) -> list[tuple[str, str | None]]:
    """Cut a statement into its texts and the names of the parts after them."""
    return [(before, part) for before, part, _, _ in Formatter().parse(text)]


@cache
def read_statements(file: str) -> dict[str, str]:
    """Read FILE.sql, in whichever room of sql/queries, into name → text."""
    path = next((SQL_FOLDER / "queries").rglob(f"{file}.sql"), None)
    if path is None:
        raise SqlFileError(f"there is no {file}.sql in sql/queries")
    shown = f"sql/{path.relative_to(SQL_FOLDER)}"
    before, *parts = _HEAD.split(path.read_text(encoding="utf-8"))
    line = _check(shown, 1, before, "", "")
    found: dict[str, str] = {}
    for kind, part in zip(parts[::2], parts[1::2], strict=True):
        name, _, body = part.partition("\n")
        if name in found:
            raise SqlFileError(f"{shown}:{line}: {name} is defined twice")
        after = _check(shown, line, body, name, kind)
        if kind == "fragment":
            body = _DESCRIPTION.sub("", body)
        found[name] = body.strip().rstrip(";")
        line = after + 1
    return found


def _check(file: str, line: int, body: str, name: str, kind: str) -> int:
    """Raise SqlFileError for a malformed part of a file; return the line after it."""
    code = [at for at, each in enumerate(body.split("\n")) if each and not each.startswith("--")]
    is_complete = body.rstrip().endswith(";")
    problem, at = None, line
    if not name:
        if code:
            problem, at = "there is text before the first statement", line + code[0]
    elif not re.fullmatch("[a-z_]+", name):
        problem = f"{name!r} is not a valid name of a statement"
    elif not body.startswith("-- "):
        problem = f"{name} has no description"
    elif not code:
        problem = f"{name} has no statement"
    elif kind == "name" and not is_complete:
        problem = f"the statement {name} does not end with a semicolon"
    elif kind == "fragment" and is_complete:
        problem = f"the fragment {name} ends with a semicolon"
    if problem:
        raise SqlFileError(f"{file}:{at}: {problem}")
    return line + body.count("\n")


def as_printed(text: str) -> sql.SQL:
    """Return SQL that Postgres printed (a type, a default, a CHECK) as a part of a statement."""
    return sql.SQL(text.replace("%", "%%"))


def join_names(names: list[str] | tuple[str, ...]) -> sql.Composed:
    """Join names as a list of quoted identifiers."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
