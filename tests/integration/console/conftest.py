"""What pages of the console show: backups, rejected rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Boat
from tests.support import quarantine, restoring


@pytest.fixture
def hired(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> Boat:
    """A boat with rows and a shelf of its own."""
    setting("backups", str(tmp_path / "backups"))
    return restoring.hire(boat)


@pytest.fixture
def taken(hired: Boat) -> str:
    """A verified set of all tables."""
    return restoring.take(hired)


@pytest.fixture
def refused(boat: Boat) -> None:
    """Three refused departments, one of them not UTF-8, and two employees without parents."""
    quarantine.refuse(boat)
