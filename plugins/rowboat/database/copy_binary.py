"""Postgres's binary COPY format (manual, COPY, "Binary Format"): its frame, and rows by columns."""

import struct
from collections.abc import Sequence

import numpy as np

from rowboat.database.columnar import Cells, Piece, Word, assemble_rows, constant_column

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + bytes(8)
TRAILER = b"\xff\xff"


def rows_as_copy(columns: Sequence[Cells]) -> bytes:
    """Return rows, given by columns of the same length, without the header and the trailer.

    A row is the number of its fields (int16) and for each its size (int32, -1 for NULL) and bytes.
    """
    count = len(columns[0])
    fields = int.from_bytes(struct.pack("!h", len(columns)), "little")
    pieces: list[Piece] = [constant_column(fields, 2, count)]
    for cells in columns:
        size = cells.size.astype(">i4").view("<u4").astype(np.uint64)
        pieces += [Word(size, np.full(count, 4, np.int64)), cells]
    buffer, offsets = assemble_rows(pieces, count)
    return buffer[: offsets[-1]].tobytes()
