"""The data dictionary, and the rows of a table: filtered, ordered, in pages."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from api.console.elements import filter_form, frame
from api.shared.access import scope
from api.shared.context import context, reading, the_table
from rowboat.catalog.sizes import count_rows
from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import AskRefused
from rowboat.metrics import diagram
from rowboat.rows.read import filters, listing_params
from rowboat.rows.read.filters import Fault
from rowboat.rows.read.listing_params import ListingParams
from rowboat.rows.read.reading import RowPage, read_page

blueprint = Blueprint("tables", __name__)
_FOLD = 120  # characters of a value shown in a list
_LOOKS = {"N": "number", "D": "line"}  # category of a type (pg_type) → CSS class
_COUNT_UP_TO = 10_000  # rows of a table counted for the dictionary; more are estimated


@dataclass(frozen=True)
class Cell:
    """A value in a list of rows; of a long one, its beginning, and `length` in characters."""

    text: str | None
    look: str = ""
    length: int | None = None
    link: str | None = None


@blueprint.get("/tables")
@scope("read")
def dictionary() -> str:
    """Show the tables that the caller may see, as the database declares them, and a diagram."""
    with reading() as cursor:
        catalog = visible_catalog(context().catalog(cursor))
        counts = {each.full_name: count_rows(cursor, each, _COUNT_UP_TO) for each in catalog.tables}
    drawn = Markup(diagram.diagram_svg(catalog, lambda table: "#" + table.full_name))  # noqa: S704
    return render_template("tables.html", catalog=catalog, counts=counts, diagram=drawn)


@blueprint.get("/tables/<table>")
@scope("read")
def browse(table: str) -> ResponseReturnValue:
    """Show rows of a table by the parameters of the API.

    The fields of the filter form are first redirected to an address with these parameters.
    """
    given = list(request.args.items(multi=True))
    sent = filter_form.read_parameters(given)
    if sent is not None:
        return frame.redirect_to(f"{table_address(table)}?{urlencode(sent)}")
    faults: list[Fault] = []
    page, ask = RowPage([]), None
    with reading() as cursor:
        found, catalog = the_table(cursor, table), visible_catalog(context().catalog(cursor))
        try:
            ask = listing_params.read_listing_params(cursor, found, given)
            page = read_page(cursor, found, ask, as_text=True)
        except AskRefused as refused:
            faults = [dict(each) for each in refused.errors]
    lines, others = filter_form.build_lines(found, given, faults)
    text = render_template(
        "table.html",
        table=found,
        page=page,
        ask=ask,
        rows=_cells(catalog, found, page),
        headings=_headings(found, ask),
        lines=lines,
        faults=others,
        comparisons=filter_form.COMPARISONS,
        here=_here,
        csv=f"/api/{quote(found.full_name)}?{_asked(format='csv', safe='true')}",
    )
    return text, 422 if faults else 200


def visible_catalog(catalog: Catalog) -> Catalog:
    """Return a catalog reduced to the tables that the caller may see."""
    return replace(catalog, tables=tuple(each for each in catalog if g.caller.sees(each.full_name)))


def table_address(table: str) -> str:
    """Return the address of the page with a table's rows."""
    return url_for("console.tables.browse", table=table)


def row_address(table: Table, key: list[str]) -> str | None:
    """Return the address of a row's page, or None for a key that cannot be part of an address."""
    joined = ",".join(key)
    if any("," in part or "/" in part for part in key) or joined in ("", ".", "..", "new"):
        return None
    return f"{table_address(table.full_name)}/{quote(joined, safe=',')}"


def _cells(catalog: Catalog, table: Table, page: RowPage) -> list[list[Cell]]:
    """Return the rows of a page as cells."""
    names = list(table.by_name)
    key = [names.index(name) for name in (table.key.columns if table.key else ())]
    looks = [_LOOKS.get(column.category, "") for column in table.columns]
    links = {at: to for at, to in _links(catalog, table).items() if at not in key[:1]}

    def cell(at: int, text: str | None, own: str | None) -> Cell:
        if text is None:
            return Cell(None, looks[at])
        link = links[at](text) if at in links else own if at in key[:1] else None
        return Cell(text[:_FOLD], looks[at], len(text) if len(text) > _FOLD else None, link)

    found = []
    for row in page.rows:
        own = row_address(table, [row[at] or "" for at in key]) if key else None
        found.append([cell(at, text, own) for at, text in enumerate(row)])
    return found


def _links(catalog: Catalog, table: Table) -> dict[int, Callable[[str], str | None]]:
    """Return column position → function from value to address, of single-column foreign keys."""
    names, found = list(table.by_name), {}
    for key in table.foreign_keys:
        parent = catalog.by_name.get(key.parent)
        own = parent and parent.key and parent.key.columns == key.parent_columns
        if parent and own and len(key.columns) == 1:
            found[names.index(key.columns[0])] = _to(parent)
    return found


def _to(parent: Table) -> Callable[[str], str | None]:
    return cache(lambda text: row_address(parent, [text]))


def _headings(table: Table, ask: ListingParams | None) -> list[dict[str, Any]]:
    """Return each column with its current order, and the link that orders by it."""
    first = ask.order.by[0] if ask and ask.order.by and not ask.sample else None
    found = []
    for column in table.columns:
        mine = first if first and first.column is column else None
        text = f"-{column.name}" if mine and not mine.down else column.name
        sorts = filters.is_comparable(column)
        found.append({
            "column": column,
            "link": _here(order=text, after=None, sample=None) if sorts else None,
            "now": mine and ("descending" if mine.down else "ascending"),
        })  # fmt: skip
    return found


def _here(**changes: str | None) -> str:
    """Return the address of this page with changed parameters; None removes one."""
    return f"{quote(request.path)}?{_asked(**changes)}"


def _asked(**changes: str | None) -> str:
    kept = [each for each in request.args.items(multi=True) if each[0] not in changes]
    return urlencode([*kept, *((name, text) for name, text in changes.items() if text is not None)])
