"""Whether the service lives, and whether it can work."""

from typing import Any

from flask import Blueprint

from api.access import scope
from rowboat import __version__

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@scope("public")
def health() -> dict[str, Any]:
    """Tell that the service is alive."""
    return {"alive": True, "version": __version__}
