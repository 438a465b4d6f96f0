"""The text of a file: unpacked, as UTF-8, in blocks of any size."""

import codecs
import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowboat.csvfile import text
from rowboat.csvfile.text import FileText, Prefix, detect_encoding, gunzip
from rowboat.errors import FileChanged, FileRefused
from rowboat.settings import settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def whole(path: Path, step: int = 7) -> bytes:
    with FileText(path) as opened:
        return b"".join(iter(lambda: opened.read(step), b""))


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", b""),
        (b"a,\xff\0\r\n", b"a,\xff\0\r\n"),
        (b"\xef\xbb\xbfa", b"\xef\xbb\xbfa"),
        (codecs.BOM_UTF16_LE + "aé🚣".encode("utf-16-le"), "\ufeffaé🚣".encode()),
        (codecs.BOM_UTF16_BE + "aé🚣".encode("utf-16-be"), "\ufeffaé🚣".encode()),
        ("1,abc\n".encode("utf-16-le"), b"1,abc\n"),
        ("1,abc\n".encode("utf-16-be"), b"1,abc\n"),
        (gzip.compress(b"abc", mtime=0) + gzip.compress(b"def", mtime=0), b"abcdef"),
        (gzip.compress("1,é\n".encode("utf-16"), mtime=0), "\ufeff1,é\n".encode()),
    ],
)
def test_whole_text(path: Path, content: bytes, expected: bytes, step: int) -> None:
    path.write_bytes(content)
    assert whole(path, step) == expected


def test_text_larger_than_a_block(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that is cut by the end of a block is decoded correctly."""
    monkeypatch.setattr(text, "BLOCK", 3)
    written = "🚣é" * 50
    path.write_bytes(codecs.BOM_UTF16_LE + written.encode("utf-16-le"))
    assert whole(path).decode() == "\ufeff" + written


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"", "utf-8"),
        (b"1,a\n", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        ("1,ab".encode("utf-16-le"), "utf-16-le"),
        ("1,ab".encode("utf-16-be"), "utf-16-be"),
        ("1,ab\n2,\u0100\u3000cdefg\n".encode("utf-16-le"), "utf-16-le"),
        (b"1\0,\0", "utf-8"),  # too little to tell
        (b"1,a\n2,\0\0\0\0\n3,c\n4,d\n", "utf-8"),
        (bytes(100), "utf-8"),
    ],
)
def test_encoding(start: bytes, name: str) -> None:
    assert detect_encoding(start) == name


def test_peek_does_not_read_on(path: Path) -> None:
    path.write_bytes(b"abcdef")
    with FileText(path) as opened:
        assert (opened.peek(2), opened.peek(9), opened.read(4), opened.peek(9)) == (
            b"ab", b"abcdef", b"abcd", b"ef",
        )  # fmt: skip
        assert (opened.read(9), opened.read(9)) == (b"ef", b"")


@pytest.mark.parametrize("content", ["a\ud800b", "aé", "\udfff"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_original_bytes(path: Path, content: str, order: str) -> None:
    mark = codecs.BOM_UTF16_LE if order == "le" else codecs.BOM_UTF16_BE
    written = content.encode(f"utf-16-{order}", "surrogatepass")
    path.write_bytes(mark + written)
    with FileText(path) as opened:
        assert opened.original(opened.read(99)[3:]) == written


def test_original_of_utf8_is_itself(path: Path) -> None:
    path.write_bytes(b"\xff\xc3")
    with FileText(path) as opened:
        assert opened.original(opened.read(9)) == b"\xff\xc3"


@pytest.mark.parametrize("size", [0, 3, 6, 99])
def test_prefix(path: Path, size: int) -> None:
    path.write_bytes(b"abc\nde")
    with FileText(path) as opened:
        prefix = opened.prefix(size)
    before = b"abc\nde"[:size]
    assert (prefix.size, prefix.last, prefix.sha256) == (
        len(before),
        before[-1:],
        hashlib.sha256(before).hexdigest(),
    )


def test_copy_of_a_prefix_goes_its_own_way() -> None:
    prefix = Prefix()
    prefix.extend(b"ab")
    twin = prefix.copy()
    twin.extend(memoryview(b"c"))
    twin.extend(b"")
    assert (prefix.size, prefix.last, twin.size, twin.last) == (2, b"b", 3, b"c")
    assert twin.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert prefix.sha256 == hashlib.sha256(b"ab").hexdigest()


def test_still(path: Path) -> None:
    path.write_bytes(b"abc")
    with FileText(path) as opened:
        assert opened.still()
        os.utime(path, ns=(0, 0))
        assert not opened.still()
    with FileText(path) as opened:
        with path.open("ab") as file:
            file.write(b"d")
        assert not opened.still()
        assert opened.read(9) == b"abc"


def test_file_that_shrinks(path: Path) -> None:
    path.write_bytes(b"abc" * 300_000)
    with FileText(path) as opened:
        opened.read(1)
        os.truncate(path, 10)
        with pytest.raises(FileChanged) as raised:
            opened.read(900_000)
    assert raised.value.fact == "it shrank while it was read"


def test_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(FileChanged) as raised:
        FileText(path)
    assert (raised.value.fact, raised.value.hint) == (
        "it vanished before it was read",
        "put it back",
    )


def blocks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


PACKED = gzip.compress(b"abc" * 1000)


@pytest.mark.parametrize("size", [1, 10, 10**6])
def test_gunzip_in_any_blocks(size: int) -> None:
    found = b"".join(gunzip(blocks(PACKED + gzip.compress(b"") + PACKED, size)))
    assert found == b"abc" * 2000


@pytest.mark.parametrize("cut", range(2, len(PACKED)))
def test_gunzip_of_every_cut(cut: int) -> None:
    with pytest.raises(FileRefused) as raised:
        list(gunzip(iter([PACKED[:cut]])))
    assert raised.value.fact == "its gzip stream is cut off"


@pytest.mark.parametrize("at", range(10, len(PACKED)))
def test_gunzip_of_every_flipped_byte(at: int) -> None:
    damaged = PACKED[:at] + bytes([PACKED[at] ^ 0xFF]) + PACKED[at + 1 :]
    with pytest.raises(FileRefused) as raised:
        list(gunzip(iter([damaged])))
    assert raised.value.fact in {"its gzip stream is damaged", "its gzip stream is cut off"}


def test_gunzip_stops_at_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWBOAT_GZIP_RATIO", "10")
    settings.cache_clear()
    given: list[int] = []
    with pytest.raises(FileRefused) as raised:
        given.extend(map(len, gunzip(blocks(gzip.compress(bytes(2**24)), 1024))))
    settings.cache_clear()
    assert raised.value.fact == "it unpacks to more than 10 times its size"
    assert sum(given) <= 2**20


def test_gunzip_lets_small_files_grow() -> None:
    assert len(b"".join(gunzip(iter([gzip.compress(bytes(2**20))])))) == 2**20
