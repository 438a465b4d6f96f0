"""Every error states a fact in lower case and what to do."""

import pickle

import pytest

from rowboat import errors
from rowboat.errors import RowboatError

CLASSES = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, RowboatError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_default_words(kind: type[RowboatError]) -> None:
    words = kind.__doc__
    assert words
    assert words[0].islower() or words.startswith("Airflow")
    assert not words.endswith(".")
    assert "hint" in vars(kind)
    assert not kind.hint.endswith(".")
    assert str(kind()) == f"{words}\nHINT: {kind.hint}"


@pytest.mark.parametrize("kind", CLASSES)
def test_survives_another_process(kind: type[RowboatError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("a fact", "a hint")))
    assert type(copy) is kind
    assert (copy.fact, copy.hint, str(copy)) == ("a fact", "a hint", "a fact\nHINT: a hint")


def test_fact_alone_keeps_the_hint_of_its_class() -> None:
    error = errors.UnknownRow("there is no row 7")
    assert (error.fact, error.hint, error.args) == (
        "there is no row 7",
        "check the key",
        ("there is no row 7",),
    )
