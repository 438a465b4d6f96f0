"""A shelf of the test's own, rows to back up, and the end of processes that a test started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Boat
from tests.support import restoring
from tests.support.killing import ended

__all__ = ["ended"]


@pytest.fixture
def shelf_of_its_own(setting: Callable[[str, str], None], tmp_path: Path) -> None:
    """Let the shelf be an empty folder of the test."""
    setting("backups", str(tmp_path / "shelf"))


@pytest.fixture
def crew(boat: Boat) -> Boat:
    """A boat with three departments, a job and two employees."""
    return restoring.hire(boat)
