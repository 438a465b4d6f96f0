"""Container files that mean harm: each ends in one sentence, soon and in little memory."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from rowboat.errors import BackupRefused
from tests.support.bounded import child
from tests.support.containers import (  # fmt: skip
    ARRAY,
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    LONGER,
    MAGIC,
    MAYBE,
    MOOD,
    STAMP,
    SYNC,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    WIDEST,
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

__all__ = ["child"]  # a fixture

SECONDS = 2
Content = bytes | Callable[[], bytes]


def valid_bombs(codec: str, pack: Callable[[bytes], bytes]) -> bytes:
    """Return many blocks of rows that are all right: together they grow to 1 GB."""
    packed = pack(text(b"x" * 2**20) * 50)
    return head(TEXT, codec) + block(50, packed) * 20


def many_nulls(rows: int, blocks: int) -> bytes:
    return head(MAYBE, "zstandard") + block(rows, zstd(bytes(rows))) * blocks


NOT_AVRO = "is not an AVRO container file"
CUT = "ends before its end: it is truncated"
NOT_JSON = "has a schema that is not JSON"
NOT_OURS = "has a schema that Rowboat does not write for s.t"
PACKED = "has a block that cannot be unpacked"
BOMB = "grows to more than 128 times its size"
NO_END = "has a row that does not end where its block ends"
MORE_BYTES = "has a block with more bytes than its rows have"
NOT_UTF8 = "c holds text that is not UTF-8"
RANGE = "c holds a number beyond the range of its type"
DIGITS = "c holds a number of more digits than its type"
LONG = "c holds a number of more bytes than it needs"
LABEL = "c holds a label that its type does not have"
NOT_UUID = "c holds a UUID with other characters than lower-case digits"
BRANCH = "holds a value that is neither null nor of its type"
COUNT = "c holds an array that does not have 0 to 65,536 elements"
ELEMENTS = "c holds an array of more elements than its size allows"
ARRAY_END = "c holds an array whose elements do not end where it ends"
WITHIN = "c holds an array that ends within an element"
ROWS = "has the number of rows in a block of more than 64 bits"
HEADERS: list[tuple[str, Content, str]] = [
    ("empty", b"", NOT_AVRO),
    ("csv", b"id,name\n1,Heron\n", NOT_AVRO),
    ("magic of another version", b"Obj\x02" + head(INTEGER)[4:], NOT_AVRO),
    ("only the magic", MAGIC, CUT),
    ("snappy", head(INTEGER, "snappy"), "has the codec 'snappy', not null, deflate, zstandard"),
    ("codec in capitals", head(INTEGER, "Deflate"),
     "has the codec 'Deflate', not null, deflate, zstandard"),
    ("codec of 1 MB", head(INTEGER, "x" * 10**6),
     "has the codec 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', not null, deflate, zstandard"),
    ("codec not text", head(INTEGER, b"\xff\xfe"),
     "has the codec '��', not null, deflate, zstandard"),
    ("no schema", MAGIC + long(1) + text("avro.codec") + text("null") + long(0) + SYNC,
     "has no avro.schema in its header"),
    ("schema not text", head(b"\xff"), "has no avro.schema in its header"),
    ("schema not json", head("{"), NOT_JSON),
    ("schema empty", head(""), NOT_JSON),
    ("schema nested deeply", head("[" * 100_000 + "]" * 100_000), NOT_JSON),
    ("schema nested deeply in its doc",
     head('{"fields": [], "doc": ' + '{"a":' * 100_000 + "1" + "}" * 100_001), NOT_JSON),
    ("schema with a number of 100,000 digits", head('{"fields": ' + "9" * 100_000 + "}"), NOT_JSON),
    ("schema that is a name", head('"s.t"'), NOT_OURS),
    ("schema that refers to itself", head(json.dumps(INTEGER.json).replace('"int"', '"t"')),
     NOT_OURS),
    ("schema with another type", head(json.dumps(INTEGER.json).replace('"int"', '"long"')),
     NOT_OURS),
    ("schema of another table",
     head(json.dumps(INTEGER.json).replace('"name": "t"', '"name": "u"')), NOT_OURS),
    ("metadata without end", MAGIC + long(1) + text("a") + text("b"), CUT),
    ("metadata of 2^62 entries", MAGIC + long(2**62),
     "has 4611686018427387904 entries in its header"),
    ("metadata of -2^62 entries", MAGIC + long(-(2**62)) + long(9),
     "has 4611686018427387904 entries in its header"),
    ("metadata of 65 entries", MAGIC + long(65) + text("a") * 130 + long(0) + SYNC,
     "has 65 entries in its header"),
    ("metadata with an endless count", MAGIC + b"\xff" * 100,
     "has the number of its metadata of more than 64 bits"),
    ("metadata with a name of -1 bytes", MAGIC + long(1) + long(-1),
     "has a name in its header of -1 bytes"),
    ("metadata with a value of 2^62 bytes", MAGIC + long(1) + text("a") + long(2**62),
     "has an entry in its header of 4611686018427387904 bytes"),
    ("metadata with a value of 1 MiB and a byte",
     lambda: MAGIC + long(1) + text("a") + text(bytes(2**20 + 1)),
     "has an entry in its header of 1048577 bytes"),
]  # fmt: skip
BLOCKS: list[tuple[str, Content, str]] = [
    ("other marker", head(INTEGER) + block(1, long(5))[:-1] + b"x",
     "has a block that does not end in its marker"),
    ("no rows", row(INTEGER, b"", 0), "has a block of 0 bytes that claims 0 rows"),
    ("no rows but bytes", row(INTEGER, long(5), 0), "has a block of 1 bytes that claims 0 rows"),
    ("-1 rows", row(INTEGER, long(5), -1), "has a block of 1 bytes that claims -1 rows"),
    ("2^62 rows", row(INTEGER, long(5), 2**62),
     "has a block of 1 bytes that claims 4611686018427387904 rows"),
    ("2^69 rows", row(INTEGER, long(5), 2**69), ROWS),
    ("endless count", head(INTEGER) + b"\xff" * 100, ROWS),
    ("more rows than bytes", row(INTEGER, long(5), 2), "has a block of 1 bytes that claims 2 rows"),
    ("more rows than there are", row(INTEGER, long(500), 2), NO_END),
    ("fewer rows than there are", row(INTEGER, long(5) * 3, 2), MORE_BYTES),
    ("-1 bytes", head(INTEGER) + long(1) + long(-1) + SYNC, "has a block of -1 bytes"),
    ("2^62 bytes", head(INTEGER) + long(1) + long(2**62) + SYNC,
     "has a block of 4611686018427387904 bytes"),
    ("more bytes than there are", head(INTEGER) + long(1) + long(50) + long(5) + SYNC, CUT),
    ("rows within another block",
     head(INTEGER) + block(1, long(500)[:1]) + block(1, long(5)), NO_END),
    ("30 million rows of nothing", lambda: many_nulls(30_000_000, 1), BOMB),
    ("100,000 rows of nothing in many blocks", lambda: many_nulls(100_000, 50),
     "has a block of 100000 rows, more than Rowboat writes"),
    ("2 million rows of nothing in small blocks",
     lambda: many_nulls(4096, 512) + block(1, zstd(b"x")), BRANCH),
    ("16,000 rows of nothing", row(MAYBE, bytes(15_999) + b"\4", 16_000), BRANCH),
    ("not deflate", head(INTEGER, "deflate") + block(1, b"\xff\xff"), PACKED),
    ("not zstd", head(INTEGER, "zstandard") + block(1, b"\xff\xff"), PACKED),
    ("deflate of nothing", head(INTEGER, "deflate") + block(1, b""), PACKED),
    ("zstd of nothing", head(INTEGER, "zstandard") + block(1, b""), PACKED),
    ("deflate that is cut", head(INTEGER, "deflate") + block(9, deflate(long(5) * 9)[:-1]), PACKED),
    ("zstd that is cut", head(INTEGER, "zstandard") + block(9, zstd(long(5) * 9)[:-1]), PACKED),
    ("bytes behind deflate", head(INTEGER, "deflate") + block(1, deflate(long(5)) + b"x"), PACKED),
    ("bytes behind zstd", head(INTEGER, "zstandard") + block(1, zstd(long(5)) + b"x"), PACKED),
    ("two frames", head(INTEGER, "zstandard") + block(2, zstd(long(5)) * 2), PACKED),
    ("skippable frame", head(INTEGER, "zstandard") + block(1, b"\x50\x2a\x4d\x18\1\0\0\0x"),
     "has a block of 0 bytes that claims 1 rows"),
    ("frame that claims 2^62 bytes",
     head(INTEGER, "zstandard") + block(1, b"\x28\xb5\x2f\xfd\xe0" + (2**62).to_bytes(8, "little")
                                        + b"\1\0\0"), PACKED),
    ("frame that claims too few bytes",
     head(INTEGER, "zstandard") + block(9, zstd(long(5) * 9).replace(b"\x09", b"\x08", 1)), PACKED),
    ("deflate bomb", lambda: head(TEXT, "deflate") + block(1, deflate(bytes(2**28))), PACKED),
    ("zstd bomb", lambda: head(TEXT, "zstandard") + block(1, zstd(bytes(2**28))), PACKED),
    ("zstd bomb that hides its size",
     lambda: head(TEXT, "zstandard") + block(1, zstd(bytes(2**28), tells_size=False)), PACKED),
    ("many zstd bombs",
     lambda: head(TEXT, "zstandard") + block(1, zstd(bytes(2**26))) * 100, BOMB),
    ("deflate bombs with rows", lambda: valid_bombs("deflate", deflate), BOMB),
    ("zstd bombs with rows", lambda: valid_bombs("zstandard", zstd), BOMB),
    ("zstd bombs with rows that hide their size",
     lambda: valid_bombs("zstandard", lambda content: zstd(content, tells_size=False)), BOMB),
]  # fmt: skip
MOST = -(2**63)
VALUES: list[tuple[str, Content, str]] = [
    ("integer beyond 32 bits", row(INTEGER, long(2**31)), RANGE),
    ("integer beyond 64 bits", row(INTEGER, b"\xff" * 9 + b"\x02"),
     "c holds a number of more than 64 bits"),
    ("integer without end", row(INTEGER, b"\x80" * 30), MORE_BYTES),
    ("integer that its block cuts", row(INTEGER, b"\x80"), NO_END),
    ("text of -1 bytes", row(TEXT, long(-1) + b"abc"), NO_END),
    ("text of -2^63 bytes", row(TEXT, long(MOST) + b"abc"), NO_END),
    ("text of 2^63 - 1 bytes", row(TEXT, long(2**63 - 1) + b"abc"), NO_END),
    ("text with an endless size", row(TEXT, b"\xff" * 30), NO_END),
    ("text beyond its block", row(TEXT, long(4) + b"abc"), NO_END),
    ("text not UTF-8", row(TEXT, text(b"caf\xe9")), NOT_UTF8),
    ("surrogate", row(TEXT, text(b"\xed\xa0\x80")), NOT_UTF8),
    ("character in two rows", row(TEXT, text(b"\xc3") + text(b"\xa9"), 2), NOT_UTF8),
    ("character that is cut", row(TEXT, text(b"abc") + text(b"\xc3"), 2), NOT_UTF8),
    ("NUL in text", row(TEXT, text(b"a\0b")), "c holds text with a NUL in it"),
    ("NUL at the end of 60 MiB",
     lambda: row(TEXT, text("🚣".encode() + b"x" * 60 * 2**20 + b"\0")),
     "c holds text with a NUL in it"),
    ("union's branch 2", row(MAYBE, long(2) + text("a")), BRANCH),
    ("union's branch -1", row(MAYBE, long(-1) + text("a")), BRANCH),
    ("union's branch in two bytes", row(MAYBE, b"\x82\0" + text("a")), BRANCH),
    ("union without a value", row(MAYBE, b"\x02"), NO_END),
    ("boolean 2", row(BOOLEAN, b"\x02"), "c holds a boolean that is neither 0 nor 1"),
    ("day before 4714 BC", row(DATE, long(-2_451_545 + 10_956)), RANGE),
    ("day beyond 5874897", row(DATE, long(2_145_031_949 + 10_957)), RANGE),
    ("moment beyond the range", row(STAMP, long(MOST)), RANGE),
    ("24:00", row(TIME, long(86_400_000_000)), RANGE),
    ("time before midnight", row(TIME, long(-1)), RANGE),
    ("label 2", row(MOOD, long(2)), LABEL),
    ("label -1", row(MOOD, long(-1)), LABEL),
    ("decimal of too many digits", row(DECIMAL, text((10_000).to_bytes(2, "big"))), DIGITS),
    ("negative decimal of 19 digits", row(WIDEST, text(b"\x80" + bytes(7))), DIGITS),
    ("decimal of 9 bytes", row(WIDEST, text(bytes(9))), DIGITS),
    ("decimal of no bytes", row(DECIMAL, text(b"")), LONG),
    ("decimal with a byte too many", row(DECIMAL, text(b"\0\5")), LONG),
    ("negative decimal with a byte too many", row(DECIMAL, text(b"\xff\xfb")), LONG),
    ("long decimal of too many digits", row(LONGER, text((10**30).to_bytes(13, "big"))), DIGITS),
    ("long decimal of no bytes", row(LONGER, text(b"")), LONG),
    ("long decimal with a byte too many", row(LONGER, text(b"\0\5")), LONG),
    ("decimal of 10 MB", lambda: row(LONGER, text(b"\x7f" * 10**7)), DIGITS),
    ("uuid of 35 characters", row(UUID, text("a" * 35)),
     "c holds a UUID that does not have 36 characters"),
    ("uuid without hyphens", row(UUID, text("a" * 36)), NOT_UUID),
    ("uuid of other letters", row(UUID, text("gaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")), NOT_UUID),
    ("uuid in capitals", row(UUID, text("AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa")), NOT_UUID),
    ("array without its size", row(ARRAY, long(1) + b"\2\2" + b"\0"), NO_END),
    ("array of -2^63 elements", row(ARRAY, array(MOST, b"\2\2")), COUNT),
    ("array of 2^62 elements", row(ARRAY, array(-(2**62), b"\2\2")), COUNT),
    ("array of more elements than bytes", row(ARRAY, array(-3, b"\2\2")), ELEMENTS),
    ("arrays of many elements that are not there",
     lambda: row(ARRAY, array(-65_536, b"\2\2") * 8000, 8000), ELEMENTS),
    ("array of 65,537 elements", lambda: row(ARRAY, array(-65_537, bytes(65_537))), COUNT),
    ("array with an endless count", row(ARRAY, b"\x81" * 30), NO_END),
    ("array with an endless count of nothing", row(ARRAY, b"\x80" * 30), NO_END),
    ("array with an endless size", row(ARRAY, long(-1) + b"\xff" * 30), NO_END),
    ("array of -1 bytes", row(ARRAY, array(-1, b"\2\2", -1)), NO_END),
    ("array of 2^63 - 1 bytes", row(ARRAY, array(-1, b"\2\2", 2**63 - 1)), NO_END),
    ("array with fewer elements than it says", row(ARRAY, array(-2, b"\2\2")), ARRAY_END),
    ("array with more elements than it says", row(ARRAY, array(-1, b"\2\2\2\2")), ARRAY_END),
    ("array of two blocks", row(ARRAY, array(-1, b"\2\2", end=b"\1\4\2\2\0")), MORE_BYTES),
    ("array without end", row(ARRAY, array(-1, b"\2\2", end=b"\2")),
     "c holds an array that does not end"),
    ("element that is a union's branch 2", row(ARRAY, array(-1, b"\4\2")),
     "c holds a value that is neither null nor of its type"),
    ("element beyond 32 bits", row(ARRAY, array(-1, b"\2" + long(2**31))), RANGE),
    ("element that ends behind its array", row(TEXTS, array(-1, b"\2" + long(5) + b"abc")), WITHIN),
    ("element that ends behind its block",
     row(TEXTS, array(-1, b"\2" + long(2**62) + b"abc")), WITHIN),
    ("element of -1 bytes", row(TEXTS, array(-1, b"\2" + long(-1) + b"abc")), WITHIN),
    ("element not UTF-8", row(TEXTS, array(-1, b"\2" + text(b"\xff"))), NOT_UTF8),
]  # fmt: skip


def tell(path: Path) -> tuple[str, float]:
    """Read a file; return the sentence that refuses it, and the processor's seconds until then."""
    began = time.process_time()
    with path.open("rb") as file:
        try:
            found = "was read: " + read(file, path.stat().st_size)
        except BackupRefused as error:
            found = error.fact
    return found, time.process_time() - began


@pytest.mark.parametrize(
    ("content", "sentence"),
    [pytest.param(content, sentence, id=name) for name, content, sentence in
     (*HEADERS, *BLOCKS, *VALUES)],
)  # fmt: skip
def test_refused(
    child: ProcessPoolExecutor, tmp_path: Path, content: Content, sentence: str
) -> None:
    path = tmp_path / "t.avro"
    path.write_bytes(content() if callable(content) else content)
    found, seconds = child.submit(tell, path).result()
    assert found == sentence
    assert seconds < SECONDS
