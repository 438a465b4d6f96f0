"""Writes the table of docs/settings.md anew, from the settings themselves.

.venv/bin/python -m tests.tools.settings_page
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rowboat.settings import PROJECT, Settings
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "settings.md"
BEGIN = "<!-- the table is made by `python -m tests.tools.settings_page` -->\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text()))


def written(page: str) -> str:
    """Return the page with the table as it should be."""
    head, _, _ = page.partition(BEGIN)
    rows = "".join(f"| {' | '.join(cells)} |\n" for cells in settings())
    return f"{head}{BEGIN}\n| setting | default | meaning |\n|---|---|---|\n{rows}"


def settings() -> Iterator[tuple[str, str, str]]:
    """Yield every setting: name, default, description."""
    for name, field in Settings.model_fields.items():
        yield f"`ROWBOAT_{name.upper()}`", _default(field.default), field.description or ""


def _default(value: Any) -> str:
    if value in (None, ()):
        return "unset"
    if isinstance(value, Path):
        value = value.relative_to(PROJECT)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    main()
