"""Judges staged rows: every row, every rule, set by set, in SQL.

A verdict is (row, rule, column, sentence); a row gets all of its reasons. What a rule needs is
read from the catalog, so a new table brings its own rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, ForeignKey, Unique
from rowboat.database.connections import Cursor
from rowboat.database.statements import as_printed, query
from rowboat.door import stage
from rowboat.door.context import Judged, StagedRows, Terms
from rowboat.door.match import match_keys
from rowboat.door.staged_columns import SHOWN, Sql, StagedColumns

Constraint = TypeVar("Constraint", ForeignKey, Unique)

_COMMA, _AND, _OR, _CONCAT = sql.SQL(", "), sql.SQL(" and "), sql.SQL(" or "), sql.SQL(" || ")
_LINES, _OR_LINES = sql.SQL(",\n    "), sql.SQL("\n    or ")  # of a list that people read
_OTHER_ROW = "belongs to another row"
_RULES = ("required", "type", "check", "reference", "duplicate")  # in the order of reasons


@dataclass(frozen=True)
class _Rule(Generic[Constraint]):
    """One rule: to which constraints it applies, and the statement that finds the rows that break
    it. `depends` is true if refusing other rows of the stage may make more rows break it.
    """

    applies: Callable[[StagedRows, Constraint], bool]
    check: Callable[[StagedRows, Constraint], Sql]
    depends: Callable[[StagedRows, Constraint], bool] = lambda *_: False


@dataclass(frozen=True)
class _Check:
    """One rule for one constraint of a table, as a statement that writes verdicts."""

    statement: Sql
    depends: bool


def judge_cargo(cursor: Cursor, terms: Terms, columns: StagedColumns) -> Judged:
    """Write into `verdict` every reason of every row on the stage, and into `match` the rows whose
    key the table has; return what was found.

    The order matters. Cells come first: values can be cast cheaply once it is known which columns
    have faulty cells. Matching is next, as it takes rows off the stage that equal the table's. A
    key that occurs more than once belongs to the first row that is good, so its rule follows all
    those that judge a row by itself or by the table.
    """
    stage.prefer_set_lookups(cursor, terms.staged)
    if terms.judged_alone:
        columns = columns.doubting(_dirty_columns(cursor))
    else:
        columns = _judge_cells(cursor, columns)
    rows = match_keys(cursor, terms, columns)
    if not terms.judged_alone:
        _judge_checks(cursor, columns)
    checks, values = _checks_of(rows), _values(rows)
    for check in checks:
        cursor.execute(check.statement, values)
    refused = stage.count_refused(cursor)
    refused = _refuse_dependents(cursor, checks, values, refused)
    stage.prefer_set_lookups(cursor, 0)
    return Judged(rows, refused)


def judge_rows_alone(cursor: Cursor, columns: StagedColumns) -> None:
    """Write into `verdict` what each row of the stage shows by itself: cells and CHECKs."""
    _judge_checks(cursor, _judge_cells(cursor, columns))


def _checks_of(rows: StagedRows) -> list[_Check]:
    """Return the checks of a table's constraints that apply to the staged rows, in order."""
    table = rows.terms.table
    return [
        *_checks_of_kind(rows, table.judged_references, _FOREIGN_KEY_RULES),
        *_checks_of_kind(rows, [table.key] if table.key else [], _KEY_RULES),
        *_checks_of_kind(rows, table.uniques, _UNIQUE_RULES),
    ]


def _checks_of_kind(
    rows: StagedRows, constraints: Sequence[Constraint], rules: Sequence[_Rule[Constraint]]
) -> list[_Check]:
    return [
        _Check(rule.check(rows, each), rule.depends(rows, each))
        for each in constraints
        for rule in rules
        if rule.applies(rows, each)
    ]


def _values(rows: StagedRows) -> dict[str, Any]:
    """Return the values that any of the checks may take."""
    return {
        "refuse": rows.terms.on_known == "refuse",
        "rejected_ids": rows.terms.rejected_ids,
        "repeated": rows.keys and rows.keys.repeated,
    }


def _refuse_dependents(
    cursor: Cursor, checks: Sequence[_Check], values: dict[str, Any], refused: int
) -> int:
    """Repeat the checks that depend on verdicts until they refuse no more rows; return how many
    rows are refused then.

    Refusing a row may break a rule for others: those that refer to it, and those that take a unique
    value that it was to give up. It ends, as verdicts are never withdrawn: each round but the last
    refuses at least one more of finitely many rows. Most cargoes have no such rule, or no refused
    row, and need no round at all.
    """
    dependent = [check for check in checks if check.depends]
    before = 0
    while dependent and refused > before:
        before = refused
        for check in dependent:
            cursor.execute(check.statement, values)
        refused = stage.count_refused(cursor)
    return refused


def _judge_cells(cursor: Cursor, columns: StagedColumns) -> StagedColumns:
    """Judge every cell by itself; return the columns, which are doubtful only if a cell is faulty.

    All columns are judged in one pass over the stage, which brings odd cells into a form that
    Postgres takes if they mean one thing only.
    """
    reasons, broken, changes = [], [], []
    for name in columns.names:
        column, cell = columns.table.by_name[name], columns.raw(name)
        has_text = name not in columns.typed and (name not in columns.plain or name in columns.odd)
        if column.not_null:
            is_missing = query("judge.is_missing", cell=columns.brought(name))
            message = sql.Literal(f"{name} is empty")
            reasons.append(_reason(columns, "required", name, message, is_missing))
            broken.append(is_missing)
        if has_text and not literals.always_valid(column):
            valid = literals.valid_literal(column, cell, columns.as_written)
            # A backup's text was written by Postgres, so its form is never in doubt. But the column
            # may have had a wider type then, and a cast would silently drop what it cannot hold.
            if columns.as_written:
                valid = query("judge.valid_whole", valid=valid, whole=_whole(column, cell))
            elif literals.is_tidied(column):
                change = literals.tidied(column, cell, columns.origin == "file")
                changes.append(sql.SQL("{} = {}").format(columns.stage_name(name), change))
            is_no_value = query("judge.is_no_value", cell=cell, valid=valid)
            message_ = _type_message(columns, column, cell)
            reasons.append(_reason(columns, "type", name, message_, is_no_value))
            broken.append(is_no_value)
    if not reasons:  # every cell is known to be a value: no pass over the stage is needed
        return columns.doubting(())
    parts: dict[str, Sql] = {"broken": _OR_LINES.join(broken)}
    odd = query("judge.tidied", changes=_LINES.join(changes), **parts) if changes else None
    odd = odd or query("judge.odd", **parts)
    cursor.execute(query("judge.cells", reasons=_LINES.join(reasons), odd=odd))
    return columns.doubting(_dirty_columns(cursor) if cursor.rowcount else ())


def _dirty_columns(cursor: Cursor) -> list[str]:
    cursor.execute(query("judge.dirty_columns"))
    return [name for (name,) in cursor.fetchall()]


def _whole(column: Column, cell: Sql) -> Sql:
    """SQL: nothing of the text gets lost where its column was of another type when it was written:
    no time of day, no part of a second; NaN, which no digits can hold, is no number.
    """
    wide = {"date": "timestamp", "timestamp": "timestamp", "timestamptz": "timestamptz"}
    if column.modifier >= 0:
        wide |= {each: each for each in ("time", "timetz", "interval")}
    if column.base in wide:
        names = wide[column.base], column.type
        return query(
            "judge.same_time",
            cell=cell,
            **dict(zip(("wide", "type"), map(as_printed, names), strict=True)),
            **dict(zip(("wide_name", "type_name"), map(sql.Literal, names), strict=True)),
        )
    if column.base == "numeric" and column.digits:
        return query("judge.has_digits", cell=cell)
    return sql.SQL("true")


def _type_message(columns: StagedColumns, column: Column, cell: Sql) -> Sql:
    return query(
        "judge.type_message",
        cell=cell,
        whole=_whole(column, cell) if columns.as_written else sql.SQL("true"),
        more=sql.Literal(f"is more than {column.type} holds"),
        fault=literals.fault(column, cell),
    )


def _judge_checks(cursor: Cursor, columns: StagedColumns) -> None:
    checks = [check for check in columns.table.checks if set(check.columns) & set(columns.names)]
    if not checks:
        return
    # A CHECK names columns without an alias, so its expression, as the catalog prints it, is run
    # over a subquery that has the cast values under these names.
    names = sorted({name for check in checks for name in check.columns})
    values = [
        sql.SQL("{} as {}").format(columns.value(name), sql.Identifier(name)) for name in names
    ]
    broken = [query("judge.is_false", expression=as_printed(check.expression)) for check in checks]
    reasons = [
        _reason(columns, "check", check.columns[0], sql.Literal(check.message), is_false)
        for check, is_false in zip(checks, broken, strict=True)
    ]
    cursor.execute(
        query(
            "judge.checks",
            values=_COMMA.join(values),
            reasons=_LINES.join(reasons),
            broken=_OR_LINES.join(broken),
        )
    )


def _is_covered(rows: StagedRows, constraint: ForeignKey | Unique) -> bool:
    return rows.columns.cover(constraint.columns)


def _is_within_table(rows: StagedRows, key: ForeignKey) -> bool:
    """Return whether rows of the stage may be the parents of others."""
    return key.parent == rows.terms.table.full_name and rows.columns.cover(key.parent_columns)


def _reference(rows: StagedRows, key: ForeignKey) -> Sql:
    """SQL: refuse rows whose parent is neither in its table nor, for the table itself, a good row
    of the stage.
    """
    terms, columns = rows.terms, rows.columns
    parents = [sql.Identifier("p", name) for name in key.parent_columns]
    pairs = zip(key.parent_columns, key.columns, strict=True)
    wanted = sql.SQL(" || ', ' || ").join(
        sql.SQL("{} || left({}, {})").format(
            sql.Literal(f"{parent} "), columns.said(name), sql.Literal(SHOWN)
        )
        for parent, name in pairs
    )
    parts = {
        "place": _place(columns, key.columns[0], "reference"),
        "column": sql.Literal(", ".join(key.columns)),
        "message": _CONCAT.join([sql.Literal(f"{key.parent} has no "), wanted, *_ring(key)]),
        "given": columns.given(key.columns),
        "parent": terms.parents.get(key.parent, key.parent_identifier),
        "joined": columns.joined(key.columns, parents),
    }
    if key.period:
        parts["joined"] = columns.joined(key.columns[:-1], parents[:-1])
        parts |= {"parents": parents[-1], "period": columns.value(key.columns[-1])}
        return query("judge.period_reference", **parts)
    if not _is_within_table(rows, key):
        return query("judge.reference", **parts)
    # In a restore, rows of the table that the backup lacks are deleted at the end: they are in the
    # table now, but must not count as parents.
    if terms.gone:
        parts["parent"] = query("judge.staying", table=key.parent_identifier, stays=_stays(terms))
    parts["own_key"] = _key_value(columns, key.parent_columns)
    parts["child_key"] = _key_value(columns, key.columns)
    return query("judge.own_reference", **parts)


def _ring(key: ForeignKey) -> list[Sql]:
    """SQL: what to do if neither the row nor its parent can be loaded first."""
    if not key.ring:
        return []
    names = sorted(key.ring)
    tables = f"{', '.join(names[:-1])} and {names[-1]}"
    return [
        sql.Literal(
            f"; rows of {tables} require each other, and no file or request can bring both: "
            "insert those that do so in one transaction of SQL"
        )
    ]


def _halves(rows: StagedRows, key: ForeignKey) -> Sql:
    """SQL: refuse rows that name only a part of a parent's key if it is all or nothing."""
    message = f"{' and '.join(key.columns)} are given together or not at all"
    return query(
        "judge.halves",
        place=_place(rows.columns, key.columns[0], "reference"),
        column=sql.Literal(", ".join(key.columns)),
        message=sql.Literal(message),
        values=_COMMA.join(map(rows.columns.value, key.columns)),
    )


def _key_value(columns: StagedColumns, names: tuple[str, ...]) -> Sql:
    return sql.SQL("jsonb_build_array({})").format(_COMMA.join(map(columns.value, names)))


def _known(rows: StagedRows, key: Unique) -> Sql:
    """SQL: refuse rows whose key the table has, if they may not update it."""
    terms = rows.terms
    # A row from the quarantine is older than what has reached the table since.
    again = terms.rejected_ids is not None
    taken = terms.on_known == "refuse" or again
    where = "is already in the table" if taken else _earlier(terms)
    newer = query("judge.newer") if again else sql.SQL("false")
    return query("judge.known", newer=newer, **_duplicate(rows, key, where))


def _repeated(rows: StagedRows, unique: Unique) -> Sql:
    """SQL: refuse all but the first good row of those with the same key, or other unique value."""
    columns, is_key = rows.columns, unique == rows.terms.table.key
    given = columns.given(unique.columns)  # NULL differs from NULL, unless the constraint says not
    values = _COMMA.join(map(columns.value, unique.columns))
    other_row: Sql = sql.SQL("true")
    if is_key:
        duplicate = _duplicate(rows, unique, _earlier(rows.terms))
        duplicate["message"] = _CONCAT.join([duplicate["message"], _compared(columns)])
    else:
        duplicate = _duplicate(rows, unique, _OTHER_ROW)
        other_row = _other_row(columns, lambda name: columns.value(name, "f"))
    # To compare every row with every other would be quadratic, so only rows whose value is known to
    # occur twice are compared: counted while reading, or else by one pass of grouping.
    among: Sql = sql.SQL("true")
    if is_key and rows.keys:
        among = query("judge.among_rows")
    elif not unique.nulls_equal and not any(
        columns.table.by_name[name].equality for name in unique.columns
    ):
        among = query("judge.among_keys", values=values, given=given)
    return query(
        "judge.repeated",
        values=values,
        given=sql.SQL("true") if unique.nulls_equal else given,
        among=among,
        other_row=other_row,
        **duplicate,
    )


def _compared(columns: StagedColumns) -> Sql:
    return query(
        "judge.compared",
        cells_here=_COMMA.join(columns.cell(name) for name in columns.names),
        cells_first=_COMMA.join(columns.cell(name, "f") for name in columns.names),
    )


def _taken(rows: StagedRows, unique: Unique) -> Sql:
    """SQL: refuse rows whose unique value another row of the table has."""
    terms, columns = rows.terms, rows.columns
    others = [sql.Identifier("t", name) for name in unique.columns]
    return query(
        "judge.taken",
        table=terms.table.identifier,
        joined=columns.joined(unique.columns, others, unique.nulls_equal),
        given=sql.SQL("true") if unique.nulls_equal else columns.given(unique.columns),
        other_row=_other_row(columns, lambda name: sql.Identifier("t", name)),
        stays=_AND.join([_stays(terms), _keeps(terms, unique)]),
        **_duplicate(rows, unique, _OTHER_ROW),
    )


def _stays(terms: Terms) -> Sql:
    """SQL: the row t of the table will not be deleted."""
    return query("judge.stays", gone=terms.gone) if terms.gone else sql.SQL("true")


def _keeps(terms: Terms, unique: Unique) -> Sql:
    """SQL: the row t of the table will not give up its value before the row of the stage is
    written: rows are updated first, then inserted. Among updates there is no order.
    """
    if not terms.exchanges:
        return sql.SQL("true")
    in_any_order = terms.displaces or unique.deferrable
    return query("judge.keeps", also=sql.SQL("false") if in_any_order else query("judge.updates"))


def _other_row(columns: StagedColumns, its: Callable[[str], Sql]) -> Sql:
    """SQL: a row whose columns are `its` has another key than the row of the stage."""
    key = columns.table.key
    if key is None or not columns.cover(key.columns):
        return sql.SQL("true")
    return _OR.join(
        literals.distinct_values(columns.table.by_name[name], its(name), columns.value(name))
        for name in key.columns
    )


def _duplicate(rows: StagedRows, unique: Unique, where: str) -> dict[str, Sql]:
    return {
        "place": _place(rows.columns, unique.columns[0], "duplicate"),
        "column": sql.Literal(", ".join(unique.columns)),
        "message": _CONCAT.join([rows.columns.shown(unique.columns), sql.Literal(f" {where}")]),
    }


def _earlier(terms: Terms) -> str:
    return f"occurs earlier in this {terms.origin}"


def _reason(columns: StagedColumns, rule: str, column: str, message: Sql, broken: Sql) -> Sql:
    return query(
        "judge.reason",
        place=_place(columns, column, rule),
        rule=sql.Literal(rule),
        column=sql.Literal(column),
        message=message,
        broken=broken,
    )


def _place(columns: StagedColumns, column: str, rule: str) -> Sql:
    """Return the position of a reason among those of its row: by column, then by rule."""
    names = columns.names
    at = names.index(column) if column in names else len(names)
    return sql.Literal(at * len(_RULES) + _RULES.index(rule))


_FOREIGN_KEY_RULES: tuple[_Rule[ForeignKey], ...] = (
    _Rule(applies=_is_covered, check=_reference, depends=_is_within_table),
    _Rule(
        applies=lambda rows, key: (
            key.all_or_none and not set(key.columns).isdisjoint(rows.columns.names)
        ),
        check=_halves,
    ),
)
_KEY_RULES: tuple[_Rule[Unique], ...] = (
    _Rule(applies=lambda rows, _: rows.matched > 0, check=_known),
    _Rule(
        # integer keys are counted while a file is read: without repeated ones nothing is to sort
        applies=lambda rows, key: (
            _is_covered(rows, key) and (rows.keys is None or bool(rows.keys.repeated))
        ),
        check=_repeated,
    ),
)
_UNIQUE_RULES: tuple[_Rule[Unique], ...] = (
    _Rule(applies=_is_covered, check=_repeated),
    _Rule(
        applies=_is_covered,
        check=_taken,
        depends=lambda rows, _: rows.terms.exchanges and rows.matched > 0,
    ),
)
