"""The SQL that a restore runs for a table: recorded while the restore itself builds it, not run."""

from pathlib import Path

from rowboat.backup.avro.schema import schema_of_table
from rowboat.backup.recovery.restore import carry_out
from rowboat.backup.recovery.safety import lock_tables
from rowboat.backup.recovery.source import Source
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Connection
from rowboat.database.recording import Recorded
from rowboat.door.shown_sql import ROWS, recording_cursor


def restore_statements(connection: Connection, catalog: Catalog, table: Table) -> list[Recorded]:
    """Return what is run to replace the rows of a table by those of a backup of the same form.

    The safety copy is left out, as it is read by COPY alone.
    """
    name = table.full_name
    path = Path(f"{name}.avro")
    source = Source("example", path, schema_of_table(table), ROWS, digest="")
    order = RestoreOrder({name: source}, "replace", "example", on_trial=False)
    cursor = recording_cursor(connection)
    lock_tables(cursor, catalog, [name])
    carry_out(cursor, catalog, order, [name])
    return cursor.recorded
