"""Writes docs/licences.md: the licence of every package that Rowboat needs to run.

.venv/bin/python -m tests.tools.licences
"""

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, files, metadata

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
_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


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
    """Return a package's licence: by its expression, its classifiers, its word or its file."""
    if expression := told.get("License-Expression"):
        return expression
    classified = [
        each.rpartition(" :: ")[2]
        for each in told.get_all("Classifier", [])
        if each.startswith("License ::") and not each.endswith("OSI Approved")
    ]
    said = (told.get("License") or "").strip().partition("\n")[0]
    short = said if len(said) <= _LONGEST else ""
    return " and ".join(classified) or short or known(told["Name"])


def known(name: str) -> str:
    """Return MIT where a package brings only its text; nothing for any other text."""
    texts = [file.read_text() for file in files(name) or [] if file.name == "LICENSE"]
    return "MIT" if any(_MIT in " ".join(text.split()) for text in texts) else ""


if __name__ == "__main__":
    main()
