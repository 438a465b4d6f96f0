"""The records of one chunk of text: their byte positions, and which cannot be staged."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rowboat.csvfile.dialect import Dialect

LONGEST = 8 * 2**20  # bytes of one record
csv.field_size_limit(LONGEST)

Positions = npt.NDArray[np.int64]
QUOTE, LF = 0x22, 0x0A


@dataclass(frozen=True)
class Reason:
    """Why a row was refused: the rule, the column if one is at fault, and a sentence."""

    rule: str
    column: str | None
    message: str

    def to_json(self) -> dict[str, str | None]:
        """Return the reason as the quarantine and the API show it."""
        return {"rule": self.rule, "column": self.column, "message": self.message}


@dataclass
class Records:
    """The records of one chunk.

    `starts` and `ends` are byte positions in `text`, without the newline; `lines` are the lines of
    the records, from 0. `refused` maps the index of a record that cannot be staged to the reasons.
    `consumed` bytes with `newlines` newlines have been used up. `delimiters` are the positions of
    those outside quotes, or None if quotes are irregular.
    """

    text: bytes
    dialect: Dialect
    starts: Positions
    ends: Positions
    lines: Positions
    consumed: int
    newlines: int
    refused: dict[int, list[Reason]] = field(default_factory=dict)
    delimiters: Positions | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, index: int) -> bytes:
        """Return the bytes of one record."""
        return self.text[self.starts[index] : self.ends[index]]

    def fields(self, index: int) -> dict[str, str]:
        """Return the cells of one record by column, without quotes around them."""
        text = self.raw(index).decode("utf-8", "replace")
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.dialect.delimiter))
        return dict(zip(self.dialect.columns, row, strict=False))

    def head(self, count: int) -> "Records":
        """Return the first `count` records as a chunk of their own."""
        if count >= len(self):
            return self
        return replace(
            self,
            starts=self.starts[:count],
            ends=self.ends[:count],
            lines=self.lines[:count],
            consumed=int(self.starts[count]),
            newlines=int(self.lines[count]),
            refused={index: why for index, why in self.refused.items() if index < count},
        )

    def tail(self, count: int) -> "Records":
        """Return the records after the first `count`, with all that is used up after them."""
        first = self.head(count)
        return replace(
            self,
            text=self.text[first.consumed :],
            starts=self.starts[count:] - first.consumed,
            ends=self.ends[count:] - first.consumed,
            lines=self.lines[count:] - first.newlines,
            consumed=self.consumed - first.consumed,
            newlines=self.newlines - first.newlines,
            refused={index - count: why for index, why in self.refused.items() if index >= count},
            delimiters=None if self.delimiters is None else self.delimiters - first.consumed,
        )

    def until(self, end: int) -> "Records":
        """Return the records that start before byte `end`, a border, as a chunk that ends there."""
        part = self.head(int(np.searchsorted(self.starts, end)))
        newlines = part.text.count(self.dialect.newline.encode(), 0, end)
        return replace(part, consumed=end, newlines=newlines)

    def without_first(self) -> "Records":
        """Return the chunk without its first record, a header."""
        refused = {index - 1: why for index, why in self.refused.items() if index}
        return replace(
            self,
            starts=self.starts[1:],
            ends=self.ends[1:],
            lines=self.lines[1:],
            refused=refused,
        )

    def refuse(self, index: int, rule: str, message: str) -> None:
        """Mark a record as one that cannot be staged."""
        self.refused.setdefault(index, []).append(Reason(rule, None, message))

    def staged(self) -> Positions:
        """Return the indexes of the records that `copy_text` holds, in order."""
        kept = np.ones(len(self), dtype=bool)
        kept[list(self.refused)] = False
        return np.flatnonzero(kept)

    def bounds(self) -> list[tuple[Positions, Positions]] | None:
        """Return for each column where its cells begin and end, quotes included, in staged records.

        Each pair has one position per staged record. None if quotes are irregular.
        """
        if self.delimiters is None:
            return None
        staged, wanted = self.staged(), len(self.dialect.columns) - 1
        starts, ends, inside = self.starts[staged], self.ends[staged], self.delimiters
        if len(inside) != wanted * len(staged) or self.refused:
            # Leave out delimiters of refused records, headers and what follows the last record.
            owners = np.searchsorted(starts, inside, side="right") - 1
            inside = inside[(owners >= 0) & (inside < ends[owners])] if len(staged) else inside[:0]
        between = inside.reshape(len(staged), wanted).T
        return list(zip([starts, *(between + 1)], [*between, ends], strict=True))

    def copy_text(self, without: Sequence[tuple[int, int]] = ()) -> bytes:
        """Return the records that can be staged as CSV with LF, for COPY.

        The byte ranges in `without` are left out: cells that are staged in another way.
        """
        after = self._after()
        sent = self._sent(after)
        for begin, end in without:
            sent[begin:end] = False
        if self.dialect.newline == "\n" and sent.all():
            return self.text[: self.consumed]
        # One LF per record: CR of CRLF is not sent, the last byte before each record becomes LF.
        taken = np.frombuffer(self.text, np.uint8, self.consumed).copy()
        taken[(after - 1)[after > self.ends]] = LF
        return taken[sent].tobytes()

    def _after(self) -> Positions:
        """Return for each record where the newlines after it end, and the next record starts."""
        if not len(self):
            return self.starts
        last = self.text.find(self.dialect.newline.encode(), self.ends[-1], self.consumed)
        return np.append(self.starts[1:], last + 1 if last >= 0 else self.ends[-1])

    def _sent(self, after: Positions) -> npt.NDArray[np.bool_]:
        """Mark the bytes to send: no blank lines, no refused records, no CR before LF."""
        sent = np.ones(self.consumed, dtype=bool)
        sent[: self.starts[0] if len(self) else self.consumed] = False
        sent[after[-1] if len(self) else 0 :] = False
        for index in self.refused:
            sent[self.starts[index] : after[index]] = False
        surplus = after - self.ends
        sent[self.ends[surplus == 2]] = False
        for index in np.flatnonzero(surplus > 2).tolist():
            sent[self.ends[index] : after[index] - 1] = False
        return sent
