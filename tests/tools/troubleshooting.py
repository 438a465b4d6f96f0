"""Writes the table of errors in docs/troubleshooting.md anew, from the errors themselves.

.venv/bin/python -m tests.tools.troubleshooting
"""

from collections.abc import Iterator

from rowboat.errors import RowboatError
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN = "<!-- the table is made by `python -m tests.tools.troubleshooting` -->\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text()))


def written(page: str) -> str:
    """Return the page with the table as it should be."""
    head, _, _ = page.partition(BEGIN)
    rows = "".join(f"| {' | '.join(cells)} |\n" for cells in sorted(errors()))
    return f"{head}{BEGIN}\n| error | what it says | what to do | HTTP |\n|---|---|---|---|\n{rows}"


def errors() -> Iterator[tuple[str, str, str, str]]:
    """Give every kind of error: name, usual fact, usual hint, status of the API's answer."""
    kinds = [RowboatError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    for kind in kinds[1:]:
        status = "" if kind.status == RowboatError.status else str(kind.status)
        yield f"`{kind.__name__}`", (kind.__doc__ or "").strip(), kind.hint, status


if __name__ == "__main__":
    main()
