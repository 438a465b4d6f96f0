"""One-dimensional arrays of any kind (specification 1.12, "Complex Types", "Arrays")."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rowboat.backup.avro import unions
from rowboat.backup.avro.types import Kind, read_numbers
from rowboat.database.columnar import (
    SPARE,
    Buffer,
    Cells,
    Ints,
    Piece,
    Word,
    assemble_rows,
    cells_of,
    read_integers,
    read_varint,
    skip_varint,
    unzigzag,
    varint,
    zigzag,
)
from rowboat.errors import BackupRefused, Unholdable

MOST_ELEMENTS = 65_536  # of one array


@dataclass(frozen=True)
class Array(Kind):
    """One-dimensional arrays.

    In AVRO one block with its size in bytes, so that it can be skipped: minus the number of
    elements, the size, the elements (each a union with null), and 0 for the end. An empty array
    is only the 0. Postgres sends int4s: dimensions, has nulls, type; for the dimension, number of
    elements, lower bound; then each element's size and bytes (array_send).
    """

    element: Kind = field(kw_only=True)

    def encode(self, cells: Cells) -> list[Piece]:
        dimensions = read_integers(cells.buffer, cells.at, ">i4")
        if (dimensions > 1).any():
            raise Unholdable("an array of several dimensions")
        count = np.where(dimensions == 1, read_integers(cells.buffer, cells.at + 12, ">i4"), 0)
        if ((dimensions == 1) & (read_integers(cells.buffer, cells.at + 16, ">i4") != 1)).any():
            raise Unholdable("an array that does not begin at 1")
        if (count > MOST_ELEMENTS).any():
            raise Unholdable(f"an array of more than {MOST_ELEMENTS:,} elements")
        count = count.astype(np.int64)
        elements = self._elements(cells.buffer, cells.at + 20, count)
        buffer, offsets = assemble_rows(
            unions.encode_nullable(self.element, True, elements), len(elements)
        )
        first = np.cumsum(count) - count
        at, size = offsets[first], offsets[first + count] - offsets[first]
        some = count > 0
        ends = Word(np.zeros(len(cells), np.uint64), np.ones(len(cells), np.int64))
        return [
            *varint(zigzag(-count), some),
            *varint(zigzag(size), some),
            Cells(buffer, at, size),
            ends,
        ]

    def _elements(self, buffer: Buffer, at: Ints, count: Ints) -> Cells:
        """Find the elements of all arrays as Postgres sends them, the nth of each at once."""

        def size_and_next(place: Ints) -> tuple[Ints, Ints, Ints]:
            size = read_integers(buffer, place, ">i4").astype(np.int64)
            return place + 4, size, place + 4 + np.maximum(size, 0)

        places, sizes = _in_turn(at, count, size_and_next)
        return Cells(buffer, places, sizes)

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        folded, width = read_varint(buffer, at)
        behind = at + width
        folded_size, size_width = read_varint(buffer, np.minimum(behind, len(buffer) - SPARE))
        size = unzigzag(folded_size)
        # A negative count (odd, as it is zig-zag encoded) is followed by the size of its block, 0
        # ends the array. A positive count has no size: -1 is returned, which `find_rows` refuses.
        whole = (folded & np.uint64(1)).astype(bool) & (width > 0) & (size_width > 0) & (size >= 0)
        end = np.where(whole, behind + size_width + size + 1, -1)
        return np.where((folded == 0) & (width > 0), behind, end)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        count = -read_numbers(buffer, at)
        if ((count < 0) | (count > MOST_ELEMENTS)).any():
            raise BackupRefused(
                f"holds an array that does not have 0 to {MOST_ELEMENTS:,} elements"
            )
        behind = skip_varint(buffer, at)
        size, width = read_varint(buffer, behind)
        begin, some = behind + width, count > 0
        if (some & (count > unzigzag(size))).any():  # every element needs at least a byte
            raise BackupRefused("holds an array of more elements than its size allows")
        end = np.where(some, begin + unzigzag(size), behind)
        if (some & (buffer[end] != 0)).any():
            raise BackupRefused("holds an array that does not end")

        def null_and_next(place: Ints) -> tuple[Ints, Ints, Ints]:
            is_null, after = unions.step_over_nullable(self.element, True, buffer, place)
            if ((after > len(buffer) - SPARE) | (after < place)).any():
                raise BackupRefused("holds an array that ends within an element")
            return place, is_null.astype(np.int64), after

        places, is_null = _in_turn(begin, count, null_and_next, end)
        elements = unions.decode_nullable(self.element, True, buffer, places, is_null.astype(bool))
        texts = self.element.literal(elements.select(~elements.is_null))
        words = iter([_quoted(texts[n] or b"") for n in range(len(texts))])
        shown = [b"NULL" if missing else next(words) for missing in elements.is_null.tolist()]
        first = np.cumsum(count) - count
        pairs = zip(first.tolist(), (first + count).tolist(), strict=True)
        return cells_of([b"{" + b",".join(shown[a:b]) + b"}" for a, b in pairs])


def array_kind(element: Kind) -> Array:
    """Return the kind of arrays of a kind; any element may be NULL."""
    fetch = "copy_out.as_it_is" if element.fetch == "copy_out.as_it_is" else "copy_out.elements"
    items = ["null", element.avro]
    return Array({"type": "array", "items": items}, fetch, "array_send", element=element)


def _in_turn(at: Ints, count: Ints, look: Any, ends: Ints | None = None) -> tuple[Ints, Ints]:
    """Look at the first element of every array, then at the second, and so on.

    `look` is given the places of one element of each array that has so many, and returns a place
    and a number to keep for each, and where the next element begins. Returns all places and
    numbers, array by array, of shape (elements,). Raises BackupRefused if the elements of an array
    do not end at its place in `ends`.
    """
    first = np.cumsum(count) - count
    places, numbers = np.zeros(int(count.sum()), np.int64), np.zeros(int(count.sum()), np.int64)
    at = at.copy()
    for turn in range(int(count.max(initial=0))):
        rows = np.flatnonzero(count > turn)
        places[first[rows] + turn], numbers[first[rows] + turn], at[rows] = look(at[rows])
    if ends is not None and (at != ends)[count > 0].any():
        raise BackupRefused("holds an array whose elements do not end where it ends")
    return places, numbers


def _quoted(text: bytes) -> bytes:
    """Quote an element of an array literal (manual, "Array Input and Output Syntax")."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
