"""Packed files: several members, damage, and more content than is allowed."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import ABC, failure, lines


def test_gzip(boat: Boat) -> None:
    boat.write("departments.csv.gz", gzip.compress(b"id,department\n1,a\nx,b\n"))
    assert counts(boat.ingest()["departments.csv.gz"]) == (2, 1, 0, 0, 1)
    assert boat.rejects() == [(3, b"x,b", ["type: 'x' is not an integer"])]


def test_gzip_of_several_members(boat: Boat) -> None:
    members = [b"1,a\n2,", b"", b"b\n", b"3,c\n"]
    boat.write("departments.csv.gz", b"".join(map(gzip.compress, members)))
    assert counts(boat.ingest()["departments.csv.gz"]) == (3, 3, 0, 0, 0)
    assert boat.departments() == ABC


def test_gzip_under_the_name_of_a_plain_file(boat: Boat) -> None:
    boat.write("departments.csv", gzip.compress(b"1,a\n"))
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)


PACKED = gzip.compress(lines(1, 1000))


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        (PACKED[:-4], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:40], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:5], "its gzip stream is cut off", "pack the file again, whole"),
        (PACKED[:-8] + bytes(8), "its gzip stream is damaged", "pack the file again"),
        (PACKED[:20] + b"\0\0\0\0" + PACKED[24:], "its gzip stream is damaged",
         "pack the file again"),
        (PACKED + b"more", "its gzip stream is damaged", "pack the file again"),
    ],
    ids=["no length", "half", "header only", "wrong checksum", "wrong bytes", "text behind it"],
)  # fmt: skip
def test_broken_gzip(boat: Boat, content: bytes, error: str, hint: str) -> None:
    boat.write("departments.csv.gz", content)
    assert failure(boat, "departments.csv.gz") == ("failed", error, hint)
    assert boat.departments() == []


BOMB = """
import gzip, resource, sys
from pathlib import Path
from rowboat.errors import FileRefused
from rowboat.csvfile.text import FileText

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
text = FileText(Path(sys.argv[1]))
try:
    while text.read(2**16):
        pass
except FileRefused as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error.fact, sep="|")
"""


def test_gzip_bomb(boat: Boat, tmp_path: Path) -> None:
    """Half a gigabyte in half a megabyte: refused before it has grown in memory."""
    boat.write("departments.csv.gz", gzip.compress(b"1,a\n" * 2**22))
    assert failure(boat, "departments.csv.gz") == (
        "failed",
        "it unpacks to more than 200 times its size",
        "unpack it yourself, or raise ROWBOAT_GZIP_RATIO if you trust it",
    )
    assert boat.departments() == []
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(2**29)))
    said = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True
    ).stdout
    grown, fact = said.strip().split("|")
    assert fact == "it unpacks to more than 200 times its size"
    assert int(grown) < 64 * 1024  # KiB
