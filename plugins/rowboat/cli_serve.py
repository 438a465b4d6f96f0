"""The commands of the running system: the API server, and whether all parts work."""

import atexit
import os
import shutil
import tempfile
from typing import Any

from rich.text import Text

from rowboat import check as checks
from rowboat.check import Finding
from rowboat.terminal import command, main


@command(main)
def serve() -> Any:
    """Run the API until Ctrl-C; SIGTERM lets the requests at work end first."""
    folder = tempfile.mkdtemp(prefix="rowboat-api-")
    atexit.register(_remove, folder, os.getpid())
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # before the import, which looks for it once
    from api.serve import run

    run()


@command(main)
def check() -> Any:
    """Look whether every part works; name what to do where one does not."""
    from rowboat_airflow.client import connect

    with connect(timeout=5) as airflow:
        found = list(checks.everything(airflow.healthy))
    shown = Text("\n").join(map(_line, found))
    return [vars(each) for each in found], shown, all(each.ok for each in found)


def _line(found: Finding) -> Text:
    state = "works" if found.ok else "FAILS"
    hint = "" if found.hint is None else f"\n    HINT: {found.hint}"
    style = "" if found.ok else "red"
    return Text(f"{found.part:<14} {state}  {found.fact}{hint}", style=style)


def _remove(folder: str, process: int) -> None:
    """Remove the folder at the end of the process that made it, not at that of its forks."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
