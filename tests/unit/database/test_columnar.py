"""Rows of bytes by columns: what numpy writes and reads is what plain Python would."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rowboat.backup.avro.digests import Digest
from rowboat.database import columnar
from rowboat.database.columnar import (
    Buffer,
    Cells,
    Ints,
    Piece,
    Word,
    assemble_rows,
    buffer_of,
    cells_of,
)

thorough = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

EDGES = sorted({
    sign * ((1 << bits) + more)
    for bits in range(0, 63, 7) for sign in (-1, 1) for more in (-1, 0, 1)
} | {0, 2**63 - 1, -(2**63), 2**62, -(2**62), 2**55 - 1, 2**55, 2**56})  # fmt: skip

numbers = st.lists(st.integers(-(2**63), 2**63 - 1) | st.sampled_from(EDGES), max_size=40)
contents = st.builds(
    lambda size, byte: bytes([byte]) * (size // 2) + bytes(range(256))[: size - size // 2],
    st.one_of(st.integers(0, 20), st.integers(0, 600), st.sampled_from([255, 256, 257, 264, 512])),
    st.integers(0, 255),
)
columns = st.integers(0, 12).flatmap(
    lambda rows: st.lists(
        st.lists(st.none() | contents, min_size=rows, max_size=rows), min_size=1, max_size=5
    )
)


def cut(buffer: Buffer, offsets: Ints) -> list[bytes]:
    pairs = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return [buffer[first:behind].tobytes() for first, behind in pairs]


def by_fastavro(values: list[int]) -> list[bytes]:
    found = []
    for value in values:
        file = io.BytesIO()
        fastavro.schemaless_writer(file, {"type": "long"}, value)
        found.append(file.getvalue())
    return found


def as_word(cells: list[bytes | None], junk: int) -> Word:
    """Make a column of at most eight bytes a row; the bytes beyond them are junk."""
    whole = [(each or b"")[:8] for each in cells]
    value = [int.from_bytes(each.ljust(8, bytes([junk])), "little") for each in whole]
    return Word(np.array(value, np.uint64), np.array([*map(len, whole)], np.int64))


# Numbers


@thorough
@given(numbers)
@example(EDGES)
@example([])
def test_varint_is_what_fastavro_writes(values: list[int]) -> None:
    folded = columnar.zigzag(np.array(values, np.int64))
    assert columnar.unzigzag(folded).tolist() == values
    buffer, offsets = assemble_rows(columnar.varint(folded), len(values))
    assert cut(buffer, offsets) == by_fastavro(values)
    found, size = columnar.read_varint(buffer, offsets[:-1])
    assert columnar.unzigzag(found).tolist() == values
    assert (offsets[:-1] + size).tolist() == offsets[1:].tolist()
    assert columnar.skip_varint(buffer, offsets[:-1]).tolist() == offsets[1:].tolist()


@thorough
@given(numbers, st.data())
def test_varint_of_some_rows(values: list[int], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    pieces = columnar.varint(columnar.zigzag(np.array(values, np.int64)), np.array(some, bool))
    expected = [
        word if wanted else b"" for word, wanted in zip(by_fastavro(values), some, strict=True)
    ]
    assert cut(*assemble_rows(pieces, len(values))) == expected


@pytest.mark.parametrize(
    ("encoded", "value", "size"),
    [
        (b"\x00", 0, 1),
        (b"\x80\x01\x7f", 128, 2),
        (b"\xff" * 7 + b"\x7f", 2**56 - 1, 8),
        (b"\xff" * 8 + b"\x01", 2**57 - 1, 9),
        (b"\x80" * 9 + b"\x01", 2**63, 10),
        (b"\xff" * 9 + b"\x01", 2**64 - 1, 10),
        (b"\xff" * 9 + b"\x02", None, 0),
        (b"\xff" * 9 + b"\x7f", None, 0),
        (b"\x80" * 10 + b"\x01", None, 0),
        (b"\xff" * 16, None, 0),
    ],
)
def test_read_varint(encoded: bytes, value: int | None, size: int) -> None:
    found, sizes = columnar.read_varint(buffer_of(encoded), np.array([0]))
    assert sizes.tolist() == [size]
    assert value is None or found.tolist() == [value]
    assert columnar.skip_varint(buffer_of(encoded), np.array([0]))[0] in (size, 10)


def test_integers_at_any_byte() -> None:
    buffer = buffer_of(b"\x01\x02\x03\x04\x05")
    assert columnar.read_integers(buffer, np.array([0, 1, 3]), ">i2").tolist() == [258, 515, 1029]
    assert columnar.read_integers(buffer, np.array([1]), "<u4").tolist() == [0x05040302]


# Rows


@thorough
@given(columns, st.lists(st.sampled_from([-1, 0, 0xFF]), min_size=5, max_size=5))
def test_assemble_is_plain_concatenation(table: list[list[bytes | None]], as_: list[int]) -> None:
    rows, pieces, expected = len(table[0]), [], [b""] * len(table[0])
    for cells, junk in zip(table, as_, strict=False):
        pieces.append(cells_of(cells) if junk < 0 else as_word(cells, junk))
        expected = [
            row + ((cell or b"") if junk < 0 else (cell or b"")[:8])
            for row, cell in zip(expected, cells, strict=True)
        ]
    buffer, offsets = assemble_rows(pieces, rows)
    assert cut(buffer, offsets) == expected
    assert len(buffer) == sum(map(len, expected)) + columnar.SPARE


TWO_ROWS = [[b"ab", b"cd"], [b"1", b"2"]]  # the drawing in columnar._put
ROOM = [[b"ab", b"cd"], [b"12345678", b"87654321"]]  # every row has eight bytes left
short = st.integers(1, 8).flatmap(
    lambda rows: st.lists(
        st.lists(st.binary(max_size=20), min_size=rows, max_size=rows), min_size=2, max_size=4
    )
)


@thorough
@given(short)
@example(TWO_ROWS)
@example(ROOM)
def test_rows_and_columns_are_written_first_to_last(table: list[list[bytes]]) -> None:
    """Each write is of eight bytes, but no byte of another row or column is lost, nor a spare one.

    `cells_of` puts the cells of a column side by side, so what is written too much is never zero.
    """
    buffer, offsets = assemble_rows([cells_of(cells) for cells in table], len(table[0]))
    assert cut(buffer, offsets) == [b"".join(row) for row in zip(*table, strict=True)]
    assert not buffer[offsets[-1] :].any()


@pytest.mark.parametrize(
    ("table", "rows", "columns", "is_right"),
    [
        (TWO_ROWS, 1, 1, True),
        (TWO_ROWS, -1, 1, False),
        (ROOM, 1, 1, True),
        (ROOM, 1, -1, False),
    ],
)
def test_another_order_loses_bytes(
    table: list[list[bytes]], rows: int, columns: int, is_right: bool
) -> None:
    """Why `_put` needs its order: rows or columns written last to first overwrite others."""
    pieces = [as_word([*cells], 0xFF) for cells in table]
    ends = np.cumsum(sum(piece.size for piece in pieces))
    behind = np.cumsum([piece.size for piece in pieces], axis=0)
    begins = ends - behind[-1]
    buffer = columnar.empty_buffer(int(ends[-1]))
    for n in range(len(pieces))[::columns]:
        at = begins + behind[n] - pieces[n].size
        columnar._put(
            buffer, at[::rows], pieces[n].value[::rows], pieces[n].size[::rows], ends[::rows]
        )
    expected = b"".join(b"".join(row) for row in zip(*table, strict=True))
    assert (buffer[: ends[-1]].tobytes() == expected) is is_right


@thorough
@given(st.lists(st.none() | contents, max_size=20), st.randoms(use_true_random=False))
def test_cells(cells: list[bytes | None], chance: Any) -> None:
    found = cells_of(cells)
    assert [found[n] for n in range(len(found))] == cells
    assert found.is_null.tolist() == [each is None for each in cells]
    which = [n for n in range(len(cells)) if chance.random() < 0.5]
    some = found.select(np.array(which, np.int64))
    assert [some[n] for n in range(len(some))] == [cells[n] for n in which]


def test_cells_that_share_their_bytes() -> None:
    """A cell may be written several times, and from anywhere in its buffer."""
    cells = Cells(buffer_of(b"abcdefghijkl"), np.array([3, 0, 3, 11]), np.array([9, 12, 0, 1]))
    pieces: list[Piece] = [cells, columnar.constant_column(0x2C, 1, 4), cells]
    expected = [b"defghijkl,defghijkl", b"abcdefghijkl,abcdefghijkl", b",", b"l,l"]
    assert cut(*assemble_rows(pieces, 4)) == expected


# Hashes

_LIMIT = 2**64


def plain_mix(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % _LIMIT
    word = (word ^ word >> 27) * 0x94D049BB133111EB % _LIMIT
    return word ^ word >> 31


def plain_hash(row: bytes) -> int:
    """Hash a row as the digest is defined: it must stay so, or old backups cannot be proven."""
    words = [int.from_bytes(row[at : at + 8], "little") for at in range(0, len(row), 8)]
    keys = [(n + 1) * 0x9E3779B97F4A7C15 for n in range(len(words))]
    total = sum(plain_mix((word + key) % _LIMIT) for word, key in zip(words, keys, strict=True))
    return plain_mix((total + len(row)) % _LIMIT)


def hashed(buffer: Buffer, at: list[int], size: list[int]) -> list[int]:
    found = columnar.hash_rows(buffer, np.array(at, np.int64), np.array(size, np.int64))
    return [int(each) for each in found]


@thorough
@given(st.lists(contents, max_size=12), contents, contents)
def test_hash_of_a_row(rows: list[bytes], before: bytes, behind: bytes) -> None:
    """It depends on the row's bytes alone, not on their place or on the bytes around them."""
    at, joined = [], before
    for row in rows:
        at.append(len(joined))
        joined += row + behind
    expected = [plain_hash(row) for row in rows]
    assert hashed(buffer_of(joined), at, [*map(len, rows)]) == expected
    alone = [hashed(buffer_of(row), [0], [len(row)])[0] for row in rows]
    assert alone == expected


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 255, 256, 257, 263, 264, 600, 5000])
def test_hash_finds_every_changed_byte(size: int) -> None:
    row = bytes(n % 251 for n in range(size))
    others = [row, row + b"\0", row[:-1], b"\0" + row, row[::-1] + b"x"]
    for at in range(size):
        others.append(row[:at] + bytes([row[at] ^ 1]) + row[at + 1 :])
    for at in range(0, size - 15, 8):  # two words that change places
        others.append(row[:at] + row[at + 8 : at + 16] + row[at : at + 8] + row[at + 16 :])
    cells = cells_of(others)
    found = columnar.hash_rows(cells.buffer, cells.at, cells.size).tolist()
    assert len(set(found)) == len(set(others))


@thorough
@given(st.lists(contents, max_size=20), st.randoms(use_true_random=False))
def test_digest_is_that_of_a_bag(rows: list[bytes], chance: Any) -> None:
    """No order and no parting into batches matters; a row too many or too few does."""

    def digest(*batches: list[bytes]) -> str:
        found = Digest()
        for cells in map(cells_of, batches):
            found.add(cells.buffer, cells.at, cells.size)
        return str(found)

    sums = sum(map(plain_hash, rows)), sum(plain_mix(plain_hash(row)) for row in rows)
    whole = digest(rows)
    assert whole == f"{len(rows)}-{sums[0] % _LIMIT:016x}{sums[1] % _LIMIT:016x}"
    shuffled = chance.sample(rows, len(rows))
    border = chance.randint(0, len(rows))
    assert digest(shuffled[:border], [], shuffled[border:]) == whole
    assert digest(rows, [b""]) != whole
    assert digest([*rows, b"x"], [b"x"]) != digest([*rows, b"x"])
    if rows:
        assert digest(rows[1:]) != whole
        assert digest([rows[0] + b"\0", *rows[1:]]) != whole
