"""AVRO records for the rows of a table: their schema from the catalog and back, rows by columns.

The schema says more than AVRO needs: `postgres` and `base` are the column's type and the plain
type below it, `column` its name where AVRO does not allow it. Only schemas that this module would
write itself are read back.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rowboat.backup.avro import arrays, types, unions
from rowboat.backup.avro.types import Kind
from rowboat.catalog.tables import Column, Table
from rowboat.database.columnar import Buffer, Cells, Ints, assemble_rows
from rowboat.errors import BackupRefused, Unholdable

MOST_FIELDS = 1600  # columns of a table, by Postgres's own limit
MOST_DIGITS = 1000  # of a numeric, by Postgres's own limit
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Field:
    """One column as a backup holds it; `type` as Postgres writes it, `base` the plain type."""

    column: str
    type: str
    base: str
    nullable: bool
    kind: Kind
    comment: str | None = None


@dataclass(frozen=True)
class Schema:
    """What a backup of one table holds: its columns, in order."""

    table: str
    fields: tuple[Field, ...]
    comment: str | None = None

    @cached_property
    def by_column(self) -> dict[str, Field]:
        """The fields by the name of their column."""
        return {field.column: field for field in self.fields}

    @cached_property
    def digest(self) -> str:
        """The sha256 of names, types and nullability: rows of equal ones have equal bytes."""
        shape = [
            [field.column, field.type, field.nullable, field.kind.avro] for field in self.fields
        ]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()

    @cached_property
    def json(self) -> dict[str, Any]:
        """The schema as AVRO writes it (specification 1.12, "Schema Declaration")."""
        namespace, _, name = self.table.rpartition(".")
        legal = _legal(name)
        record: dict[str, Any] = {"type": "record", "name": legal}
        if namespace:
            record["namespace"] = _legal(namespace)
        if self.comment:
            record["doc"] = self.comment
        taken: set[str] = set()
        return record | {"fields": [_declared(field, legal, taken) for field in self.fields]}


def schema_of_table(table: Table) -> Schema:
    """Return the schema of a table's backup: all columns but generated ones.

    Raises Unholdable where there are none.
    """
    if not table.stored:
        raise Unholdable(
            f"{table.full_name} has no column that a backup could hold",
            "give it a column, or drop it",
        )
    return Schema(table.full_name, tuple(map(_field, table.stored)), table.comment)


def read_schema(declared: Any, table: str) -> Schema:
    """Read the schema of a table back.

    Raises BackupRefused for any that Rowboat would not have written.
    """
    try:
        fields = declared["fields"]
        if not 0 < len(fields) <= MOST_FIELDS:
            raise BackupRefused(f"has {len(fields)} fields")
        schema = Schema(table, tuple(map(_read_field, fields)), _read_doc(declared))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError):
        schema = None
    if schema is None or schema.json != declared or len(schema.by_column) < len(fields):
        raise BackupRefused(f"has a schema that Rowboat does not write for {table}")
    return schema


def encode_columns(schema: Schema, columns: Sequence[Cells]) -> tuple[Buffer, Ints]:
    """Encode rows, given by columns as Postgres sent them; return the buffer and offsets.

    Raises Unholdable with the column's name.
    """
    pieces = []
    for field, cells in zip(schema.fields, columns, strict=True):
        try:
            pieces += unions.encode_nullable(field.kind, field.nullable, cells)
        except Unholdable as error:
            raise Unholdable(
                f"{schema.table} has a row whose {field.column} is {error.fact}, "
                f"which AVRO's {_type_name(field.kind.avro)} cannot hold",
                "correct the row; until then its table cannot be backed up",
            ) from None
    return assemble_rows(pieces, len(columns[0]))


@dataclass(frozen=True)
class FoundRows:
    """Encoded rows, found in a buffer: where each begins, its size, and its values by column."""

    schema: Schema
    buffer: Buffer
    at: Ints
    size: Ints
    values: Ints
    nulls: Any

    def __len__(self) -> int:
        return len(self.at)

    def cells(self, column: str) -> Cells:
        """Decode a column; raises BackupRefused."""
        number = list(self.schema.by_column).index(column)
        field = self.schema.fields[number]
        try:
            return unions.decode_nullable(
                field.kind, field.nullable, self.buffer, self.values[number], self.nulls[number]
            )
        except BackupRefused as error:
            raise BackupRefused(f"{column} {error.fact}", error.hint) from None


def find_rows(schema: Schema, buffer: Buffer, begins: Ints, ends: Ints, counts: Ints) -> FoundRows:
    """Find the rows of several blocks at once: the nth row of every block in one step.

    Block i lies in the buffer from begins[i] to ends[i] and has counts[i] rows. Raises
    BackupRefused where the rows do not fill the blocks exactly.
    """
    order = np.argsort(-counts, kind="stable")
    begins, ends, counts = begins[order], ends[order], counts[order]
    at, turns = begins.copy(), int(counts[0])
    shape = len(schema.fields), turns, len(counts)
    values, nulls = np.zeros(shape, np.int64), np.zeros(shape, bool)
    rows = np.zeros((turns + 1, len(counts)), np.int64)
    rows[0] = at
    for turn in range(turns):
        lanes = int(np.searchsorted(-counts, -turn))  # blocks with more rows than `turn`
        place, end = at[:lanes], ends[:lanes]
        for number, field in enumerate(schema.fields):
            values[number, turn, :lanes] = place
            is_null, after = unions.step_over_nullable(field.kind, field.nullable, buffer, place)
            if ((after > end) | (after <= place)).any():
                raise BackupRefused("has a row that does not end where its block ends")
            nulls[number, turn, :lanes] = is_null
            place = after
        at[:lanes] = place
        rows[turn + 1, :lanes] = place
    if (at != ends).any():
        raise BackupRefused("has a block with more bytes than its rows have")
    back = np.argsort(order, kind="stable")
    real = (np.arange(turns)[:, None] < counts).T[back]
    first, behind = rows[:-1].T[back][real], rows[1:].T[back][real]
    return FoundRows(
        schema,
        buffer,
        first,
        behind - first,
        np.stack([each.T[back][real] for each in values]),
        np.stack([each.T[back][real] for each in nulls]),
    )


def _field(column: Column) -> Field:
    """Return the field of a column; no type of the user's own is taken for Postgres's namesake."""
    is_own = "." in column.type and not column.is_domain
    base = column.type if is_own else column.base
    precision, scale = column.digits or (None, 0)
    legal = column.labels and all(_NAME.fullmatch(label) for label in column.labels)
    labels = column.labels if legal and not column.element else None
    if column.element:
        element = base if is_own else column.element
        kind: Kind = arrays.array_kind(types.scalar_kind(element, precision, scale, None))
    else:
        kind = types.scalar_kind(base, precision, scale, labels)
    return Field(column.name, column.type, base, not column.not_null, kind, column.comment)


def _declared(field: Field, record: str, taken: set[str]) -> dict[str, Any]:
    """Return a field's declaration, its name made legal and unlike those that are taken.

    The name of an enum's type is unlike that of the record and of any other.
    """
    name = _legal(field.column)
    while name in taken:
        name += "_"
    taken.add(name)
    type_ = field.kind.avro
    if isinstance(type_, dict) and type_["type"] == "enum":
        type_ = {"type": "enum", "name": f"{record}_{name}", "symbols": type_["symbols"]}
    declared: dict[str, Any] = {"name": name}
    if field.comment:
        declared["doc"] = field.comment
    declared["type"] = ["null", type_] if field.nullable else type_
    if name != field.column:
        declared["column"] = field.column
    return declared | {"postgres": field.type, "base": field.base}


def _read_field(declared: dict[str, Any]) -> Field:
    nullable = isinstance(declared["type"], list)
    type_ = declared["type"][1] if nullable else declared["type"]
    column = _read_text(declared.get("column", declared["name"]))
    base, type_name = _read_text(declared["base"]), _read_text(declared["postgres"])
    if isinstance(type_, dict) and type_["type"] == "array":
        items = type_["items"][1]
        kind: Kind = arrays.array_kind(_read_kind(base.removeprefix("_"), items, None))
    else:
        labels = type_.get("symbols") if isinstance(type_, dict) else None
        kind = _read_kind(base, type_, labels)
    return Field(column, type_name, base, nullable, kind, _read_doc(declared))


def _read_kind(base: str, type_: Any, labels: Any) -> Kind:
    more = type_ if isinstance(type_, dict) else {}
    precision, scale = more.get("precision"), more.get("scale", 0)
    if type(scale) is not int or (precision is not None and type(precision) is not int):
        raise TypeError
    if precision is not None and not 0 < precision <= MOST_DIGITS:
        raise ValueError
    if labels and (len(set(labels)) < len(labels) or not all(map(_NAME.fullmatch, labels))):
        raise ValueError
    return types.scalar_kind(base, precision, scale, labels)


def _read_doc(declared: dict[str, Any]) -> str | None:
    return _read_text(declared["doc"]) if "doc" in declared else None


def _read_text(value: Any) -> str:
    """Return a string; raises TypeError, or ValueError where it is no Unicode text."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value


def _legal(name: str) -> str:
    """Return a name as AVRO allows it ("Names")."""
    legal = re.sub(r"\W", "_", name, flags=re.ASCII)
    return legal if _NAME.fullmatch(legal) else f"_{legal}"


def _type_name(avro: Any) -> str:
    return str(avro.get("logicalType", avro["type"]) if isinstance(avro, dict) else avro)
