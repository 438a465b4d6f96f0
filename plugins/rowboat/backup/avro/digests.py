"""The digest of a table's rows, which does not depend on their order, file or codec.

The bytes of each row, as AVRO encodes them, are hashed to 64 bits. The digest is the number of
rows, the sum of the hashes, and the sum of the hashes mixed once more, both modulo 2^64. It detects
accidental differences; the SHA-256 of the file protects against forgery.
"""

from dataclasses import dataclass

import numpy as np

from rowboat.database.columnar import Buffer, Ints, hash_rows, mix_words

_MODULUS = 2**64


@dataclass
class Digest:
    """The digest of the rows that have been added."""

    rows: int = 0
    sums: tuple[int, int] = (0, 0)

    def add(self, buffer: Buffer, at: Ints, size: Ints) -> None:
        """Add encoded rows, `size` bytes each from `at`; both have shape (rows,)."""
        found = hash_rows(buffer, at, size)
        first, second = self.sums
        self.rows += len(found)
        self.sums = (
            (first + int(found.sum(dtype=np.uint64))) % _MODULUS,
            (second + int(mix_words(found).sum(dtype=np.uint64))) % _MODULUS,
        )

    def __str__(self) -> str:
        return f"{self.rows}-{self.sums[0]:016x}{self.sums[1]:016x}"
