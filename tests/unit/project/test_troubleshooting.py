"""The page of errors tells what the errors tell."""

from tests.tools.troubleshooting import PAGE, errors, written


def test_the_page_lists_every_error_as_it_is() -> None:
    page = PAGE.read_text()
    assert page == written(page), "run `python -m tests.tools.troubleshooting`"


def test_every_error_says_what_to_do() -> None:
    for name, fact, hint, _ in errors():
        assert fact, name
        assert hint, name
