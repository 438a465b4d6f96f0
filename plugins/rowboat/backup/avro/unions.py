"""Nullable columns: in AVRO, unions of null and the column's kind (specification, "Unions").

A union is encoded as the number of the branch, 0 or 1 and so 0 or 2 when zig-zag encoded, then the
value itself unless it is null.
"""

from typing import Any

import numpy as np

from rowboat.backup.avro.types import Kind
from rowboat.database.columnar import Buffer, Cells, Ints, Piece, Word, expand_piece, with_nulls
from rowboat.errors import BackupRefused


def encode_nullable(kind: Kind, nullable: bool, cells: Cells) -> list[Piece]:
    """Encode a column, as a union if it is nullable; raises Unholdable."""
    if not nullable:
        return kind.encode(cells)
    given = ~cells.is_null
    branch = Word(given.astype(np.uint64) << np.uint64(1), np.ones(len(cells), np.int64))
    if given.all():
        return [branch, *kind.encode(cells)]
    return [branch, *(expand_piece(piece, given) for piece in kind.encode(cells.select(given)))]


def step_over_nullable(kind: Kind, nullable: bool, buffer: Buffer, at: Ints) -> tuple[Any, Ints]:
    """Return whether the value at each place is null, and the place after it.

    Raises BackupRefused for a branch that the union does not have.
    """
    if not nullable:
        return np.zeros(len(at), bool), kind.skip(buffer, at)
    branch = buffer[at]
    if (branch & 0xFD).any():  # neither 0 nor 2
        raise BackupRefused("holds a value that is neither null nor of its type")
    is_null = branch == 0
    return is_null, np.where(is_null, at + 1, kind.skip(buffer, at + 1))


def decode_nullable(kind: Kind, nullable: bool, buffer: Buffer, at: Ints, is_null: Any) -> Cells:
    """Decode a column whose values begin at known places; raises BackupRefused."""
    if not nullable:
        return kind.decode(buffer, at)
    given = ~is_null
    return with_nulls(kind.decode(buffer, at[given] + 1), given)
