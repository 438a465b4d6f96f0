"""ADBC: bulk ingest from Arrow into the keyed table, its foreign keys not checked.

As in the PostgreSQL recipes of ADBC's documentation: a CSV reader of pyarrow goes into
`adbc_ingest`, which sends COPY in binary.
"""

from pathlib import Path

from adbc_driver_postgresql import dbapi
from peers.hires import SCHEMA, TABLE, batches


def load(address: str, file: Path) -> None:
    """Append the file to the table, in one transaction."""
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.adbc_ingest(TABLE, batches(file), mode="append", db_schema_name=SCHEMA)
        connection.commit()
