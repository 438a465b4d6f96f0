"""Short ways to ask for rows over HTTP."""

import base64
import json
from typing import Any

from flask.testing import FlaskClient

REFUSED = "the query parameters cannot be used"


def ids(client: FlaskClient, address: str) -> list[int]:
    """Return the ids of the rows of a page."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json["rows"]]


def faults(client: FlaskClient, address: str) -> list[tuple[str, str, str]]:
    """Send wrong parameters; return (parameter, rule, message) of every fault."""
    answer = client.get(address)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), answer.text
    assert answer.json["detail"] == REFUSED
    assert all(each["row"] is None for each in answer.json["errors"])
    return [(each["column"], each["rule"], each["message"]) for each in answer.json["errors"]]


def after(order: Any, place: Any) -> str:
    """Return the cursor of a page, as the API encodes it."""
    return base64.urlsafe_b64encode(json.dumps([order, place]).encode()).decode().rstrip("=")
