"""The commands of the running system: the API server, and whether all parts work."""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from rich.text import Text

from rowboat import health
from rowboat.cli.terminal import command, main
from rowboat.health import Finding

_NUMBERS = "rowboat-api-"
_MEMORY = Path("/dev/shm")  # noqa: S108  # tmpfs (shm_overview(7)): a full disk leaves it alone


@command(main)
def serve() -> Any:
    """Run the API until Ctrl-C; SIGTERM lets the requests at work end first."""
    folder, held = _numbers()
    atexit.register(_remove, folder, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # before the import, which looks for it once
    from api.server.serve import run

    with held:
        run()


@command(main)
def check() -> Any:
    """Look whether every part works; name what to do where one does not."""
    from rowboat_airflow.client import connect

    with connect(timeout=5) as airflow:
        found = list(health.everything(airflow.ailing))
    shown = Text("\n").join(map(_line, found))
    return [vars(each) for each in found], shown, all(each.ok for each in found)


def _line(found: Finding) -> Text:
    state = "works" if found.ok else "FAILS"
    hint = "" if found.hint is None else f"\n    HINT: {found.hint}"
    style = "" if found.ok else "red"
    return Text(f"{found.part:<14} {state}  {found.fact}{hint}", style=style)


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
