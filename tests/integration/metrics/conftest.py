"""Rows for the metrics of the repository."""

import pytest

from tests.conftest import Boat
from tests.support.figures import hire, name


@pytest.fixture
def crew(boat: Boat) -> Boat:
    """Two departments, two jobs, and a hire in each of the first two quarters of 2021."""
    name(boat, ["D", "E"], ["J", "K"])
    hire(boat, ("2021-01-01Z", 1, 1), ("2021-05-01Z", 2, 2))
    return boat
