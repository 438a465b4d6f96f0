"""The command `up`: the whole system on this machine."""

from typing import Any

from rowboat.cli.terminal import command, err, main


@command(main)
def up() -> Any:
    """Run everything on this machine until Ctrl-C."""
    from rowboat_airflow.up import run_system  # takes half a second, so not at import

    return run_system(err)
