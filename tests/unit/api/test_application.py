"""The HTTP service, without a database."""

from api.application import create_app
from rowboat import __version__


def test_health() -> None:
    answer = create_app().test_client().get("/health")
    assert (answer.status_code, answer.json) == (200, {"alive": True, "version": __version__})
