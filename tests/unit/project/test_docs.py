"""The pages of settings and commands are current; the README begins with a command; links hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

from rowboat.settings import Settings
from tests.conftest import ROOT
from tests.tools import commands_page, settings_page

README = (ROOT / "README.md").read_text()
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "environments" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
_ANCHOR = re.compile(r"[^\w\- ]")


def test_the_page_of_settings_is_current() -> None:
    page = settings_page.PAGE.read_text()
    assert page == settings_page.written(page), "run `python -m tests.tools.settings_page`"


def test_every_setting_is_documented() -> None:
    page = settings_page.PAGE.read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `ROWBOAT_{name.upper()}` |" in page
        assert field.description


def test_the_page_of_commands_is_current() -> None:
    page = commands_page.PAGE.read_text()
    assert page == commands_page.written(page), "run `python -m tests.tools.commands_page`"


def test_every_command_is_documented() -> None:
    page = commands_page.PAGE.read_text()
    for called in commands_page.commands():
        assert f"\n## `{called.info_name}`\n" in page
        assert called.command.help


def test_the_readme_begins_with_a_command() -> None:
    """A reader finds something to run in the first 30 lines; it and the tests are `make` alone."""
    assert "\nmake run\n" in "\n".join(README.splitlines()[:30])
    commands = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert set(commands) == {"run", "test"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", _prose(path)):
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        assert page.exists(), target
        assert not anchor or anchor in set(_anchors(page)), target


def _prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def _anchors(path: Path) -> Iterator[str]:
    """Yield the anchors that GitHub gives to a page's headings."""
    for heading in re.findall(r"^#+ (.+)$", _prose(path), re.MULTILINE):
        yield _ANCHOR.sub("", heading.lower()).replace(" ", "-")


def test_every_test_that_guards_an_invariant_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`test_\w+\.py::(test_\w+)`", page)
    assert len(named) > 10
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if f"\ndef {name}(" not in tests] == []


@pytest.mark.parametrize("name", ["glossary", "architecture"])
def test_every_module_and_function_that_is_named_is_there(name: str) -> None:
    """Such as `door.judge.judge_cargo`, within the library, or `api.shared.access`."""
    rooms = [path.name for path in (ROOT / "plugins" / "rowboat").iterdir() if path.is_dir()]
    text = _prose(ROOT / "docs" / f"{name}.md")
    named = re.findall(rf"`((?:api\.\w+|{'|'.join(rooms)})(?:\.\w+)*)`", text)
    assert len(named) > 10
    for each in named:
        resolve_name(each if each.startswith("api.") else f"rowboat.{each}")


def test_every_file_of_the_recipes_is_there() -> None:
    text = _prose(ROOT / "docs" / "recipes.md")
    named = re.findall(r"`([\w./]+(?:\.(?:py|sql|md|html|yaml)|/))`", text)
    assert len(named) > 30
    places = (ROOT, ROOT / "plugins" / "rowboat", ROOT / "api" / "templates")
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [each for each in named if not any((place / each).exists() for place in places)]
    assert [each for each in missing if each not in tests] == []
