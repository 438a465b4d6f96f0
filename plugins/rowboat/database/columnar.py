"""Rows of bytes of different lengths, written and read by columns with numpy.

A table of rows lies in one buffer, one row behind the other. Each column is written for all rows
at once, eight bytes at a time: a column may write beyond its own end, because the columns behind
it are written later. Buffers have bytes to spare at their end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Buffer: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint64]
Ints: TypeAlias = npt.NDArray[np.int64]

SPARE = 16  # bytes behind the end of a buffer, so that a varint can be read at any of its bytes
_LONG = 256  # bytes; longer cells are copied one by one
_AT_ONCE = 2**16  # bytes of a long row

_U = np.uint64
# number of bytes of a varint → its continuation bits; of a cell → its bytes
_MORE = np.array([0, *(int.from_bytes(b"\x80" * n, "little") for n in range(8))], np.uint64)
_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
# each word of a row is told from those that stand elsewhere
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
    """A column of cells that lie in a buffer: `size` bytes from `at`; `size` -1 stands for NULL."""

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
        """Which cells are NULL."""
        return self.size < 0

    def select(self, which: Any) -> "Cells":
        """Return some of the cells."""
        return Cells(self.buffer, self.at[which], self.size[which])


Piece: TypeAlias = Word | Cells


def empty_buffer(size: int) -> Buffer:
    """Return a buffer of `size` bytes and those to spare."""
    return np.zeros(size + SPARE, np.uint8)


def buffer_of(content: bytes) -> Buffer:
    """Return a copy of bytes that can be read by words."""
    return np.frombuffer(content + bytes(SPARE), np.uint8)


def cells_of(contents: Sequence[bytes | None]) -> Cells:
    """Lay contents out in one buffer."""
    size = np.array([-1 if each is None else len(each) for each in contents], np.int64)
    whole = np.maximum(size, 0)
    joined = b"".join(each for each in contents if each is not None)
    return Cells(buffer_of(joined), np.cumsum(whole) - whole, size)


def cells_of_integers(values: Sequence[int], width: int) -> Cells:
    """Lay integers of some bytes out, the greatest byte first."""
    count = len(values)
    found = np.array(values, f">i{width}")
    sizes = np.full(count, width, np.int64)
    return Cells(buffer_of(found.tobytes()), np.arange(count) * width, sizes)


def read_integers(buffer: Buffer, at: Ints, form: str) -> npt.NDArray[Any]:
    """Read a number of a numpy format such as `>i4` at each place."""
    return _at_any_byte(buffer, form)[at]


def constant_column(value: int, size: int, rows: int) -> Word:
    """Return a column of the same bytes in every row."""
    return Word(np.full(rows, value, np.uint64), np.full(rows, size, np.int64))


def assemble_rows(pieces: Sequence[Piece], rows: int) -> tuple[Buffer, Ints]:
    """Write columns as rows, one behind the other; return the buffer and rows + 1 offsets."""
    pieces = _joined(pieces)
    lengths = np.zeros(rows, np.int64)
    for piece in pieces:
        lengths += piece.size if isinstance(piece, Word) else np.maximum(piece.size, 0)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffer, at, end = empty_buffer(int(offsets[-1])), offsets[:-1].copy(), offsets[1:]
    for piece in pieces:
        if isinstance(piece, Word):
            _put(buffer, at, piece.value, piece.size, end)
            at += piece.size
        else:
            _copy(buffer, at, piece, end)
            at += np.maximum(piece.size, 0)
    return buffer, offsets


def expand_piece(piece: Piece, given: Any) -> Piece:
    """Give a piece empty rows where nothing is given."""
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
    """Give cells NULLs where nothing is given."""
    found = expand_piece(cells, given)
    assert isinstance(found, Cells)
    found.size[~given] = -1
    return found


def zigzag(values: Ints) -> Words:
    """Fold signed numbers into unsigned ones (Avro specification, "Binary encoding")."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: Words) -> Ints:
    """Take the fold back."""
    return ((values >> _U(1)) ^ -(values & _U(1))).view(np.int64)


def varint(values: Words, given: npt.NDArray[np.bool_] | None = None) -> list[Piece]:
    """Encode unsigned numbers by seven bits a byte, lowest first; rows not `given` stay empty.

    Numbers of more than 56 bits have a second column for their ninth and tenth byte.
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
    """Read the varint at each place; return the numbers and how many bytes each takes.

    One of more than ten bytes, or of more than 64 bits, is returned with size 0.
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
    """Return the place behind the varint at each place; at most ten bytes further."""
    size = _varint_size(_at_any_byte(buffer, "<u8")[at])
    if (size > 8).any():
        long = np.flatnonzero(size > 8)
        size[long] += buffer[at[long] + 8] >= 0x80
    return at + size


def hash_rows(buffer: Buffer, at: Ints, size: Ints) -> Words:
    """Hash each row, `size` bytes from `at`, to 64 bits: mixed words, mixed with the length.

    The mixing function is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable
    pseudorandom number generators", 2014).
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
    """Return the sum of a row's mixed words behind its first 256 bytes."""
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
    """Return words mixed once more."""
    return _mix(words.copy())


def _at_any_byte(buffer: Buffer, form: str) -> npt.NDArray[Any]:
    """View a buffer as numbers that begin at any of its bytes."""
    size = np.dtype(form).itemsize
    return np.ndarray((max(len(buffer) - size + 1, 0),), form, buffer, strides=(1,))


def _given(size: Ints, given: npt.NDArray[np.bool_] | None) -> Ints:
    return size if given is None else size * given


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Put words that stand side by side into one, as long as there is room."""
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
    """Write the first `size` bytes of each word.

    All eight are written, from the first row to the last. What lies behind a row's end is
    written as it was: should it change in this very call, then by a row that comes later.
    """
    words = _at_any_byte(buffer, "<u8")
    if (at + 8 > end).any():
        own = _FIRST[size]
        value = (words[at] & ~own) | (value & own)
    words[at] = value


def _copy(buffer: Buffer, at: Ints, cells: Cells, end: Ints) -> None:
    """Copy cells of any length, the short ones by words."""
    words, size = _at_any_byte(cells.buffer, "<u8"), cells.size
    long = size > _LONG
    rows: Any = np.flatnonzero(~long & (size > 0)) if long.any() else slice(None)
    for step in range(0, min(int(size.max(initial=0)), _LONG), 8):
        if step or (size <= 0).any():
            rows = np.flatnonzero((size > step) & ~long)
        rest = np.minimum(size[rows] - step, 8)
        _put(buffer, at[rows] + step, words[cells.at[rows] + step], rest, end[rows])
    for row in np.flatnonzero(long):
        begin, count = cells.at[row], size[row]
        buffer[at[row] : at[row] + count] = cells.buffer[begin : begin + count]


def _spread(value: Words) -> Words:
    """Put each seven of 56 bits into a byte of their own."""
    value = (value & _U(0xFFFFFFF)) | ((value & _U(0xFFFFFFF0000000)) << _U(4))
    value = (value & _U(0x3FFF00003FFF)) | ((value & _U(0xFFFC0000FFFC000)) << _U(2))
    return (value & _U(0x7F007F007F007F)) | ((value & _U(0x3F803F803F803F80)) << _U(1))


def _gather(value: Words) -> Words:
    """Put the seven low bits of each byte side by side."""
    value = (value & _U(0x7F007F007F007F)) | ((value & _U(0x7F007F007F007F00)) >> _U(1))
    value = (value & _U(0x3FFF00003FFF)) | ((value & _U(0x3FFF00003FFF0000)) >> _U(2))
    return (value & _U(0xFFFFFFF)) | ((value & _U(0xFFFFFFF00000000)) >> _U(4))


def _varint_size(word: Words) -> Ints:
    """Count the bytes of the varint at the start of each word; 9 where the word has no end."""
    ends = ~word & _HIGH
    bits = np.bitwise_count((ends & -ends) - _U(1)).astype(np.int64)  # below the first end
    size = (bits + 1) >> 3
    size[ends == 0] = 9
    return size
