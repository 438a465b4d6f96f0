"""Writes the commands in docs/commands.md anew, from their own help.

.venv/bin/python -m tests.tools.commands_page
"""

from collections.abc import Iterator

import click

from rowboat.cli.commands import main as rowboat
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "commands.md"
BEGIN = "<!-- what follows is made by `python -m tests.tools.commands_page` -->\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text()))


def written(page: str) -> str:
    """Return the page with the commands as they are."""
    head, _, _ = page.partition(BEGIN)
    found = sorted(commands(), key=lambda each: each.info_name or "")
    rows = "".join(map(_row, found))
    sections = "".join(map(_section, found))
    return f"{head}{BEGIN}\n| command | what it does |\n|---|---|\n{rows}{sections}"


def commands(group: click.Group = rowboat, path: str = "rowboat") -> Iterator[click.Context]:
    """Yield every command that runs, in its context, named by the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):  # those of other packages too
        command = group.get_command(context, name)
        assert command is not None
        called = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, called)
        else:
            yield click.Context(command, info_name=called)


def _row(called: click.Context) -> str:
    anchor = str(called.info_name).replace(" ", "-")
    return f"| [`{called.info_name}`](#{anchor}) | {_cell(called.command.help)} |\n"


def _section(called: click.Context) -> str:
    shown = [each for each in called.command.params if each.name != "as_json"]
    options = [each for each in shown if isinstance(each, click.Option)]
    arguments = [each.make_metavar(called) for each in shown if isinstance(each, click.Argument)]
    required = [_name(each) for each in options if each.required]
    usage = " ".join([str(called.info_name), *arguments, *required])
    if len(required) < len(options):
        usage += " [OPTIONS]"
    section = f"\n## `{called.info_name}`\n\n{called.command.help}\n\n    {usage}\n"
    if not options:
        return section
    return section + "\n| option | meaning |\n|---|---|\n" + "".join(map(_option, options))


def _option(each: click.Option) -> str:
    default = f" Default: `{each.default}`." if each.show_default else ""
    return f"| `{_cell(_name(each))}` | {_cell(each.help)}{default} |\n"


def _name(each: click.Option) -> str:
    if each.is_flag:
        return each.opts[0]
    if isinstance(each.type, click.Choice):
        return f"{each.opts[0]} {'|'.join(each.type.choices)}"
    kind = "N" if isinstance(each.type, click.IntRange) else each.type.name.upper()
    return f"{each.opts[0]} {each.metavar or kind}"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|")


if __name__ == "__main__":
    main()
