"""Brings the schema up to date: numbered .sql files, each applied once, in order.

A file NNNN_name.sql contains `-- migrate:up` and its statements, then `-- migrate:down` and its
statements (the format of dbmate). Each file runs in one transaction with its record, under an
advisory lock: two processes that start at once apply it once. Then each role is granted its rights
on the tables that exist now.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.errors import FeatureNotSupported, InsufficientPrivilege

from rowboat.catalog import outline, tables
from rowboat.database.connections import (
    MISSING_FEATURE,
    Connection,
    Cursor,
    driver_message,
    fetch_one,
    fetch_rows,
    transaction,
)
from rowboat.database.statements import query, quote_name
from rowboat.errors import MigrationFailed
from rowboat.settings import settings

_FORM = re.compile(
    r"\A(?:--[^\n]*\n|\s)*?-- migrate:up\n(?P<up>.*?)^-- migrate:down\n(?P<down>.*)\Z",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"(?P<number>\d{4})_\w+\.sql")


@dataclass(frozen=True)
class Migration:
    """One file: its number, its name, how to apply it and how to roll it back."""

    number: int
    name: str
    up: str
    down: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the statements that apply it."""
        return hashlib.sha256(self.up.encode()).hexdigest()


def migrate(connection: Connection, to: int | None = None) -> list[str]:
    """Apply what is missing up to number `to` (default: all), or roll back what is above it.

    Returns the names of the migrations that ran. Raises MigrationFailed; the files that ran before
    the failing one stay applied, and the failing one leaves nothing.
    """
    known = {each.number: each for each in read_migrations(settings().migrations)}
    target = max(known, default=0) if to is None else to
    ran = []
    with _alone(connection):
        while (step := _next(connection, known, target)) is not None:
            ran.append(step)
        if target:  # rolled back to 0, there are no tables to grant rights on
            with transaction(connection) as cursor:
                catalog = tables.read_catalog(cursor)
                grant_rights(cursor, catalog)
                _count_writes(cursor, catalog)
                outline.write_outline(catalog)
    return ran


def read_migrations(folder: Path) -> list[Migration]:
    """Read the migrations of a folder in order; raises MigrationFailed for a malformed one."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        name, form = _NAME.fullmatch(path.name), _FORM.match(path.read_text(encoding="utf-8"))
        if name is None:
            raise MigrationFailed(
                f"{path.name} is not named like 0007_orders.sql", "give it the next number"
            )
        if form is None:
            raise MigrationFailed(
                f"{path.name} has no '-- migrate:up' and '-- migrate:down' part",
                "put the statements below '-- migrate:up', how to undo them below the other",
            )
        found.append(Migration(int(name["number"]), path.stem, form["up"], form["down"]))
    numbers = [each.number for each in found]
    if twice := {number for number in numbers if numbers.count(number) > 1}:
        raise MigrationFailed(f"two files are numbered {min(twice):04}", "rename one of them")
    return found


def applied_migrations(cursor: Cursor) -> dict[int, str]:
    """Return number → digest of the migrations that the database has."""
    cursor.execute(query("migrations.applied"))
    return {row["number"]: row["digest"] for row in fetch_rows(cursor)}


def schema_age(cursor: Cursor) -> datetime:
    """Return when the first migration was applied."""
    cursor.execute(query("migrations.since"))
    made: datetime = fetch_one(cursor)[0]
    return made


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other migrating processes waiting; the lock also ends with the session."""
    # a session lock: a transaction's would end with the first of the migrations
    with transaction(connection) as cursor:
        cursor.execute(query("migrations.lock"))
        _prepare(cursor)
    try:
        yield
    finally:
        if not connection.closed:
            with transaction(connection) as cursor:
                cursor.execute(query("migrations.unlock"))


def _prepare(cursor: Cursor) -> None:
    """Create the table of records; raises MigrationFailed for a role that may not migrate."""
    cursor.execute(query("migrations.place"))
    role, database, may_create, owner, is_owner = fetch_one(cursor)
    if owner is None and not may_create:
        raise MigrationFailed(
            f"the role {role} may not create a schema in the database {database}",
            "let an administrator grant it: "
            f"grant create on database {quote_name((database,))} to {quote_name((role,))}",
        )
    if owner is None:
        cursor.execute(query("migrations.prepare"))
    elif not is_owner:
        raise MigrationFailed(
            f"the role {role} may not migrate the database {database}: its schema is {owner}'s",
            f"set ROWBOAT_DATABASE_URL to the login of {owner} for `rowboat migrate`",
        )


def _next(connection: Connection, known: dict[int, Migration], target: int) -> str | None:
    """Run the next migration towards the target and return its name, or None at the target."""
    with transaction(connection) as cursor:
        done = applied_migrations(cursor)
        _check(done, known)
        if missing := [each for each in sorted(known) if each <= target and each not in done]:
            step = known[missing[0]]
            _run(cursor, step, step.up, "migrations.record")
        elif surplus := [each for each in done if each > target]:
            step = known[max(surplus)]
            _run(cursor, step, step.down, "migrations.forget")
        else:
            return None
    return step.name


def _run(cursor: Cursor, step: Migration, statements: str, record: str) -> None:
    try:
        cursor.execute(statements)
    except psycopg2.Error as error:
        if cursor.connection.closed:
            raise
        hint = None
        if isinstance(error, InsufficientPrivilege):
            hint = "let an administrator give the role that right, then run `rowboat migrate` again"
        elif isinstance(error, FeatureNotSupported):
            hint = MISSING_FEATURE
        raise MigrationFailed(f"{step.name}: {driver_message(error)}", hint) from error
    cursor.execute(query(record), {"number": step.number, "name": step.name, "digest": step.digest})


def _check(done: dict[int, str], known: dict[int, Migration]) -> None:
    for number, digest in done.items():
        if number not in known:
            raise MigrationFailed(
                f"the database has migration {number:04}, which is not in {settings().migrations}",
                "use the version of Rowboat that made it, or put the file back",
            )
        if known[number].digest != digest:
            raise MigrationFailed(
                f"{known[number].name} was changed after it was applied",
                "put the file back as it was and write the change as a new migration",
            )


def _count_writes(cursor: Cursor, catalog: tables.Catalog) -> None:
    """Let every managed table count its writes, so that cached metrics notice changes."""
    managed = sorted({table.schema for table in catalog})
    cursor.execute(query("migrations.uncounted"), {"schemas": managed})
    for schema, name in cursor.fetchall():
        cursor.execute(query("migrations.count_writes", table=sql.Identifier(schema, name)))


def grant_rights(cursor: Cursor, catalog: tables.Catalog) -> None:
    """Grant each role what its work needs on every table that exists now, and no more."""
    cursor.execute(query("migrations.roles"))
    roles = {row["rolname"] for row in fetch_rows(cursor)}
    managed = sorted({table.schema for table in catalog})
    for role in sorted(roles):
        name = sql.Identifier(role)
        cursor.execute(query(f"grants.{role.removeprefix('rowboat_')}_service", role=name))
        for schema in managed:
            parts = {"schema": sql.Identifier(schema), "role": name}
            cursor.execute(query("grants.use", **parts))
            right = "grants.look" if role == "rowboat_reader" else "grants.change"
            cursor.execute(query(right, **parts))
