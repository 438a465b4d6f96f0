"""The command `serve`: the API server, and a folder in memory for its processes' counters."""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from rowboat.cli.terminal import command, main

_NUMBERS = "rowboat-api-"
_MEMORY = Path("/dev/shm")  # noqa: S108  # tmpfs (shm_overview(7)): a full disk leaves it alone


@command(main)
def serve() -> Any:
    """Run the API until Ctrl-C; SIGTERM lets running requests finish first."""
    folder, held = _numbers()
    atexit.register(_remove, folder, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # before the import, which looks for it once
    from api.server.serve import run

    with held:
        run()


def _numbers() -> tuple[str, IO[str]]:
    """Make a folder for the numbers of all processes; take away those that killed servers left.

    It is in use while somebody holds the lock in it, which goes with the last of the processes.
    """
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in place.glob(f"{_NUMBERS}*"):
        with suppress(OSError), (left / "used").open() as used:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    hidden = Path(tempfile.mkdtemp(prefix=f".{_NUMBERS}", dir=place))
    held = (hidden / "used").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    return str(hidden.rename(hidden.with_name(hidden.name[1:]))), held


def _remove(folder: str, process: int) -> None:
    """Remove the folder at the end of the process that made it, not at that of its forks."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
