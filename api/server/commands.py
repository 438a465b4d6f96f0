"""The command `serve`: sets up the folder of the Prometheus counters, then runs the server."""

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
_MEMORY = Path("/dev/shm")  # noqa: S108  # tmpfs (shm_overview(7)): works even if the disk is full


@command(main)
def serve() -> Any:
    """Run the API until Ctrl-C; on SIGTERM, finish running requests first."""
    folder, held = _numbers()
    atexit.register(_remove, folder, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # prometheus_client reads it on import
    from api.server.serve import run

    with held:
        run()


def _numbers() -> tuple[str, IO[str]]:
    """Create the folder for the counters of all processes; remove those of killed servers.

    A folder is in use while its file `used` is locked. The lock is inherited by the workers, and
    the kernel releases it when the last of them has ended, even if it was killed.
    """
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in place.glob(f"{_NUMBERS}*"):
        with suppress(OSError), (left / "used").open() as used:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    # Under a hidden name until the lock is held: a server that starts at the same moment would
    # otherwise remove it.
    hidden = Path(tempfile.mkdtemp(prefix=f".{_NUMBERS}", dir=place))
    held = (hidden / "used").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    return str(hidden.rename(hidden.with_name(hidden.name[1:]))), held


def _remove(folder: str, process: int) -> None:
    """Remove the folder if called in the process that made it, not in one of its forks."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
