"""Rows of bytes of different lengths, written and read by columns with numpy.

All rows are in one buffer, one after the other. Each column is written for all rows at once, eight
bytes at a time; `_put` explains why it may write more than its own bytes. Every buffer has SPARE
bytes after its content. Numbers are in the binary encoding of AVRO (Apache Avro 1.12, "Binary
Encoding", "Primitive Types") or of Postgres (most significant byte first).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Buffer: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint64]
Ints: TypeAlias = npt.NDArray[np.int64]

SPARE = 16  # bytes after the content of a buffer: a varint (10) is read from any of its bytes
_LONG = 256  # bytes; longer cells are copied one by one, with one memcpy each
_AT_ONCE = 2**16  # bytes of a long row that are hashed at a time

_U = np.uint64
# _MORE: size of a varint → its continuation bits; _FIRST: size of a cell → a mask of its bytes
_MORE = np.array([0, *(int.from_bytes(b"\x80" * n, "little") for n in range(8))], np.uint64)
_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
# A different number is added to each word of a row, so that swapped words change its hash.
_KEY = _U(0x9E3779B97F4A7C15)
_KEYS = np.arange(1, _AT_ONCE // 8 + 1, dtype=np.uint64) * _KEY
_HIGH, _LOW = _U(0x8080808080808080), _U(0x7F7F7F7F7F7F7F7F)


@dataclass(frozen=True)
class Word:
    """A column of at most eight bytes a row: the first `size` bytes of a little-endian word."""

    value: Words
    size: Ints


@dataclass(frozen=True)
class Cells:
    """A column of cells in a buffer: `size` bytes from `at`, both of shape (rows,).

    A size of -1 means NULL.
    """

    buffer: Buffer
    at: Ints
    size: Ints

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: int) -> bytes | None:
        at, size = int(self.at[index]), int(self.size[index])
        return None if size < 0 else self.buffer[at : at + size].tobytes()

    @property
    def is_null(self) -> npt.NDArray[np.bool_]:
        """A boolean per cell: whether it is NULL."""
        return self.size < 0

    def select(self, which: Any) -> "Cells":
        """Return the cells that a numpy index or mask selects, without copying their bytes."""
        return Cells(self.buffer, self.at[which], self.size[which])


Piece: TypeAlias = Word | Cells


def empty_buffer(size: int) -> Buffer:
    """Return a buffer of `size` zero bytes, and the spare bytes."""
    return np.zeros(size + SPARE, np.uint8)


def buffer_of(content: bytes) -> Buffer:
    """Return a copy of bytes as a buffer, with the spare bytes after them."""
    return np.frombuffer(content + bytes(SPARE), np.uint8)


def cells_of(contents: Sequence[bytes | None]) -> Cells:
    """Return contents as cells of one new buffer; None is NULL."""
    size = np.array([-1 if each is None else len(each) for each in contents], np.int64)
    whole = np.maximum(size, 0)
    joined = b"".join(each for each in contents if each is not None)
    return Cells(buffer_of(joined), np.cumsum(whole) - whole, size)


def cells_of_integers(values: Sequence[int], width: int) -> Cells:
    """Return integers as cells of `width` bytes, most significant byte first."""
    count = len(values)
    found = np.array(values, f">i{width}")
    sizes = np.full(count, width, np.int64)
    return Cells(buffer_of(found.tobytes()), np.arange(count) * width, sizes)


def read_integers(buffer: Buffer, at: Ints, form: str) -> npt.NDArray[Any]:
    """Return the number at each place, in a numpy format such as `>i4`."""
    return _at_any_byte(buffer, form)[at]


def constant_column(value: int, size: int, rows: int) -> Word:
    """Return a column of the same bytes in every row."""
    return Word(np.full(rows, value, np.uint64), np.full(rows, size, np.int64))


def assemble_rows(pieces: Sequence[Piece], rows: int) -> tuple[Buffer, Ints]:
    """Write columns as rows, one after the other.

    Returns a buffer and an array of rows + 1 offsets: row n is buffer[offsets[n]:offsets[n + 1]].
    """
    pieces = _joined(pieces)
    lengths = np.zeros(rows, np.int64)
    for piece in pieces:
        lengths += piece.size if isinstance(piece, Word) else np.maximum(piece.size, 0)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffer, at, end = empty_buffer(int(offsets[-1])), offsets[:-1].copy(), offsets[1:]
    for piece in pieces:  # first to last: see _put
        if isinstance(piece, Word):
            _put(buffer, at, piece.value, piece.size, end)
            at += piece.size
        else:
            _copy(buffer, at, piece, end)
            at += np.maximum(piece.size, 0)
    return buffer, offsets


def expand_piece(piece: Piece, given: Any) -> Piece:
    """Spread a piece over more rows: its nth row to the nth row that is `given`, others empty."""
    size = np.zeros(len(given), np.int64)
    size[given] = piece.size
    if isinstance(piece, Word):
        value = np.zeros(len(given), np.uint64)
        value[given] = piece.value
        return Word(value, size)
    at = np.zeros(len(given), np.int64)
    at[given] = piece.at
    return Cells(piece.buffer, at, size)


def with_nulls(cells: Cells, given: Any) -> Cells:
    """Spread cells over more rows: the nth cell to the nth row that is `given`, NULL to others."""
    found = expand_piece(cells, given)
    assert isinstance(found, Cells)
    found.size[~given] = -1
    return found


def zigzag(values: Ints) -> Words:
    """Map signed numbers to unsigned ones: 0, -1, 1, -2 become 0, 1, 2, 3.

    AVRO encodes them so (specification, "Primitive Types": int and long are zig-zag coded).
    """
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: Words) -> Ints:
    """Return the signed numbers of which `zigzag` made these."""
    return ((values >> _U(1)) ^ -(values & _U(1))).view(np.int64)


def varint(values: Words, given: npt.NDArray[np.bool_] | None = None) -> list[Piece]:
    """Encode unsigned numbers as varints: seven bits in a byte, the lowest first.

    Rows that are not `given` are left empty. If any number has more than 56 bits, a second column
    has the ninth and tenth bytes, which do not fit into a word.
    """
    least, most = int(values.min(initial=2**64 - 1)), int(values.max(initial=0))
    fewest = max(1, -(-least.bit_length() // 7))
    size = np.full(len(values), fewest, np.int64)
    for bits in range(7 * fewest, most.bit_length(), 7):
        size += values >= _U(1 << bits)
    word = _spread(values & _U((1 << 56) - 1)) | _MORE[np.minimum(size, 8)]
    if most < 1 << 56:
        return [Word(word, _given(size, given))]
    long = size > 8
    word[long] |= _HIGH
    top = values >> _U(56)
    rest = (top & _U(0x7F)) | ((size > 9).astype(np.uint64) << _U(7)) | ((top >> _U(7)) << _U(8))
    return [
        Word(word, _given(np.minimum(size, 8), given)),
        Word(rest, _given(np.maximum(size - 8, 0), given)),
    ]


def read_varint(buffer: Buffer, at: Ints) -> tuple[Words, Ints]:
    """Read the varint at each place; return the numbers and the sizes in bytes.

    The size of a varint of more than ten bytes or more than 64 bits is returned as 0.
    """
    word = _at_any_byte(buffer, "<u8")[at]
    size = _varint_size(word)
    value = _gather(word & _LOW & _FIRST[np.minimum(size, 8)])
    if (size > 8).any():
        long = np.flatnonzero(size > 8)
        ninth, tenth = buffer[at[long] + 8], buffer[at[long] + 9]
        is_ten = ninth >= 0x80
        value[long] |= (ninth & 0x7F).astype(np.uint64) << _U(56)
        value[long[is_ten]] |= tenth[is_ten].astype(np.uint64) << _U(63)
        size[long] = np.where(is_ten, np.where(tenth <= 1, 10, 0), 9)
    return value, size


def skip_varint(buffer: Buffer, at: Ints) -> Ints:
    """Return the place after each varint; at most ten bytes further."""
    size = _varint_size(_at_any_byte(buffer, "<u8")[at])
    if (size > 8).any():
        long = np.flatnonzero(size > 8)
        size[long] += buffer[at[long] + 8] >= 0x80
    return at + size


def hash_rows(buffer: Buffer, at: Ints, size: Ints) -> Words:
    """Hash each row, `size` bytes from `at`, to 64 bits: a sum of mixed words, and the size, mixed.

    The mixing function is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable
    pseudorandom number generators", 2014). Backups keep these hashes: they must never change.
    """
    sums = np.zeros(len(at), np.uint64)
    words = _at_any_byte(buffer, "<u8")
    rows: Any = slice(None)
    for step in range(0, min(int(size.max(initial=0)), _LONG), 8):
        if step >= size.min():
            rows = np.flatnonzero(size > step)
        rest = size[rows] - step
        word = words[at[rows] + step]
        if (rest < 8).any():
            word &= _FIRST[np.minimum(rest, 8)]
        sums[rows] += _mix(word + _KEYS[step // 8])
    long = np.flatnonzero(size > _LONG)
    rests = (buffer[at[row] + _LONG : at[row] + size[row]] for row in long)
    sums[long] += np.fromiter(map(_long_sum, rests), np.uint64, len(long))
    return _mix(sums + size.astype(np.uint64))


def _long_sum(rest: Buffer) -> int:
    """Return the sum of the mixed words of a row after its first 256 bytes."""
    total = 0
    for begin in range(0, len(rest), _AT_ONCE):
        part = rest[begin : begin + _AT_ONCE].tobytes()
        words = np.frombuffer(part + bytes(-len(part) % 8), "<u8")
        further = np.uint64((_LONG + begin) // 8 * int(_KEY) % 2**64)
        total += int(_mix(words + (_KEYS[: len(words)] + further)).sum(dtype=np.uint64))
    return total % 2**64


def _mix(word: Words) -> Words:
    word ^= word >> _U(30)
    word *= _U(0xBF58476D1CE4E5B9)
    word ^= word >> _U(27)
    word *= _U(0x94D049BB133111EB)
    word ^= word >> _U(31)
    return word


def mix_words(words: Words) -> Words:
    """Return the words mixed, leaving those given as they are."""
    return _mix(words.copy())


def _at_any_byte(buffer: Buffer, form: str) -> npt.NDArray[Any]:
    """View a buffer as overlapping numbers, one beginning at each byte."""
    size = np.dtype(form).itemsize
    return np.ndarray((max(len(buffer) - size + 1, 0),), form, buffer, strides=(1,))


def _given(size: Ints, given: npt.NDArray[np.bool_] | None) -> Ints:
    return size if given is None else size * given


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Merge adjacent words that fit into one, so that there are fewer columns to write."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(last, Word) and isinstance(piece, Word):
            size = last.size + piece.size
            if size.max(initial=0) <= 8:
                behind = piece.value << (last.size << 3).view(np.uint64)
                found[-1] = Word((last.value & _FIRST[last.size]) | behind, size)
                continue
        found.append(piece)
    return found


def _put(buffer: Buffer, at: Ints, value: Words, size: Ints, end: Ints) -> None:
    """Write the first `size` bytes of each word at the places `at`, which ascend.

    The rows end at `end`. Columns must be written from the first to the last.
    """
    # All eight bytes of each word are written, in one operation for all rows. The rows ab1 and cd2
    # in two columns (| ends a row, the dots are what was there before the call):
    #
    #     place            0 1 2|3 4 5|6 7 8 9    6 and more are spare bytes
    #     column 1, row 0  a b . . . . . .        writes old bytes over c and d's places, 3 and 4,
    #     column 1, row 1        c d . . . . .    so row 1 has to be written after row 0
    #     column 2, row 0      1 c d . . . . .    writes c and d back as they were
    #     column 2, row 1            2 . . . .
    #
    # Rows are safe from others because numpy assigns in the order of the index, which ascends, so
    # any byte is written last by its own row. If every row has eight bytes left, the mask is saved:
    # the rest of the word falls on later columns of the same row, which are written afterwards.
    # test_rows_and_columns_are_written_first_to_last fails if either order is changed.
    words = _at_any_byte(buffer, "<u8")
    if (at + 8 > end).any():
        own = _FIRST[size]
        value = (words[at] & ~own) | (value & own)
    words[at] = value


def _copy(buffer: Buffer, at: Ints, cells: Cells, end: Ints) -> None:
    """Write cells of any size at the places `at`: short ones eight bytes at a time."""
    words, size = _at_any_byte(cells.buffer, "<u8"), cells.size
    long = size > _LONG
    rows: Any = np.flatnonzero(~long & (size > 0)) if long.any() else slice(None)
    for step in range(0, min(int(size.max(initial=0)), _LONG), 8):
        if step or (size <= 0).any():
            rows = np.flatnonzero((size > step) & ~long)
        rest = np.minimum(size[rows] - step, 8)
        _put(buffer, at[rows] + step, words[cells.at[rows] + step], rest, end[rows])
    for row in np.flatnonzero(long):  # exactly its own bytes: their order does not matter
        begin, count = cells.at[row], size[row]
        buffer[at[row] : at[row] + count] = cells.buffer[begin : begin + count]


def _spread(value: Words) -> Words:
    """Spread 56 bits over eight bytes, seven to each; the opposite of `_gather`."""
    # In three steps: halves of 28 bits to 32, quarters of 14 to 16, eighths of 7 to 8.
    value = (value & _U(0xFFFFFFF)) | ((value & _U(0xFFFFFFF0000000)) << _U(4))
    value = (value & _U(0x3FFF00003FFF)) | ((value & _U(0xFFFC0000FFFC000)) << _U(2))
    return (value & _U(0x7F007F007F007F)) | ((value & _U(0x3F803F803F803F80)) << _U(1))


def _gather(value: Words) -> Words:
    """Join the seven low bits of each of eight bytes to 56 bits; the opposite of `_spread`."""
    value = (value & _U(0x7F007F007F007F)) | ((value & _U(0x7F007F007F007F00)) >> _U(1))
    value = (value & _U(0x3FFF00003FFF)) | ((value & _U(0x3FFF00003FFF0000)) >> _U(2))
    return (value & _U(0xFFFFFFF)) | ((value & _U(0xFFFFFFF00000000)) >> _U(4))


def _varint_size(word: Words) -> Ints:
    """Return the size of the varint at the start of each word; 9 if it does not end in it."""
    ends = ~word & _HIGH  # the top bit of each byte that ends a varint
    bits = np.bitwise_count((ends & -ends) - _U(1)).astype(np.int64)  # below the lowest of them
    size = (bits + 1) >> 3
    size[ends == 0] = 9
    return size
