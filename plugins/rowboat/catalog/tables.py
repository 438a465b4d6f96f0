"""The data dictionary: tables, columns and rules as Postgres itself declares them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from psycopg2 import sql

from rowboat.catalog.fingerprint import fingerprint_of
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.errors import UnknownTable
from rowboat.settings import settings

INTEGERS = {"int2", "int4", "int8"}


@dataclass(frozen=True)
class Column:
    """One column, or a part of one whose type is made of others.

    `type` is as Postgres writes it, `base` the plain type below a domain, or below domains over
    domains, and `element` that of an array's elements. `kind` is a of arrays, otherwise as in
    pg_type: c of composites, r of ranges, m of multiranges; their `parts` are the element, the
    fields, the subtype, the range. `rules` are the constraints of domains, and the labels of an
    enum that is such a part.

    `collation` is its own one, None for that of the type. `equality` is the operator of a type that
    an extension brings: `=` would be taken for that of another type, to which it can be cast.
    """

    name: str
    type: str
    base: str
    modifier: int
    category: str
    is_domain: bool
    not_null: bool
    default: str | None
    identity: str | None
    generated: bool
    sequence: str | None
    labels: tuple[str, ...] | None
    element: str | None
    comment: str | None
    kind: str = "b"
    parts: tuple["Column", ...] = ()
    collation: str | None = None
    equality: str | None = None
    rules: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether an empty string is a value of its type."""
        return self.category == "S" or "" in (self.labels or ())

    @property
    def digits(self) -> tuple[int, int] | None:
        """Precision and scale of a numeric that has them, from its type modifier (numeric.c)."""
        if "numeric" not in (self.base, self.element) or self.modifier < 0:
            return None
        packed = self.modifier - 4  # less the header of a varlena
        scale = packed & 0x7FF
        return packed >> 16 & 0xFFFF, scale - 0x800 if scale & 0x400 else scale

    @property
    def settable(self) -> bool:
        """Whether a source may give its value: not generated, not identity always."""
        return not self.generated and self.identity != "a"

    @property
    def required(self) -> bool:
        """Whether a source must have the column."""
        return self.not_null and self.default is None and self.identity is None

    @property
    def has_constant_default(self) -> bool:
        """Whether its default is known in advance, as it calls no function."""
        if self.default is None or self.generated or self.identity:
            return False
        return not re.search(r"[\w\"]\(", re.sub(r"'([^']|'')*'", "''", self.default))


@dataclass(frozen=True)
class Unique:
    """A primary key or unique constraint; a `deferrable` one is checked when a statement ends."""

    name: str
    columns: tuple[str, ...]
    nulls_equal: bool
    deferrable: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to a row of a parent table.

    With `period` the last column is a range, which one or more rows of the parent have to cover.
    `ring` are the tables of a ring in which each row requires a row of the next table, so that the
    first rows can only be inserted together.
    """

    name: str
    columns: tuple[str, ...]
    parent_schema: str
    parent_name: str
    parent_columns: tuple[str, ...]
    on_delete: str
    all_or_none: bool
    period: bool = False
    ring: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """The full name of the parent table."""
        return f"{self.parent_schema}.{self.parent_name}"

    @property
    def parent_identifier(self) -> sql.Identifier:
        """The parent table, quoted for a statement."""
        return sql.Identifier(self.parent_schema, self.parent_name)


@dataclass(frozen=True)
class Check:
    """A CHECK: its columns, its expression, and its comment as the sentence of a reject."""

    name: str
    columns: tuple[str, ...]
    expression: str
    comment: str | None

    @property
    def message(self) -> str:
        """The message for a row that breaks it."""
        return self.comment or f"breaks the rule {self.name}: {self.expression}"


@dataclass(frozen=True)
class Table:
    """One managed table.

    `guards` are the kinds of things of its own (trigger, rule, row-level security policy) that may
    change, skip or refuse a row, which cannot be known beforehand. `own_rules` are the definitions
    of all that only the database checks: guards, exclusion constraints, unique indexes, bounds of
    partitions. `oid` is another one if the table is created anew. `is_referenced` is true if a
    foreign key of any table refers to it, `has_deferred` if a constraint of the table, or one that
    refers to it, is only checked at the commit.
    """

    schema: str
    name: str
    comment: str | None
    has_triggers: bool
    columns: tuple[Column, ...]
    key: Unique | None
    uniques: tuple[Unique, ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[Check, ...]
    guards: tuple[str, ...] = ()
    is_referenced: bool = False
    has_deferred: bool = False
    own_rules: tuple[str, ...] = ()
    oid: int = 0

    @property
    def full_name(self) -> str:
        """Schema and name, as Rowboat writes the table everywhere."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Schema and name, quoted for a statement."""
        return sql.Identifier(self.schema, self.name)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Its columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def settable(self) -> tuple[Column, ...]:
        """The columns that a source may give, in order."""
        return tuple(column for column in self.columns if column.settable)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a backup holds: all but those that Postgres computes."""
        return tuple(column for column in self.columns if not column.generated)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of all that decides whether a row may enter it."""
        return fingerprint_of(self)

    @property
    def serial_key(self) -> str | None:
        """The name of the key column if the key is one integer, else None."""
        if self.key is None or len(self.key.columns) != 1:
            return None
        name = self.key.columns[0]
        return name if self.by_name[name].base in INTEGERS else None

    def covers(self, names: Sequence[str], columns: Sequence[str]) -> bool:
        """Return whether rows with these columns have a known value in all of `names`, by default
        if not given.
        """
        return all(name in columns or self.by_name[name].has_constant_default for name in names)

    @property
    def judged_references(self) -> tuple[ForeignKey, ...]:
        """The foreign keys that are judged in sets: not those of periods within the table, which
        rows of one cargo may cover together.
        """
        return tuple(
            key for key in self.foreign_keys if not (key.period and key.parent == self.full_name)
        )

    @property
    def refers_to_itself(self) -> bool:
        """Whether a foreign key of the table refers to the table itself."""
        return any(key.parent == self.full_name for key in self.foreign_keys)


@dataclass(frozen=True)
class Catalog:
    """All managed tables."""

    tables: tuple[Table, ...]

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    @cached_property
    def by_name(self) -> dict[str, Table]:
        """The tables by full name."""
        return {table.full_name: table for table in self.tables}

    @cached_property
    def schemas(self) -> set[str]:
        """The schemas that have tables."""
        return {table.schema for table in self.tables}

    @cached_property
    def names(self) -> dict[str, list[tuple[tuple[str, ...], Table]]]:
        """First letter, case-folded → the names that begin with it, with and without schema."""
        names: dict[str, list[tuple[tuple[str, ...], Table]]] = {}
        for table in self.tables:
            for name in ((table.name,), (table.schema, table.name)):
                letter = (name[0].lstrip("_-. ") or name[0])[0].casefold()[0]
                names.setdefault(letter, []).append((name, table))
        return names

    def find(self, name: str) -> Table | None:
        """Return the only table of a name, with or without schema."""
        found = self._named(name)
        return found[0] if len(found) == 1 else None

    def _named(self, name: str) -> list[Table]:
        return [table for table in self.tables if name in (table.name, table.full_name)]

    def table(self, name: str) -> Table:
        """Find a table by its name, with or without schema; raises UnknownTable."""
        found = self._named(name)
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(table.full_name for table in found)
            raise UnknownTable(f"several tables are called {name}: {names}", "name the schema too")
        raise UnknownTable(f"there is no table {name}")

    def parents(self, table: Table) -> set[str]:
        """Return the full names of the managed tables that a table refers to, except itself."""
        return {key.parent for key in table.foreign_keys} & (set(self.by_name) - {table.full_name})

    def children(self, table: Table) -> list[Table]:
        """Return the tables that refer to a table, which may include itself."""
        return [
            each
            for each in self.tables
            if any(key.parent == table.full_name for key in each.foreign_keys)
        ]

    @cached_property
    def depths(self) -> dict[str, int]:
        """Full name of a table → 0 without parents, otherwise one more than its deepest parent.

        A ring of foreign keys is opened at its first table by name.
        """
        depths: dict[str, int] = {}

        def depth(name: str, above: tuple[str, ...]) -> int:
            if name not in depths:
                parents = self.parents(self.by_name[name]) - {*above, name}
                found = 1 + max(
                    (depth(each, (*above, name)) for each in sorted(parents)), default=-1
                )
                if above and self.parents(self.by_name[name]) & set(above):
                    return found  # within a ring the depth depends on the start: not final
                depths[name] = found
            return depths[name]

        for name in sorted(self.by_name):
            depth(name, ())
        return depths

    def in_order(self) -> list[Table]:
        """Return the tables, parents first."""
        return sorted(
            self.tables, key=lambda table: (self.depths[table.full_name], table.full_name)
        )


def read_catalog(cursor: Cursor) -> Catalog:
    """Read the catalog of the managed tables."""
    family = query("catalog.family", table=sql.SQL("c.oid"))
    statement = query(
        "catalog.tables",
        family=family,
        enforced=query("catalog.enforced"),
        equality=query("catalog.equality", type=sql.SQL("t.oid")),
    )
    cursor.execute(statement, {"schemas": list(settings().schemas)})
    found = fetch_rows(cursor)
    _add_nodes(cursor, [each for row in found for each in row["columns"] or ()])
    return Catalog(tuple(_with_rings([_table(row) for row in found])))


def _add_nodes(cursor: Cursor, columns: Sequence[dict[str, Any]]) -> None:
    """Add to columns of a type that is made of others the `nodes` of that type."""
    made_of = [each.pop("made_of") for each in columns]
    types = sorted({tuple(each) for each in made_of if each})
    nodes = {}
    if types:  # which is rare, and the statement takes as long as that for the tables
        ids, modifiers = zip(*types, strict=True)
        equality = query("catalog.equality", type=sql.SQL("y.oid"))
        facts = {"ids": list(ids), "modifiers": list(modifiers)}
        cursor.execute(query("catalog.nodes", equality=equality), facts)
        nodes = {(id_, modifier): found for id_, modifier, found in cursor.fetchall()}
    for column, type_ in zip(columns, made_of, strict=True):
        column["nodes"] = nodes[tuple(type_)] if type_ else None


def _with_rings(tables: Sequence[Table]) -> Iterator[Table]:
    """Yield the tables; their foreign keys know the rings of which they are a part."""
    required = {
        table.full_name: {
            key.parent
            for key in table.foreign_keys
            if key.parent != table.full_name
            and all(table.by_name[name].not_null for name in key.columns)
        }
        for table in tables
    }

    def ring(child: str, parent: str) -> tuple[str, ...]:
        """Return the tables on the shortest way from a required parent back to the child."""
        ways: list[tuple[str, ...]] = [(parent,)] if parent in required[child] else []
        seen = {parent}
        for way in ways:
            if way[-1] == child:
                return way
            following = sorted(required.get(way[-1], set()) - seen)
            seen.update(following)
            ways += [(*way, each) for each in following]
        return ()

    for table in tables:
        keys = [replace(key, ring=ring(table.full_name, key.parent)) for key in table.foreign_keys]
        yield replace(table, foreign_keys=tuple(keys))


def _column(row: dict[str, Any]) -> Column:
    nodes = {
        tuple(each["path"]): {name: each[name] for name in each if name != "path"}
        for each in row.pop("nodes") or ()
    }
    column = Column(**row | {"labels": row["labels"] and tuple(row["labels"]), "element": None})
    return _of_node(column, nodes, ()) if nodes else column


def _of_node(column: Column, nodes: dict[tuple[int, ...], Any], path: tuple[int, ...]) -> Column:
    """Return a column with the type that is at a place in its own, and its parts; domains are
    taken for what they are over.
    """
    node = nodes[path]
    below = [each for each in nodes if each and each[:-1] == path]
    parts, rules = tuple(_of_node(column, nodes, each) for each in below), node["rules"] or ()
    if node["kind"] == "d":
        [plain] = parts
        not_null = plain.not_null or node["not_null"]
        both = (*plain.rules, *rules)
        return replace(plain, type=node["type"], is_domain=True, not_null=not_null, rules=both)
    element = nodes[below[0]]["base"] if node["kind"] == "a" else None
    own = node | {"not_null": column.not_null, "is_domain": False, "rules": tuple(rules)}
    return replace(column, **own, element=element, parts=parts)


def _table(row: dict[str, Any]) -> Table:
    constraints = row["constraints"] or []
    uniques = [
        Unique(each["name"], tuple(each["columns"]), each["nulls_equal"], each["deferrable"])
        for each in sorted(constraints, key=lambda each: str(each["kind"]))
        if each["kind"] in "pu"
    ]
    has_key = any(each["kind"] == "p" for each in constraints)
    return Table(
        schema=row["schema"],
        name=row["name"],
        comment=row["comment"],
        has_triggers=row["has_triggers"],
        guards=tuple(row["guards"]),
        is_referenced=row["is_referenced"],
        has_deferred=row["has_deferred"],
        own_rules=tuple(row["own_rules"]),
        oid=row["oid"],
        columns=tuple(map(_column, row["columns"] or [])),
        key=uniques[0] if has_key else None,
        uniques=tuple(uniques[1:] if has_key else uniques),
        foreign_keys=tuple(
            ForeignKey(
                each["name"],
                tuple(each["columns"]),
                each["parent_schema"],
                each["parent"],
                tuple(each["parent_columns"]),
                each["on_delete"],
                each["match"] == "f",
                each["period"],
            )
            for each in constraints
            if each["kind"] == "f"
        ),
        checks=tuple(
            Check(each["name"], tuple(each["columns"] or ()), each["expression"], each["comment"])
            for each in constraints
            if each["kind"] == "c"
        ),
    )
