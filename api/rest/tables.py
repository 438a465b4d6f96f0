"""The data dictionary: tables, columns, keys and rules, as the database declares them."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g
from werkzeug.routing import BaseConverter

from api.shared.access import scope
from api.shared.answers import answer_with
from api.shared.context import context, reading
from rowboat.catalog.tables import Table

blueprint = Blueprint("tables", __name__)


class TableName(BaseConverter):
    """A table name that is neither the first word of another address nor a year.

    Without this, `POST /api/metrics` would be an insert into a table `metrics` and not a 405. A
    table with such a name is addressed by its full name.
    """

    regex = r"(?!(?:backups|batch|ingest|metrics|rejects|restores|tables|[0-9]+)\Z)[^/]+"
    part_isolating = True  # match one path segment only


@dataclass(kw_only=True)
class TableList:
    """The tables as the database declares them."""

    tables: list[dict[str, Any]]


@blueprint.get("/api/tables")
@scope("read")
def tables() -> Response:
    """List the tables that the caller may see, as the database declares them."""
    with reading() as cursor:
        found = [each for each in context().catalog(cursor) if g.caller.sees(each.full_name)]
    return answer_with(TableList(tables=[describe_table(each) for each in found]))


def describe_table(table: Table) -> dict[str, Any]:
    """Return a table as JSON: name, comment, key, columns, references, rules."""
    return {
        "table": table.full_name,
        "comment": table.comment,
        "key": list(table.key.columns) if table.key else None,
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "required": column.required,
                "settable": column.settable,
                "comment": column.comment,
                **({"labels": list(column.labels)} if column.labels else {}),
            }
            for column in table.columns
        ],
        "references": [
            {
                "columns": list(key.columns),
                "table": key.parent,
                "parent_columns": list(key.parent_columns),
                "on_delete": key.on_delete,
            }
            for key in table.foreign_keys
        ],
        "rules": [check.message for check in table.checks],
    }
