"""The API's own description: OpenAPI 3.1, made of routes, views, tables and metrics as they are.

It is public, as the names and types of columns are the contract; no value of any row is in it.
"""

import json

from flask import Blueprint, Response, current_app
from flask.blueprints import BlueprintSetupState
from flask_swagger_ui import get_swaggerui_blueprint

from api.openapi.document import document
from api.shared.access import scope
from api.shared.context import context, reading
from rowboat.catalog.tables import Catalog

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
@scope("public")
def openapi() -> Response:
    """Describe the API as OpenAPI 3.1."""
    with reading() as cursor:
        catalog = context().catalog(cursor)
    known: tuple[Catalog, str] | None = current_app.extensions.get("openapi")
    if known is None or known[0] is not catalog:
        text = json.dumps(document(current_app, catalog), ensure_ascii=False)
        known = current_app.extensions["openapi"] = catalog, text
    return Response(known[1], content_type="application/json")


docs = get_swaggerui_blueprint(
    "/docs",
    "/openapi.json",
    {"app_name": "Rowboat", "validatorUrl": None, "oauth2RedirectUrl": "/docs/oauth2-redirect.html",
     "layout": "BaseLayout",
        "tryItOutEnabled": True, "docExpansion": "none", "persistAuthorization": False},
    blueprint_name="docs",
)  # fmt: skip


def _open(state: BlueprintSetupState) -> None:
    """Let everybody see the page."""
    scope("public")(state.app.view_functions["docs.show"])


def _stay_here(answer: Response) -> Response:
    """Let the page load nothing from elsewhere."""
    answer.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; frame-ancestors 'none'"
    )
    return answer


docs.record(_open)
docs.context_processor(lambda: {"oauth_config_json": None})  # its page asks for what is not set
docs.after_request(_stay_here)
