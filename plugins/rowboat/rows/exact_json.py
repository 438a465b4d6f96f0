"""JSON (RFC 8259) without loss: all digits, repeated names, and the bytes of each row."""

import json
import re
from collections import Counter
from typing import Any

from rowboat.errors import BodyRefused

BLANK = " \t\n\r"  # white space of RFC 8259, section 2
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')


class Number(str):
    """A number as it is written: 1.0 is not an integer, and no digit is lost."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object in which some names occur more than once; `names` lists those."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.names = sorted(name for name, count in counts.items() if count > 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError("Expecting value", name, 0)


_DECODER = json.JSONDecoder(
    parse_float=Number, parse_constant=_no_constant, object_pairs_hook=_object
)
_ANY_LENGTH = json.JSONDecoder(  # integers stay text: int() refuses more than 4,300 digits
    parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_object
)


def read_json(text: str, line: int = 1) -> Any:
    """Return the JSON value of a text; raises BodyRefused with line and column.

    The first line of the text has the number `line`.
    """
    try:
        try:
            return _DECODER.decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer that is too long for int()
            return _ANY_LENGTH.decode(text)
    except json.JSONDecodeError as error:
        at, what = _place(text, error), error.msg.lower()
    except RecursionError:
        raise too_deep() from None
    place = f"line {line + text.count(chr(10), 0, at)}, column {at - text.rfind(chr(10), 0, at)}"
    raise BodyRefused(f"the body is not JSON: {what}, at {place}")


def _place(text: str, error: json.JSONDecodeError) -> int:
    """Return the offset of a syntax error; the decoder does not give that of NaN and Infinity."""
    # _no_constant raises with the name of the constant as document, as it does not know the place.
    if error.doc == text:
        return error.pos
    return next(each.start(1) for each in _CONSTANT.finditer(text) if each[1])


def too_deep() -> BodyRefused:
    """Return the error for values that are nested deeper than Python can recurse."""
    return BodyRefused("the body has values that are nested too deeply", "nest them less deeply")


def members_of(text: str) -> dict[str, str]:
    """Return name → text of each value of an object; the text must be a valid object."""
    found, at = {}, _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, end = _ANY_LENGTH.raw_decode(text, at)
        begin = _skip(text, _skip(text, end) + 1)  # after the colon
        _, end = _ANY_LENGTH.raw_decode(text, begin)
        found[name] = text[begin:end]
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def items_of(text: str) -> list[bytes]:
    """Return the bytes of each item of an array; the text must be a valid array."""
    found, at = [], text.index("[") + 1
    while (begin := _skip(text, at)) < len(text) and text[begin] != "]":
        _, end = _ANY_LENGTH.raw_decode(text, begin)
        found.append(text[begin:end].encode())
        at = _skip(text, end) + 1  # after the comma
    return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in BLANK:
        at += 1
    return at


def write_json(value: Any) -> str:
    """Return a value as JSON, its numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{write_json(name)}: {write_json(each)}" for name, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
