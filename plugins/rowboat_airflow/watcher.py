"""The trigger that starts the DAG `ingest` when raw_data has changed.

It only starts a run; the first task of the run finds out which files to load.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import RowboatError
from rowboat.ingest import position
from rowboat.ingest.changes import dictionary
from rowboat.ingest.discovery import open_raw_data
from rowboat_airflow.connections import use_aws_async, use_connection_async

Listing = dict[str, tuple[int, str]]
AGAIN, RARELY = 5.0, 60.0  # seconds after which an event without effect is sent again


class RawDataChanged(BaseEventTrigger):
    """Fires when a file in raw_data has changed, has stopped changing, and has not been loaded, and
    when a table has changed for whose columns or rules rows or files were refused.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which Airflow stores."""
        return "rowboat_airflow.watcher.RawDataChanged", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List the folder every ROWBOAT_POLL seconds, and yield an event if files have changed.

        The database is asked when the listing has changed, and else once a minute. Airflow may
        assign an event to a run that has already listed the folder, so it is sent again until the
        database knows the files.
        """
        seen: Listing = {}
        due, pause = time.monotonic() + RARELY, AGAIN
        while True:
            try:
                await use_aws_async()
                now = await asyncio.to_thread(listing)
                if now != seen:
                    seen, due, pause = now, time.monotonic() + open_raw_data().settle, AGAIN
                if time.monotonic() >= due:
                    await use_connection_async()
                    changed = await asyncio.to_thread(news, seen)
                    due = time.monotonic() + (pause if changed else RARELY)
                    pause = min(2 * pause, RARELY) if changed else AGAIN
                    if changed:
                        yield TriggerEvent({"files": changed})  # type: ignore[no-untyped-call]
            # A trigger that raises has ended, and no further change would be seen.
            except RowboatError as error:
                self.log.warning("%s", error)
                await asyncio.sleep(5)
            await asyncio.sleep(open_raw_data().poll)


def listing() -> Listing:
    """Return name → (size, version) of the files in raw_data."""
    return {each.name: (each.size, each.version) for each in open_raw_data().entries()}


def news(found: Listing) -> list[str]:
    """Return the names of files whose present version the database does not know, and of those
    that may be loaded, or their refused rows, as their tables have changed.
    """
    with connections.session("loader") as connection, transaction(connection) as cursor:
        known = position.seen_versions(cursor)
        changed = dictionary.changed_files(cursor)
    names = {name for name, state in found.items() if known.get(name) != state}
    names |= {name for name, refused in changed.items() if refused or name in found}
    return sorted(names)
