"""Settings: declared once, explained, and named when they are wrong."""

from collections.abc import Iterator

import pytest

from rowboat.errors import SettingError
from rowboat.settings import Settings, settings


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_explained(name: str) -> None:
    words = Settings.model_fields[name].description
    assert words
    assert words[0].isupper()
    assert words.endswith(".")


def test_no_secret_has_a_default() -> None:
    assert Settings.model_fields["database_url"].default is None


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CHUNK_BYTES", "63", "input should be greater than or equal to 64"),
        ("CHUNK_BYTES", "many",
         "input should be a valid integer, unable to parse string as an integer"),
        ("CHUNK_BYTES", "268435457", "input should be less than or equal to 268435456"),
        ("SETTLE", "-1", "input should be greater than or equal to 0"),
        ("POLL", "0", "input should be greater than 0"),
        ("GZIP_RATIO", "9", "input should be greater than or equal to 10"),
        ("REJECT_LIMIT", "-1", "value error, must be a count such as 500 or a share such as 10%"),
        ("REJECT_LIMIT", "ten", "value error, must be a count such as 500 or a share such as 10%"),
        ("REJECT_LIMIT", "1.5", "value error, must be a count such as 500 or a share such as 10%"),
    ],
)  # fmt: skip
def test_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"ROWBOAT_{variable}", value)
    with pytest.raises(SettingError) as raised:
        settings()
    assert (raised.value.fact, raised.value.hint) == (
        f"ROWBOAT_{variable} cannot be used: {said}",
        "correct it in the environment or in .env",
    )


@pytest.mark.parametrize(
    ("limit", "read", "allowed"),
    [
        (None, 10, float("inf")),
        ("0", 10, 0),
        ("7", 10, 7),
        ("10%", 50, 5),
        ("12.5%", 8, 1),
        ("100%", 3, 3),
    ],
)
def test_allowed_rejects(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, read: int, allowed: float
) -> None:
    if limit:
        monkeypatch.setenv("ROWBOAT_REJECT_LIMIT", limit)
    assert settings().allowed_rejects(read) == allowed


@pytest.mark.parametrize(
    ("value", "schemas"), [("", ()), ("a", ("a",)), (" a, b ,", ("a", "b")), ("A b", ("A b",))]
)
def test_schemas(monkeypatch: pytest.MonkeyPatch, value: str, schemas: tuple[str, ...]) -> None:
    monkeypatch.setenv("ROWBOAT_SCHEMAS", value)
    assert settings().schemas == schemas


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWBOAT_CHUNK_BYTES", "")
    assert settings().chunk_bytes == 4 * 2**20


def test_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWBOAT_DATABASE_URL", "postgresql://me:open-sesame@example.org/db")
    assert "open-sesame" not in repr(settings())
