"""Parameters of a metric: their declaration in its file, and the values that they accept."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias, get_args

from rowboat.errors import ParameterRefused

Value: TypeAlias = int | str | date
Kind: TypeAlias = Literal["integer", "text", "date"]
RESERVED = {"format", "safe"}  # query parameters of every metric
_BIGINT = 2**63
_FORM = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*) +(?P<kind>\w+)(?: +(?P<least>[^ |=]*?)\.\.(?P<most>[^ |=]*))?"
    r"(?: += *(?P<default>[^|]*?))? *\| *(?P<help>.*\S)"
)


@dataclass(frozen=True)
class Parameter:
    """One parameter; `least` and `most` limit its value, or the length of a text."""

    name: str
    kind: Kind
    help: str
    least: int | date | None = None
    most: int | date | None = None
    default: Value | None = None

    def document(self) -> dict[str, Any]:
        """Return the declaration as JSON; a parameter without default is required."""
        least, most, default = (
            each.isoformat() if isinstance(each, date) else each
            for each in (self.least, self.most, self.default)
        )
        known = {"name": self.name, "type": self.kind, "help": self.help}
        return known | {"least": least, "most": most, "default": default}

    def value(self, given: str | None) -> Value:
        """Return the given value, or the default for None; raises ParameterRefused."""
        if given is not None:
            return self.judge(given)
        if self.default is None:
            raise ParameterRefused(f"{self.name} is missing", "give it a value")
        return self.default

    def judge(self, given: str) -> Value:
        """Return the value of a text; raises ParameterRefused."""
        if (value := _read(self.kind, given)) is None:
            raise self._refused(given, _WORDS[self.kind])
        size = len(value) if isinstance(value, str) else value
        words = "of at {} {} characters" if self.kind == "text" else "at {} {}"
        if self.least is not None and size < self.least:  # type: ignore[operator]
            raise self._refused(given, words.format("least", self.least))
        if self.most is not None and size > self.most:  # type: ignore[operator]
            raise self._refused(given, words.format("most", self.most))
        return value

    def _refused(self, given: str, wanted: str) -> ParameterRefused:
        shown = given.encode("utf-8", "backslashreplace").decode()[:80]
        return ParameterRefused(f"{self.name} is {shown!r} and must be {wanted}")


def parse_parameter(line: str) -> Parameter | str:
    """Parse `NAME TYPE [LEAST..MOST] [= DEFAULT] | HELP`; returns a message if it is wrong."""
    form = _FORM.fullmatch(line)
    if form is None:
        return "a parameter is written 'NAME TYPE [LEAST..MOST] [= DEFAULT] | HELP'"
    name, kind = form["name"], form["kind"]
    if name in RESERVED:
        return f"a parameter cannot be named {name}"
    if kind not in get_args(Kind):
        return f"{name} has the type {kind}; the types are integer, text and date"
    bounds = {}
    for each in ("least", "most"):
        if form[each]:
            bounds[each] = _read("date" if kind == "date" else "integer", form[each])
            if bounds[each] is None:
                return f"{form[each]} cannot be a limit of {name}"
    free = Parameter(name, kind, form["help"], **bounds)  # type: ignore[arg-type]
    if form["default"] is None:
        return free
    try:
        default = free.judge(form["default"])
    except ParameterRefused as refused:
        return f"the default of {refused.fact}"
    return Parameter(name, free.kind, free.help, free.least, free.most, default)


def _read(kind: str, given: str) -> Value | None:
    """Return the value of a canonical literal; None if the text is not one."""
    if kind == "text":
        return given if re.fullmatch(r"[^\0\ud800-\udfff]*", given) else None
    if kind == "integer":
        number = int(given) if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", given) else _BIGINT
        return number if -_BIGINT <= number < _BIGINT else None
    try:
        return date.fromisoformat(given) if re.fullmatch(r"[\d-]{10}", given, re.ASCII) else None
    except ValueError:
        return None


_WORDS = {
    "integer": "an integer in digits",
    "text": "a text without NUL, in Unicode",
    "date": "a date such as 2021-02-28",
}
