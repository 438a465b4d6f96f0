"""The console: pages for stakeholders and operators, over the same functions as the API.

Read `elements.frame` first, then `tables`, `rows`, and the rest in any order. Pages are templates
in api/templates and work without JavaScript.
"""

from flask import Blueprint, Response, send_from_directory

from api.console import (
    audit,
    backups,
    files,
    keys,
    metrics,
    quarantine,
    restores,
    rows,
    runs,
    session,
    tables,
)
from api.console.elements import frame, words
from api.shared.access import scope

blueprint = Blueprint(frame.NAME, __name__)
frame.register_frame(blueprint)
for filter_ in (words.number, words.size, words.moment, words.age, words.cell):
    blueprint.add_app_template_filter(filter_)
tables.blueprint.register_blueprint(rows.blueprint)
for each in (session, metrics, tables, backups, restores, files, runs, quarantine, keys, audit):
    blueprint.register_blueprint(each.blueprint)


@blueprint.get("/static/<path:name>")
@scope("public")
def static(name: str) -> Response:
    """Return the style sheet, the script or the icon."""
    return send_from_directory("static", name)
