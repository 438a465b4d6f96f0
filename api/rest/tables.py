"""The data dictionary."""

from typing import Any

from flask import Blueprint, g

from api.shared.access import scope
from api.shared.context import context, reading
from rowboat.catalog.tables import Table

blueprint = Blueprint("tables", __name__)


@blueprint.get("/api/tables")
@scope("read")
def tables() -> dict[str, Any]:
    """List the tables that the caller may see, as the database declares them."""
    with reading() as cursor:
        found = [each for each in context().catalog(cursor) if g.caller.sees(each.full_name)]
    return {"tables": [described(each) for each in found]}


def described(table: Table) -> dict[str, Any]:
    """Return what the catalog knows of a table."""
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
