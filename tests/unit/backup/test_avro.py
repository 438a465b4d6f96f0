"""Schemas there and back, rows there and back, and every schema that is not Rowboat's."""

import copy
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rowboat.backup.avro.schema import (
    Field,
    Schema,
    _unsort,
    encode_columns,
    find_rows,
    read_schema,
    schema_of_table,
)
from rowboat.backup.avro.types import scalar_kind
from rowboat.catalog.tables import Column, Table
from rowboat.database.columnar import cells_of
from rowboat.errors import BackupRefused, Unholdable

thorough = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

PLAIN = Column(
    name="id", type="integer", base="int4", modifier=-1, category="N", is_domain=False,
    not_null=True, default=None, identity=None, generated=False, sequence=None, labels=None,
    element=None, comment=None,
)  # fmt: skip


def numeric(precision: int, scale: int) -> int:
    """Return the modifier of a numeric (numeric.c)."""
    return (precision << 16 | scale & 0x7FF) + 4


def column(name: str, type_: str, base: str, **more: Any) -> Column:
    return replace(PLAIN, name=name, type=type_, base=base, **more)


def table(*columns: Column, name: str = "t", comment: str | None = None) -> Table:
    return Table("s", name, comment, False, columns, None, (), (), ())


TYPES: list[tuple[Column, Any]] = [
    (column("c", "smallint", "int2"), "int"),
    (column("c", "integer", "int4"), "int"),
    (column("c", "bigint", "int8"), "long"),
    (column("c", "real", "float4"), "float"),
    (column("c", "double precision", "float8"), "double"),
    (column("c", "boolean", "bool"), "boolean"),
    (column("c", "bytea", "bytea"), "bytes"),
    (column("c", "text", "text"), "string"),
    (column("c", "character(3)", "bpchar", modifier=7), "string"),
    (column("c", "jsonb", "jsonb"), "string"),
    (column("c", "uuid", "uuid"), {"type": "string", "logicalType": "uuid"}),
    (column("c", "date", "date"), {"type": "int", "logicalType": "date"}),
    (column("c", "time without time zone", "time"),
     {"type": "long", "logicalType": "time-micros"}),
    (column("c", "timestamp without time zone", "timestamp"),
     {"type": "long", "logicalType": "local-timestamp-micros"}),
    (column("c", "timestamp with time zone", "timestamptz"),
     {"type": "long", "logicalType": "timestamp-micros"}),
    (column("c", "numeric(12,2)", "numeric", modifier=numeric(12, 2)),
     {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
    (column("c", "numeric(1000,0)", "numeric", modifier=numeric(1000, 0)),
     {"type": "bytes", "logicalType": "decimal", "precision": 1000, "scale": 0}),
    (column("c", "numeric", "numeric"), "string"),
    (column("c", "numeric(3,-2)", "numeric", modifier=numeric(3, -2)), "string"),
    (column("c", "numeric(2,5)", "numeric", modifier=numeric(2, 5)), "string"),
    (column("c", "s.mood", "mood", labels=("calm", "Rough_2")),
     {"type": "enum", "name": "t_c", "symbols": ["calm", "Rough_2"]}),
    (column("c", "s.mood", "mood", labels=("calm", "not calm")), "string"),
    (column("c", "s.date", "date", labels=("no", "not calm")), "string"),
    (column("c", "s.share", "numeric", modifier=numeric(4, 1), is_domain=True),
     {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}),
    (column("c", "integer[]", "_int4", element="int4"),
     {"type": "array", "items": ["null", "int"]}),
    (column("c", "numeric(10,2)[]", "_numeric", element="numeric", modifier=numeric(10, 2)),
     {"type": "array", "items": [
         "null", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}]}),
    (column("c", "s.mood[]", "_mood", element="mood", labels=None),
     {"type": "array", "items": ["null", "string"]}),
    (column("c", "int4range", "int4range"), "string"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "expected"), TYPES, ids=lambda each: str(each)[-40:])
@pytest.mark.parametrize("not_null", [True, False])
def test_type(declared: Column, expected: Any, not_null: bool) -> None:
    schema = schema_of_table(table(replace(declared, not_null=not_null)))
    (field,) = schema.json["fields"]
    assert field["type"] == (expected if not_null else ["null", expected])
    assert (field["name"], field["postgres"]) == ("c", declared.type)
    assert read_schema(json.loads(json.dumps(schema.json)), "s.t") == schema
    fastavro.parse_schema(copy.deepcopy(schema.json))


def test_comments_and_generated_columns() -> None:
    mine = table(
        PLAIN, column("twice", "integer", "int4", generated=True),
        replace(PLAIN, name="b", comment='An "odd"\n🚣 one.'), comment="Things.",
    )  # fmt: skip
    schema = schema_of_table(mine)
    assert schema.json == {
        "type": "record", "name": "t", "namespace": "s", "doc": "Things.",
        "fields": [
            {"name": "id", "type": "int", "postgres": "integer", "base": "int4"},
            {"name": "b", "doc": 'An "odd"\n🚣 one.', "type": "int", "postgres": "integer",
             "base": "int4"},
        ],
    }  # fmt: skip
    assert read_schema(schema.json, "s.t") == schema


def test_table_without_columns() -> None:
    with pytest.raises(Unholdable) as raised:
        schema_of_table(table(replace(PLAIN, generated=True)))
    assert (raised.value.fact, raised.value.hint) == (
        "s.t has no column that a backup could hold",
        "give it a column, or drop it",
    )


# Names

names = st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name) | st.sampled_from([
    "a", "a_", "a__", "A", "a b", "a-b", "a.b", "é", "_", "9", "_9", '"', "%", "{0}", "t", "t_a",
])  # fmt: skip


@thorough
@given(st.lists(names, min_size=1, max_size=8, unique=True), names, st.data())
@example(["a b", "a_b", "a-b", "a_b_"], "a b", None)
def test_names(columns: list[str], name: str, data: st.DataObject | None) -> None:
    """Names that AVRO does not allow are made legal, unlike one another, and found again."""
    types = [each for each, _ in TYPES]
    drawn = [data.draw(st.sampled_from(types)) if data else types[0] for _ in columns]
    mine = table(*(replace(kind, name=each) for kind, each in zip(drawn, columns, strict=True)),
                 name=name)  # fmt: skip
    schema = schema_of_table(mine)
    written = json.loads(json.dumps(schema.json))
    found = [field["name"] for field in written["fields"]]
    assert len(set(found)) == len(found)
    for each in (*found, written["name"], written["namespace"]):
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", each)
    assert [field.get("column", field["name"]) for field in written["fields"]] == columns
    again = read_schema(written, mine.full_name)
    assert (again, list(again.by_column)) == (schema, columns)
    fastavro.parse_schema(written)


def test_digest_of_a_schema() -> None:
    """It is that of what the bytes of a row depend on."""
    mood = column("c", "s.mood", "mood", labels=("a", "b"))
    found = schema_of_table(table(mood)).digest
    assert schema_of_table(table(replace(mood, comment="x"), comment="y", name="u")).digest == found
    for other in (
        replace(mood, name="d"), replace(mood, type="s.temper"), replace(mood, not_null=False),
        replace(mood, labels=("b", "a")), replace(mood, labels=("a", "b c")),
    ):  # fmt: skip
        assert schema_of_table(table(other)).digest != found


# Schemas of others

OURS = schema_of_table(
    table(
        column("id", "integer", "int4"),
        column("a b", "text", "text", not_null=False, comment="why"),
        column("mood", "s.mood", "mood", labels=("calm", "rough")),
        column("part", "numeric(9,2)", "numeric", modifier=numeric(9, 2)),
        column("tags", "text[]", "_text", element="text"),
        comment="Things.",
    )
)
Change = Callable[[dict[str, Any], list[dict[str, Any]]], Any]
NOT_OURS = "has a schema that Rowboat does not write for s.t"


def deep(levels: int) -> Any:
    found: Any = "x"
    for _ in range(levels):
        found = [found]
    return found


CHANGES: list[tuple[Change, str]] = [
    (lambda schema, fields: fields.clear(), "has 0 fields"),
    (lambda schema, fields: fields.extend(fields * 320), "has 1605 fields"),
    (lambda schema, fields: schema.pop("fields"), NOT_OURS),
    (lambda schema, fields: schema.update(fields={}), "has 0 fields"),
    (lambda schema, fields: schema.update(fields="abc"), NOT_OURS),
    (lambda schema, fields: schema.update(fields=7), NOT_OURS),
    (lambda schema, fields: schema.update(fields=[7]), NOT_OURS),
    (lambda schema, fields: schema.update(type="error"), NOT_OURS),
    (lambda schema, fields: schema.update(name="u"), NOT_OURS),
    (lambda schema, fields: schema.update(namespace="u"), NOT_OURS),
    (lambda schema, fields: schema.update(aliases=["u"]), NOT_OURS),
    (lambda schema, fields: schema.update(doc=7), NOT_OURS),
    (lambda schema, fields: schema.update(doc=deep(900)), NOT_OURS),
    (lambda schema, fields: fields.append(copy.deepcopy(fields[0])), NOT_OURS),
    (lambda schema, fields: fields.append(fields[0] | {"name": "id_", "column": "id"}), NOT_OURS),
    (lambda schema, fields: fields[0].pop("name"), NOT_OURS),
    (lambda schema, fields: fields[0].pop("type"), NOT_OURS),
    (lambda schema, fields: fields[0].pop("postgres"), NOT_OURS),
    (lambda schema, fields: fields[0].pop("base"), NOT_OURS),
    (lambda schema, fields: fields[0].update(name="a-b"), NOT_OURS),
    (lambda schema, fields: fields[0].update(name=7), NOT_OURS),
    (lambda schema, fields: fields[0].update(name="id_", column=["id"]), NOT_OURS),
    (lambda schema, fields: fields[0].update(column="id"), NOT_OURS),
    (lambda schema, fields: fields[0].update(postgres=["integer"]), NOT_OURS),
    (lambda schema, fields: fields[0].update(postgres=7), NOT_OURS),
    (lambda schema, fields: fields[0].update(base=7), NOT_OURS),
    (lambda schema, fields: fields[0].update(base="float4"), NOT_OURS),
    (lambda schema, fields: fields[0].update(type="long"), NOT_OURS),
    (lambda schema, fields: fields[0].update(type="t"), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=schema), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=deep(900)), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=[]), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=["null"]), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=["int", "null"]), NOT_OURS),
    (lambda schema, fields: fields[0].update(type=["null", "int", "string"]), NOT_OURS),
    (lambda schema, fields: fields[0].update(default=0), NOT_OURS),
    (lambda schema, fields: fields[1].update(doc=["why"]), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(name="mood"), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(symbols=["a", "a"]), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(symbols=["a b"]), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(symbols=[7]), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(symbols=[]), NOT_OURS),
    (lambda schema, fields: fields[2]["type"].update(symbols="ab"), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(precision=10**9), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(precision=0, scale=0), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(precision=9.0), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(precision="9"), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(scale=10), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(scale=-1), NOT_OURS),
    (lambda schema, fields: fields[3]["type"].update(scale=True), NOT_OURS),
    (lambda schema, fields: fields[4]["type"].update(items="string"), NOT_OURS),
    (lambda schema, fields: fields[4]["type"].update(items=["null", fields[4]["type"]]), NOT_OURS),
    (lambda schema, fields: fields[4]["type"].update(
        items=["null", {"type": "enum", "symbols": ["a"]}]), NOT_OURS),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), CHANGES)
def test_schema_of_others(change: Change, sentence: str) -> None:
    declared = json.loads(json.dumps(OURS.json))
    change(declared, declared["fields"])
    with pytest.raises(BackupRefused) as raised:
        read_schema(declared, "s.t")
    assert raised.value.fact == sentence


@pytest.mark.parametrize("declared", [None, 7, "int", [], [{}], {}, True])
def test_schema_that_is_no_record(declared: Any) -> None:
    with pytest.raises(BackupRefused, match=NOT_OURS):
        read_schema(declared, "s.t")


# Rows

ROWS = Schema("s.t", (
    Field("n", "integer", "int4", False, scalar_kind("int4", None, 0, None)),
    Field("t", "text", "text", True, scalar_kind("text", None, 0, None)),
    Field("b", "bytea", "bytea", True, scalar_kind("bytea", None, 0, None)),
    Field("d", "numeric(9,2)", "numeric", True, scalar_kind("numeric", 9, 2, None)),
))  # fmt: skip
records = st.fixed_dictionaries({
    "n": st.integers(-(2**31), 2**31 - 1),
    "t": st.none() | st.text(st.characters(exclude_characters="\0"), max_size=300),
    "b": st.none() | st.binary(max_size=600),
    "d": st.none() | st.decimals(-10**7 + 1, 10**7 - 1, places=2),
})  # fmt: skip


def sent(record: dict[str, Any]) -> list[bytes | None]:
    """Return a row's values as Postgres sends them."""
    text, unscaled = record["t"], record["d"]
    return [
        record["n"].to_bytes(4, "big", signed=True),
        None if text is None else text.encode(),
        record["b"],
        None if unscaled is None else int(unscaled * 100).to_bytes(8, "big", signed=True),
    ]


@thorough
@given(st.lists(records, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_rows(given_: list[dict[str, Any]], chance: Any) -> None:
    """What is encoded is what fastavro writes; found and decoded it is what was sent."""
    columns = list(map(list, zip(*map(sent, given_), strict=True)))
    buffer, offsets = encode_columns(ROWS, [cells_of(each) for each in columns])
    file = io.BytesIO()
    plain = fastavro.parse_schema(copy.deepcopy(ROWS.json))
    for record in given_:
        fastavro.schemaless_writer(file, plain, record)
    assert buffer[: offsets[-1]].tobytes() == file.getvalue()
    borders = sorted({0, len(given_), *(chance.randint(0, len(given_)) for _ in range(3))})
    begins, ends = offsets[borders[:-1]], offsets[borders[1:]]
    found = find_rows(ROWS, buffer, begins, ends, np.diff(borders))
    assert found.at.tolist() == offsets[:-1].tolist()
    assert found.size.tolist() == np.diff(offsets).tolist()
    for name in "ntb":
        cells = found.cells(name)
        assert [cells[n] for n in range(len(cells))] == columns["ntb".index(name)]
    cells = found.cells("d")
    shown = [None if record["d"] is None else f"{record['d']:.2f}" for record in given_]
    expected = [text and text.replace("-0.00", "0.00").encode() for text in shown]
    assert [cells[n] for n in range(len(cells))] == expected


def test_rows_of_three_blocks() -> None:
    """The example in the docstrings of `find_rows` and `_unsort`."""
    kind = scalar_kind("text", None, 0, None)
    schema = Schema("s.t", (Field("t", "text", "text", False, kind),))
    words = [b"four", b"", b"", b"d", b"", b"f"]
    buffer, offsets = encode_columns(schema, [cells_of(words)])
    assert offsets.tolist() == [0, 5, 6, 7, 9, 10, 12]
    begins, ends, counts = np.array([0, 5, 9]), np.array([5, 9, 12]), np.array([1, 3, 2])
    found = find_rows(schema, buffer, begins, ends, counts)
    assert found.at.tolist() == [0, 5, 6, 7, 9, 10]
    assert found.size.tolist() == [5, 1, 1, 2, 1, 2]
    cells = found.cells("t")
    assert [cells[n] for n in range(len(cells))] == words
    assert _unsort(np.array([1, 2, 0]), counts).tolist() == [2, 0, 3, 6, 1, 4]


@pytest.mark.parametrize("more", [-1, 1])
def test_block_with_more_or_fewer_rows(more: int) -> None:
    columns = [cells_of([value] * 5) for value in (b"\0\0\0\1", b"text", b"raw", None)]
    buffer, offsets = encode_columns(ROWS, columns)
    begins, ends = offsets[[0, 3]], offsets[[3, 5]]
    with pytest.raises(BackupRefused) as raised:
        find_rows(ROWS, buffer, begins, ends, np.array([3, 2 + more]))
    assert raised.value.fact in (
        "has a row that does not end where its block ends",
        "has a block with more bytes than its rows have",
    )
