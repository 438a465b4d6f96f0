"""The HTTP service: takes rows through the door and answers metric queries."""

from flask import Flask

from api import access, batches, errors, health, metrics, requests, rows, tables
from api.context import Context
from rowboat.settings import settings


def create_app() -> Flask:
    """Build the WSGI application; raises SqlFileError for a metric that cannot be read."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings().api_body_bytes
    app.extensions["rowboat"] = Context()
    requests.register(app)
    access.register(app)
    errors.register(app)
    for each in (health, tables, metrics, batches, rows):
        app.register_blueprint(each.blueprint)
    access.check(app)
    return app
