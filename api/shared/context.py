"""What every request shares: connections to the database and the catalog as it is now."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from flask import current_app, g
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from rowboat.catalog import tables
from rowboat.catalog.tables import Catalog, Table
from rowboat.database import connections
from rowboat.database.connections import Connection, Cursor, persistently, transaction
from rowboat.errors import ConnectionLost, UnknownTable
from rowboat.settings import settings

Result = TypeVar("Result")
_FRESH = 2.0  # seconds for which a catalog is good


class Connections:
    """Connections that a process lends, as many as it has had requests at once.

    `lost` is called where one was lost, as the others are too old to be used then; without it
    these are closed.
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
        """Number of connections that wait for a request."""
        return len(self._idle)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection."""
        with self._lock:
            lent = self._idle.pop() if self._idle else None
        if lent is None:
            lent = connections.connect(connections.uri("api"), _limits() | self._options)
            if self._autocommit:  # statements that wait for each other, and none that fails for it
                lent.set_session(ISOLATION_LEVEL_READ_COMMITTED, autocommit=True)
        try:
            yield lent
        except ConnectionLost:
            self._lost()
            raise
        finally:
            if not lent.closed:
                lent.rollback()
                with self._lock:
                    self._idle.append(lent)

    def close(self) -> None:
        """Close the connections that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()


class Context(Connections):
    """The connections of a process, those for single statements apart, and its catalog."""

    def __init__(self) -> None:
        super().__init__()
        self.single = Connections({"synchronous_commit": "off"}, True, lost=self.close)
        self._catalog: tuple[float, Catalog] | None = None

    def close(self) -> None:
        """Close all connections that wait."""
        super().close()
        self.single.close()

    def catalog(self, cursor: Cursor) -> Catalog:
        """Return the catalog, read anew when it is older than two seconds."""
        now = time.monotonic()
        known = self._catalog
        if known is None or known[0] < now - _FRESH:
            known = self._catalog = now, tables.read_catalog(cursor)
        return known[1]


def context() -> Context:
    """Return the context of the application at work."""
    found: Context = current_app.extensions["rowboat"]
    return found


@contextmanager
def reading() -> Iterator[Cursor]:
    """Run a block in a transaction of its own."""
    with context().connection() as connection, transaction(connection) as cursor:
        yield cursor


def writing(work: Callable[[Cursor], Result], keep: bool = True) -> Result:
    """Do work in one transaction, again while other writers interfere; raises Contended."""
    with context().connection() as connection:

        def once() -> Result:
            with transaction(connection, keep) as cursor:
                return work(cursor)

        return persistently(once)


def the_table(cursor: Cursor, name: str) -> Table:
    """Find a table by its name, its full name, or the end of a name of several words.

    Raises UnknownTable, and Forbidden where the caller's key does not hold for it.
    """
    catalog = context().catalog(cursor)
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
