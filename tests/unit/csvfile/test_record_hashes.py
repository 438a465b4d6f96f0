"""Hashes of records: equal bytes have equal hashes, wherever they are."""

from collections import Counter
from itertools import pairwise
from random import Random

from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.record_hashes import hash_records
from rowboat.csvfile.splitter import split_records

DIALECT = Dialect(";", "\n", ("v",))


def hashes_of(lines: list[bytes], newline: bytes = b"\n") -> list[int]:
    text = b"".join(line + newline for line in lines)
    records = split_records(text, DIALECT, at_end=True)
    assert [records.raw(index) for index in range(len(records))] == lines
    return hash_records(records).tolist()


def test_equal_records_have_equal_hashes_and_no_others() -> None:
    """Of all lengths around a word's and that from which a record is hashed by itself."""
    draw = Random(7)
    lines = [
        bytes(draw.choices(b"ab", k=size)) for size in [*range(1, 40), 511, 512, 513] for _ in "123"
    ]
    lines += [line + b"\t" for line in lines] + [b"a" * size for size in range(1, 600)]
    lines += draw.sample(lines, len(lines))
    found = hashes_of(lines)
    by_line = dict(zip(lines, found, strict=True))
    assert [by_line[line] for line in lines] == found
    assert Counter(by_line.values()).most_common(1)[0][1] == 1


def test_hash_does_not_depend_on_the_newline() -> None:
    lines = [b"1", b"22,", b'"a\nb"', b"x" * 700]
    assert hashes_of(lines, b"\r\n") == hashes_of(lines)


def test_one_character_changes_about_half_of_the_bits() -> None:
    found = hashes_of([b"2021-11-07T02:48:42Z,Some Name,%d" % n for n in range(1000)])
    differing = [(one ^ other).bit_count() for one, other in pairwise(found)]
    assert 24 < sum(differing) / len(differing) < 40


def test_no_record_has_no_hash() -> None:
    assert hashes_of([]) == []
