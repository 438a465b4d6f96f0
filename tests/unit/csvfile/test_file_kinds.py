"""Files that are no text are called what they are, whatever their names end in."""

import bz2
import gzip
import io
import lzma
import random
import sqlite3
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from rowboat.csvfile.text import FileText
from rowboat.errors import FileRefused
from tests.support.effort import tries


def zipped(**files: bytes) -> bytes:
    """Pack files by name; `_` stands for a dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", ".") if "/" not in name else name, content)
    return packed.getvalue()


def refusal(path: Path, content: bytes) -> tuple[str, str]:
    path.write_bytes(content)
    with pytest.raises(FileRefused) as raised, FileText(path) as text:
        text.read(2**20)
    return raised.value.fact, raised.value.hint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "boats.csv"


def sheet() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            archive.writestr(name, "<x/>")
    return packed.getvalue()


def test_databases(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    connection.close()
    assert refusal(path, path.read_bytes())[0] == "it is an SQLite database"


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (lzma.compress(b"1,a\n"), "it is an xz archive"),
        (bz2.compress(b"1,a\n"), "it is a bzip2 archive"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "it is a zstd archive"),
        (b"7z\xbc\xaf\x27\x1c\x00", "it is a 7z archive"),
        (sheet(), "it is an Excel workbook (.xlsx)"),
        (zipped(a_xlsx=sheet()), "it is an archive or a workbook within an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9), "it is an old Excel workbook (.xls)"),
        (b"PAR1\x15\x04\x15", "it is a Parquet file"),
        (b"Obj\x01\x04\x14avro", "it is an AVRO file"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"<!DOCTYPE html>\n<title>404</title>", "it is a page of HTML or XML"),
        (b"\xef\xbb\xbf\n <HTML lang=en>", "it is a page of HTML or XML"),
        (b'<?xml version="1.0"?><a/>', "it is a page of HTML or XML"),
        (gzip.compress(b"<html>"), "it is a page of HTML or XML"),
        (gzip.compress(lzma.compress(b"1,a")), "it is an xz archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
        (zipped(a_csv=b"1,a\n", b_csv=b"2,b\n"), "it is a zip archive of 2 files: a.csv, b.csv"),
        (zipped(), "it is an empty zip archive"),
        (b"PK\x03\x04\x00id,amount\n5,1.00\n", "it is a damaged zip archive"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",  # archives have the time in them
)
def test_what_a_file_is_is_told_by_its_first_bytes(path: Path, content: bytes, fact: str) -> None:
    found, hint = refusal(path, content)
    assert found.startswith(fact)
    assert hint


@pytest.mark.parametrize(
    "text", [b"PAR1,a\n", b"BZh9,x\n", b"ORC\n1\n", b"Rar!,b\n", b"%PDF,c\n", b"<5,d\n"]
)
def test_text_that_begins_alike_is_text(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with FileText(path) as opened:
        assert opened.read(99) == text


@pytest.mark.parametrize(
    "content",
    [
        zipped(boats_csv=b"1,a\n"),
        zipped(**{"data/boats.csv": b"1,a\n", "__MACOSX/boats.csv": b"\0"}),
        gzip.compress(b"1,a\n") + bytes(4096),
        gzip.compress(b"1,") + bytes(7) + gzip.compress(b"a\n"),
    ],
    ids=["zip", "folder in a zip", "gzip, filled up", "gzip, filled up between"],
)
def test_what_is_packed_is_unpacked(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with FileText(path) as text:
        assert text.read(99) == b"1,a\n"


def test_a_zip_that_grows_too_much_is_refused(path: Path) -> None:
    fact, _ = refusal(path, zipped(boats_csv=bytes(2**22)))
    assert fact == "it unpacks to more than 200 times its size"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_any_archive_is_read_or_refused(path: Path, method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("boats.csv", b"id,name\n" + b"1,Heron\n" * 50)
    whole, chance = packed.getvalue(), random.Random(method)
    for _ in range(tries(300, 5_000)):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(4, len(whole))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice([len(whole), chance.randrange(4, len(whole))])])
        with suppress(FileRefused), FileText(path) as text:
            text.read(2**20)
