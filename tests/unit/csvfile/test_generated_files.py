"""Files as programs write them, by the thousand: no cell is ever put into a wrong column.

Each is written by Python's csv module, so what is right is known: rows of a table with columns of
several types, in any order, with or without a header, with lines above it and fields too many.
"""

import csv
import io
from collections import Counter
from random import Random

import pytest

from rowboat.catalog.tables import Table
from rowboat.csvfile.recognise import recognise_dialect
from rowboat.csvfile.splitter import split_records
from rowboat.errors import FileRefused
from tests.support.effort import tries
from tests.support.tables import column, table

FILES = tries(1_500, 20_000)
WORDS = ("Ann", "Lee, Bob", "a;b", "x|y", 'said "no"', "", "two\nlines", "name", "é", "1960", " ")
VALUES = {
    "text": lambda chance: chance.choice(WORDS),
    "int4": lambda chance: str(chance.randint(-50, 5_000)),
    "numeric": lambda chance: f"{chance.uniform(-9, 9_999):.2f}",
    "date": lambda chance: f"{chance.randint(1990, 2030)}-{chance.randint(1, 12):02}-17",
    "timestamp": lambda chance: f"2021-0{chance.randint(1, 9)}-03 04:05:06",
    "bool": lambda chance: chance.choice(["true", "false", "t", "f", "Y", "0"]),
}
NAMES = ("id", "full_name", "Amount", "paid on", "1960", "1961", "is_open", "city", "währung", "Q1")
TITLES = ("Report of May", "Source: the office, as of 2021-03-04", "# exported", "", '"A title",,')


def a_table(chance: Random) -> Table:
    names = chance.sample(NAMES, chance.randint(2, 7))
    bases = [chance.choice([*VALUES]) for _ in names]
    return table(*(
        column(name, type=base, base=base, category="S" if base == "text" else "N")
        for name, base in zip(names, bases, strict=True)
    ))  # fmt: skip


def spelled(chance: Random, name: str) -> str:
    """Write a name as somebody else would."""
    for old, new in ((" ", "_"), ("_", chance.choice(["", " ", "-", "_"]))):
        name = name.replace(old, new)
    return chance.choice([name, name.upper(), name.title(), f" {name} "])


class File:
    """A file and the rows that it holds, as column → text."""

    def __init__(self, chance: Random) -> None:
        self.table, self.name = a_table(chance), chance.choice(["a.csv", "a.txt", "a.tsv"])
        columns = [each.name for each in self.table.columns]
        self.has_header = chance.random() < 0.7
        order = chance.sample(columns, len(columns)) if self.has_header else columns
        kept = order[: chance.randint(1, len(order))] if self.has_header else order
        fields: list[str | None] = [*kept]
        if self.has_header and chance.random() < 0.3:
            fields.insert(chance.randint(0, len(fields)), None)
        bases = {each.name: each.base for each in self.table.columns}
        self.rows = [
            {name: VALUES[bases[name]](chance) for name in kept}
            for _ in range(chance.randint(1, 9))
        ]
        if len(kept) == 1:  # a row that is the header's only name would be the header again
            self.rows = [row for row in self.rows if row[kept[0]] != kept[0]]
        lines = [
            [str(chance.randint(0, 9)) if name is None else row[name] for name in fields]
            for row in self.rows
        ]
        if self.has_header:
            header = ["" if name is None else spelled(chance, name) for name in fields]
            if chance.random() < 0.2 and len(kept) > 1:
                lines.insert(chance.randint(1, len(lines)), header)
            lines.insert(0, header)
        if chance.random() < 0.15:
            lines = [[*line, ""] for line in lines]
        self.text = self._written(chance, lines)

    def _written(self, chance: Random, lines: list[list[str]]) -> bytes:
        out = io.StringIO()
        if self.has_header and chance.random() < 0.25:
            out.write("".join(f"{chance.choice(TITLES)}\n" for _ in range(chance.randint(1, 3))))
        delimiter = chance.choice(",;\t|")
        if chance.random() < 0.05:
            out.write(f"sep={delimiter}\n")
        quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        newline = chance.choice(["\n", "\r\n", "\r\r\n"])
        csv.writer(out, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(lines)
        mark = chance.choice(["", "", "\ufeff"])
        text = out.getvalue()
        if not any("\n" in cell for line in lines for cell in line):
            text = text.replace("\n", newline)
        return (mark + text).encode()


def read(file: File) -> list[dict[str, str]]:
    """Read a file as a load does; a refused record is no row."""
    dialect = recognise_dialect(file.text, file.table, file_name=file.name)
    records = split_records(file.text[dialect.start :], dialect, at_end=True)
    cells = csv.reader(
        io.StringIO(records.copy_text().decode(), newline=""), delimiter=dialect.delimiter
    )
    # an empty line is a row of one empty cell, for COPY too
    return [dict(zip(dialect.columns, row or [""], strict=True)) for row in cells]


@pytest.mark.parametrize("part", range(4))
def test_no_cell_is_put_into_a_wrong_column(part: int) -> None:
    told = Counter[str]()
    for seed in range(part * FILES // 4, (part + 1) * FILES // 4):
        file = File(Random(seed))
        try:
            found = read(file)
        except FileRefused:
            told["header refused" if file.has_header else "refused"] += 1
            continue
        told["read"] += 1
        wrong = [row for row in found if row not in file.rows]
        assert not wrong, (seed, file.text, wrong)
        assert len(found) == len(file.rows), (seed, file.text, found)
    assert told["read"] > 0.8 * sum(told.values()), told
    assert told["header refused"] < 0.05 * sum(told.values()), told
