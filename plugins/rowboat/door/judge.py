"""Judges staged rows: every row, every rule, set by set, in SQL.

A verdict is (row, rule, column, sentence); a row gets all of its reasons. What a rule needs is
read from the catalog, so a new table brings its own rules.
"""

from collections.abc import Callable

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, ForeignKey, Unique
from rowboat.database.connections import Cursor
from rowboat.database.statements import as_printed, query
from rowboat.door import stage
from rowboat.door.context import SHOWN, Bench, Sql
from rowboat.door.match import match_keys

_COMMA, _AND, _OR, _CONCAT = sql.SQL(", "), sql.SQL(" and "), sql.SQL(" or "), sql.SQL(" || ")
_OTHER_ROW = "belongs to another row"


def judge_cargo(cursor: Cursor, bench: Bench) -> None:
    """Write into `verdict` every reason of every row on the stage.

    Also into `match` the rows whose key the table has.
    """
    stage.prefer_set_lookups(cursor, bench.is_large)
    if bench.told:
        _find_dirty(cursor, bench)
    else:
        _judge_cells(cursor, bench)
    key = bench.table.key if bench.table.key and bench.has(bench.table.key.columns) else None
    met = match_keys(cursor, bench, key) if key else 0
    if not bench.told:
        _judge_checks(cursor, bench)
    for reference in bench.table.foreign_keys:
        if bench.has(reference.columns):
            _judge_reference(cursor, bench, reference)
        if reference.all_or_none and set(reference.columns) & set(bench.columns):
            _judge_halves(cursor, bench, reference)
    if key and met:
        _judge_known(cursor, bench, key)
    if key and (not bench.keys or bench.keys.repeated):
        _judge_repeated(cursor, bench, key)
    for unique in bench.table.uniques:
        if bench.has(unique.columns):
            _judge_repeated(cursor, bench, unique)
            _judge_taken(cursor, bench, unique)
    bench.refused = stage.count_refused(cursor)
    _judge_again(cursor, bench)
    stage.prefer_set_lookups(cursor, False)


def judge_rows_alone(cursor: Cursor, bench: Bench) -> None:
    """Write into `verdict` what each row of the stage shows by itself: cells and CHECKs."""
    _judge_cells(cursor, bench)
    _judge_checks(cursor, bench)


def _judge_again(cursor: Cursor, bench: Bench) -> None:
    """Refuse what needed rows of the stage that were refused since it was judged: those that it
    refers to, and those that would have given up a unique value.
    """
    before = 0
    while bench.refused > before:
        before = bench.refused
        for key in bench.table.foreign_keys:
            if key.parent == bench.table.full_name and bench.has(key.columns):
                _judge_reference(cursor, bench, key)
        for unique in bench.table.uniques if bench.exchanges else ():
            if bench.has(unique.columns):
                _judge_taken(cursor, bench, unique)
        if bench.exchanges or bench.table.refers_to_itself:
            bench.refused = stage.count_refused(cursor)


def _judge_cells(cursor: Cursor, bench: Bench) -> None:
    reasons, broken = [], []
    for name in bench.columns:
        column, cell = bench.table.by_name[name], bench.raw(name)
        judged = name not in bench.typed and (name not in bench.plain or name in bench.odd)
        if column.not_null:
            is_missing = query("judge.is_missing", cell=bench.brought(name))
            message = sql.Literal(f"{name} is empty")
            reasons.append(_reason(bench, "required", name, message, is_missing))
            broken.append(is_missing)
        if not literals.always_valid(column) and judged:
            valid = literals.valid_literal(column, cell, bench.as_written)
            if bench.as_written:
                valid = query("judge.valid_whole", valid=valid, whole=_whole(column, cell))
            is_no_value = query("judge.is_no_value", cell=cell, valid=valid)
            message_ = _type_message(bench, column, cell)
            reasons.append(_reason(bench, "type", name, message_, is_no_value))
            broken.append(is_no_value)
    if not reasons:
        return
    cursor.execute(query("judge.cells", reasons=_COMMA.join(reasons), broken=_OR.join(broken)))
    if cursor.rowcount:
        _find_dirty(cursor, bench)


def _find_dirty(cursor: Cursor, bench: Bench) -> None:
    cursor.execute(query("judge.dirty_columns"))
    bench.dirty = {name for (name,) in cursor.fetchall()}


def _whole(column: Column, cell: Sql) -> Sql:
    """SQL: nothing of the text gets lost where its column was of another type when it was written:
    no time of day, no part of a second; NaN, which no digits can hold, is no number.
    """
    wide = {"date": "timestamp", "timestamp": "timestamp", "timestamptz": "timestamptz"}
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


def _type_message(bench: Bench, column: Column, cell: Sql) -> Sql:
    words = literals.literal_of(column)
    return query(
        "judge.type_message",
        cell=cell,
        whole=_whole(column, cell) if bench.as_written else sql.SQL("true"),
        more=sql.Literal(f"more than {column.type} holds"),
        form=literals.form_of(column, cell),
        beyond=sql.Literal(words.beyond.replace("{type}", column.type)),
        not_noun=sql.Literal(f"not {words.noun}"),
    )


def _judge_checks(cursor: Cursor, bench: Bench) -> None:
    checks = [check for check in bench.table.checks if set(check.columns) & set(bench.columns)]
    if not checks:
        return
    names = sorted({name for check in checks for name in check.columns})
    values = [sql.SQL("{} as {}").format(bench.value(name), sql.Identifier(name)) for name in names]
    broken = [query("judge.is_false", expression=as_printed(check.expression)) for check in checks]
    reasons = [
        _reason(bench, "check", check.columns[0], sql.Literal(check.message), is_false)
        for check, is_false in zip(checks, broken, strict=True)
    ]
    cursor.execute(
        query(
            "judge.checks",
            values=_COMMA.join(values),
            reasons=_COMMA.join(reasons),
            broken=_OR.join(broken),
        )
    )


def _judge_reference(cursor: Cursor, bench: Bench, key: ForeignKey) -> None:
    own = key.parent == bench.table.full_name and bench.has(key.parent_columns)
    parents = [sql.Identifier("p", name) for name in key.parent_columns]
    pairs = zip(key.parent_columns, key.columns, strict=True)
    wanted = sql.SQL(" || ', ' || ").join(
        sql.SQL("{} || left({}, {})").format(
            sql.Literal(f"{parent} "), bench.cell(name), sql.Literal(SHOWN)
        )
        for parent, name in pairs
    )
    parts = {
        "place": _place(bench, key.columns[0], "reference"),
        "column": sql.Literal(", ".join(key.columns)),
        "message": _CONCAT.join([sql.Literal(f"{key.parent} has no "), wanted]),
        "given": bench.given(key.columns),
        "parent": bench.parents.get(key.parent, key.parent_identifier),
        "joined": bench.joined(key.columns, parents),
    }
    if not own:
        cursor.execute(query("judge.reference", **parts))
        return
    if bench.gone:
        parts["parent"] = query("judge.staying", table=key.parent_identifier, stays=_stays(bench))
    parts["own_key"] = _key_value(bench, key.parent_columns)
    parts["child_key"] = _key_value(bench, key.columns)
    cursor.execute(query("judge.own_reference", **parts))


def _judge_halves(cursor: Cursor, bench: Bench, key: ForeignKey) -> None:
    """Refuse rows that name only a part of a parent's key where it is all or nothing."""
    message = f"{' and '.join(key.columns)} are given together or not at all"
    cursor.execute(
        query(
            "judge.halves",
            place=_place(bench, key.columns[0], "reference"),
            column=sql.Literal(", ".join(key.columns)),
            message=sql.Literal(message),
            values=_COMMA.join(map(bench.value, key.columns)),
        )
    )


def _key_value(bench: Bench, names: tuple[str, ...]) -> Sql:
    return sql.SQL("jsonb_build_array({})").format(_COMMA.join(map(bench.value, names)))


def _judge_known(cursor: Cursor, bench: Bench, key: Unique) -> None:
    again = bench.rejected_ids is not None
    taken = bench.on_known == "refuse" or again
    where = "is already in the table" if taken else _earlier(bench)
    newer = query("judge.newer") if again else sql.SQL("false")
    cursor.execute(
        query("judge.known", newer=newer, **_duplicate(bench, key, where)),
        {"refuse": bench.on_known == "refuse", "rejected_ids": bench.rejected_ids},
    )


def _judge_repeated(cursor: Cursor, bench: Bench, unique: Unique) -> None:
    """Refuse all but the first good row of those with the same key, or other unique value."""
    values = _COMMA.join(map(bench.value, unique.columns))
    duplicate = _duplicate(bench, unique, _earlier(bench))
    duplicate["message"] = _CONCAT.join([duplicate["message"], _compared(bench)])
    given = bench.given(unique.columns)
    repeated = None
    other_row: Sql = sql.SQL("true")
    if unique == bench.table.key:
        repeated = bench.keys and bench.keys.repeated
    else:
        duplicate = _duplicate(bench, unique, _OTHER_ROW)
        other_row = _other_row(bench, lambda name: bench.value(name, "f"))
    among: Sql = sql.SQL("true")
    if repeated is not None:
        among = query("judge.among_rows")
    elif not unique.nulls_equal:
        among = query("judge.among_keys", values=values, given=given)
    cursor.execute(
        query(
            "judge.repeated",
            values=values,
            given=sql.SQL("true") if unique.nulls_equal else given,
            among=among,
            other_row=other_row,
            **duplicate,
        ),
        {"repeated": repeated},
    )


def _compared(bench: Bench) -> Sql:
    return query(
        "judge.compared",
        cells_here=_COMMA.join(bench.cell(name) for name in bench.columns),
        cells_first=_COMMA.join(bench.cell(name, "f") for name in bench.columns),
    )


def _judge_taken(cursor: Cursor, bench: Bench, unique: Unique) -> None:
    """Refuse rows whose unique value another row of the table has."""
    others = [sql.Identifier("t", name) for name in unique.columns]
    cursor.execute(
        query(
            "judge.taken",
            table=bench.table.identifier,
            joined=bench.joined(unique.columns, others, unique.nulls_equal),
            given=sql.SQL("true") if unique.nulls_equal else bench.given(unique.columns),
            other_row=_other_row(bench, lambda name: sql.Identifier("t", name)),
            stays=_AND.join([_stays(bench), _keeps(bench)]),
            **_duplicate(bench, unique, _OTHER_ROW),
        )
    )


def _stays(bench: Bench) -> Sql:
    """SQL: the row t of the table will not be deleted."""
    return query("judge.stays", gone=bench.gone) if bench.gone else sql.SQL("true")


def _keeps(bench: Bench) -> Sql:
    """SQL: the row t of the table will not give up its value before the row of the stage comes:
    rows are updated first, then inserted.
    """
    if not bench.exchanges:
        return sql.SQL("true")
    return query("judge.keeps", also=sql.SQL("false") if bench.replaces else query("judge.updates"))


def _other_row(bench: Bench, its: Callable[[str], Sql]) -> Sql:
    """SQL: a row whose columns are `its` has another key than the row of the stage."""
    key = bench.table.key
    if key is None or not bench.has(key.columns):
        return sql.SQL("true")
    return _OR.join(
        sql.SQL("{} is distinct from {}").format(its(name), bench.value(name))
        for name in key.columns
    )


def _duplicate(bench: Bench, unique: Unique, where: str) -> dict[str, Sql]:
    return {
        "place": _place(bench, unique.columns[0], "duplicate"),
        "column": sql.Literal(", ".join(unique.columns)),
        "message": _CONCAT.join([bench.shown(unique.columns), sql.Literal(f" {where}")]),
    }


def _earlier(bench: Bench) -> str:
    return f"stands earlier in this {bench.source}"


def _reason(bench: Bench, rule: str, column: str, message: Sql, broken: Sql) -> Sql:
    return query(
        "judge.reason",
        place=_place(bench, column, rule),
        rule=sql.Literal(rule),
        column=sql.Literal(column),
        message=message,
        broken=broken,
    )


def _place(bench: Bench, column: str, rule: str) -> Sql:
    """Where a reason stands among those of its row: by column, then by rule."""
    rules = ("required", "type", "check", "reference", "duplicate")
    at = bench.columns.index(column) if column in bench.columns else len(bench.columns)
    return sql.Literal(at * len(rules) + rules.index(rule))
