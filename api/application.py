"""The WSGI application: blueprints, error handlers, checks."""

from flask import Flask

from api import console, openapi
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
from api.shared import access, addresses, forms, problems, requests
from api.shared.context import Context
from rowboat.settings import settings


def create_app() -> Flask:
    """Build the WSGI application; raises SqlFileError for a metric that cannot be read."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.default = forms.plain  # type: ignore[attr-defined]
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.url_map.merge_slashes = False  # a redirect is no problem+json
    app.url_map.converters["table"] = addresses.TableName
    app.config["MAX_CONTENT_LENGTH"] = settings().api_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings().api_body_bytes
    app.extensions["rowboat"] = Context()
    requests.register(app)
    access.register(app)
    problems.register(app)
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
    access.check(app)
    return app
