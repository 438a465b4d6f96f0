"""The canonical literals of each type, as SQL over a cell of text."""

from dataclasses import dataclass, replace

from psycopg2 import sql

from rowboat.catalog.tables import Column
from rowboat.database.statements import as_printed, query


@dataclass(frozen=True)
class Literal:
    """A type's form (a fragment of literals.sql) and its words in the reason of a reject."""

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


def literal_of(column: Column) -> Literal:
    """Return the form and the words for a column's type."""
    if column.labels:
        noun = "one of " + ", ".join(column.labels)
        return Literal("any", noun, f"not {noun}")
    other = Literal("any", f"a value of type {column.type}", "no value of type {type}")
    found = _LITERALS.get(column.base, other)
    return replace(found, beyond=other.beyond) if column.is_domain else found


def always_valid(column: Column) -> bool:
    """Return whether any text is a value of the column."""
    return column.type in ("text", "character varying")


def form_of(column: Column, cell: sql.Composable) -> sql.Composed:
    """SQL: the cell has the canonical form of the column's type."""
    return query(f"literals.{literal_of(column).form}", cell=cell)


def valid_literal(column: Column, cell: sql.Composable, as_written: bool = False) -> sql.Composed:
    """SQL: the cell (not null) is a value of the column, in canonical form, and nothing is lost.

    With `as_written` Postgres itself wrote the cell, in any of its forms.
    """
    return query(
        "literals.valid",
        cell=cell,
        type=sql.Literal(column.type),
        form=query("literals.any") if as_written else form_of(column, cell),
        fits=_fits(column, cell),
    )


def typed_value(
    column: Column, cell: sql.Composable, trusted: bool, as_written: bool = False
) -> sql.Composed:
    """SQL: the cell as a value of the column; NULL if it is none, unless all are `trusted`."""
    if trusted or always_valid(column):
        return query("literals.trusted", cell=cell, type=as_printed(column.type))
    found = valid_literal(column, cell, as_written)
    return query("literals.typed", cell=cell, type=as_printed(column.type), valid=found)


def base_value(value: sql.Composable) -> sql.Composed:
    """SQL: a value of a domain as one of its base type."""
    return query("literals.plain", value=value)


def default_value(column: Column) -> sql.Composed:
    """SQL: the value that the database gives the column of a row that lacks it.

    NULL for identity columns and others whose value is drawn or computed for each row.
    """
    known = column.default is not None and not column.generated and "nextval" not in column.default
    text = column.default if known else None
    return query("literals.default", value=as_printed(text or "null"), type=as_printed(column.type))


def _fits(column: Column, cell: sql.Composable) -> sql.Composed:
    if column.base in ("varchar", "bpchar") and column.modifier > 0:
        return query("literals.fits_length", cell=cell, length=sql.Literal(column.modifier - 4))
    if column.base == "numeric" and column.digits:
        return query("literals.fits_scale", cell=cell, scale=sql.Literal(column.digits[1]))
    return query("literals.fits_any")
