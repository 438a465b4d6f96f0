"""The AVRO schema of a table, and its rows encoded and found by columns.

A table is a record (Apache Avro 1.12, "Schema Declaration", "Records"). Its fields have attributes
that AVRO does not need, as the specification allows: `postgres` is the type of the column, `base`
the type below a domain, `column` the name of the column if AVRO does not allow it. Only schemas
that this module would write are read back.
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
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)  # specification, "Names"


@dataclass(frozen=True)
class Field:
    """One column of a backup: `type` as Postgres writes it, `base` the type below a domain."""

    column: str
    type: str
    base: str
    nullable: bool
    kind: Kind
    comment: str | None = None


@dataclass(frozen=True)
class Schema:
    """The schema of the backup of one table: its columns, in order."""

    table: str
    fields: tuple[Field, ...]
    comment: str | None = None

    @cached_property
    def by_column(self) -> dict[str, Field]:
        """The fields by column name."""
        return {field.column: field for field in self.fields}

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of names, types and nullability.

        Equal rows of two schemas with the same digest are encoded as the same bytes.
        """
        shape = [
            [field.column, field.type, field.nullable, field.kind.avro] for field in self.fields
        ]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()

    @cached_property
    def json(self) -> dict[str, Any]:
        """The schema as a JSON document (specification, "Schema Declaration", "Records")."""
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
    """Return the schema of a table's backup: all columns except generated ones.

    Raises Unholdable if there are none.
    """
    if not table.stored:
        raise Unholdable(
            f"{table.full_name} has no column that a backup could hold",
            "give it a column, or drop it",
        )
    return Schema(table.full_name, tuple(map(_field, table.stored)), table.comment)


def read_schema(declared: Any, table: str) -> Schema:
    """Return the schema that a JSON document declares for a table.

    Raises BackupRefused for any schema that Rowboat would not have written.
    """
    try:
        fields = declared["fields"]
        if not 0 < len(fields) <= MOST_FIELDS:
            raise BackupRefused(f"has {len(fields)} fields")
        schema = Schema(table, tuple(map(_read_field, fields)), _read_doc(declared))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError):
        schema = None
    # Writing it again must give the same document: no attribute is ignored, none misunderstood.
    if schema is None or schema.json != declared or len(schema.by_column) < len(fields):
        raise BackupRefused(f"has a schema that Rowboat does not write for {table}")
    return schema


def encode_columns(schema: Schema, columns: Sequence[Cells]) -> tuple[Buffer, Ints]:
    """Encode rows as AVRO (specification, "Binary Encoding", "Complex Types", "Records").

    The cells of each column are as Postgres sent them. Returns a buffer and rows + 1 offsets: row n
    is at offsets[n]:offsets[n + 1]. Raises Unholdable, with the column's name, for a value that its
    AVRO type cannot hold.
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
    """Encoded rows, found in a buffer.

    `at` and `size`, of shape (rows,), are where each row begins and its bytes; `values` and
    `nulls`, of shape (fields, rows), are where each value begins and whether it is NULL.
    """

    schema: Schema
    buffer: Buffer
    at: Ints
    size: Ints
    values: Ints
    nulls: Any

    def __len__(self) -> int:
        return len(self.at)

    def cells(self, column: str) -> Cells:
        """Decode a column; raises BackupRefused for a value that its type cannot have."""
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

    Block i is in the buffer from begins[i] to ends[i] and has counts[i] rows; the three arrays have
    shape (blocks,). Returns the rows block by block. Raises BackupRefused if the rows do not fill
    the blocks exactly.

    A row begins where the one before it ends, so the rows of one block can only be found one after
    the other. To let numpy find many at a time, all blocks are walked side by side, each in a lane
    of its own, and sorted so that those with the most rows come first. Then the lanes that still
    have a row in some turn are always the first ones, and a slice selects them. Three blocks with
    the rows a, bcd and ef, at the places 0, 5, 6, 7, 9, 10:

        block   begins  ends  counts            lane 0   lane 1   lane 2
          0        0      5      1              block 1  block 2  block 0
          1        5      9      3      turn 0     5 b      9 e      0 a     3 lanes
          2        9     12      2      turn 1     6 c     10 f              2 lanes
                                        turn 2     7 d                       1 lane
        order = [1, 2, 0]

    So the rows are found in the order b e a c f d. `_unsort` returns the indices that select
    a b c d e f from the table on the right, flattened line by line.
    """
    order = np.argsort(-counts, kind="stable")  # (lanes,): the block of each lane
    sorted_counts, sorted_ends = counts[order], ends[order]  # (lanes,)
    at = begins[order]  # (lanes,): where the next row of each lane begins
    turns = int(sorted_counts[0])
    shape = len(schema.fields), turns, len(counts)
    values = np.zeros(shape, np.int64)  # (fields, turns, lanes): where each value begins
    nulls = np.zeros(shape, bool)  # (fields, turns, lanes)
    places = np.zeros((turns + 1, len(counts)), np.int64)  # row `turn` ends at places[turn + 1]
    places[0] = at
    for turn in range(turns):
        lanes = int(np.searchsorted(-sorted_counts, -turn))  # blocks with more rows than `turn`
        place, end = at[:lanes], sorted_ends[:lanes]
        for number, field in enumerate(schema.fields):
            values[number, turn, :lanes] = place
            is_null, after = unions.step_over_nullable(field.kind, field.nullable, buffer, place)
            # Checked at every value: a hostile size must not lead backwards or out of the buffer.
            if ((after > end) | (after <= place)).any():
                raise BackupRefused("has a row that does not end where its block ends")
            nulls[number, turn, :lanes] = is_null
            place = after
        at[:lanes] = place
        places[turn + 1, :lanes] = place
    if (at != sorted_ends).any():
        raise BackupRefused("has a block with more bytes than its rows have")
    index = _unsort(order, counts)  # (rows,)
    first, behind = places[:-1].ravel()[index], places[1:].ravel()[index]  # (rows,)
    return FoundRows(
        schema,
        buffer,
        first,
        behind - first,
        np.stack([each.ravel()[index] for each in values]),  # (fields, rows)
        np.stack([each.ravel()[index] for each in nulls]),  # (fields, rows)
    )


def _unsort(order: Ints, counts: Ints) -> Ints:
    """Return where each row, block by block, is in a table of shape (turns, lanes), flattened.

    `order` has the block of each lane, `counts` the rows of each block. In the example of
    `find_rows`, order is [1, 2, 0] and counts is [1, 3, 2]: row a is in turn 0 and lane 2 of three,
    so at 0 * 3 + 2. The result is [2, 0, 3, 6, 1, 4], for a b c d e f.
    """
    lane = np.argsort(order, kind="stable")  # (blocks,): the inverse of `order`
    first = np.cumsum(counts) - counts  # (blocks,): the number of rows in the blocks before
    turn = np.arange(int(counts.sum())) - np.repeat(first, counts)  # (rows,)
    index: Ints = turn * len(counts) + np.repeat(lane, counts)
    return index


def _field(column: Column) -> Field:
    """Return the field of a column."""
    # A type that a user created may be called "date" too; its name is written with its schema.
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
    """Return a field's declaration, under a legal name that no other field of the record has.

    AVRO's names for enums are global, so an enum is named after its record and field.
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
    """Return a string; raises TypeError, or ValueError for a lone surrogate."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value


def _legal(name: str) -> str:
    """Return a name with AVRO's characters only (specification, "Names")."""
    legal = re.sub(r"\W", "_", name, flags=re.ASCII)
    return legal if _NAME.fullmatch(legal) else f"_{legal}"


def _type_name(avro: Any) -> str:
    return str(avro.get("logicalType", avro["type"]) if isinstance(avro, dict) else avro)
