"""The plan of a restore: what it would do, in numbers that must still be true when it is done."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rowboat.backup.avro.schema import Schema
from rowboat.catalog.tables import Table
from rowboat.errors import RestoreRefused

Mode = Literal["replace", "merge", "missing"]
MODES: dict[Mode, str] = {
    "replace": "make the table equal to the backup",
    "merge": "insert and update, delete nothing",
    "missing": "insert what is not there, change nothing",
}


@dataclass
class TablePlan:
    """The plan for one table: numbers of rows.

    `dependents` is foreign key → rows of other tables that deletes would touch, `actions` foreign
    key → what would be done to them; `drift` are sentences on columns that have changed since the
    backup; `reasons` say why rows would be rejected.
    """

    table: str
    insert: int = 0
    update: int = 0
    delete: int = 0
    unchanged: int = 0
    rejected: int = 0
    dependents: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)

    @property
    def touched(self) -> int:
        """The number of rows of other tables that would be touched."""
        return sum(self.dependents.values())

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers that must still be true when the plan is carried out."""
        counts = ("insert", "update", "delete", "unchanged", "rejected")
        touched = {f"rows of {label}": rows for label, rows in self.dependents.items() if rows}
        return {name: getattr(self, name) for name in counts} | touched

    def changed(self, then: "TablePlan") -> list[str]:
        """Return a sentence for each number that differs from that of an earlier plan."""
        names = dict.fromkeys([*then.numbers, *self.numbers])
        pairs = {name: (then.numbers.get(name, 0), self.numbers.get(name, 0)) for name in names}
        return [
            f"{name} {was:,} is now {is_:,}" for name, (was, is_) in pairs.items() if was != is_
        ]


@dataclass
class Plan:
    """The plan for one or more tables, parents first; an unload is recorded like one, too."""

    set: str
    mode: Mode | Literal["unload"]
    tables: list[TablePlan]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document; that of a single table is flat."""
        tables = [asdict(each) for each in self.tables]
        if len(tables) == 1:
            return {"set": self.set, "mode": self.mode, **tables[0]}
        return {"set": self.set, "mode": self.mode, "tables": tables}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Plan":
        """Return the plan that a JSON document contains."""
        rest = {name: value for name, value in document.items() if name not in ("set", "mode")}
        tables = rest.get("tables", [rest])
        return cls(document["set"], document["mode"], [TablePlan(**each) for each in tables])

    @property
    def changes(self) -> bool:
        """Whether anything would change."""
        return any(each.insert or each.update or each.delete for each in self.tables)


def schema_drift(schema: Schema, table: Table, mode: Mode) -> list[str]:
    """Return sentences on how a table differs from its backup.

    Raises RestoreRefused if no row could be inserted, or rows could not be matched by key.
    """
    held, found = schema.by_column, []
    for column in table.stored:
        if column.name not in held:
            if column.required:
                raise RestoreRefused(
                    f"{table.full_name} requires {column.name}, which the backup does not have",
                    "give the column a default, then restore",
                )
            found.append(
                f"{column.name} was added since: new rows get its default, others keep theirs"
            )
        elif held[column.name].type != column.type:
            found.append(
                f"{column.name} was {held[column.name].type} and is {column.type}: judged as text"
            )
    stored = {column.name for column in table.stored}
    found += [f"{name} is no longer in the table: left out" for name in held if name not in stored]
    if table.key is None and mode != "replace":
        raise RestoreRefused(
            f"{table.full_name} has no key, so its rows cannot be told apart",
            "use --mode replace, which deletes all rows and inserts those of the backup",
        )
    if table.key and not set(table.key.columns) <= set(held):
        raise RestoreRefused(
            f"the backup does not have the key of {table.full_name}",
            "restore it with --into a new table",
        )
    return found
