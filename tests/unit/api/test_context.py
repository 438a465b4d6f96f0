"""The API's pool of connections: what breaks between two requests reaches neither of them."""

from typing import Any

import psycopg2
import pytest

from api.shared import context
from api.shared.context import Connections
from rowboat.errors import ConnectionLost


class Broken:
    """A connection whose server has gone, which the driver has not noticed yet."""

    closed = 0

    def rollback(self) -> None:
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def set_session(self, *_: Any, **__: Any) -> None:
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def close(self) -> None:
        self.closed = 1


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    made = Broken()
    monkeypatch.setattr(context.connections, "uri", lambda _: "")
    monkeypatch.setattr(context.connections, "connect", lambda *_: made)
    return made


def test_a_connection_that_broke_after_its_work_is_not_lent_again(broken: Broken) -> None:
    pool = Connections()
    with pool.connection():
        pass
    assert (pool.idle, broken.closed) == (0, 1)


def test_a_connection_that_breaks_as_it_is_set_up_is_told_as_lost(broken: Broken) -> None:
    with pytest.raises(ConnectionLost), Connections(autocommit=True).connection():
        pytest.fail("it was lent")
