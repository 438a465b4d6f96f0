"""Drawings as SVG that a page without inline styles may hold, and that any XML reader reads.

Colours are attributes for a light ground, so a drawing stands alone; a style sheet, which goes
before attributes, sets them by class. Text is escaped by the standard library's XML.
"""

from unicodedata import east_asian_width
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

FONT = "system-ui, sans-serif"
INK, FAINT, GRID, PANEL, GROUND = "#1b1f23", "#59636e", "#d5d9de", "#eef1f4", "#ffffff"
NARROW = 34  # small letters of a wide font in the narrowest drawing, of 290 pixels
_SERIES = ("#1f5fa8", "#c8720a", "#12463b", "#867bdb", "#7a2b16")  # for all eyes
_DASHES = ("none", "7 4", "2 4", "10 4 2 4")  # so that lines differ in more than their colour
_CONTROLS = {code: 0x2400 + code for code in range(32)} | dict.fromkeys(
    (0x7F, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), 0xFFFD
)


def new_drawing(label: str, **attributes: object) -> Element:
    """Return an empty drawing whose text alternative is the label."""
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "aria-label": clean_text(label)})
    _set(root, {"role": "img", "font_family": FONT, "font_size": 13, "fill": INK} | attributes)
    return root


def add_element(parent: Element, tag: str, text: str = "", /, **attributes: object) -> Element:
    """Add an element; `_` in an attribute's name is `-`, at its end nothing."""
    child = ElementTree.SubElement(parent, tag)
    child.text = clean_text(text) or None
    _set(child, attributes)
    return child


def series_style(place: int, *classes: str) -> dict[str, object]:
    """Return class and colour of the nth series; its shapes take the colour as `currentColor`."""
    number = place % len(_SERIES)
    return {"class_": " ".join([*classes, f"series-{number + 1}"]), "color": _SERIES[number]}


def as_percent(share: float) -> str:
    """Return a share of a length as drawings write it."""
    return f"{share:.2f}".rstrip("0").rstrip(".") + "%"


def dashes_of(place: int) -> str:
    """Return the dashes of the nth line."""
    return _DASHES[place % len(_DASHES)]


def write_svg(root: Element) -> str:
    """Return a drawing as text."""
    return ElementTree.tostring(root, encoding="unicode")


def clean_text(text: str) -> str:
    """Return text with a sign in place of each character that XML cannot hold."""
    return text.translate(_CONTROLS)


def cut_text(text: str, width: float) -> str:
    """Return a text, or its start and … where it is wider than so many small letters."""
    used = 0.0
    for place, character in enumerate(text):
        used += _width(character)
        if used > width:
            return text[: max(place - 1, 1)] + "…"
    return text


def _width(character: str) -> float:
    if east_asian_width(character) in "WF":
        return 2
    return 1.3 if character.isupper() else 1


def _set(element: Element, attributes: dict[str, object]) -> None:
    for name, value in attributes.items():
        element.set(name.rstrip("_").replace("_", "-"), clean_text(str(value)))
