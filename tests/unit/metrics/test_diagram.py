"""The entity diagram: its boxes, columns and lines, and what it says of those it does not draw."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import pytest

from rowboat.catalog.tables import Catalog, Column, ForeignKey, Table, Unique
from rowboat.metrics import diagram
from tests.support.drawn import parse, texts

SCRIPT = "<script>alert(1)</script>"


def column(name: str, kind: str = "integer", not_null: bool = True) -> Column:
    return Column(
        name, kind, kind, -1, "N", False, not_null, None, None, None, None, None, None, None
    )


def table(name: str, *columns: Column | str, **parents: str) -> Table:
    """Return a table with a key `id`; a keyword is a column and the parent that it refers to."""
    given = [each if isinstance(each, Column) else column(each) for each in columns]
    keys = tuple(
        ForeignKey(f"{name}_{child}", (child,), "s", parent, ("id",), "a", False)
        for child, parent in parents.items()
    )
    every = (column("id"), *given, *map(column, parents))
    return Table("s", name, None, False, every, Unique("key", ("id",), False), (), keys, ())


def draw(*tables: Table) -> Element:
    return parse(
        diagram.diagram_svg(Catalog(tables), lambda table: f"/tables/{table.full_name}?a=1&b=2")
    )


def boxes(root: Element) -> dict[str, tuple[int, int, int]]:
    """Return left, top and bottom of each box by the name of its table."""
    found = {}
    for link in root.iter("a"):
        ground = next(link.iter("rect")).attrib
        x, y, height = (int(ground[name]) for name in ("x", "y", "height"))
        found[link.attrib["aria-label"].split(",")[0]] = x, y, y + height
    return found


def edges(root: Element) -> list[tuple[str, str]]:
    """Return title and path of each line."""
    groups = [each for each in root.iter("g") if each.get("class") == "edge"]
    return [(texts(each, "title")[0], next(each.iter("path")).attrib["d"]) for each in groups]


def test_no_tables() -> None:
    root = draw()
    assert texts(root) == ["no tables"]
    assert root.attrib["aria-label"] == "Entity diagram: 0 tables, 0 foreign keys"


def test_a_table() -> None:
    root = draw(table("one", column("note", "timestamp with time zone", not_null=False)))
    assert root.attrib["aria-label"] == "Entity diagram: 1 table, 0 foreign keys"
    link = next(root.iter("a"))
    assert link.attrib["href"] == "/tables/s.one?a=1&b=2"
    assert link.attrib["aria-label"] == "s.one, 2 columns"
    assert texts(link) == ["s", "one", "id *", "integer", "note", "timestamp with time zone"]
    assert texts(link, "title") == [
        "s.one",
        "id integer, key, always has a value",
        "note timestamp with time zone, may be without a value",
    ]
    bold = [each.text for each in link.iter("text") if each.get("font-weight") == "bold"]
    assert bold == ["one", "id *"]


def test_a_group_of_links_is_no_image() -> None:
    """What stands in an image is hidden from those who do not see it."""
    assert draw(table("one")).attrib["role"] == "group"


def test_parents_stand_left_of_their_children() -> None:
    root = draw(table("c", b_id="b", a_id="a"), table("b", a_id="a"), table("a"))
    found = boxes(root)
    assert found["s.a"][0] < found["s.b"][0] < found["s.c"][0]
    assert [title for title, _ in edges(root)] == [
        "s.b (a_id) refers to s.a (id)",
        "s.c (b_id) refers to s.b (id)",
        "s.c (a_id) refers to s.a (id)",
    ]
    path = edges(root)[0][1]
    assert path.startswith(f"M{found['s.b'][0]} ")
    assert f"H{found['s.a'][0] + 300}M" in path
    assert "a_id integer, always has a value, refers to s.a" in texts(root, "title")


@pytest.mark.parametrize(
    ("tables", "lines"),
    [
        ([table("tree", up="tree")], 1),
        ([table("a", b="b"), table("b", a="a")], 2),
        ([table("a", b="b"), table("b", c="c"), table("c", a="a")], 3),
        ([table("a", gone="unknown")], 0),
    ],
)
def test_rings_and_strangers(tables: Sequence[Table], lines: int) -> None:
    root = draw(*tables)
    assert len(boxes(root)) == len(tables)
    assert len(edges(root)) == lines


def test_boxes_lie_apart_within_the_drawing() -> None:
    tables = [
        table(
            f"t{n}", *(f"c{each}" for each in range(n % 20)), **({"up": f"t{n // 7}"} if n else {})
        )
        for n in range(50)
    ]
    root = draw(*tables)
    found = list(boxes(root).values())
    assert len(found) == 50
    assert len(edges(root)) == 49
    for place, (x, y, bottom) in enumerate(found):
        assert x + 300 < int(root.attrib["width"])
        assert bottom < int(root.attrib["height"])
        assert not [
            each for each in found[:place] if each[0] == x and each[1] < bottom and y < each[2]
        ]


def test_columns_that_are_not_drawn_are_counted() -> None:
    root = draw(table("wide", *(f"c{n}" for n in range(198)), up="wide"))
    shown = texts(next(root.iter("a")))
    assert shown[-1] == "… 188 more, not drawn"
    assert shown[2::2][:12] == [f"{name} *" for name in ("id", *(f"c{n}" for n in range(10)), "up")]
    assert next(root.iter("a")).attrib["aria-label"] == "s.wide, 200 columns"
    assert "more" not in " ".join(texts(draw(table("full", *(f"c{n}" for n in range(11))))))


@pytest.mark.parametrize("name", [SCRIPT, '"><b>', "x" * 63, "שלום", "漢" * 21])
def test_names_are_text(name: str) -> None:
    root = draw(table(name, column(name, name)))
    assert f"s.{name}, 2 columns" == next(root.iter("a")).attrib["aria-label"]
    assert texts(root, "title")[::2] == [f"s.{name}", f"{name} {name}, always has a value"]
    assert any(text.startswith(name[:9]) for text in texts(root))


def test_a_name_is_cut_with_a_sign() -> None:
    assert "x" * 19 + "… *" in texts(draw(table("t", "x" * 63)))
