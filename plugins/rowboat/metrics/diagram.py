"""Draws the entity diagram: a box for each table, a line for each foreign key.

Parents are to the left of their children. A ring of foreign keys is broken where the catalog breaks
it to order tables.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from xml.etree.ElementTree import Element

from rowboat.catalog.tables import Catalog, Column, ForeignKey, Table
from rowboat.metrics.svg import (
    FAINT,
    GROUND,
    PANEL,
    add_element,
    new_drawing,
    shorten_text,
    write_svg,
)

_SHOWN = 12  # columns in a box; columns of keys are preferred
_WIDE, _LETTERS, _ROW, _HEAD = 300, 34, 20, 46
_GAP, _BESIDE, _EDGE = 24, 90, 12
_LEGEND = "Bold: the key. *: always has a value. Fork: the child; bar: its parent."


@dataclass(frozen=True)
class Box:
    """A table, the columns shown, and the upper left corner of its box."""

    table: Table
    columns: tuple[Column, ...]
    x: int
    y: int

    @property
    def left_out(self) -> int:
        """Number of columns that are not shown."""
        return len(self.table.columns) - len(self.columns)

    @property
    def bottom(self) -> int:
        """The y coordinate of the lower edge."""
        return self.y + _HEAD + _ROW * (len(self.columns) + bool(self.left_out)) + 6

    def row(self, name: str) -> int:
        """Return the y coordinate of a column, or of the row `… more` if it is not shown."""
        names = [column.name for column in self.columns]
        place = names.index(name) if name in names else len(names)
        return self.y + _HEAD + _ROW * place + _ROW // 2


def diagram_svg(catalog: Catalog, link: Callable[[Table], str]) -> str:
    """Draw all tables; `link` gives the address that a table's box links to."""
    boxes = _boxes(catalog)
    keys = [
        (box, key)
        for box in boxes.values()
        for key in box.table.foreign_keys
        if key.parent in boxes
    ]
    label = f"Entity diagram: {_count(len(boxes), 'table')}, {_count(len(keys), 'foreign key')}"
    right = max((box.x + _WIDE for box in boxes.values()), default=0)
    width = max(right + _BESIDE // 2, 2 * _WIDE - _BESIDE)  # the legend must fit, too
    height = max((box.bottom for box in boxes.values()), default=0) + 40
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    root = new_drawing(label, role="group", class_="diagram", **size)
    for box, key in keys:
        _line(root, box, boxes[key.parent], key)
    for box in boxes.values():
        _box(root, box, link(box.table))
    legend = _LEGEND if boxes else "no tables"
    add_element(
        root, "text", legend, class_="faint", x=_EDGE, y=height - 14, fill=FAINT, font_size=12
    )
    return write_svg(root)


def _boxes(catalog: Catalog) -> dict[str, Box]:
    """Return full name → box, in layers by depth, each near the height of its parents."""
    boxes: dict[str, Box] = {}

    def height(table: Table) -> tuple[float, str]:
        parents = [boxes[name].y for name in catalog.parents(table) if name in boxes]
        return fmean(parents) if parents else 0, table.full_name

    # in_order() is sorted by depth, as groupby requires.
    layers = groupby(catalog.in_order(), key=lambda table: catalog.depths[table.full_name])
    for place, (_, tables) in enumerate(layers):
        y = _EDGE
        for table in sorted(tables, key=height):
            box = Box(table, _shown(table), _EDGE + place * (_WIDE + _BESIDE), y)
            boxes[table.full_name] = box
            y = box.bottom + _GAP
    return boxes


def _shown(table: Table) -> tuple[Column, ...]:
    """Return the columns to show, in table order; columns of keys are preferred."""
    keys = [key.columns for key in (table.key, *table.foreign_keys) if key]
    named = {name for columns in keys for name in columns}
    kept = sorted(table.columns, key=lambda column: column.name not in named)[:_SHOWN]
    return tuple(column for column in table.columns if column in kept)


def _box(root: Element, box: Box, address: str) -> None:
    """Draw a table's box as a link."""
    table, x, y = box.table, box.x, box.y
    count = _count(len(table.columns), "column")
    part = add_element(
        root, "a", href=address, aria_label=f"{table.full_name}, {count}", class_="box"
    )
    size = {"x": x, "y": y, "width": _WIDE, "rx": 4}
    look = {"fill": GROUND, "stroke": FAINT, "class_": "ground"}
    add_element(part, "rect", height=box.bottom - y, **size, **look)
    add_element(part, "rect", height=_HEAD - 4, class_="head", fill=PANEL, stroke=FAINT, **size)
    title = add_element(part, "g")
    add_element(title, "title", f"{table.full_name}{f': {table.comment}' if table.comment else ''}")
    schema = shorten_text(table.schema, _LETTERS)
    add_element(title, "text", schema, x=x + 10, y=y + 16, class_="faint", fill=FAINT, font_size=12)
    add_element(
        title,
        "text",
        shorten_text(table.name, _LETTERS - 2),
        x=x + 10,
        y=y + 34,
        font_weight="bold",
    )
    for column in box.columns:
        _column(part, box, column)
    if box.left_out:
        more = f"… {box.left_out:,} more, not drawn"
        add_element(part, "text", more, x=x + 10, y=box.row("") + 5, class_="faint", fill=FAINT)


def _column(part: Element, box: Box, column: Column) -> None:
    """Write a column: name, `*` if it is NOT NULL, type."""
    table, base = box.table, box.row(column.name) + 5
    in_key = table.key is not None and column.name in table.key.columns
    row = add_element(part, "g")
    add_element(row, "title", _told(table, column))
    name = shorten_text(column.name, 20) + (" *" if column.not_null else "")
    weight = "bold" if in_key else "normal"
    add_element(row, "text", name, x=box.x + 10, y=base, font_weight=weight)
    kind = shorten_text(column.type, _LETTERS - 1.2 * len(name))
    right = {"x": box.x + _WIDE - 10, "text_anchor": "end"}
    add_element(row, "text", kind, y=base, class_="faint", fill=FAINT, **right)


def _told(table: Table, column: Column) -> str:
    """Return the description of a column: type, key, NULL, references, comment."""
    told = [f"{column.name} {column.type}"]
    if table.key and column.name in table.key.columns:
        told.append("key")
    told.append("always has a value" if column.not_null else "may be without a value")
    told += [f"refers to {key.parent}" for key in table.foreign_keys if column.name in key.columns]
    return ", ".join(told) + (f": {column.comment}" if column.comment else "")


def _line(root: Element, child: Box, parent: Box, key: ForeignKey) -> None:
    """Draw a foreign key: a fork at the child, a bar at the parent (crow's foot notation)."""
    leave = -1 if parent.x < child.x else 1  # to the left, or to the right
    reach = 1 if parent.x <= child.x else -1  # from the right of the parent, or from its left
    x1, y1 = child.x + (_WIDE if leave > 0 else 0), child.row(key.columns[0])
    x2, y2 = parent.x + (_WIDE if reach > 0 else 0), parent.row(key.parent_columns[0])
    bend = 40
    curve = f"M{x1} {y1}h{12 * leave}C{x1 + bend * leave} {y1} {x2 + bend * reach} {y2}"
    fork = f"M{x1} {y1 - 6}L{x1 + 12 * leave} {y1}L{x1} {y1 + 6}"
    bar = f"M{x2 + 8 * reach} {y2 - 6}v12"
    part = add_element(root, "g", class_="edge", fill="none", stroke=FAINT, stroke_width=1.5)
    names = ", ".join(key.columns), ", ".join(key.parent_columns)
    told = f"{child.table.full_name} ({names[0]}) refers to {key.parent} ({names[1]})"
    add_element(part, "title", told)
    add_element(part, "path", d=f"{curve} {x2 + 12 * reach} {y2}H{x2}{fork}{bar}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
