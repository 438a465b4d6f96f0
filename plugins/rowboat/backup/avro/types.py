"""Conversion between Postgres's binary format and AVRO for each type, column by column.

A kind encodes cells as Postgres sends them (or as a fragment of copy_out.sql makes them) and
decodes AVRO into cells for the stage: in Postgres's binary format if the kind is `native`, as text
otherwise. Kinds never see NULL, which `unions` adds; `arrays` uses them for elements. The AVRO
encodings are those of its specification 1.12, sections "Binary Encoding" and "Logical Types";
Postgres's are those of each type's send function.
"""

from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rowboat.database.columnar import (
    Buffer,
    Cells,
    Ints,
    Piece,
    Word,
    assemble_rows,
    buffer_of,
    cells_of,
    read_integers,
    read_varint,
    skip_varint,
    unzigzag,
    varint,
    with_nulls,
    zigzag,
)
from rowboat.errors import BackupRefused, Unholdable

_DAY = 86_400_000_000  # microseconds
_EPOCH_DAYS = 10_957  # from 1970-01-01 to 2000-01-01, Postgres's epoch
_EPOCH = _EPOCH_DAYS * _DAY
_MOST_DIGITS = 18  # every number of so many digits fits into eight bytes
_AT_ONCE = 2**20  # bytes of text that are decoded at a time


@dataclass(frozen=True)
class Kind:
    """Base of all kinds.

    `avro` is the AVRO schema, `fetch` the fragment of copy_out.sql that selects the column, `send`
    the Postgres function that converts it to its binary format.
    """

    avro: Any
    fetch: str = "copy_out.as_it_is"
    send: str = "textsend"

    native = False

    def encode(self, cells: Cells) -> list[Piece]:
        """Encode cells; raises Unholdable for a value that the AVRO type cannot hold."""
        raise NotImplementedError

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        """Return the place after the value at each place.

        If there is no value at a place, any number may be returned: `find_rows` checks it.
        """
        raise NotImplementedError

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        """Return the values at places as cells; raises BackupRefused if one is not a value."""
        raise NotImplementedError

    def literal(self, cells: Cells) -> Cells:
        """Return decoded cells as text that Postgres can read; they may contain NULL."""
        given = ~cells.is_null
        if given.all():
            return self._literal(cells)
        return with_nulls(self._literal(cells.select(given)), given)

    def _literal(self, cells: Cells) -> Cells:
        return cells


@dataclass(frozen=True)
class Whole(Kind):
    """Integers, and the types that Postgres sends as integers: days and microseconds.

    In AVRO int or long ("Primitive Types"). `form` is numpy's format of what Postgres sends,
    `least` and `greatest` are the bounds of the type there; `shift` is added to count from AVRO's
    epoch (1970) instead of Postgres's (2000).
    """

    form: str = ">i4"
    shift: int = 0
    least: int = -(2**31)
    greatest: int = 2**31 - 1

    native = True

    def encode(self, cells: Cells) -> list[Piece]:
        values = read_integers(cells.buffer, cells.at, self.form).astype(np.int64)
        most = min(self.greatest, 2**63 - 1 - self.shift)
        beyond = (values < self.least) | (values > most)
        if beyond.any():
            # Postgres sends infinity as the greatest or least integer.
            value, most = int(values[beyond][0]), 2 ** (8 * int(self.form[2]) - 1) - 1
            infinite = {most: "infinity", -most - 1: "-infinity"} if self.shift else {}
            raise Unholdable(infinite.get(value) or self._text(value))
        return varint(zigzag(values + self.shift))

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        return skip_varint(buffer, at)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        values = read_numbers(buffer, at)
        least, most = self.least + self.shift, min(self.greatest + self.shift, 2**63 - 1)
        if ((values < least) | (values > most)).any():
            raise BackupRefused("holds a number beyond the range of its type")
        return _fixed((values - self.shift).astype(self.form))

    def _literal(self, cells: Cells) -> Cells:
        values = read_integers(cells.buffer, cells.at, self.form).tolist()
        return cells_of([self._text(value).encode() for value in values])

    def _text(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True)
class Date(Whole):
    """Days ("Logical Types", "Date")."""

    def _text(self, value: int) -> str:
        return _calendar(str(np.datetime64(value + self.shift, "D")))


@dataclass(frozen=True)
class Time(Whole):
    """Microseconds since midnight ("Time (microsecond precision)")."""

    def _text(self, value: int) -> str:
        return _clock(value)


@dataclass(frozen=True)
class Timestamp(Whole):
    """Microseconds ("Timestamps", "Local Timestamps"); `zone` is appended to a literal."""

    zone: str = ""

    def _text(self, value: int) -> str:
        days, rest = divmod(value + self.shift, _DAY)
        return _calendar(f"{np.datetime64(days, 'D')}T{_clock(rest)}", self.zone)


@dataclass(frozen=True)
class Raw(Kind):
    """Floating-point numbers and booleans: `size` bytes, in AVRO the least significant first."""

    size: int = 8

    native = True

    def encode(self, cells: Cells) -> list[Piece]:
        values = read_integers(cells.buffer, cells.at, f">u{self.size}").astype(np.uint64)
        return [Word(values, np.full(len(cells), self.size))]

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        return at + self.size

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        values = read_integers(buffer, at, f"<u{self.size}")
        if self.size == 1 and (values > 1).any():
            raise BackupRefused("holds a boolean that is neither 0 nor 1")
        return _fixed(values.astype(f">u{self.size}"))

    def _literal(self, cells: Cells) -> Cells:
        values = read_integers(cells.buffer, cells.at, "u1" if self.size == 1 else f">f{self.size}")
        words = [("true" if v else "false") if self.size == 1 else str(v) for v in values]
        return cells_of([word.encode() for word in words])


@dataclass(frozen=True)
class Text(Kind):
    """Text, and types that are fetched as text because AVRO has none for them ("string")."""

    is_utf8 = True

    def encode(self, cells: Cells) -> list[Piece]:
        return [*varint(zigzag(cells.size)), cells]

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        folded, width = read_varint(buffer, at)
        size = unzigzag(folded)
        return np.where((width > 0) & (size >= 0), at + width + size, -1)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        folded, width = read_varint(buffer, at)
        cells = Cells(buffer, at + width, unzigzag(folded))
        if self.is_utf8:
            _check_text(cells)
        return cells


@dataclass(frozen=True)
class OwnText(Text):
    """Text of types whose binary format is the text itself."""

    native = True


@dataclass(frozen=True)
class Binary(OwnText):
    """Bytes ("bytes"): encoded as text is, but of any content."""

    is_utf8 = False

    def _literal(self, cells: Cells) -> Cells:
        return cells_of([b"\\x" + (cells[n] or b"").hex().encode() for n in range(len(cells))])


@dataclass(frozen=True)
class Uuid(Kind):
    """UUIDs: 16 bytes in Postgres, 36 characters in AVRO ("UUID"; RFC 9562, section 4)."""

    native = True

    def encode(self, cells: Cells) -> list[Piece]:
        raw = cells.buffer[cells.at[:, None] + np.arange(16)]
        text = np.full((len(cells), 36), ord("-"), np.uint8)
        text[:, _DIGITS] = _HEX[raw].reshape(len(cells), 32)
        size = np.full(len(cells), 36, np.int64)
        return [*varint(zigzag(size)), _fixed(text)]

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        return Text(self.avro).skip(buffer, at)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        cells = Text(self.avro).decode(buffer, at)
        if (cells.size != 36).any():
            raise BackupRefused("holds a UUID that does not have 36 characters")
        text = buffer[cells.at[:, None] + np.arange(36)]
        digits = _VALUE[text[:, _DIGITS]]
        if (digits > 15).any() or (text[:, [8, 13, 18, 23]] != ord("-")).any():
            raise BackupRefused("holds a UUID with other characters than lower-case digits")
        return _fixed(digits[:, 0::2] << 4 | digits[:, 1::2])

    def _literal(self, cells: Cells) -> Cells:
        return Text(self.avro).decode(*_rows(self.encode(cells), len(cells)))


@dataclass(frozen=True)
class Label(Kind):
    """Values of an enum ("Enums"): fetched as the number of the label, staged as the label."""

    fetch: str = "copy_out.label"
    send: str = "int4send"
    labels: tuple[str, ...] = ()

    def encode(self, cells: Cells) -> list[Piece]:
        return varint(zigzag(read_integers(cells.buffer, cells.at, ">i4").astype(np.int64)))

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        return skip_varint(buffer, at)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        number = read_numbers(buffer, at)
        if ((number < 0) | (number >= len(self.labels))).any():
            raise BackupRefused("holds a label that its type does not have")
        return cells_of([label.encode() for label in self.labels]).select(number)


@dataclass(frozen=True)
class Decimal(Kind):
    """Numbers with a fixed scale and up to 18 digits ("Decimal").

    They are fetched as integers, without the decimal point, and encoded in two's complement, most
    significant byte first, in as few bytes as possible.
    """

    fetch: str = "copy_out.unscaled"
    send: str = "int8send"
    precision: int = 0
    scale: int = 0

    def encode(self, cells: Cells) -> list[Piece]:
        values = read_integers(cells.buffer, cells.at, ">i8").astype(np.int64)
        if (values == -(2**63)).any():  # copy_out.unscaled
            raise Unholdable("NaN")
        size = np.ones(len(values), np.int64)
        for n in range(1, 8):  # one byte more for each limit that the value exceeds
            size += (values < -(1 << 8 * n - 1)) | (values >= 1 << 8 * n - 1)
        whole = _fixed(values.astype(">i8"))
        return [*varint(zigzag(size)), Cells(whole.buffer, whole.at + 8 - size, size)]

    def skip(self, buffer: Buffer, at: Ints) -> Ints:
        return Text(self.avro).skip(buffer, at)

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        cells = Binary(self.avro).decode(buffer, at)
        if (cells.size > 8).any():
            raise BackupRefused("holds a number of more digits than its type")
        size = np.maximum(cells.size, 1)
        # Eight bytes are read whatever the size; the shift drops those of other values.
        numbers = read_integers(buffer, cells.at, ">i8").astype(np.int64) >> 64 - 8 * size
        limit = 10**self.precision
        if ((numbers >= limit) | (numbers <= -limit)).any():
            raise BackupRefused("holds a number of more digits than its type")
        above = numbers >> 8 * size - 9  # 0 or -1: the first byte is not needed
        if (cells.size < 1).any() or ((size > 1) & ((above == 0) | (above == -1))).any():
            raise BackupRefused("holds a number of more bytes than it needs")
        return cells_of([_point(number, self.scale).encode() for number in numbers.tolist()])


@dataclass(frozen=True)
class LongDecimal(Decimal):
    """Numbers with a fixed scale and more than 18 digits ("Decimal"): fetched as text."""

    fetch: str = "copy_out.as_text"
    send: str = "textsend"

    def encode(self, cells: Cells) -> list[Piece]:
        texts = [(cells[n] or b"").decode() for n in range(len(cells))]
        if "NaN" in texts:
            raise Unholdable("NaN")
        raw = cells_of([_shortest(int(text.replace(".", ""))) for text in texts])
        return [*varint(zigzag(raw.size)), raw]

    def decode(self, buffer: Buffer, at: Ints) -> Cells:
        cells, limit = Binary(self.avro).decode(buffer, at), 10**self.precision
        if (cells.size > len(_shortest(limit))).any():
            raise BackupRefused("holds a number of more digits than its type")
        raw = [cells[n] or b"" for n in range(len(cells))]
        numbers = [int.from_bytes(each, "big", signed=True) for each in raw]
        if any(abs(number) >= limit for number in numbers):
            raise BackupRefused("holds a number of more digits than its type")
        if any(_shortest(number) != each for number, each in zip(numbers, raw, strict=True)):
            raise BackupRefused("holds a number of more bytes than it needs")
        return cells_of([_point(number, self.scale).encode() for number in numbers])


def read_numbers(buffer: Buffer, at: Ints) -> Ints:
    """Return the signed number at each place; raises BackupRefused if one exceeds 64 bits."""
    folded, width = read_varint(buffer, at)
    if (width == 0).any():
        raise BackupRefused("holds a number of more than 64 bits")
    return unzigzag(folded)


def _fixed(values: Any) -> Cells:
    """Return the bytes of each item of an array as a cell."""
    raw = np.ascontiguousarray(values)
    size = raw.nbytes // max(len(raw), 1)
    at = np.arange(len(raw), dtype=np.int64) * size
    return Cells(buffer_of(raw.tobytes()), at, np.full(len(raw), size, np.int64))


def _rows(pieces: Sequence[Piece], rows: int) -> tuple[Buffer, Ints]:
    buffer, offsets = assemble_rows(pieces, rows)
    return buffer, offsets[:-1]


def _check_text(cells: Cells) -> None:
    """Raise BackupRefused unless every cell is UTF-8 without NUL.

    All cells are decoded as one text, which is faster than each by itself. So that no character
    extends over two cells, none may begin with a continuation byte (10xxxxxx).
    """
    joined, offsets = assemble_rows([cells], len(cells))
    text, decoder = joined[: offsets[-1]], getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(text), _AT_ONCE):
            decoder.decode(text[begin : begin + _AT_ONCE].data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise BackupRefused("holds text that is not UTF-8") from None
    first = cells.buffer[cells.at[cells.size > 0]]
    if ((first & 0xC0) == 0x80).any():
        raise BackupRefused("holds text that is not UTF-8")
    if (text == 0).any():
        raise BackupRefused("holds text with a NUL in it")


def _clock(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"


def _calendar(iso: str, zone: str = "") -> str:
    """Write numpy's ISO 8601 as Postgres reads it: numpy's year 0 is 1 BC."""
    year, rest = iso[:1] + iso[1:].partition("-")[0], iso[1:].partition("-")[2]
    if int(year) > 0:
        return iso.lstrip("+") + zone
    return f"{1 - int(year):04}-{rest}{zone} BC"


def _point(number: int, scale: int) -> str:
    """Write an integer with a decimal point before its last `scale` digits."""
    digits = f"{abs(number):0{scale + 1}}"
    whole = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return f"-{whole}" if number < 0 else whole


def _shortest(number: int) -> bytes:
    """Return the two's complement of a number in as few bytes as possible."""
    return number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True)


_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)
_DIGITS = np.array([n for n in range(36) if n not in (8, 13, 18, 23)])
_VALUE = np.full(256, 255, np.uint8)
_VALUE[list(b"0123456789abcdef")] = range(16)


def _whole(avro: Any, size: int) -> Whole:
    return Whole(avro, send=f"int{size}send", form=f">i{size}", least=-(2 ** (8 * size - 1)),
                 greatest=2 ** (8 * size - 1) - 1)  # fmt: skip


def _stamp(name: str, send: str, zone: str) -> Timestamp:
    return Timestamp(
        {"type": "long", "logicalType": name},
        send=send,
        form=">i8",
        shift=_EPOCH,
        least=-211_813_488_000_000_000,  # 4714-11-24 BC
        greatest=9_223_371_331_199_999_999,  # the end of 294276
        zone=zone,
    )


def _text(base: str) -> Text:
    send = _SENDS.get(base)
    return OwnText("string", send=send) if send else Text("string", "copy_out.as_text")


_SENDS = {"text": "textsend", "varchar": "varcharsend", "bpchar": "bpcharsend", "name": "namesend"}
_KINDS: dict[str, Kind] = {
    "int2": _whole("int", 2),
    "int4": _whole("int", 4),
    "int8": _whole("long", 8),
    "float4": Raw("float", send="float4send", size=4),
    "float8": Raw("double", send="float8send", size=8),
    "bool": Raw("boolean", send="boolsend", size=1),
    "bytea": Binary("bytes", send="byteasend"),
    "uuid": Uuid({"type": "string", "logicalType": "uuid"}, send="uuid_send"),
    "date": Date(
        {"type": "int", "logicalType": "date"},
        send="date_send",
        shift=_EPOCH_DAYS,
        least=-2_451_545,  # 4714-11-24 BC
        greatest=2_145_031_948,  # the end of 5874897
    ),
    "time": Time(
        {"type": "long", "logicalType": "time-micros"},
        send="time_send",
        form=">i8",
        least=0,
        greatest=_DAY - 1,
    ),
    "timestamp": _stamp("local-timestamp-micros", "timestamp_send", ""),
    "timestamptz": _stamp("timestamp-micros", "timestamptz_send", "+00"),
}


def scalar_kind(base: str, precision: int | None, scale: int, labels: Sequence[str] | None) -> Kind:
    """Return the kind of a type that is no array, by its name in pg_type.

    `precision` and `scale` are those of a numeric, if it has them; `labels` those of an enum.
    """
    if labels:
        return Label({"type": "enum", "symbols": list(labels)}, labels=tuple(labels))
    if base == "numeric" and precision is not None and 0 <= scale <= precision:
        avro = {
            "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale,
        }  # fmt: skip
        decimal = Decimal if precision <= _MOST_DIGITS else LongDecimal
        return decimal(avro, precision=precision, scale=scale)
    return _KINDS.get(base) or _text(base)
