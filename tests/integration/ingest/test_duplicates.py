"""A key that occurs twice, in one file, in several files and across chunks."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import lines

Setting = Callable[[str, str], None]


def test_files_of_one_table_see_each_other(boat: Boat) -> None:
    """A key that another file brought is updated; a key of the same file is a duplicate."""
    boat.write("departments-1.csv", "1,a\n2,b\n")
    boat.write("departments-2.csv", "2,c\n1,a\n2,d\n")
    reports = boat.ingest()
    assert counts(reports["departments-2.csv"]) == (3, 0, 1, 1, 1)
    assert boat.departments() == [(1, "a"), (2, "c")]
    assert boat.rejects() == [
        (3, b"2,d", ["duplicate: id 2 occurs earlier in this file with other values"])
    ]


@pytest.mark.parametrize("chunk_bytes", [64, 100, 2**23])
def test_key_twice_across_chunks(boat: Boat, setting: Setting, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    again = b"000003,department 000003\n4,other\n000010,\n10,last\n10,more\n"
    boat.write("departments.csv", lines(1, 9) + again)
    assert counts(boat.ingest()["departments.csv"]) == (14, 10, 0, 0, 4)
    assert boat.departments()[3:] == [
        *((n, f"department 00000{n}") for n in range(4, 10)),
        (10, "last"),
    ]
    assert boat.rejects() == [
        (10, b"000003,department 000003",
         ["duplicate: id 3 occurs earlier in this file with the same values"]),
        (11, b"4,other", ["duplicate: id 4 occurs earlier in this file with other values"]),
        (12, b"000010,", ["required: department is empty"]),
        (14, b"10,more", ["duplicate: id 10 occurs earlier in this file with other values"]),
    ]  # fmt: skip


def test_equal_row_twice_across_chunks(boat: Boat, setting: Setting) -> None:
    """An equal row is not touched, and yet its second one in the same file is a duplicate."""
    setting("chunk_bytes", "64")
    boat.write("departments-1.csv", lines(1, 9))
    boat.ingest()
    boat.write("departments-2.csv", lines(1, 9) + b"000001,other\n")
    assert counts(boat.ingest()["departments-2.csv"]) == (10, 0, 0, 9, 1)
    assert boat.rejects() == [
        (10, b"000001,other",
         ["duplicate: id 1 occurs earlier in this file with other values"]),
    ]  # fmt: skip
