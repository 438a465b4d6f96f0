"""Prometheus' own tool, which reads rules and numbers as the server does.

`python -m tests.support.promtool` tells by its exit code whether it is there.
"""

import shutil
import sys
from pathlib import Path

import pytest


def promtool() -> str:
    """Return its path; skips the test where there is none."""
    found = _found()
    if found is None:
        pytest.skip("there is no promtool; environments/observe/promtool gets it")
    return found


def _found() -> str | None:
    """Return that of this environment, else the system's."""
    return shutil.which("promtool", path=Path(sys.executable).parent) or shutil.which("promtool")


if __name__ == "__main__":
    sys.exit(_found() is None)
