"""JSON Schemas of columns: in rows that are read, in rows that are written, in addresses."""

from typing import Any, TypeAlias

from rowboat.catalog import literals
from rowboat.catalog.tables import INTEGERS, Column

Schema: TypeAlias = dict[str, Any]

_BITS = {"int2": 16, "int4": 32, "int8": 64}
_TEXTS = {"text", "varchar", "bpchar"}
_FORMATS = {
    "date": "date",
    "time": "time-local",
    "timestamp": "date-time-local",
    "timestamptz": "date-time",
    "uuid": "uuid",
}
_EXAMPLES: dict[str, Any] = {
    "bool": True,
    "date": "2021-07-27",
    "time": "16:02:08",
    "timestamp": "2021-07-27T16:02:08",
    "timestamptz": "2021-07-27T16:02:08+00:00",
    "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "bytea": "\\x00ff",
}
_NO_NUMBER = (
    "^(NaN|-?Infinity)$"  # Postgres writes these as strings, since JSON has no such numbers
)
_BLANKS = f"[{literals.BLANKS}]*"
_BOOLEAN = (  # bool.c, parse_bool_with_len
    "[tT]([rR]([uU][eE]?)?)?|[fF]([aA]([lL]([sS][eE]?)?)?)?|[yY]([eE][sS]?)?|[nN][oO]?"
    "|[oO]([nN]|[fF][fF]?)|[01]"
)
_AS_TEXT = "EDSTRGIV"  # categories of types (pg_type) whose values are strings in JSON
_MOST_DIGITS = 300  # before the decimal point; larger bounds overflow a double


def read_schema(column: Column) -> Schema:
    """Return the schema of a column in rows that are read, as Postgres writes JSON."""
    found = _plain(column, column.element or column.base)
    if found.get("type") == "number":
        found |= {"type": ["number", "string"], "pattern": _NO_NUMBER}
    return _whole(column, _array(found, "array") if column.element else found)


def write_schema(column: Column) -> Schema:
    """Return the schema of a column in rows that are written; numbers may be strings too.

    Strings keep all digits, which the number types of most JSON libraries do not.
    """
    if column.element:
        found = _array(_or_text(_plain(column, column.element)), "array", "string")
    else:
        found = _or_text(_bounded(column), _pattern(column))
    return _whole(column, found)


def address_schema(column: Column) -> Schema:
    """Return the schema of a column's value in a path or query."""
    found = _bounded(column)
    is_text = found.get("type", "string") == "string"
    return _or_text({"type": "string"} | found, _pattern(column)) if is_text else found


def example_value(column: Column) -> Any:
    """Return a valid value of a column, or None if its type does not suggest one."""
    if column.element:
        return []
    if column.labels:
        return column.labels[0]
    if column.base in _TEXTS:
        return f"some {column.name}"[: _length(column)]
    if column.base == "numeric" and column.digits:
        return int(column.digits[0] > column.digits[1])
    return 1 if column.category == "N" else _EXAMPLES.get(column.base)


def _plain(column: Column, base: str) -> Schema:
    """Return the schema of a value of a type, with its bounds."""
    if base in _BITS:
        most = 2 ** (_BITS[base] - 1)
        form = f"int{_BITS[base]}"
        return {"type": "integer", "format": form, "minimum": -most, "maximum": most - 1}
    if base in ("float4", "float8"):
        return {"type": "number", "format": "float" if base == "float4" else "double"}
    if base == "numeric":
        return {"type": "number"} | _bounds(column, "minimum", "maximum")
    if base == "bool":
        return {"type": "boolean"}
    if column.labels:
        return {"type": "string", "enum": list(column.labels)}
    if base in _TEXTS:
        length = _length(column)
        return {"type": "string"} | ({"maxLength": length} if length else {})
    if base in _FORMATS:
        return {"type": "string", "format": _FORMATS[base]}
    is_text = base == "bytea" or (column.category in _AS_TEXT and not column.is_domain)
    return {"type": "string"} if is_text else {}


def _bounded(column: Column) -> Schema:
    """Return the schema of a new value.

    Like `_plain`, but the bounds of a numeric are exclusive: a new value may have more digits than
    the column, and is rounded.
    """
    if column.base == "numeric":
        return {"type": "number"} | _bounds(column, "exclusiveMinimum", "exclusiveMaximum")
    return _plain(column, column.base)


def _bounds(column: Column, least: str, most: str) -> Schema:
    """Return the bounds of a numeric, as floats, which is how validators read its values."""
    if column.digits is None:
        return {}
    digits = column.digits[0] - column.digits[1]
    return {least: -(10.0**digits), most: 10.0**digits} if digits < _MOST_DIGITS else {}


def _length(column: Column) -> int | None:
    """Return the length limit of a varchar or char, or None."""
    limited = {"varchar", "bpchar"} & {column.base, column.element}
    return column.modifier - 4 if limited and column.modifier > 0 else None


def _or_text(found: Schema, pattern: str | None = None) -> Schema:
    """Extend a schema so that it also accepts the value as a string."""
    form = {"pattern": pattern} if pattern else {}
    if found.get("type") == "boolean":
        return {"type": ["boolean", "string"], "pattern": _between_blanks(_BOOLEAN)}
    if found.get("type") in ("integer", "number"):
        return found | {"type": [found["type"], "string"]} | form
    # RFC 3339 times are a format of JSON Schema; Postgres accepts more, which a pattern describes.
    if found.get("format") == "date-time" and form:
        return {"anyOf": [found, {"type": "string"} | form]}
    if found.get("format", "").endswith("-local") or (form and "format" not in found):
        return {"type": "string"} | form
    return found


def _pattern(column: Column) -> str | None:
    """Return the regular expression of a column's literals, or None if there is none.

    It is taken from the SQL that recognises literals, so the two cannot differ.
    """
    found = literals.pattern_of(column)
    zeros = r"(\.0*)?" if column.base in INTEGERS else ""  # the judge drops them, as it does blanks
    return _between_blanks(found + zeros) if found else None


def _between_blanks(pattern: str) -> str:
    return f"^{_BLANKS}({pattern}){_BLANKS}$"


def _array(items: Schema, *kinds: str) -> Schema:
    """Return the schema of an array; elements may be NULL, or arrays in further dimensions."""
    inside = {"anyOf": [items, {"type": ["null", "array"]}]} if items else {}
    return {"type": kinds[0] if len(kinds) == 1 else list(kinds), "items": inside}


def _whole(column: Column, found: Schema) -> Schema:
    """Add null and a description to the schema of a column's values."""
    if not column.not_null:
        found = _or_null(found)
    about = " ".join(filter(None, [column.comment, f"({column.type})"]))
    return found | {"description": about}


def _or_null(found: Schema) -> Schema:
    if "anyOf" in found:
        return {"anyOf": [*found["anyOf"], {"type": "null"}]}
    kinds = found.get("type", [])
    types = [kinds] if isinstance(kinds, str) else kinds
    return (
        found
        | ({"type": [*types, "null"]} if types else {})
        | ({"enum": [*found["enum"], None]} if "enum" in found else {})
    )
