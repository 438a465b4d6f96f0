"""Plain English: turns of phrase that no longer enter docstrings, comments, SQL and pages."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

CODE = [
    *(
        path
        for folder in ("plugins", "api", "dags")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
    *sorted((ROOT / "sql").rglob("*.sql")),
]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "licences.md"),
    *sorted((ROOT / "api" / "templates").rglob("*.html")),
]
BEGINNINGS = re.compile(r"(Tell|The same)\b")
PATTERNS = {
    "Return whether, report, show": r"\b[Tt]ells? (whether|that|of|if)\b",
    "name the person or the part": r"\b([Nn]obody|[Ss]omebody|[Ww]hoever|[Aa]nybody)\b",
    "is in, is stored": r"\b(lies?|stands?) (in|on|at|there|here|twice|once|earlier|beside)\b",
    "they, the user, the caller": r"\b([Hh]e|[Hh]is|[Hh]im)\b",
    "no longer than necessary": r"\bthan (it|they) must\b",
    "if there is none": r"\bwhere (there is|there are|it has|they have) (none|no)\b",
}


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what a file says to people: docstrings, comments, prose."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                said = ast.get_docstring(node)
                if said:
                    yield node.body[0].lineno, said
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT:
                    yield token.start[0], token.string
    elif path.suffix == ".sql":
        for number, line in enumerate(text.splitlines(), 1):
            if "--" in line:
                yield number, line.partition("--")[2]
    else:
        outside = re.sub(
            r"```.*?```", lambda code: "\n" * code[0].count("\n"), text, flags=re.DOTALL
        )
        yield from enumerate(outside.splitlines(), 1)


def found_in(path: Path) -> list[str]:
    """List each forbidden turn of phrase with its line and what to say instead."""
    found = []
    for line, said in sentences(path):
        if path.suffix == ".py" and BEGINNINGS.match(said):
            found.append(f"{line}: begins with {said.split()[0]}: name what it returns or does")
        found += [
            f"{line}: {match[0]}: {better}"
            for better, pattern in PATTERNS.items()
            for match in re.finditer(pattern, said)
        ]
    return found


@pytest.mark.parametrize(
    "path", [*CODE, *PAGES], ids=lambda path: str(path.relative_to(ROOT))
)  # fmt: skip
def test_plain_english(path: Path) -> None:
    assert found_in(path) == []


def test_the_check_sees_what_it_forbids(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Tell whether nobody stands there."""\n# he lies in bed\n')
    assert len(found_in(tmp_path / "a.py")) == 6
