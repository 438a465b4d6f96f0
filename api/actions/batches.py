"""New rows, for the API and the console: pass them through the door, then those that waited."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

from api.shared import prometheus
from api.shared.context import context, reading, writing
from rowboat.database.connections import Connection, Cursor, Steps
from rowboat.door.passage import Report
from rowboat.errors import Stopped
from rowboat.rows.write.batch import Batch, BatchOptions, Delivery
from rowboat.rows.write.bodies import IncomingRow
from rowboat.rows.write.idempotency import IdempotentRequest, KeptAnswer

log = structlog.get_logger()
_PATIENCE = 5.0  # seconds that a request may spend on rows waiting in quarantine


def deliver_rows(
    rows: dict[str, list[IncomingRow]],
    order: BatchOptions,
    say: Callable[[list[Delivery]], KeptAnswer],
    once: IdempotentRequest | None,
) -> KeptAnswer:
    """Pass rows through the door, and then the quarantined rows that waited for them as parents.

    `rows` is table → rows, `say` makes the answer from the outcome of each table. With `once`, the
    answer is stored with the rows, and a repeated request gets it again.
    """
    with reading() as cursor:
        batch = Batch(context().catalog(cursor), rows, order)
    done = batch.go(writing, lambda _, found: say(found), once)
    if not done.again and not order.on_trial:
        prometheus.count_rows(sum((each.report for each in batch.delivered), Report()))
    # In transactions of their own, after the commit: the caller's rows never depend on them.
    wake_waiting(batch)
    return done


def wake_waiting(batch: Batch) -> None:
    """Load the quarantined rows that waited for the rows of a batch."""
    wake_briefly(batch.wake)


def wake_briefly(wake: Callable[[Steps], object]) -> None:
    """Call `wake`, which loads waiting rows, with at most five seconds to do so.

    An error is only logged: the rows that were waited for are already committed, and the caller
    must not be told otherwise.
    """
    try:
        with context().connection() as connection:
            wake(_Brief(connection))
    except Exception as error:
        log.error("waiting rows could not be loaded", exc_info=error)


class _Brief(Steps):
    """Transactions of limited total duration: raises Stopped when the time is up."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._until = time.monotonic() + _PATIENCE

    def __call__(self) -> AbstractContextManager[Cursor]:
        if time.monotonic() > self._until:
            raise Stopped
        return super().__call__()
