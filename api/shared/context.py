"""What all requests share: connections to the database and the current catalog."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import psycopg2
from flask import current_app, g
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from rowboat.catalog import tables
from rowboat.catalog.tables import Catalog, Table
from rowboat.database import connections
from rowboat.database.connections import (
    Connection,
    Cursor,
    persistently,
    transaction,
    wording_errors,
)
from rowboat.errors import ConnectionLost, UnknownTable
from rowboat.settings import settings

Result = TypeVar("Result")
_FRESH = 2.0  # seconds for which a catalog is used before it is read again


class Connections:
    """A pool of connections that grows to the number of concurrent requests.

    `lost` is called when a connection turns out to be lost, since the idle ones are then dead too;
    by default the idle ones are closed.
    """

    def __init__(
        self,
        options: dict[str, str] | None = None,
        autocommit: bool = False,
        lost: Callable[[], None] | None = None,
    ) -> None:
        self._options, self._autocommit, self._lost = options or {}, autocommit, lost or self.close
        self._idle: list[Connection] = []
        self._lock = Lock()

    @property
    def idle(self) -> int:
        """Number of connections that no request is using."""
        return len(self._idle)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend an idle connection, or a new one if there is none."""
        with self._lock:
            lent = self._idle.pop() if self._idle else None
        if lent is None:
            lent = self._connect()
        try:
            yield lent
        except ConnectionLost:
            self._lost()
            raise
        finally:
            self._take_back(lent)

    def _connect(self) -> Connection:
        opened = connections.connect(connections.uri("api"), _limits() | self._options)
        if self._autocommit:
            # Under READ COMMITTED, statements that update the same row wait for each other; under
            # the usual REPEATABLE READ, all but the first would fail.
            with wording_errors():
                opened.set_session(ISOLATION_LEVEL_READ_COMMITTED, autocommit=True)
        return opened

    def _take_back(self, lent: Connection) -> None:
        """Let others borrow a connection again, unless it is broken."""
        try:
            if not lent.closed:
                lent.rollback()  # the next borrower must not find a transaction open, or aborted
        except psycopg2.Error:
            lent.close()  # whatever the server did with the request, the answer to it stands
        if not lent.closed:
            with self._lock:
                self._idle.append(lent)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()


class Context(Connections):
    """The catalog of a process, its connections, and those for single statements (`single`).

    Single statements do not wait for the disk (synchronous_commit off): they only count requests
    and read versions, so losing the last ones in a crash is harmless.
    """

    def __init__(self) -> None:
        super().__init__()
        self.single = Connections({"synchronous_commit": "off"}, True, lost=self.close)
        self._catalog: tuple[float, Catalog] | None = None

    def close(self) -> None:
        """Close all idle connections."""
        super().close()
        self.single.close()

    def catalog(self, cursor: Cursor) -> Catalog:
        """Return the catalog; it is read again if it is older than two seconds."""
        now = time.monotonic()
        known = self._catalog
        if known is None or known[0] < now - _FRESH:
            known = self._catalog = now, tables.read_catalog(cursor)
        return known[1]


def context() -> Context:
    """Return the context of the current application."""
    found: Context = current_app.extensions["rowboat"]
    return found


@contextmanager
def reading() -> Iterator[Cursor]:
    """Run a block in a transaction of its own and commit it."""
    with context().connection() as connection, transaction(connection) as cursor:
        yield cursor


def writing(work: Callable[[Cursor], Result], keep: bool = True) -> Result:
    """Run `work` in one transaction and return its result; with keep=False, roll back.

    It is repeated on conflicts with other writers, so it must be able to run more than once.
    Raises Contended if the conflicts do not end.
    """
    with context().connection() as connection:

        def once() -> Result:
            with transaction(connection, keep) as cursor:
                return work(cursor)

        return persistently(once)


def the_table(cursor: Cursor, name: str) -> Table:
    """Return a table by its name, its full name, or an unambiguous last word of its name.

    `orders` finds `open_orders`, for example. Raises UnknownTable, or Forbidden if the
    caller's key excludes the table.
    """
    catalog = context().catalog(cursor)
    # Exact names win, so a new table never changes what an existing address means.
    endings = [table for table in catalog if table.name.endswith("_" + name)]
    known = any(name in (table.name, table.full_name) for table in catalog)
    found = endings[0] if len(endings) == 1 and not known else catalog.table(name)
    g.caller.check(found.full_name)
    return found


def _limits() -> dict[str, str]:
    now = settings()
    return {
        "statement_timeout": str(int(now.api_statement_seconds * 1000)),
        "lock_timeout": str(int(now.api_lock_seconds * 1000)),
    }


__all__ = ["Context", "UnknownTable", "context", "reading", "the_table", "writing"]
