"""OpenAPI: the description of this API, generated from its routes, views, tables and metrics.

It is public: it contains the names and types of columns, but no values. Read `document` first,
then `operations`, `tables`, `columns`, `shapes`, `parts`, `samples`.
"""

import json

from flask import Blueprint, Response, current_app
from flask.blueprints import BlueprintSetupState
from flask_swagger_ui import get_swaggerui_blueprint

from api.openapi.document import build_document
from api.shared.access import scope
from api.shared.context import context, reading
from rowboat.catalog.tables import Catalog

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
@scope("public")
def openapi() -> Response:
    """Return this document (OpenAPI 3.1)."""
    with reading() as cursor:
        catalog = context().catalog(cursor)
    # Building takes long, so it is done once per catalog, which is read every two seconds at most.
    known: tuple[Catalog, str] | None = current_app.extensions.get("openapi")
    if known is None or known[0] is not catalog:
        text = json.dumps(build_document(current_app, catalog), ensure_ascii=False)
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


def _make_public(state: BlueprintSetupState) -> None:
    """Make the page public."""
    scope("public")(state.app.view_functions["docs.show"])


def _set_policy(answer: Response) -> Response:
    """Set a policy that lets the page load nothing from other hosts."""
    answer.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; frame-ancestors 'none'"
    )
    return answer


docs.record(_make_public)
docs.context_processor(
    lambda: {"oauth_config_json": None}
)  # the template uses it, but nothing sets it
docs.after_request(_set_policy)
