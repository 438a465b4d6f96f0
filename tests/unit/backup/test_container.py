"""Container files: what the writer writes, and what becomes of a good file that is harmed."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowboat.backup.avro import container
from rowboat.backup.avro.container import Reader, Writer
from rowboat.backup.avro.schema import Schema, encode_columns
from rowboat.database.columnar import Cells, cells_of
from rowboat.errors import BackupRefused
from tests.support.containers import (
    ARRAY,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    INTEGER,
    LONGER,
    MAGIC,
    MAYBE,
    MOOD,
    STAMP,
    TEXT,
    TEXTS,
    UUID,
    array,
    block,
    deflate,
    head,
    long,
    read,
    row,
    text,
    zstd,
)

CODECS = ["null", "deflate", "zstandard"]
PACK: dict[str, Callable[[bytes], bytes]] = {"null": bytes, "deflate": deflate, "zstandard": zstd}


def outcome(content: bytes) -> str:
    """Return the digest of a file, or the sentence that refuses it."""
    try:
        return read(io.BytesIO(content), len(content))
    except BackupRefused as error:
        return error.fact


def written(schema: Schema, codec: str, *batches: list[Cells], **names: str) -> bytes:
    parts: list[bytes] = []
    writer = Writer(schema, codec, names, parts.append)
    for columns in batches:
        writer.write(*encode_columns(schema, columns))
    return b"".join(parts)


# What the writer writes


@pytest.mark.parametrize("codec", CODECS)
def test_header(codec: str) -> None:
    content = written(TEXT, codec, table="s.t", set="20230101T000000Z")
    reader = Reader(io.BytesIO(content), len(content))
    assert (reader.codec, reader.schema("s.t")) == (codec, TEXT)
    assert {name: reader.header.text(f"rowboat.{name}") for name in ("format", "table", "set")} == {
        "format": "1", "table": "s.t", "set": "20230101T000000Z",
    }  # fmt: skip
    assert list(reader.rows(TEXT)) == []
    with pytest.raises(BackupRefused) as raised:
        reader.header.text("rowboat.moment")
    assert raised.value.fact == "has no rowboat.moment in its header"


@pytest.mark.parametrize("codec", CODECS)
def test_blocks(codec: str) -> None:
    """Blocks are small, whatever their rows; the last may be smaller still."""
    words = [b"x" * (n % 90) for n in range(9000)]
    content = written(TEXT, codec, [cells_of(words)], [cells_of([b"last"])])
    blocks: list[Any] = list(fastavro.block_reader(io.BytesIO(content)))
    found = [each["c"] for block in blocks for each in block]
    assert found == [*(word.decode() for word in words), "last"]
    assert max(block.num_records for block in blocks) < 200
    assert len(blocks) > 50


@pytest.mark.parametrize("codec", CODECS)
def test_digest_is_the_same_in_any_file(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[bytes | None] = [b"word" * (n % 7) if n % 5 else None for n in range(3000)]
    expected = outcome(written(MAYBE, "null", [cells_of(words)]))
    assert expected.startswith("3000-")
    for size in (1, 50, 2**12, 2**16):
        monkeypatch.setattr(container, "_BLOCK", size)
        monkeypatch.setattr(container, "_WINDOW", 10 * size)
        parts = [[cells_of(words[:7])], [cells_of(words[:6:-1])]]
        assert outcome(written(MAYBE, codec, *parts)) == expected
    words[-1] = b"Word"
    assert outcome(written(MAYBE, codec, [cells_of(words)])) != expected


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [2**12, 2**20, 2**25])
def test_repetitive_rows_are_no_bomb(codec: str, size: int) -> None:
    """However well rows can be packed, what the writer writes can be read."""
    cells = cells_of([b"x" * size] * (2**25 // size))
    content = written(TEXT, codec, [cells], [cells])
    assert outcome(content).startswith(f"{2**26 // size}-")
    assert codec == "null" or len(content) < 2**25 + 2**20
    found: Any = fastavro.reader(io.BytesIO(content))
    assert sum(len(each["c"]) for each in found) == 2**26


def test_rows_come_in_parts_that_fit_into_memory() -> None:
    nulls = block(4096, zstd(bytes(4096))) * 400
    content = head(MAYBE, "zstandard") + nulls
    sizes = [len(part) for part in Reader(io.BytesIO(content), len(content)).rows(MAYBE)]
    assert (sum(sizes), max(sizes)) == (400 * 4096, 256 * 4096)


def test_row_beyond_all_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_BLOCK", 2**20)
    assert outcome(written(TEXT, "null", [cells_of([bytes(2**20 - 3)])])) == (
        "c holds text with a NUL in it"
    )
    with pytest.raises(BackupRefused) as raised:
        written(TEXT, "null", [cells_of([b"", bytes(2**20 - 2)])])
    assert (raised.value.fact, raised.value.hint) == (
        "a row has more than 1 MiB, the most that a backup holds",
        "keep such values outside the table",
    )


def test_header_beyond_all_bounds() -> None:
    with pytest.raises(BackupRefused) as raised:
        written(replace(TEXT, comment="🚣" * 2**18), "null")
    assert (raised.value.fact, raised.value.hint) == (
        "the avro.schema of s.t has more than 1 MiB",
        "shorten its comments",
    )


# What becomes of a good file


def everything() -> tuple[Schema, bytes, int]:
    """Return a schema of all kinds, two of its rows encoded, and where the second begins."""
    of = [INTEGER, TEXT, MAYBE, BOOLEAN, DATE, UUID, BYTES, DECIMAL, LONGER, MOOD, ARRAY, TEXTS]
    columns = [replace(each.fields[0], column=f"c{n}") for n, each in enumerate(of)]
    row = [
        long(7), text("é"), b"\0", b"\1", long(19_000), text(f"{'a' * 8}{'-aaaa' * 4}{'a' * 8}"),
        text(b"\0"), text(b"\5"), text((10**29).to_bytes(13, "big")), long(1),
        array(-2, b"\2\2\0"), array(-1, b"\2" + text("a")),
    ]  # fmt: skip
    other = [*row[:1], text(""), b"\2" + text("b"), *row[3:10], b"\0", row[11]]
    return Schema("s.t", tuple(columns)), b"".join((*row, *other)), len(b"".join(row))


@pytest.mark.parametrize("codec", CODECS)
def test_truncated(codec: str) -> None:
    """Only where a block ends does a shorter file look whole; the manifest knows how many rows."""
    schema, rows, border = everything()
    first, second = block(1, PACK[codec](rows[:border])), block(1, PACK[codec](rows[border:]))
    start, whole = head(schema, codec), head(schema, codec) + first + second
    found = [outcome(whole[:size]) for size in range(len(whole) + 1)]
    ends = {len(start): "0-", len(start) + len(first): "1-", len(whole): "2-"}
    for size, each in enumerate(found):
        if size in ends:
            assert each.startswith(ends[size])
        elif size < len(MAGIC):
            assert each == "is not an AVRO container file"
        else:
            assert each == "ends before its end: it is truncated"


@pytest.mark.parametrize("codec", CODECS)
def test_changed(codec: str) -> None:
    """No changed bit does any harm, and in a block none goes unseen unless it changes no row."""
    schema, rows, _ = everything()
    start, body = head(schema, codec), block(2, PACK[codec](rows))
    whole = outcome(start + body)
    assert whole.startswith("2-")
    for at in range(len(start) + len(body)):
        for bit in (1, 128):
            changed = bytearray(start + body)
            changed[at] ^= bit
            found = outcome(bytes(changed))
            assert at < len(start) or codec != "null" or found != whole


thorough = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ALL = [INTEGER, TEXT, MAYBE, BOOLEAN, DATE, STAMP, UUID, BYTES, DECIMAL, LONGER, MOOD, ARRAY, TEXTS]
likely = st.sampled_from([
    b"\0", b"\1", b"\2", b"\4", b"\x80", b"\xff", b"a", long(-1), long(2**62), long(-(2**63)),
])  # fmt: skip


@thorough
@given(st.sampled_from(ALL), st.lists(likely | st.binary(max_size=5), min_size=1), st.data())
def test_any_bytes(schema: Schema, parts: list[bytes], data: st.DataObject) -> None:
    """Whatever a block holds, it is read or refused."""
    content = b"".join(parts)
    rows = data.draw(st.integers(0, len(content)))
    outcome(row(schema, content, rows))
    outcome(head(schema) + block(rows, content) + block(1, content))
