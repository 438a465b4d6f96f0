"""Columns and tables as the catalog describes them, without a database."""

from rowboat.catalog.tables import Column, Table


def column(name: str, **facts: object) -> Column:
    """Return a column of type text, unless the facts say otherwise."""
    kept = {
        "type": "text", "base": "text", "modifier": -1, "category": "S", "is_domain": False,
        "not_null": False, "default": None, "identity": None, "generated": False,
        "sequence": None, "labels": None, "element": None, "comment": None,
    }  # fmt: skip
    return Column(name=name, **(kept | facts))  # type: ignore[arg-type]


def table(*columns: Column) -> Table:
    """Return the table s.boats of these columns, without keys."""
    return Table("s", "boats", None, False, columns, None, (), (), ())
