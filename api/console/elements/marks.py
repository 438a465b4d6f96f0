"""Shows any bytes exactly: invisible characters and invalid bytes become marks."""

import codecs
import re

from markupsafe import Markup, escape

_NAMES = {"\t": r"\t", "\r": r"\r", "\n": r"\n"}
# control characters, invisible and bidirectional ones, and bytes that are not UTF-8
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff\udc80-\udcff]"
)


def exact(raw: bytes | str, most: int | None = None, whole: bool = True) -> Markup:
    """Return text as HTML, with marks for what cannot be seen.

    A mark is \\xNN for a control character or a byte that is not UTF-8, U+NNNN for an invisible
    character. Only the first `most` characters are shown. Unless `raw` is the `whole` text, an
    incomplete character at its end is left out.
    """
    text = _decoded(raw, whole)
    return Markup(_UNSEEN.sub(_mark, str(escape(text[:most]))))  # noqa: S704  # it is escaped


def marked(raw: bytes) -> bool:
    """Return whether a text contains anything to mark."""
    return bool(_UNSEEN.search(_decoded(raw, True)))


def _decoded(raw: bytes | str, whole: bool) -> str:
    if isinstance(raw, str):
        return raw
    return codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(raw, final=whole)


def _mark(found: re.Match[str]) -> str:
    sign = found.group()
    code = ord(sign)
    if code < 0x80 or (code >= 0xDC80 and code <= 0xDCFF):
        name = _NAMES.get(sign, f"\\x{code & 0xFF:02x}")
    else:
        name = f"U+{code:04X}"
    return f"<mark>{name}</mark>" + ("\n" if sign == "\n" else "")
