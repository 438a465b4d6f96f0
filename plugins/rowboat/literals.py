"""What a canonical literal of each type looks like, as SQL over a cell of text."""

from dataclasses import dataclass, replace

from psycopg2 import sql

from rowboat.catalog import Column
from rowboat.queries import printed, query


@dataclass(frozen=True)
class Literal:
    """A type's form (a statement of sql/queries/literals.sql) and its words in a reject."""

    form: str
    noun: str
    beyond: str


_INTEGER = Literal("integer", "an integer", "out of the range of {type}")
_NUMBER = Literal("number", "a number", "out of the range of {type}")
_TEXT = Literal("any", "text", "longer than {type} holds")
_DAY = "not a day of the calendar"

_LITERALS = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    **dict.fromkeys(("float4", "float8"), _NUMBER),
    "numeric": Literal("number", "a number", "more digits than {type} holds"),
    "bool": Literal("boolean", "true or false", "not true or false"),
    "date": Literal("date", "an ISO 8601 date", _DAY),
    "time": Literal("time", "an ISO 8601 time of day", "not a time of day"),
    "timestamp": Literal("timestamp", "an ISO 8601 timestamp without an offset", _DAY),
    "timestamptz": Literal("timestamptz", "an ISO 8601 timestamp", _DAY),
    "uuid": Literal("uuid", "a UUID", "not a UUID"),
    "bytea": Literal("bytea", "bytes in hexadecimal after \\x", "not bytes in hexadecimal"),
    **dict.fromkeys(("text", "varchar", "bpchar"), _TEXT),
}


def literal(column: Column) -> Literal:
    """Return the form and the words for a column's type."""
    if column.labels:
        noun = "one of " + ", ".join(column.labels)
        return Literal("any", noun, f"not {noun}")
    other = Literal("any", f"a value of type {column.type}", "no value of type {type}")
    found = _LITERALS.get(column.base, other)
    return replace(found, beyond=other.beyond) if column.is_domain else found


def always_valid(column: Column) -> bool:
    """Tell whether any text is a value of the column."""
    return column.type in ("text", "character varying")


def form(column: Column, cell: sql.Composable) -> sql.Composed:
    """SQL: does the cell have the canonical form of the column's type?"""
    return query(f"literals.{literal(column).form}", cell=cell)


def valid(column: Column, cell: sql.Composable) -> sql.Composed:
    """SQL: is the cell (not null) a value of the column, in canonical form, with no loss?"""
    return query(
        "literals.valid",
        cell=cell,
        type=sql.Literal(column.type),
        form=form(column, cell),
        fits=_fits(column, cell),
    )


def typed(column: Column, cell: sql.Composable, trusted: bool) -> sql.Composed:
    """SQL: the cell as a value of the column; null where it is none, unless all are trusted."""
    if trusted or always_valid(column):
        return query("literals.trusted", cell=cell, type=printed(column.type))
    return query("literals.typed", cell=cell, type=printed(column.type), valid=valid(column, cell))


def plain(value: sql.Composable) -> sql.Composed:
    """SQL: a value of a domain as one of the type below it."""
    return query("literals.plain", value=value)


def default(column: Column) -> sql.Composed:
    """SQL: what the database puts into the column of a row that does not bring it."""
    known = column.default is not None and not column.generated and "nextval" not in column.default
    text = column.default if known else None
    return query("literals.default", value=printed(text or "null"), type=printed(column.type))


def _fits(column: Column, cell: sql.Composable) -> sql.Composed:
    if column.base in ("varchar", "bpchar") and column.modifier > 0:
        return query("literals.fits_length", cell=cell, length=sql.Literal(column.modifier - 4))
    if column.base == "numeric" and column.modifier > 0:
        return query("literals.fits_scale", cell=cell, scale=sql.Literal(_scale(column.modifier)))
    return query("literals.fits_any")


def _scale(modifier: int) -> int:
    """Unpack the scale, an 11-bit signed number, from numeric's type modifier (numeric.c)."""
    scale = (modifier - 4) & 0x7FF
    return scale - 0x800 if scale & 0x400 else scale
