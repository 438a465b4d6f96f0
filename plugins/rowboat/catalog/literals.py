"""The canonical literals of each type, as SQL over a cell of text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg2 import sql

from rowboat.catalog.tables import INTEGERS, Column
from rowboat.database.statements import as_printed, query

BLANKS = " \t\n\r\f\v\u00a0"  # as in literals.sql
_AND, _CELL = sql.SQL(" and "), sql.SQL("cell")


@dataclass(frozen=True)
class Literal:
    """A type's form (a fragment of literals.sql) and its words in the reason of a reject.

    `beyond` is said of a cell that has the form and is no value, `loss` of a value that would lose
    something; `hints` are fragments that name a remedy.
    """

    form: str
    noun: str
    beyond: str
    loss: str | None = None
    hints: tuple[str, ...] = ()


_INTEGER = Literal("integer", "an integer", "out of the range of {type}")
_UNSIGNED = replace(_INTEGER, form="unsigned", noun="an unsigned integer")
_MORE = "more digits than {type} holds"
_NUMBER = Literal("number", "a number", "out of the range of {type}", _MORE)
_TEXT = Literal("any", "text", "longer than {type} holds")
_DAY = "not a day of the calendar"
_TIME = Literal(
    "time",
    "an ISO 8601 time of day",
    "not a time of day",
    hints=("if_second_sixty", "if_more_digits"),
)
_MOMENT = Literal(
    "timestamptz",
    "an ISO 8601 timestamp",
    _DAY,
    hints=("if_year_is_last", "if_hour_twenty_four", *_TIME.hints),
)

_LITERALS = {
    **dict.fromkeys(INTEGERS, _INTEGER),
    **dict.fromkeys(("oid", "xid", "xid8", "cid"), _UNSIGNED),
    **dict.fromkeys(("float4", "float8"), _NUMBER),
    "numeric": Literal("number", "a number", _MORE),
    "money": replace(_NUMBER, form="amount"),
    "bool": Literal("any", "true or false", "not true or false"),
    "date": Literal("date", "an ISO 8601 date", _DAY, hints=("if_year_is_last", "if_time_of_day")),
    "time": _TIME,
    "timetz": replace(_TIME, form="timetz"),
    "timestamp": replace(_MOMENT, form="timestamp", noun="an ISO 8601 timestamp without an offset"),
    "timestamptz": _MOMENT,
    "interval": Literal(
        "interval",
        "an interval",
        "no value of type {type}",
        "more than {type} holds",
        ("if_no_unit", "if_month_or_minute", "if_more_digits"),
    ),
    "uuid": Literal("uuid", "a UUID", "not a UUID"),
    "bytea": Literal("bytea", "bytes in hexadecimal after \\x", "not bytes in hexadecimal"),
    "cidr": Literal("cidr", "a network and its mask", "no value of type {type}"),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "char"), _TEXT),
}
_CUT = {"name", "char", "money"}  # types that silently take less than they are given
_FLOATS = {"float4": 8, "float8": 16}  # any whole number of fewer digits is kept
_MOST_DIGITS = 6  # of a second


def literal_of(column: Column) -> Literal:
    """Return the form and the words for a column's type."""
    if column.labels:
        noun = "one of " + ", ".join(column.labels)
        return Literal("any", noun, f"not {noun}")
    other = Literal("any", f"a value of type {column.type}", "no value of type {type}")
    found = _LITERALS.get(column.base, other) if not column.parts else other
    return replace(found, beyond=other.beyond, loss=None) if column.is_domain else found


def always_valid(column: Column) -> bool:
    """Return whether any text is a value of the column."""
    return column.type in ("text", "character varying")


def is_tidied(column: Column) -> bool:
    """Return whether blanks around a cell do not belong to the value."""
    return column.category != "S" and column.base not in ("char", "json", "xml")


def form_of(column: Column, cell: sql.Composable) -> sql.Composed:
    """SQL: the cell has the canonical form of the column's type."""
    return query(f"literals.{literal_of(column).form}", cell=cell, digits=_digits(column))


def pattern_of(column: Column) -> str | None:
    """Return the regular expression that is all of the column's form, if it is only one."""
    form = "".join(each.string for each in form_of(column, _CELL).seq if isinstance(each, sql.SQL))
    found = re.search(r" ~ '\^([^']*)\$'$", form)
    return found[1] if found else None


def valid_literal(column: Column, cell: sql.Composable, as_written: bool = False) -> sql.Composed:
    """SQL: the cell (not null) is a value of the column, in canonical form, and nothing is lost.

    With `as_written` Postgres itself wrote the cell, in any of its forms.
    """
    return _all([_readable(column, cell), *_conditions(column, cell, as_written)])


def tidied(column: Column, cell: sql.Composable, blank_is_null: bool) -> sql.Composed:
    """SQL: the cell without what adds nothing to its value; unchanged if it is no value."""
    tidy = query("literals.trimmed", cell=cell)
    if column.base in INTEGERS:
        tidy = query("literals.whole", cell=tidy)
    return query(
        "literals.tidied",
        cell=cell,
        tidy=tidy,
        valid=valid_literal(column, sql.Identifier("tidy", "cell")),
        blank=query("literals.blank") if blank_is_null else sql.SQL(""),
    )


def fault(column: Column, cell: sql.Composable, depth: int = 1) -> sql.Composed:
    """SQL: what is wrong with a cell that is not a valid literal, as the end of a sentence.

    `depth` tells how deep the cell is within the value of a table's column.
    """
    words = literal_of(column)
    said = {"beyond": words.beyond, "loss": words.loss or "", "not_noun": f"not {words.noun}"}
    facts: dict[str, sql.Composable] = {
        name: sql.Literal(f"is {each}".replace("{type}", column.type))
        for name, each in said.items()
    }
    facts |= {"readable": _readable(column, cell), "cell": cell, "type": sql.Literal(column.type)}
    if holds := _part_holds(column, False, depth):
        found = [fault(each, cell, depth + 1) for each, cell in _parts(column, depth)]
        return query(
            "literals.part_fault",
            part=sql.Identifier(f"part{depth}", "cell"),
            parts=_taken_apart(column, cell, depth),
            holds=holds,
            fault=_of_part(column, found, depth),
            **facts,
        )
    no_value = query("literals.loss_or_beyond", **facts) if words.loss else facts["beyond"]
    cases = [
        query("literals.if_form", form=form_of(column, cell), found=no_value),
        *(query(f"literals.{each}", digits=_digits(column), **facts) for each in words.hints),
    ]
    return query("literals.fault", cases=sql.SQL("\n    ").join(cases), **facts)


def typed_value(
    column: Column, cell: sql.Composable, trusted: bool, as_written: bool = False
) -> sql.Composed:
    """SQL: the cell as a value of the column; NULL if it is none, unless all are `trusted`."""
    if trusted or always_valid(column):
        return query("literals.trusted", cell=cell, type=as_printed(column.type))
    found = valid_literal(column, cell, as_written)
    return query("literals.typed", cell=cell, type=as_printed(column.type), valid=found)


def equal_values(
    column: Column, one: sql.Composable, other: sql.Composable, nulls: bool = False
) -> sql.Composable:
    """SQL: two values of a column are equal by its type's rule; with `nulls` null equals null."""
    if column.equality is None:
        equals = sql.SQL("{} is not distinct from {}" if nulls else "{} = {}")
        return equals.format(one, other)
    equal = sql.SQL(" ").join([one, as_printed(column.equality), other])
    if not nulls:
        return equal
    return sql.SQL("({} or num_nulls({}, {}) = 2)").format(equal, one, other)


def distinct_values(column: Column, one: sql.Composable, other: sql.Composable) -> sql.Composable:
    """SQL: two values of a column differ by its type's rule, or one of them is null."""
    if column.equality is None:
        return sql.SQL("{} is distinct from {}").format(one, other)
    return sql.SQL("({}) is not true").format(equal_values(column, one, other))


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


def _digits(column: Column) -> sql.SQL:
    """SQL: how many digits of a second the column holds."""
    return sql.SQL(str(column.modifier if 0 <= column.modifier <= _MOST_DIGITS else _MOST_DIGITS))


def _readable(column: Column, cell: sql.Composable) -> sql.Composed:
    """SQL: Postgres can read the cell as a value of the column."""
    return query("literals.readable", cell=cell, type=sql.Literal(column.type))


def _all(conditions: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("({})").format(_AND.join(map(sql.SQL("({})").format, conditions)))


def _conditions(
    column: Column, cell: sql.Composable, as_written: bool, depth: int = 1
) -> list[sql.Composed]:
    """SQL: what holds for a value of the column besides that Postgres can read it.

    `depth` tells how deep the cell is within the value of a column of a table.
    """
    if column.parts:
        parts, holds = _taken_apart(column, cell, depth), _part_holds(column, as_written, depth)
        fits = query("literals.fits_parts", parts=parts, holds=holds) if holds else None
        if fits and column.element in INTEGERS:
            fits = query("literals.fits_integers", cell=cell, fits=fits)
        return [fits] if fits else []
    has_form = as_written or literal_of(column).form == "any"
    return ([] if has_form else [form_of(column, cell)]) + _fits(column, cell, as_written)


def _fits(column: Column, cell: sql.Composable, as_written: bool) -> list[sql.Composed]:
    base, modifier = column.base, column.modifier
    if base in ("varchar", "bpchar") and modifier > 0:
        return [query("literals.fits_length", cell=cell, length=sql.Literal(modifier - 4))]
    if base == "numeric" and column.digits:
        return [query("literals.fits_scale", cell=cell, scale=sql.Literal(column.digits[1]))]
    if as_written:
        return []
    if base in _FLOATS:
        digits = sql.Literal(_FLOATS[base])
        return [query("literals.fits_float", cell=cell, digits=digits, type=sql.SQL(base))]
    if base == "interval" and modifier >= 0:
        return [query("literals.fits_interval", cell=cell, type=as_printed(column.type))]
    return [query(f"literals.fits_{base}", cell=cell)] if base in _CUT else []


def _part_holds(column: Column, as_written: bool, depth: int) -> sql.Composable | None:
    """SQL: what holds for each part of a value; None if there are none, or of no conditions."""
    found = [_conditions(each, cell, as_written, depth + 1) for each, cell in _parts(column, depth)]
    if not any(found):
        return None
    joined = [_all(each) if each else None for each in found]
    holds, match = _of_part(column, joined, depth), sql.Identifier(f"match{depth}")
    return holds if column.kind == "a" else query("literals.member_holds", match=match, holds=holds)


def _of_part(column: Column, found: Sequence[sql.Composable | None], depth: int) -> sql.Composable:
    """SQL: what was found for a part: by its place in a composite, in others all are alike."""
    if column.kind != "c":
        assert found[0] is not None
        return found[0]
    cases = [
        query("literals.of_field", place=sql.Literal(place), found=each)
        for place, each in enumerate(found, 1)
        if each is not None
    ]
    match = sql.Identifier(f"match{depth}")
    return query("literals.of_fields", match=match, cases=sql.SQL(" ").join(cases))


def _parts(column: Column, depth: int) -> list[tuple[Column, sql.Composable]]:
    """Return what a text is taken apart into, with the cell of each; several ranges are taken apart
    into the bounds of all.
    """
    parts = column.parts[0].parts if column.kind == "m" else column.parts
    cell = sql.Identifier(f"part{depth}", "cell")
    trimmed = query("literals.trimmed", cell=cell)
    return [(each, trimmed if is_tidied(each) else cell) for each in parts]


def _taken_apart(column: Column, cell: sql.Composable, depth: int) -> sql.Composed:
    """SQL: the parts of a value, one per row."""
    part, match = sql.Identifier(f"part{depth}"), sql.Identifier(f"match{depth}")
    name = "elements" if column.kind == "a" else "members"
    return query(f"literals.{name}", cell=cell, part=part, match=match)
