"""The README names every setting and every command."""

import click

from rowboat.cli.commands import main
from rowboat.settings import Settings
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_every_setting_is_documented() -> None:
    for name, field in Settings.model_fields.items():
        assert f"| `ROWBOAT_{name.upper()}` |" in README
        assert field.description


def test_every_command_is_documented() -> None:
    def commands(group: click.Group, path: str) -> list[str]:
        found = []
        for name, command in group.commands.items():
            here = f"{path} {name}"
            found += commands(command, here) if isinstance(command, click.Group) else [here]
        return found

    for command in commands(main, "rowboat"):
        assert f"`{command}" in README
