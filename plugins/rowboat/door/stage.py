"""Stages rows in temporary tables of the session, where SQL can judge them in sets."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psycopg2
from psycopg2 import sql

from rowboat.catalog.literals import equal_values
from rowboat.catalog.tables import Table
from rowboat.csvfile.records import Reason
from rowboat.csvfile.typed_cells import IntegerKeys, is_wide, may_be_typed
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import as_printed, query
from rowboat.errors import BrokenPromise, PartLost

NAME = sql.Identifier("pg_temp", "stage")
_AT_ONCE = 2**20  # bytes that COPY asks for
_LARGE = 10_000  # rows of a stage
_COMMA = sql.SQL(", ")
_STAGE, _INTAKE = sql.SQL("pg_temp.stage"), sql.SQL("pg_temp.intake")
_IN_ARRAY = 32  # cells: each is found by walking over those before it


@dataclass(frozen=True)
class Refused:
    """A row that could not be staged: its line, its original bytes, the reasons."""

    line: int
    raw: bytes
    reasons: list[Reason]


class Readable(Protocol):
    """An open source of bytes, from which COPY reads."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and none at the end."""
        ...


class _FailureKept:
    """Keeps the exception of a reader: the driver replaces it by an error of its own."""

    def __init__(self, content: Readable) -> None:
        self._content = content
        self.failure: Exception | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._content.read(size)
        except Exception as error:
            self.failure = error
            raise


@dataclass(frozen=True)
class Staged:
    """Rows of a part: in a table of their own, their cells and CHECKs judged.

    `before` is the number of the row before the first one.
    """

    table: sql.Identifier
    before: int


@dataclass
class Cargo:
    """The rows of one passage through the door, from any source.

    `content` has `staged` rows of `columns`, numbered from 0. It opens CSV if there is a
    `delimiter`, otherwise COPY's binary format; or it names the table of a part. In binary the
    `typed` columns are values of their types, and the others text. In CSV the `plain` columns are
    values, except for `odd` cells: these are empty in the content, and their text is given as
    column → number of the row → text.

    `keys` sums up an integer key if it was read. `origin` returns the line and the original bytes
    of a row; None if what is on the stage is the original. `refused` are rows that could not be
    staged; `reasons` are the faults that were found in staged rows when they were read, by number.
    `rejected_ids` are the IDs of the quarantined rows that are judged again, one for each staged
    row; None if the rows are new. `arrived` are the numbers (from 1) of the staged rows that an
    earlier version of their file did not have; None for all.
    """

    columns: tuple[str, ...]
    content: Callable[[], Readable] | Staged
    staged: int
    delimiter: str | None = None
    origin: Callable[[int], tuple[int, bytes]] | None = None
    typed: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    odd: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    keys: IntegerKeys | None = None
    refused: list[Refused] = field(default_factory=list)
    reasons: dict[int, list[Reason]] = field(default_factory=dict)
    rejected_ids: list[int] | None = None
    arrived: list[int] | None = None

    @property
    def read(self) -> int:
        """Number of rows, staged or refused."""
        return self.staged + len(self.refused)


def build_stage(
    cursor: Cursor, table: Table, columns: tuple[str, ...], typed: frozenset[str] = frozenset()
) -> None:
    """Create the session's temporary tables for rows of these columns, or empty those it has.

    They are kept from one cargo to the next: creating tables costs more than emptying them. A
    column whose values may be recognised as such (`plain`) has one column for text, one for values.
    Rows of very many columns have their cells in arrays of text.
    """
    cells = declare_columns(stage_columns(table, columns, typed))
    key = [
        sql.SQL("{} {}").format(key_name(index), as_printed(table.by_name[name].type))
        for index, name in enumerate(table.key.columns if table.key else ())
    ]
    key_ = _COMMA.join(key)
    keys = sql.SQL("").join(sql.SQL(", ") + each for each in key)
    form = _COMMA.join([cells, key_])
    if is_wide(columns):
        taken_in = _separate_cells(table, columns, typed)
        form = _COMMA.join([form, declare_columns(taken_in)])
    # the form is kept as the comment of the stage: the session's memory of what it has built
    said = sql.Literal(form.as_string(cursor))
    cursor.execute(query("stage.is_built", form=said))
    if fetch_one(cursor)[0]:
        cursor.execute(query("stage.renew"))
        return
    cursor.execute(query("stage.build", cells=cells, key=key_, keys=keys, form=said))
    if is_wide(columns):
        _build_intake(cursor, taken_in)


def stage_columns(
    table: Table, columns: tuple[str, ...], typed: frozenset[str] = frozenset()
) -> list[tuple[sql.Identifier, str]]:
    """Return the stage's columns and how they are declared: first the cells, then those for the
    values of cells that are text.
    """
    if is_wide(columns):
        # `main`: compressed within the page first, which is four times as fast to read as TOAST
        firsts = range(0, len(columns), _IN_ARRAY)
        return [(array_name(first), "text[] storage main") for first in firsts]
    by_name = table.by_name
    return _separate_cells(table, columns, typed) + [
        (value_name(index), by_name[name].type)
        for index, name in enumerate(columns)
        if name not in typed and may_be_typed(by_name[name])
    ]


def _separate_cells(
    table: Table, columns: tuple[str, ...], typed: frozenset[str]
) -> list[tuple[sql.Identifier, str]]:
    return [
        (cell_name(index), table.by_name[name].type if name in typed else "text")
        for index, name in enumerate(columns)
    ]


def _build_intake(cursor: Cursor, cells: list[tuple[sql.Identifier, str]]) -> None:
    nulls = [sql.SQL("null::{} as {}").format(as_printed(type_), name) for name, type_ in cells]
    texts = [sql.SQL("new.{}::text").format(name) for name, _ in cells]
    firsts = range(0, len(cells), _IN_ARRAY)
    arrays = [
        sql.SQL("array[{}]").format(_COMMA.join(texts[first : first + _IN_ARRAY]))
        for first in firsts
    ]
    names = _COMMA.join(map(array_name, firsts))
    body = query("stage.take_in", arrays=names, cells=_COMMA.join(arrays))
    cursor.execute(
        query("stage.build_intake", nulls=_COMMA.join(nulls), body=sql.Literal(cursor.shown(body)))
    )


def declare_columns(columns: Sequence[tuple[sql.Identifier, str]]) -> sql.Composed:
    """SQL: columns and their types, as `create table` has them."""
    return _COMMA.join(sql.SQL("{} {}").format(name, as_printed(type_)) for name, type_ in columns)


def fill_stage(cursor: Cursor, table: Table, cargo: Cargo) -> None:
    """Empty the stage and copy the cargo in; raises PartLost if the rows of a part are gone."""
    cursor.execute(query("stage.clear"))
    if not cargo.staged:
        return
    if isinstance(cargo.content, Staged):
        _fill_from(cursor, table, cargo, cargo.content)
        return
    cells = [
        value_name(index) if name in cargo.plain else cell_name(index)
        for index, name in enumerate(cargo.columns)
    ]
    names = _COMMA.join(cells)
    if cargo.delimiter is None:
        into = _INTAKE if is_wide(cargo.columns) else _STAGE
        statement = query("stage.fill_binary", stage=into, cells=names)
    else:
        statement = _fill_csv(table, cargo, cells)
    content = _FailureKept(cargo.content())
    try:
        cursor.copy_expert(statement, content, size=_AT_ONCE)
    except psycopg2.Error:
        if content.failure:
            raise content.failure from None
        raise
    # verdicts, lines and bytes find their rows by number: one row too many would shift them all
    if cursor.rowcount != cargo.staged:
        raise BrokenPromise(
            f"{cargo.staged} rows were sent to the stage, {cursor.rowcount} arrived"
        )
    if cargo.odd:
        _put_odd(cursor, cargo)
    if cargo.reasons:
        _keep_reasons(cursor, cargo)


def _fill_from(cursor: Cursor, table: Table, cargo: Cargo, part: Staged) -> None:
    rows = {"before": part.before, "last": part.before + cargo.staged}
    cells = _COMMA.join(name for name, _ in stage_columns(table, cargo.columns))
    cursor.execute(query("stage.fill_from", cells=cells, part=part.table), rows)
    if cursor.rowcount != cargo.staged:
        raise PartLost
    cursor.execute(query("stage.tell", part=part.table), rows)


def _put_odd(cursor: Cursor, cargo: Cargo) -> None:
    """Add the text of odd cells, whose values are still empty."""
    cells = {column: cell_name(cargo.columns.index(column)) for column in cargo.odd}
    found: dict[int, dict[str, str | int]] = defaultdict(dict)
    for column, cell in cells.items():
        for n, text in cargo.odd[column].items():
            found[n] |= {"n": n + 1, cell.strings[0]: text}
    changes = _COMMA.join(
        sql.SQL("{} = {}").format(cell, sql.Identifier("o", *cell.strings))
        for cell in cells.values()
    )
    form = declare_columns([(cell, "text") for cell in cells.values()])
    cursor.execute(
        query("stage.put_odd", changes=changes, form=form),
        {"found": json.dumps([*found.values()])},
    )


def _keep_reasons(cursor: Cursor, cargo: Cargo) -> None:
    """Record faults that were found while reading, ordered before all that the judge finds."""
    found = [
        {"n": n + 1, "place": place - len(reasons)} | reason.to_json()
        for n, reasons in cargo.reasons.items()
        for place, reason in enumerate(reasons)
    ]
    cursor.execute(query("stage.keep_reasons"), {"found": json.dumps(found)})


def drop_repeated_verdicts(cursor: Cursor) -> None:
    """Drop the judge's verdicts on cells whose type was found wrong when they were read."""
    cursor.execute(query("stage.tell_once"))


def go_on_with_rest(cursor: Cursor) -> None:
    """Make the rows in `rest` the stage."""
    cursor.execute(query("stage.change_over"))


def set_stage_aside(cursor: Cursor, number: int) -> None:
    """Keep the rows of the stage under another name while other tables are staged."""
    cursor.execute(query("stage.set_aside", aside=_aside(number)))


def take_stage_up(cursor: Cursor, number: int) -> None:
    """Make rows that were set aside the stage again; it must be built for their columns."""
    cursor.execute(query("stage.take_up", aside=_aside(number)))


def name_stage_aside(number: int) -> sql.Identifier:
    """Return the name of a stage that was set aside."""
    return sql.Identifier("pg_temp", *_aside(number).strings)


def _aside(number: int) -> sql.Identifier:
    return sql.Identifier(f"rowboat_stage_{number}")


def _fill_csv(table: Table, cargo: Cargo, cells: list[sql.Identifier]) -> sql.Composed:
    # COPY takes a quoted empty field for an empty text, which no other type has
    plain = [
        cell
        for cell, name in zip(cells, cargo.columns, strict=True)
        if not table.by_name[name].is_text
    ]
    force_null = query("stage.force_null", cells=_COMMA.join(plain)) if plain else sql.SQL("")
    return query(
        "stage.fill_csv",
        stage=_INTAKE if is_wide(cargo.columns) else _STAGE,
        cells=_COMMA.join(cells),
        delimiter=sql.Literal(cargo.delimiter),
        force_null=force_null,
    )


def cell_name(index: int) -> sql.Identifier:
    """Return the name of the stage's column for the cells of a cargo's nth column."""
    return sql.Identifier(f"c{index}")


def array_name(index: int) -> sql.Identifier:
    """Return the name of the column that has the cell of a cargo's nth column, if it is wide."""
    return sql.Identifier(f"a{index // _IN_ARRAY}")


def cell_in_array(index: int) -> sql.Composed:
    """SQL: the column and the place in it where the cell of a wide cargo's nth column is."""
    place = sql.SQL(str(index % _IN_ARRAY + 1))
    return sql.SQL("{}[{}]").format(array_name(index), place)


def value_name(index: int) -> sql.Identifier:
    """Return the name of the stage's column for the values of a cargo's nth column."""
    return sql.Identifier(f"v{index}")


def key_name(index: int) -> sql.Identifier:
    """Return the name of the column of `seen` and `match` for the nth column of the key."""
    return sql.Identifier(f"k{index}")


def same_key(table: Table, cells: Sequence[sql.Composable]) -> sql.Composed:
    """SQL: the key in `seen` (as e) equals the given values."""
    assert table.key is not None
    keys = [sql.SQL("e.{}").format(key_name(index)) for index, _ in enumerate(cells)]
    return sql.SQL(" and ").join(
        equal_values(table.by_name[name], key, cell)
        for name, key, cell in zip(table.key.columns, keys, cells, strict=True)
    )


def prefer_set_lookups(cursor: Cursor, rows: int) -> None:
    """Let the rows of a large stage be looked up all at once, those of a small one one by one.

    The stage has no statistics, and the planner would take it for small. With 0 rows the planner
    decides by itself again.
    """
    allowed = "off" if rows > _LARGE else "on"
    cursor.execute(query("stage.think_in_sets", allowed=sql.SQL(allowed)))


def count_refused(cursor: Cursor) -> int:
    """Return how many rows of the stage have a verdict."""
    cursor.execute(query("stage.count_refused"))
    found: int = fetch_one(cursor)[0]
    return found
