"""Templates against the code: filters, tests and views that they name exist."""

import re
from pathlib import Path

import pytest
from flask import Flask

from api.application import create_app
from tests.conftest import ROOT

FOLDER = ROOT / "api" / "templates"
TEMPLATES = sorted(FOLDER.glob("*.html"))


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_compiles(app: Flask, path: Path) -> None:
    """Jinja raises an error for a filter or test that is not registered."""
    app.jinja_env.get_template(path.name)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_views_that_a_template_names_exist(app: Flask, path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"""url_for\(["']([a-z][\w.]*)["']""", text))
    assert named <= app.view_functions.keys()
    ends = {each.rpartition(".")[2] for each in app.view_functions}
    assert set(re.findall(r"""url_for\(["']\.(\w+)["']""", text)) <= ends


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_macros_that_a_template_imports_exist(path: Path) -> None:
    for file, names in re.findall(
        r'{% from "([\w.]+)" import ([\w, ]+?)(?: with| %})', path.read_text()
    ):
        macros = set(re.findall(r"{% macro (\w+)\(", (FOLDER / file).read_text()))
        assert set(names.split(", ")) <= macros
