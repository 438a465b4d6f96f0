"""The API over the boat's database, with callers of every scope."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.application import create_app
from rowboat.access import keys, oidc_tokens, sessions
from rowboat.database.connections import transaction
from rowboat.settings import settings
from tests.conftest import Boat
from tests.support.fake_airflow import FakeAirflow

ClientOf = Callable[..., FlaskClient]


_built: list[Flask] = []  # the application that others are copies of


@pytest.fixture
def app(boat: Boat, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application; its connections are closed at the end.

    It is a copy of one that has no state of a test. A test that adds routes is marked `own_app`:
    a copy shares its routes with all others.
    """
    if request.node.get_closest_marker("own_app"):
        made = create_app()
    else:
        if not _built:
            _built.append(create_app())
            assert _built[0].jinja_env  # made here, so that a template is compiled once
        made = copy_app(_built[0])
    yield made
    made.extensions["rowboat"].close()


def copy_app(app: Flask) -> Flask:
    """Return an application with the routes and templates of another, and a state of its own.

    This takes a fiftieth of the 50 ms of `create_app`, most of which goes into the routes.
    """
    made = copy(app)
    made.config = copy(app.config)
    made.config["MAX_CONTENT_LENGTH"] = settings().api_body_bytes
    made.config["MAX_FORM_MEMORY_SIZE"] = settings().api_body_bytes
    made.view_functions = copy(app.view_functions)
    made.extensions = {
        "rowboat": type(app.extensions["rowboat"])(),
        "issuer": oidc_tokens.issuer_of_settings(),
        "figures": type(app.extensions["figures"])(),
    }
    return made


@pytest.fixture
def client_of(app: Flask, boat: Boat) -> ClientOf:
    """Make a client whose requests bear a key: client_of(scope, tables=None)."""

    def make(scope: str, tables: Sequence[str] | None = None) -> FlaskClient:
        with transaction(boat.connect("owner")) as cursor:
            _, token = keys.create_key(cursor, "a test", scope, tables, per_minute=100_000)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return make


@pytest.fixture
def client(client_of: ClientOf) -> FlaskClient:
    """A client that may do everything."""
    return client_of("operate")


class Visitor(FlaskClient):
    """A browser without a screen: keeps its cookies and fills in the forms of the console."""

    def post_form(self, address: str, **fields: Any) -> TestResponse:
        """Send a form as the console's own page does."""
        cookie = self.get_cookie(sessions.COOKIE)
        csrf = sessions.form_token(cookie.value if cookie else "")
        return self.post(address, data={"csrf": csrf, **fields})


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Somebody who looks at the console and is not signed in."""
    return Visitor(app, app.response_class)


@pytest.fixture
def signed_in(app: Flask, boat: Boat) -> Callable[..., Visitor]:
    """Sign somebody in at the console: signed_in(scope="operate", tables=None)."""

    def make(scope: str = "operate", tables: Sequence[str] | None = None) -> Visitor:
        with transaction(boat.connect("owner")) as cursor:
            _, token = keys.create_key(cursor, "a test", scope, tables, per_minute=100_000)
        visitor = Visitor(app, app.response_class)
        visitor.get("/sign-in")
        assert visitor.post_form("/sign-in", key=token).status_code == 303
        return visitor

    return make


@pytest.fixture
def airflow(setting: Callable[[str, str], None], app: Flask) -> Iterator[FakeAirflow]:
    """An Airflow that speaks as much of its REST API as the service uses."""
    fake = FakeAirflow()
    setting("airflow_url", fake.address)
    setting("airflow_password", fake.password)
    yield fake
    fake.stop()
    if session := app.extensions.get("airflow"):
        session.close()
