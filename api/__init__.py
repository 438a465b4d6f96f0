"""The HTTP service: takes rows through the door and answers metric queries."""

from flask import Flask

from rowboat import __version__


def create_app() -> Flask:
    """Build the WSGI application."""
    app = Flask(__name__)
    app.get("/health")(health)
    return app


def health() -> dict[str, object]:
    """Tell that the service is alive."""
    return {"alive": True, "version": __version__}
