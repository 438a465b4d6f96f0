"""Writes docs/licences.md: the licence of every package that Rowboat needs to run.

.venv/bin/python -m tests.tools.licences
"""

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "environments" / "requirements.lock"
HEAD = """\
# Licences

Of every package in `environments/requirements.lock`, as its own metadata name them; made by
`python -m tests.tools.licences`. Rowboat itself is under the licence in [LICENSE](../LICENSE).

| package | version | licence |
|---|---|---|
"""
_LONGEST = 60  # characters: beyond it is the text of a licence, not its name


def main() -> None:
    """Write the page."""
    rows = [f"| {name} | {version} | {licence} |\n" for name, version, licence in listed()]
    PAGE.write_text(HEAD + "".join(rows))


def listed() -> list[tuple[str, str, str]]:
    """Return name, version and licence of the locked packages that are installed here."""
    found = []
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", LOCK.read_text(), re.MULTILINE):
        try:
            found.append((name, version, licence(metadata(name))))
        except PackageNotFoundError:
            continue  # needed by other systems or versions of Python only
    return found


def licence(told: PackageMetadata) -> str:
    """Return a package's licence: its expression, else its classifiers, else what it says."""
    if expression := told.get("License-Expression"):
        return expression
    classified = [
        each.rpartition(" :: ")[2]
        for each in told.get_all("Classifier", [])
        if each.startswith("License ::") and not each.endswith("OSI Approved")
    ]
    said = (told.get("License") or "").strip().partition("\n")[0]
    return " and ".join(classified) or (said if 0 < len(said) <= _LONGEST else "")


if __name__ == "__main__":
    main()
