"""The command `check`."""

from typing import Any

from rich.text import Text

from rowboat.airflow_client import connect_to_airflow
from rowboat.cli.terminal import command, main
from rowboat.health import Finding, check_everything


@command(main)
def check() -> Any:
    """Check every part of the system, and say what to do about each that fails."""
    with connect_to_airflow(timeout=5) as airflow:
        found = list(check_everything(airflow.ailing))
    shown = Text("\n").join(map(_line, found))
    return [vars(each) for each in found], shown, all(each.ok for each in found)


def _line(found: Finding) -> Text:
    state = "works" if found.ok else "FAILS"
    hint = "" if found.hint is None else f"\n    HINT: {found.hint}"
    style = "" if found.ok else "red"
    return Text(f"{found.part:<14} {state}  {found.fact}{hint}", style=style)
