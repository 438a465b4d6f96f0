"""The records that a file had before it was rewritten: their rows may have been changed since.

A row that came in later, from a newer file or over HTTP, must outlast them. So of a rewritten file,
only records that were not in it before change rows of the table.
"""

import io
import struct

import numpy as np

from rowboat.csvfile.record_hashes import Hashes
from rowboat.database.connections import Cursor
from rowboat.database.copy_binary import HEADER, TRAILER
from rowboat.database.statements import query
from rowboat.ingest.position import Position


def keep_hashes(cursor: Cursor, file: Position, hashes: Hashes) -> None:
    """Keep the hashes of records that follow the position of a file."""
    kept = hashes.astype("<u8").tobytes()
    # in binary: as a parameter they would be text, which takes the server five times as long
    place = struct.pack(
        "!hiqiiiqi", 4, 8, file.id, 4, file.version, 8, file.loaded_bytes, len(kept)
    )
    row = HEADER + place + kept + TRAILER
    cursor.copy_expert(query("earlier_records.keep"), io.BytesIO(row), size=len(row))


def read_hashes(cursor: Cursor, file: Position) -> Hashes | None:
    """Return the sorted hashes of all records of a file's earlier versions, without repetitions;
    None if it has none.
    """
    cursor.execute(query("earlier_records.read"), vars(file))
    found = b"".join(bytes(hashes) for (hashes,) in cursor.fetchall())
    return np.unique(np.frombuffer(found, "<u8")) if found else None


def forget_earlier(cursor: Cursor, file: Position) -> None:
    """Forget the records of a file's earlier versions."""
    cursor.execute(query("earlier_records.forget_earlier"), vars(file))


def find_arrived(hashes: Hashes, earlier: Hashes) -> list[int]:
    """Return the numbers (from 1) of those records whose hashes are not among the earlier ones."""
    order = np.argsort(hashes)  # places of sorted hashes are found many times faster
    places = np.minimum(np.searchsorted(earlier, hashes[order]), len(earlier) - 1)
    arrived: list[int] = np.sort(order[earlier[places] != hashes[order]] + 1).tolist()
    return arrived
