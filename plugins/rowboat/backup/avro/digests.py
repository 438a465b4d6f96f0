"""The digest of a table's rows: the same in any order, in any file, with any codec.

Every row's bytes, as AVRO encodes them, are hashed to 64 bits. The digest is the number of rows,
the sum of the hashes and the sum of the hashes mixed once more, both modulo 2^64. It finds every
accidental difference; against forgery stands the sha256 of the file.
"""

from dataclasses import dataclass

import numpy as np

from rowboat.database.columnar import Buffer, Ints, hash_rows, mix_words

_MODULUS = 2**64


@dataclass
class Digest:
    """The digest of the rows that were added so far."""

    rows: int = 0
    sums: tuple[int, int] = (0, 0)

    def add(self, buffer: Buffer, at: Ints, size: Ints) -> None:
        """Add encoded rows: `size` bytes each from `at`."""
        found = hash_rows(buffer, at, size)
        first, second = self.sums
        self.rows += len(found)
        self.sums = (
            (first + int(found.sum(dtype=np.uint64))) % _MODULUS,
            (second + int(mix_words(found).sum(dtype=np.uint64))) % _MODULUS,
        )

    def __str__(self) -> str:
        return f"{self.rows}-{self.sums[0]:016x}{self.sums[1]:016x}"
