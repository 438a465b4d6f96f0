"""Filters on rows: the catalog gives the operators of a column, the database checks the values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, Table
from rowboat.database.connections import Cursor
from rowboat.database.statements import as_printed, query

Fault = dict[str, str | None]
_SIGNS = {"eq": "=", "ne": "is distinct from", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
# B boolean, D times, E enum, I network, N number, R range, S string, T interval, V bit string
_SORTED = "BDEINRSTV"  # categories of types (pg_type) whose values can be compared
_SORTED_TOO = {"uuid", "bytea"}
_SHOWN = 80  # characters of a text that a message quotes


@dataclass(frozen=True)
class Filter:
    """A condition on a column, from one parameter; `in` has several values."""

    parameter: str
    column: Column
    operator: str
    values: tuple[str, ...]

    @property
    def condition(self) -> sql.Composable:
        """SQL: the row t passes the filter."""
        its = sql.Identifier("t", self.column.name)
        if self.operator == "null":
            return query(
                "rows.is_null" if self.values == ("true",) else "rows.is_given", column=its
            )
        if self.operator == "prefix":
            return query("rows.begins", column=its, value=sql.Literal(self.values[0]))
        values = [filter_value(self.column, each) for each in self.values]
        if self.operator == "in":
            return query("rows.among", column=its, values=sql.SQL(", ").join(values))
        sign = sql.SQL(_SIGNS[self.operator])
        return query("rows.compared", column=its, sign=sign, value=values[0])

    @property
    def judged(self) -> bool:
        """Whether the database must check that the values are values of the column's type."""
        return self.operator in (*_SIGNS, "in") and not literals.always_valid(self.column)


@dataclass(frozen=True)
class FilterCells:
    """Texts that must be values of a column's type; `as_written` if Postgres wrote them."""

    parameter: str
    column: Column
    texts: tuple[str, ...]
    as_written: bool = False


def operators_of(column: Column) -> tuple[str, ...]:
    """Return the filter operators of a column."""
    compared = (*_SIGNS, "in") if is_comparable(column) else ()
    return (*compared, *(("prefix",) if column.category == "S" else ()), "null")


def is_comparable(column: Column) -> bool:
    """Return whether rows can be compared and ordered by a column."""
    return column.category in _SORTED or column.base in _SORTED_TOO


def filter_value(column: Column, text: str) -> sql.Composed:
    """SQL: a text that is known to be a value of the column."""
    return query("literals.trusted", cell=sql.Literal(text), type=as_printed(column.type))


def find_filter(table: Table, parameter: str) -> tuple[Column, str] | None:
    """Return the column and operator that a parameter names: `column` or `column.operator`."""
    if parameter in table.by_name:
        return table.by_name[parameter], "eq"
    name, _, operator = parameter.rpartition(".")
    return (table.by_name[name], operator) if name in table.by_name else None


def read_filter(table: Table, parameter: str, text: str) -> Filter | Fault:
    """Return the filter of a parameter, or a fault; its values are not checked yet."""
    found = find_filter(table, parameter)
    if found is None:
        return parameter_fault(
            parameter, "shape", f"{table.full_name} has no column {shown_text(parameter)}"
        )
    column, operator = found
    if operator not in operators_of(column):
        known = ", ".join(operators_of(column))
        message = f"{column.name} takes the operators {known}; not {shown_text(operator)}"
        return parameter_fault(parameter, "shape", message)
    if not is_encodable(text):
        return parameter_fault(parameter, "encoding", f"the value of {parameter} is not valid text")
    if operator == "null" and text not in ("true", "false"):
        return parameter_fault(parameter, "type", f"{shown_text(text)} is not true or false")
    # A comma inside a value of `in` is not supported; `eq` takes any text.
    values = tuple(text.split(",")) if operator == "in" else (text,)
    return Filter(parameter, column, operator, values)


def judge_filters(cursor: Cursor, given: Iterable[FilterCells]) -> list[Fault]:
    """Return a fault for each text that is not a value of its column, from one query.

    The query does not fail for any text, so the transaction stays usable.
    """
    cells = list(given)
    if not cells:
        return []
    parts = [_unfit(place, each) for place, each in enumerate(cells)]
    cursor.execute(sql.SQL(" union all ").join(parts))
    return [
        parameter_fault(cells[place].parameter, "type", message)
        for place, message in sorted(cursor.fetchall())
    ]


def parameter_fault(parameter: str, rule: str, message: str) -> Fault:
    """Return a fault in the form that all errors of the API have."""
    return {"row": None, "column": shown_text(parameter, ""), "rule": rule, "message": message}


def is_encodable(text: str) -> bool:
    """Return whether Postgres can store a text: no NUL, no unpaired surrogate."""
    return "\x00" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def shown_text(text: str, quote: str = "'") -> str:
    """Return untrusted text for a message: at most 80 characters, encodable, in quotes."""
    some = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return quote + some.encode(errors="replace").decode().replace("\x00", "?") + quote


def all_conditions(found: Sequence[sql.Composable]) -> sql.Composable:
    """SQL: all conditions hold."""
    return sql.SQL(" and ").join(found) if found else sql.SQL("true")


def _unfit(place: int, each: FilterCells) -> sql.Composed:
    cell = sql.Identifier("v", "cell")
    # The message is the judge's own, so that a filter and a load say the same about a value.
    message = query(
        "judge.type_message",
        cell=cell,
        whole=sql.SQL("true"),
        more=sql.SQL("null"),
        fault=literals.fault(each.column, cell),
    )
    return query(
        "rows.unfit",
        place=sql.Literal(place),
        message=message,
        cells=sql.Literal(list(each.texts)),
        valid=literals.valid_literal(each.column, cell, each.as_written),
    )
