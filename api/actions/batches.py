"""What the API and the console both do after rows went in: let in what waited for them."""

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
_PATIENCE = 5.0  # seconds


def deliver_rows(
    rows: dict[str, list[IncomingRow]],
    order: BatchOptions,
    say: Callable[[list[Delivery]], KeptAnswer],
    once: IdempotentRequest | None,
) -> KeptAnswer:
    """Pass rows through the door, count them, and let in what waited for them."""
    with reading() as cursor:
        batch = Batch(context().catalog(cursor), rows, order)
    done = batch.go(writing, lambda _, found: say(found), once)
    if not done.again and not order.on_trial:
        prometheus.rows(sum((each.report for each in batch.delivered), Report()))
    wake_waiting(batch)
    return done


def wake_waiting(batch: Batch) -> None:
    """Let in what waited for the rows of a batch."""
    wake_briefly(batch.wake)


def wake_briefly(wake: Callable[[Steps], object]) -> None:
    """Let in what waited for rows that came; these stay, whatever becomes of it."""
    try:
        with context().connection() as connection:
            wake(_Brief(connection))
    except Exception as error:
        log.error("rows still wait for their parents", exc_info=error)


class _Brief(Steps):
    """Steps for as long as a caller may be kept waiting; raises Stopped after that."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._until = time.monotonic() + _PATIENCE

    def __call__(self) -> AbstractContextManager[Cursor]:
        if time.monotonic() > self._until:
            raise Stopped
        return super().__call__()
