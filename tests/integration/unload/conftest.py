"""A shelf of the test's own for the safety copies of unloads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Boat


@pytest.fixture(autouse=True)
def shelf_of_its_own(boat: Boat, setting: Callable[[str, str], None], tmp_path: Path) -> None:
    """Let the shelf be an empty folder of the test."""
    setting("backups", str(tmp_path / "shelf"))
