"""Connections to Postgres, a role for each kind of work, and the wording of driver errors."""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeAlias, TypeVar

import psycopg2
from psycopg2 import errorcodes, extras, sql
from psycopg2.extensions import (
    ISOLATION_LEVEL_REPEATABLE_READ,
    connection,
    cursor,
    make_dsn,
    parse_dsn,
)

from rowboat.database import embedded
from rowboat.database.statements import query, quote_name
from rowboat.errors import ConnectionLost, Contended, DatabaseRefused, RowRefused, SettingError
from rowboat.settings import settings

Connection: TypeAlias = connection
Result = TypeVar("Result")
Role: TypeAlias = Literal["owner", "loader", "api", "reader"]

RACES = {  # another writer committed between judging and merging: try again
    errorcodes.SERIALIZATION_FAILURE,
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.UNIQUE_VIOLATION,
    errorcodes.FOREIGN_KEY_VIOLATION,
}
# Classes of errors that a single row can cause: its values, and what a trigger, a policy, or a
# function in any language says of them (20 is a CASE without an ELSE, 2F a missing RETURN).
_ROW_FAULTS = ("09", "20", "21", "22", "23", "27", "2F", "38", "39", "44", "54", "P0")
# A trigger may choose any SQLSTATE, and a policy has that of a missing privilege. The server also
# names its own function that raised the error, in no language: RAISE of PL/pgSQL, and the check of
# policies and views.
_RAISE, _CHECK_OPTION = "exec_stmt_raise", "ExecWithCheckOptions"
_CLASSES = {code for name, code in vars(errorcodes).items() if name.startswith("CLASS_")}
_ATTEMPTS = 12
_LONGEST_PAUSE = 1.0  # seconds
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "bytea_output": "hex",
    "search_path": "pg_catalog,pg_temp",  # names are qualified: no other schema can shadow one
    "temp_buffers": "64MB",
    "work_mem": "64MB",
    "client_connection_check_interval": "2s",  # a killed loader must not keep its locks
    "tcp_keepalives_idle": "30s",  # nor one whose machine vanished: noticed after a minute
    "tcp_keepalives_interval": "10s",
    "tcp_keepalives_count": "3",
}
_OLDEST = 16  # the first Postgres that has pg_input_is_valid
MISSING_FEATURE = (
    "if this Postgres was built without it, set ROWBOAT_DATABASE_URL to one that has it "
    "(docs/machine.md tells what the embedded one lacks)"
)
_HINTS = {
    errorcodes.INSUFFICIENT_PRIVILEGE: "log in as the role for this work; "
    "`rowboat migrate` by the owner gives each role its rights",
    errorcodes.FEATURE_NOT_SUPPORTED: MISSING_FEATURE,
    errorcodes.READ_ONLY_SQL_TRANSACTION: "it may be a standby: set ROWBOAT_DATABASE_URL to the "
    "primary, or add target_session_attrs=read-write to it",
}

_used: list[str] = []


class Cursor(cursor):
    """A cursor for statements whose names and literals may contain %."""

    def execute(self, statement: str | bytes | sql.Composable, values: Any = None) -> None:
        """Run a statement; in the text of sql/queries, a % is written `%%`."""
        # psycopg2 takes every % as a placeholder if values are given, also those of identifiers and
        # literals, so these are doubled, and there are always values.
        if isinstance(statement, sql.Composable):
            statement, values = _rendered(statement, self), values or {}
        super().execute(statement, values)

    def copy_expert(  # type: ignore[override]
        self, statement: str | sql.Composable, file: Any, size: int = 8192
    ) -> None:
        """Run a COPY whose statement is written as for `execute`."""
        if isinstance(statement, sql.Composable):
            statement = self.shown(statement)
        super().copy_expert(statement, file, size)

    def shown(self, statement: sql.Composable) -> str:
        """Return the text of a statement without values, as the server receives it."""
        return _rendered(statement, self).replace("%%", "%")


def use_database(address: str) -> None:
    """Let this process use the database at an address, as of an Airflow connection."""
    _used[:] = [address]


def uri(role: Role) -> str:
    """Return the address of the database for a role, including the password.

    The embedded server has a login for each role; an address given by the user is used for all.
    """
    if _used:
        return _used[0]
    own = settings().database_url
    if own is not None:
        return own.get_secret_value()
    return embedded.embedded_server(settings().home).uri(f"rowboat_{role}")


def connect(address: str, options: Mapping[str, str] | None = None) -> Connection:
    """Open a session that writes times in UTC and ISO 8601 and searches no schema of users.

    `options` are further options of the server, by name. Raises ConnectionLost, DatabaseRefused or
    SettingError, with the host but never with the password.
    """
    # Options are set after the start of the session: poolers refuse or ignore those at its start.
    _check_address(address)
    parts: dict[str, Any] = {"application_name": "rowboat", "connect_timeout": 10}
    parts |= parse_dsn(address) | {"client_encoding": "UTF8"}
    with wording_errors(address):
        opened: Connection = psycopg2.connect(make_dsn(**parts))
        try:
            _prepare(opened, address, _SESSION | dict(options or {}))
        except BaseException:
            opened.close()
            raise
    return opened


@contextmanager
def session(role: Role) -> Iterator[Connection]:
    """Open a connection for a role and close it at the end."""
    opened = connect(uri(role))
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def transaction(open_connection: Connection, keep: bool = True) -> Iterator[Cursor]:
    """Run a block in one transaction: commit it at the end, roll it back on any error.

    With keep=False it is always rolled back. Driver errors are raised as Rowboat's own errors.
    """
    with wording_errors(), open_connection.cursor(cursor_factory=Cursor) as opened:
        try:
            yield opened
        except BaseException:
            if not open_connection.closed:
                open_connection.rollback()
            raise
        if keep:
            open_connection.commit()
        else:
            open_connection.rollback()


@contextmanager
def savepoint(within: Cursor) -> Iterator[Cursor]:
    """Run a block in a savepoint, to which the transaction returns if the block fails."""
    within.execute(query("database.savepoint"))
    try:
        with wording_errors():
            yield within
    except BaseException:
        if not within.connection.closed:
            within.execute(query("database.go_back"))
        raise
    within.execute(query("database.go_on"))


class Steps:
    """Runs each step in its own transaction, or on trial in a savepoint of one that is rolled back.

    Only on trial: rows written in a savepoint have the ID of a subtransaction as xmin, so they
    could not be traced to the load, which is recorded with the ID of the transaction.
    """

    def __init__(self, open_connection: Connection, trial: Cursor | None = None) -> None:
        self._connection, self._trial = open_connection, trial

    @property
    def on_trial(self) -> bool:
        """Whether everything will be rolled back."""
        return self._trial is not None

    def __call__(self) -> AbstractContextManager[Cursor]:
        """Return the context manager of one step."""
        return savepoint(self._trial) if self._trial else transaction(self._connection)


def persistently(work: Callable[[], Result]) -> Result:
    """Do the work, a whole transaction; repeat it while other writers interfere.

    Between attempts there is a random pause, of up to a second. Raises Contended after 12 attempts.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except Contended:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, min(0.02 * 2**attempt, _LONGEST_PAUSE)))  # noqa: S311
    raise AssertionError


@contextmanager
def wording_errors(address: str | None = None) -> Iterator[None]:
    """Raise driver errors as Rowboat's own errors; `address` is named if it cannot be reached."""
    try:
        yield
    except psycopg2.Error as error:
        fact = driver_message(error)
        if error.pgcode in RACES and error.diag.source_function != _RAISE:
            raise Contended(f"other writers keep changing the same rows: {fact}") from error
        if is_row_fault(error.pgcode) or error.diag.source_function in (_RAISE, _CHECK_OPTION):
            raise RowRefused(fact) from error
        if _is_loss(error):
            place = f" at {_place(address)}" if address else ""
            raise ConnectionLost(
                f"the database{place} cannot be reached: {fact}", _loss_hint(fact)
            ) from error
        raise DatabaseRefused(
            f"the database refused: {fact}", _HINTS.get(error.pgcode or "")
        ) from error


def is_row_fault(state: str | None) -> bool:
    """Return whether a single row can cause an SQLSTATE: also any that is not Postgres's own."""
    return state is not None and (state.startswith(_ROW_FAULTS) or state[:2] not in _CLASSES)


def fetch_rows(cursor_: Cursor) -> list[dict[str, Any]]:
    """Return the remaining rows of a result as dictionaries by column name."""
    columns = [column.name for column in cursor_.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor_.fetchall()]


def fetch_one(cursor_: Cursor) -> tuple[Any, ...]:
    """Return the only row of a result."""
    row: tuple[Any, ...] | None = cursor_.fetchone()
    assert row is not None
    return row


def driver_message(error: psycopg2.Error) -> str:
    """Return the database's own message, in one line."""
    words = error.diag.message_primary or (str(error).strip().splitlines() or ["no answer"])[0]
    return str(words).strip()


def _prepare(opened: Connection, address: str, options: Mapping[str, str]) -> None:
    """Set the options of a session; raises DatabaseRefused if the server cannot be used."""
    version, encoding = (
        opened.server_version // 10_000,
        opened.get_parameter_status("server_encoding"),
    )
    if version < _OLDEST:
        raise DatabaseRefused(
            f"the database at {_place(address)} is Postgres {version}; "
            f"Rowboat needs {_OLDEST} or newer",
            "upgrade it, or set ROWBOAT_DATABASE_URL to another",
        )
    if encoding != "UTF8":
        raise DatabaseRefused(
            f"the database at {_place(address)} is in {encoding}; Rowboat needs UTF8",
            "create another with `create database NAME encoding 'UTF8' template template0`",
        )
    opened.autocommit = True
    with opened.cursor(cursor_factory=Cursor) as cursor:
        cursor.execute(query("database.set_options"), {"options": extras.Json(options)})
    opened.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, autocommit=False)


def _loss_hint(fact: str) -> str | None:
    if re.search("SSL|certificate|encryption", fact):
        return (
            "check sslmode, sslrootcert, sslcert and sslkey in ROWBOAT_DATABASE_URL, and that the "
            "server's certificate names its host"
        )
    return None


def _rendered(statement: sql.Composable, context: Cursor) -> str:
    if isinstance(statement, sql.SQL):
        return statement.string
    if isinstance(statement, sql.Composed):
        return "".join([_rendered(part, context) for part in statement.seq])
    if isinstance(statement, sql.Identifier):
        return quote_name(statement.strings)
    return str(statement.as_string(context)).replace("%", "%%")


def _is_loss(error: psycopg2.Error) -> bool:
    """Return whether an error is a lost connection: class 08, 57P0x, or no answer at all.

    If the connection breaks during a COPY, the driver raises only a DatabaseError without a code.
    """
    if error.pgcode is None:
        losses = (psycopg2.OperationalError, psycopg2.InterfaceError)
        return isinstance(error, losses) or type(error) is psycopg2.DatabaseError
    return error.pgcode.startswith("08") or error.pgcode in {
        errorcodes.ADMIN_SHUTDOWN,
        errorcodes.CRASH_SHUTDOWN,
        errorcodes.CANNOT_CONNECT_NOW,
    }


def _check_address(address: str) -> None:
    """Raise SettingError for an address that the driver would misread.

    The driver's own message would repeat parts of it, perhaps of the password.
    """
    try:
        parts = parse_dsn(address)
    except psycopg2.ProgrammingError:
        parts = {"port": "unknown"}
    place = parts.get("host", "") + parts.get("dbname", "")
    if "@" in place or not re.fullmatch(r"[\d,]*", parts.get("port", "")):
        raise SettingError(
            "the address of the database cannot be read",
            "write ROWBOAT_DATABASE_URL as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "in the password %40 for @, %2F for /, %25 for %; after a ? parameters of libpq",
        )


def _place(address: str) -> str:
    parts = parse_dsn(address)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
