"""What the tests of drawings share: reading them, and what a page's policy forbids in them."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_SVG = "{http://www.w3.org/2000/svg}"


def parse(drawing: str) -> Element:
    """Read a drawing as XML, its tags without namespace; refuse what the page's policy does."""
    root = ElementTree.fromstring(drawing)
    for each in root.iter():
        each.tag = each.tag.removeprefix(_SVG)
        assert each.tag not in {"style", "script", "foreignObject", "image", "use"}
        assert not [name for name in each.attrib if name == "style" or name.startswith("on")]
    assert root.tag == "svg"
    return root


def texts(root: Element, tag: str = "text") -> list[str]:
    """Return the text of every element of a tag, in order."""
    return [each.text or "" for each in root.iter(tag)]
