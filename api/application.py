"""The WSGI application: blueprints, error handlers, checks at start."""

from flask import Flask, Response

from api import console, openapi
from api.console.elements import frame
from api.rest import (
    backups,
    batches,
    health,
    ingest,
    metrics,
    rejects,
    restores,
    row_writes,
    rows,
    tables,
    uploads,
)
from api.shared import access, forms, problems, requests
from api.shared.context import Context
from api.shared.problems import Problem
from rowboat.settings import settings


def create_app() -> Flask:
    """Build the WSGI application; raises SqlFileError for an invalid metric file."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.default = forms.json_default  # type: ignore[attr-defined]
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.url_map.merge_slashes = False  # redirects would not be problem+json
    app.url_map.converters["table"] = tables.TableName
    app.config["MAX_CONTENT_LENGTH"] = settings().api_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings().api_body_bytes
    app.extensions["rowboat"] = Context()
    requests.register_requests(app)
    access.register_access(app)
    problems.register_problems(app, answer_problem)
    for each in (
        health,
        tables,
        metrics,
        ingest,
        uploads,
        rejects,
        backups,
        restores,
        batches,
        rows,
        row_writes,
    ):
        app.register_blueprint(each.blueprint)
    app.register_blueprint(openapi.blueprint)
    app.register_blueprint(openapi.docs)
    app.register_blueprint(console.blueprint)
    access.check_scopes(app)
    return app


def answer_problem(problem: Problem) -> Response:
    """Return an error as a page (console, browsers) or as problem+json (all other clients)."""
    return frame.problem_page(problem) if frame.page_is_wanted() else problem.response()
