"""How a CSV file is written: delimiter, newline, and the column of each field.

RFC 4180, extended by what people really send: `;`, tab and `|` as delimiters, CRLF and lone CR, a
byte-order mark, a header in any order, lines above it, fields that belong to no column.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rowboat.catalog.tables import Table
from rowboat.errors import FileRefused

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    `fields` has for each field of a record its column, None if it is left out. `header` is the text
    of the header without its newline; None if there is none, so that the columns are known by their
    positions. A record with the same names is the header again, unless it `may_be_row`. The first
    record begins at byte `start`, after a byte-order mark, the header, and `lines_above` it.
    """

    delimiter: str
    newline: str
    fields: tuple[str | None, ...]
    header: str | None = None
    may_be_row: bool = False
    start: int = 0
    lines_above: int = 0

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of their fields."""
        return tuple(name for name in self.fields if name is not None)

    @cached_property
    def used(self) -> int:
        """Number of fields up to the last one that has a column."""
        return max((at for at, name in enumerate(self.fields, 1) if name is not None), default=0)

    def notes(self) -> list[str]:
        """Return sentences that tell what was found, and what is left out of each record."""
        found = []
        if self.lines_above:
            of = "header" if self.header is not None else "first row"
            found.append(f"{count(self.lines_above, 'line')} above the {of} left out")
        left_out = [str(at) for at, name in enumerate(self.fields, 1) if name is None]
        if left_out:
            found.append(
                f"column{'s' * (len(left_out) > 1)} {', '.join(left_out)} left out: no name"
            )
        if self.header is None:
            found.append(f"no header: columns by position ({', '.join(self.columns)})")
        return found

    def has_columns_of(self, table: Table) -> bool:
        """Return whether the table still has the columns by which the file was read."""
        return set(self.columns) <= set(table.by_name)

    def check_columns(self, table: Table) -> None:
        """Raise FileRefused if the table has no longer the columns that the file was read by."""
        lost = [name for name in self.columns if name not in table.by_name]
        if lost:
            raise FileRefused(
                f'its first rows were loaded into the column "{lost[0]}", which {table.full_name} '
                "has no longer",
                "give the file a header with the new names: it is then loaded from its beginning",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the dialect as JSON, for the position of the file."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Dialect":
        """Return the dialect that `to_json` wrote, in this version or in 0.1.0."""
        if "columns" in kept:  # 0.1.0 kept no text of the header, which is past by now
            names, header = tuple(kept["columns"]), "" if kept["header"] else None
            return cls(kept["delimiter"], kept["newline"], names, header, True, kept["first"])
        return cls(**(kept | {"fields": tuple(kept["fields"])}))


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 line` or `2,000 lines`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
