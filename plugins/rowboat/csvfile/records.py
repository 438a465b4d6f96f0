"""The records of one chunk of text: their byte positions, and which cannot be staged."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rowboat.csvfile.dialect import Dialect

csv.field_size_limit(2**31 - 1)  # the splitter knows how long a record may be

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
    those between the fields that are used, `last_ends` where the last of these ends in each record;
    None if that is where the record does. `headers` is the number of headers that were left out.
    """

    text: bytes
    dialect: Dialect
    starts: Positions
    ends: Positions
    lines: Positions
    consumed: int
    newlines: int
    refused: dict[int, list[Reason]] = field(default_factory=dict)
    delimiters: Positions = field(default_factory=lambda: np.zeros(0, np.int64))
    last_ends: Positions | None = None
    headers: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, index: int) -> bytes:
        """Return the bytes of one record."""
        return self.text[self.starts[index] : self.ends[index]]

    def fields(self, index: int) -> dict[str, str]:
        """Return the cells of one record by column, without quotes around them."""
        text = self.raw(index).decode("utf-8", "replace")
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.dialect.delimiter))
        pairs = zip(self.dialect.fields, row, strict=False)
        return {name: cell for name, cell in pairs if name is not None}

    def cells(self, number: int) -> dict[str, str | None]:
        """Return the cells of one staged record by column; None for nothing, not even quotes."""
        found: dict[str, str | None] = {}
        for name, (begins, ends) in zip(self.dialect.fields, self.bounds(), strict=False):
            cell = self.text[begins[number] : ends[number]].decode()
            if name is not None:
                is_quoted = cell.startswith('"')
                found[name] = cell[1:-1].replace('""', '"') if is_quoted else cell or None
        return found

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
            last_ends=None if self.last_ends is None else self.last_ends[:count],
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
            delimiters=self.delimiters - first.consumed,
            last_ends=None if self.last_ends is None else self.last_ends[count:] - first.consumed,
            headers=0,
        )

    def until(self, end: int) -> "Records":
        """Return the records that start before byte `end`, a border, as a chunk that ends there."""
        part = self.head(int(np.searchsorted(self.starts, end)))
        newlines = part.text.count(self.dialect.newline.encode(), 0, end)
        return replace(part, consumed=end, newlines=newlines)

    def without_headers(self, indexes: Positions) -> "Records":
        """Return the chunk without some of its records, which are headers."""
        kept = np.ones(len(self), dtype=bool)
        kept[indexes] = False
        places = np.cumsum(kept) - 1
        return replace(
            self,
            starts=self.starts[kept],
            ends=self.ends[kept],
            lines=self.lines[kept],
            refused={int(places[i]): why for i, why in self.refused.items() if kept[i]},
            headers=len(indexes),
        )

    def refuse(self, index: int, rule: str, message: str) -> None:
        """Mark a record as one that cannot be staged."""
        self.refused.setdefault(index, []).append(Reason(rule, None, message))

    def staged(self) -> Positions:
        """Return the indexes of the records that `copy_text` holds, in order."""
        kept = np.ones(len(self), dtype=bool)
        kept[list(self.refused)] = False
        return np.flatnonzero(kept)

    def bounds(self) -> list[tuple[Positions, Positions]]:
        """Return for each used field where its cells begin and end, quotes included, in staged
        records.

        Each pair has one position per staged record.
        """
        staged, wanted = self.staged(), self.dialect.used - 1
        last_ends = self.ends if self.last_ends is None else self.last_ends
        starts, ends, inside = self.starts[staged], last_ends[staged], self.delimiters
        if len(inside) != wanted * len(staged) or self.refused:
            # Leave out delimiters of refused records, headers and what follows the last record.
            owners = np.searchsorted(starts, inside, side="right") - 1
            inside = inside[(owners >= 0) & (inside < ends[owners])] if len(staged) else inside[:0]
        between = inside.reshape(len(staged), wanted).T
        return list(zip([starts, *(between + 1)], [*between, ends], strict=True))

    def copy_text(self, without: Sequence[tuple[int, int]] = ()) -> bytes:
        """Return the columns of the records that can be staged as CSV with LF, for COPY.

        The byte ranges in `without` are left out: cells that are staged in another way.
        """
        after = self._after()
        sent = self._sent(after)
        for begin, end in without:
            sent[begin:end] = False
        self._leave_out(sent)
        if self.dialect.newline == "\n" and sent.all():
            return self.text[: self.consumed]
        # One LF per record: CR of CRLF is not sent, the last byte before each record becomes LF.
        taken = np.frombuffer(self.text, np.uint8, self.consumed).copy()
        taken[(after - 1)[after > self.ends]] = LF
        return taken[sent].tobytes()

    def _leave_out(self, sent: npt.NDArray[np.bool_]) -> None:
        """Mark the fields that have no column as not to be sent, with the delimiters after them."""
        spans = []
        if self.last_ends is not None:
            spans.append((self.last_ends, self.ends))
        if None in self.dialect.fields[: self.dialect.used]:
            bounds = self.bounds()
            spans += [
                (begins, ends + 1)
                for name, (begins, ends) in zip(self.dialect.fields, bounds, strict=False)
                if name is None
            ]
        if spans:
            # +1 where a span begins and -1 where it ends: the sum is positive within spans
            steps = np.zeros(self.consumed + 1, np.int8)
            for begins, ends in spans:
                np.add.at(steps, begins, 1)
                np.add.at(steps, ends, -1)
            sent &= np.cumsum(steps[:-1], dtype=np.int8) == 0

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
