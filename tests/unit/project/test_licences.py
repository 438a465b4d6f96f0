"""The page of licences names every package that is installed from the lock."""

from tests.tools.licences import PAGE, listed


def test_every_package_has_a_licence_on_the_page() -> None:
    page, packages = PAGE.read_text(), listed()
    assert len(packages) > 100
    for name, version, licence in packages:
        assert licence, name
        assert f"| {name} | {version} | {licence} |\n" in page, (
            "run `python -m tests.tools.licences`"
        )
