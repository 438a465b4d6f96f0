"""The form of a row, built from the catalog: its fields, and what was typed into them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rowboat.catalog import literals
from rowboat.catalog.tables import Catalog, Column, ForeignKey, Table
from rowboat.database.connections import Cursor
from rowboat.rows.read import relatives

Cells = Mapping[str, str | None]
_CHOICES = 200  # most parents offered in a list; if there are more, the key must be typed
_LONG = 200  # characters above which a text gets a textarea
_TIMES = {"date": "date", "timestamp": "datetime-local", "timestamptz": "datetime-local"}
_FORMS = {  # values that the pickers of browsers can represent; others would lose digits
    "date": r"\d{4}-\d\d-\d\d",
    "datetime-local": r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::00|(:\d\d))?(?:\+00:00|Z)?",
}
_NOTHING = {"text": "the empty text", "null": "NULL (no value)", "default": "the default"}


@dataclass
class RowField:
    """A column in a form.

    `empty` is the meaning of an empty field, one of `empties`: text, null or default. `was` is the
    value when the form was first shown, and `changed` whether the typed value is to be written.
    """

    column: Column
    parent: ForeignKey | None
    choices: Sequence[tuple[str, str]] | None
    empties: tuple[str, ...]
    text: str = ""
    empty: str = ""
    was: str | None = None
    changed: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Its HTML element: select, textarea, or the type of an input."""
        if self.choices is not None:
            return "select"
        base = self.column.base
        if base in ("json", "jsonb", "xml") or len(self.text) > _LONG or "\n" in self.text:
            return "textarea"
        picker = _TIMES.get(base, "text")
        fits = not self.text or re.fullmatch(_FORMS.get(picker, ""), self.text)
        return picker if fits else "text"

    @property
    def shown(self) -> str:
        """The text in the format of its element."""
        return _shown(self.kind, self.text)

    @property
    def noun(self) -> str:
        """What a value is, such as 'an integer'; empty for texts."""
        return "" if self.column.is_text else literals.literal_of(self.column).noun

    @property
    def empty_words(self) -> list[tuple[str, str]]:
        """The meanings offered for an empty field, as (value, label)."""
        made = {"default": f"the default, {self.column.default}"} if self.column.default else {}
        return [(each, (_NOTHING | made)[each]) for each in self.empties]

    @property
    def value(self) -> str | None:
        """The typed value; None for NULL and for the default."""
        return self.text if self.text or self.empty == "text" else None


@dataclass(frozen=True)
class Change:
    """A value that others changed while the form was open: as first shown, now, and as typed."""

    column: str
    seen: str | None
    now: str | None
    typed: str | None


def build_fields(
    cursor: Cursor, catalog: Catalog, table: Table, cells: Cells | None = None
) -> list[RowField]:
    """Return the form fields of a row with these cells, or of a new row.

    The key of an existing row cannot be edited, and a new row has no field for identity columns,
    which the database numbers.
    """
    key = table.key.columns if table.key and cells is not None else ()
    return [
        _field(cursor, catalog, table, column, cells)
        for column in table.settable
        if column.name not in key and (cells is not None or not column.identity)
    ]


def read_form(form: Mapping[str, str], found: list[RowField]) -> dict[str, str | None]:
    """Set the fields to the submitted form; return column → value to write.

    These are all values of a new row, but only the changed ones of an existing row. A form with
    the field `version` is about an existing row.
    """
    is_new = "version" not in form
    given: dict[str, str | None] = {}
    for each in found:
        name = each.column.name
        if f"cell.{name}" not in form:
            continue
        was = form.get(f"was.{name}")
        each.was = None if was is None else _lines(was)
        each.text = _lines(form[f"cell.{name}"])
        each.empty = form.get(f"empty.{name}", each.empties[0] if each.empties else "null")
        # Compare with what the browser was given: it drops seconds that are 00, for example.
        shown = None if each.was is None else _shown(each.kind, each.was)
        is_default = is_new and not each.text and each.empty == "default"
        each.changed = not is_default if is_new else each.value != shown
        if each.changed:
            given[name] = each.value
    return given


def place_errors(found: list[RowField], errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Add errors to the fields of their columns; return the messages that belong to no field."""
    by_name = {each.column.name: each for each in found}
    rest = list[str]()
    for error in errors:
        names = (error["column"] or "").split(", ")
        mine = next((by_name[name] for name in names if name in by_name), None)
        (mine.errors if mine else rest).append(error["message"])
    return rest


def merge_changes(found: list[RowField], cells: Cells) -> list[Change]:
    """Set the unedited fields to the row's current cells; return what others changed."""
    changes = []
    for each in found:
        cell = cells[each.column.name]
        now = None if cell is None else _lines(cell)
        if now != each.was:
            changes.append(Change(each.column.name, each.was, now, each.value))
        each.was = now
        if not each.changed:
            each.text, each.empty = now or "", _empty(each.empties, now)
    return changes


def _field(
    cursor: Cursor, catalog: Catalog, table: Table, column: Column, cells: Cells | None
) -> RowField:
    parents = [each for each in table.foreign_keys if column.name in each.columns]
    parent = next((each for each in parents if each.parent in catalog.by_name), None)
    empties = _empties(column, is_new=cells is None)
    found = RowField(column, parent, _choices(cursor, catalog, column, parent), empties)
    was = None if cells is None else cells[column.name]
    found.was = None if was is None else _lines(was)
    found.text, found.empty = found.was or "", _empty(empties, was)
    # A value that is not offered must not be lost when the form is saved.
    if found.choices is not None and found.text not in ("", *(name for name, _ in found.choices)):
        found.choices = [*found.choices, (found.text, found.text)]
    return found


def _choices(
    cursor: Cursor, catalog: Catalog, column: Column, parent: ForeignKey | None
) -> Sequence[tuple[str, str]] | None:
    """Return the (value, label) pairs of a list, or None if the value must be typed."""
    if column.labels:
        return [(each, each) for each in column.labels]
    if column.base == "bool":
        return [("true", "true"), ("false", "false")]
    if parent is None or len(parent.columns) > 1:
        return None
    found = relatives.choices_of_key(cursor, catalog, parent, _CHOICES)
    return None if found is None or any(not value for value, _ in found) else found


def _empties(column: Column, is_new: bool) -> tuple[str, ...]:
    """Return the possible meanings of an empty field, the most likely first."""
    likely = ("default",) if is_new and column.default else ()
    null = () if column.not_null else ("null",)
    return (*likely, *null, *(("text",) if column.is_text else ()))


def _empty(empties: tuple[str, ...], value: str | None) -> str:
    if value == "" and "text" in empties:
        return "text"
    return empties[0] if empties else "null"


def _shown(kind: str, text: str) -> str:
    """Return a text as a browser sends it back from an unedited field."""
    found = re.fullmatch(_FORMS[kind], text) if kind == "datetime-local" else None
    return found[1] + (found[2] or "") if found else text


def _lines(text: str) -> str:
    """Return a text with newlines as \\n; browsers send CRLF."""
    return re.sub("\r\n?", "\n", text)
