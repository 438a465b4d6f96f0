"""Helpers for SVG drawings, which need no inline styles and are well-formed XML.

Colours are attributes, for a light background, so that a drawing can be used by itself; on a page,
the style sheet overrides them by class. The standard library escapes the text.
"""

from unicodedata import east_asian_width
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

FONT = "system-ui, sans-serif"
INK, FAINT, GRID, PANEL, GROUND = "#1b1f23", "#59636e", "#d5d9de", "#eef1f4", "#ffffff"
NARROW = 34  # small letters that fit into the narrowest drawing (290 pixels)
_SERIES = ("#1f5fa8", "#c8720a", "#12463b", "#867bdb", "#7a2b16")  # safe for colour-blind eyes
_DASHES = ("none", "7 4", "2 4", "10 4 2 4")  # so that lines do not differ by colour alone
_CONTROLS = {code: 0x2400 + code for code in range(32)} | dict.fromkeys(
    (0x7F, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), 0xFFFD
)


def new_drawing(label: str, **attributes: object) -> Element:
    """Return an empty drawing whose text alternative is the label."""
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "aria-label": clean_text(label)})
    _set(root, {"role": "img", "font_family": FONT, "font_size": 13, "fill": INK} | attributes)
    return root


def add_element(parent: Element, tag: str, text: str = "", /, **attributes: object) -> Element:
    """Add an element; in attribute names `_` stands for `-`, and a final `_` is dropped."""
    child = ElementTree.SubElement(parent, tag)
    child.text = clean_text(text) or None
    _set(child, attributes)
    return child


def series_style(place: int, *classes: str) -> dict[str, object]:
    """Return class and colour of the nth series; its shapes use `currentColor`."""
    number = place % len(_SERIES)
    return {"class_": " ".join([*classes, f"series-{number + 1}"]), "color": _SERIES[number]}


def as_percent(share: float) -> str:
    """Return a percentage with two decimals at most."""
    return f"{share:.2f}".rstrip("0").rstrip(".") + "%"


def dashes_of(place: int) -> str:
    """Return the dash pattern of the nth line."""
    return _DASHES[place % len(_DASHES)]


def write_svg(root: Element) -> str:
    """Return a drawing as SVG text."""
    return ElementTree.tostring(root, encoding="unicode")


def clean_text(text: str) -> str:
    """Return a text in which characters that XML forbids are replaced by visible ones."""
    return text.translate(_CONTROLS)


def shorten_text(text: str, width: float) -> str:
    """Return a text, cut with … if it is wider than `width` small letters."""
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
