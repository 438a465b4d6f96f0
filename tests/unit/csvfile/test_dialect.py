"""How a file is written, as it is kept with its position and told to users."""

import pytest

from rowboat.csvfile.dialect import Dialect
from rowboat.errors import FileRefused
from tests.support.tables import column, table


def test_a_position_of_the_first_version_is_read() -> None:
    kept = {"delimiter": ";", "newline": "\n", "columns": ["name", "id"], "header": True,
            "start": 3, "first": 5}  # fmt: skip
    assert Dialect.from_json(kept) == Dialect(";", "\n", ("name", "id"), "", True, 5)


@pytest.mark.parametrize(
    ("found", "notes"),
    [
        (Dialect(",", "\n", ("a", "b"), "a,b"), []),
        (Dialect(",", "\n", (None, "b"), ",b", False, 9, 1),
         ["1 line above the header left out", "column 1 left out: no name"]),
        (Dialect(",", "\n", (None, "b", None), None, False, 9, 2),
         ["2 lines above the first row left out", "columns 1, 3 left out: no name",
          "no header: columns by position (b)"]),
    ],
)  # fmt: skip
def test_what_is_told_of_a_dialect(found: Dialect, notes: list[str]) -> None:
    assert found.notes() == notes


def test_columns_that_the_table_has_no_longer() -> None:
    boats = table(column("id"), column("town"))
    Dialect(",", "\n", (None, "town", "id")).check_columns(boats)
    with pytest.raises(FileRefused) as raised:
        Dialect(",", "\n", ("id", "city")).check_columns(boats)
    assert raised.value.fact == (
        'its first rows were loaded into the column "city", which s.boats has no longer'
    )


@pytest.mark.parametrize(
    ("default", "constant"),
    [
        (None, False),
        ("20", True),
        ("'Home'::text", True),
        ("'f(x)'::text", True),
        ("now()", False),
        ("nextval('s.boats_id_seq'::regclass)", False),
        ("s.\"F\"(1)", False),
        ("(1 + 2)", True),
    ],
)  # fmt: skip
def test_defaults_that_are_known_beforehand(default: str | None, constant: bool) -> None:
    assert column("x", default=default).has_constant_default is constant
    assert column("x", default=default, generated=True).has_constant_default is False
