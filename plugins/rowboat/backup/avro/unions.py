"""Columns that may hold NULL: in AVRO unions of null, which comes first, and the column's kind."""

from typing import Any

import numpy as np

from rowboat.backup.avro.types import Kind
from rowboat.database.columnar import Buffer, Cells, Ints, Piece, Word, expand_piece, with_nulls
from rowboat.errors import BackupRefused


def encode_nullable(kind: Kind, nullable: bool, cells: Cells) -> list[Piece]:
    """Encode a column; where it is nullable as a union with null, which comes first."""
    if not nullable:
        return kind.encode(cells)
    given = ~cells.is_null
    branch = Word(given.astype(np.uint64) << np.uint64(1), np.ones(len(cells), np.int64))
    if given.all():
        return [branch, *kind.encode(cells)]
    return [branch, *(expand_piece(piece, given) for piece in kind.encode(cells.select(given)))]


def step_over_nullable(kind: Kind, nullable: bool, buffer: Buffer, at: Ints) -> tuple[Any, Ints]:
    """Find which values are null and the place behind each.

    Raises BackupRefused for a union's branch that does not exist.
    """
    if not nullable:
        return np.zeros(len(at), bool), kind.skip(buffer, at)
    branch = buffer[at]
    if (branch & 0xFD).any():
        raise BackupRefused("holds a value that is neither null nor of its type")
    is_null = branch == 0
    return is_null, np.where(is_null, at + 1, kind.skip(buffer, at + 1))


def decode_nullable(kind: Kind, nullable: bool, buffer: Buffer, at: Ints, is_null: Any) -> Cells:
    """Decode a column whose values lie at known places."""
    if not nullable:
        return kind.decode(buffer, at)
    given = ~is_null
    return with_nulls(kind.decode(buffer, at[given] + 1), given)
