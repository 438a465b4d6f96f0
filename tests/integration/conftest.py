"""The API over the boat's database, with callers of every scope."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api import create_app
from rowboat import keys
from rowboat.database import transaction
from tests.conftest import Boat
from tests.fake_airflow import FakeAirflow

ClientOf = Callable[..., FlaskClient]


@pytest.fixture
def app(boat: Boat) -> Iterator[Flask]:
    """The application; its connections are closed at the end."""
    made = create_app()
    yield made
    made.extensions["rowboat"].close()


@pytest.fixture
def client_of(app: Flask, boat: Boat) -> ClientOf:
    """Make a client whose requests bear a key: client_of(scope, tables=None)."""

    def make(scope: str, tables: Sequence[str] | None = None) -> FlaskClient:
        with transaction(boat.connect("owner")) as cursor:
            _, token = keys.create(cursor, "a test", scope, tables, per_minute=100_000)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return make


@pytest.fixture
def client(client_of: ClientOf) -> FlaskClient:
    """A client that may do everything."""
    return client_of("operate")


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
