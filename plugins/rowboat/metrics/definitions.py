"""Definitions of metrics: every file in sql/metrics is one, and begins with a header of comments.

    -- title: Hires by month
    -- about: A sentence, which may continue
    --   in indented lines.
    -- tables: schema.table, schema.other        all tables that the statement reads
    -- param: year integer 1..9999 = 2021 | What it means.
    -- chart: bars x=month y=hired,left          or lines; optional
    -- years: schema.table.column                offer the years of these times; optional

One statement follows. It names tables with their schema; `%(NAME)s` is the value of a parameter,
and `%%` a percent sign.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from rowboat.database.statements import SQL_FOLDER
from rowboat.errors import ParameterRefused, SqlFileError, UnknownMetric
from rowboat.metrics.parameters import Parameter, Value, parse_parameter

ChartKind: TypeAlias = Literal["bars", "lines"]
_HINT = "plugins/rowboat/metrics/definitions.py shows how a metric's file is written"
_NEEDED = ("title", "about", "tables")
_KEYS = (*_NEEDED, "param", "chart", "years")
_CHART = re.compile(r"(?P<kind>\w+) +x=(?P<x>\w+) +y=(?P<y>\w+(?:,\w+)*)")
_TABLE = re.compile(r"[^.,\s]+\.[^.,\s]+")
_COLUMN = re.compile(r"([^.,\s]+)\.([^.,\s]+)\.([^.,\s]+)")
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$", re.DOTALL
)
# Functions whose result changes without a write: such a metric must not be cached.
_OF_THE_MOMENT = re.compile(
    r"\b(now|random|\w+_timestamp|timeofday|current_(date|time|timestamp)|localtime(stamp)?"
    r"|gen_random_uuid|random_normal)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Chart:
    """How a metric is drawn; the y of rows with an equal x are added up."""

    kind: ChartKind
    x: str
    y: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """One metric, as its file defines it.

    `years` is the column (schema, table, name) whose years are offered for the parameter year.
    """

    name: str
    title: str
    about: str
    tables: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    chart: Chart | None
    statement: str
    years: tuple[str, str, str] | None = None

    @cached_property
    def lasts(self) -> bool:
        """Whether its figures depend on its tables alone, and not on the time or on chance."""
        return not _OF_THE_MOMENT.search(_QUOTED.sub("", self.statement))

    def document(self) -> dict[str, Any]:
        """Return the definition as JSON, without the statement."""
        return {
            "name": self.name,
            "title": self.title,
            "about": self.about,
            "tables": list(self.tables),
            "parameters": [each.document() for each in self.parameters],
            "chart": asdict(self.chart) if self.chart else None,
        }

    def judge(self, given: Mapping[str, str]) -> dict[str, Value]:
        """Return the value of every parameter; raises ParameterRefused."""
        names = [each.name for each in self.parameters]
        if unknown := sorted(set(given) - set(names)):
            raise ParameterRefused(
                f"the metric {self.name} has no parameter {unknown[0]!r}",
                f"it takes {', '.join(names) or 'none'}",
            )
        return {each.name: each.value(given.get(each.name)) for each in self.parameters}


@cache
def all_metrics() -> dict[str, Metric]:
    """Return all metrics by name; raises SqlFileError with file and line."""
    return {path.stem: read_metric(path) for path in sorted((SQL_FOLDER / "metrics").glob("*.sql"))}


def find_metric(name: str) -> Metric:
    """Return the metric of a name; raises UnknownMetric."""
    if name not in all_metrics():
        raise UnknownMetric(f"there is no metric {name}")
    return all_metrics()[name]


def read_metric(path: Path) -> Metric:
    """Return the metric that a file defines; raises SqlFileError with its name and line."""
    if not re.fullmatch("[a-z][a-z0-9_]*", path.stem):
        raise _malformed(path, 1, "the name of a metric consists of small letters, digits and _")
    text = _text(path)
    header = _header(path, text)
    for key in _NEEDED:
        if not any(each == key for _, each, _ in header):
            raise _malformed(path, 1, f"has no '-- {key}: …'")
    parts = {key: (line, value) for line, key, value in header}
    parameters, tables = _parameters(path, header), _tables(path, *parts["tables"])
    return Metric(
        path.stem,
        parts["title"][1],
        parts["about"][1],
        tables,
        tuple(parameters.values()),
        _chart(path, *parts["chart"]) if "chart" in parts else None,
        _statement(path, text, parameters),
        _years(path, *parts["years"], tables, parameters) if "years" in parts else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _malformed(path, line, "is not UTF-8") from None
    except OSError as error:
        raise _malformed(path, 1, f"cannot be read: {error.strerror}") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of the header."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith("--"):
            return
        yield number, line.rstrip()


def _header(path: Path, text: str) -> list[tuple[int, str, str]]:
    """Return (line, key, value) of each entry of the header, continuation lines included."""
    found: list[tuple[int, str, str]] = []
    for number, line in _lines(text):
        if found and re.match(r"--  +\S", line):
            first, key, value = found[-1]
            found[-1] = first, key, f"{value} {line[2:].strip()}"
            continue
        form = re.fullmatch(r"-- (\w+): *(\S.*)", line)
        if form is None:
            raise _malformed(path, number, "is not written '-- KEY: VALUE'")
        if form[1] not in _KEYS:
            raise _malformed(path, number, f"{form[1]} is not one of {', '.join(_KEYS)}")
        if form[1] != "param" and any(form[1] == key for _, key, _ in found):
            raise _malformed(path, number, f"{form[1]} occurs twice")
        found.append((number, form[1], form[2]))
    return found


def _parameters(path: Path, header: list[tuple[int, str, str]]) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for line, key, value in header:
        if key != "param":
            continue
        parameter = parse_parameter(value)
        if isinstance(parameter, str):
            raise _malformed(path, line, parameter)
        if parameter.name in found:
            raise _malformed(path, line, f"the parameter {parameter.name} occurs twice")
        found[parameter.name] = parameter
    return found


def _tables(path: Path, line: int, value: str) -> tuple[str, ...]:
    names = tuple(re.split(" *, *", value))
    for name in names:
        if not _TABLE.fullmatch(name):
            raise _malformed(path, line, f"{name!r} is not written SCHEMA.TABLE")
    return names


def _chart(path: Path, line: int, value: str) -> Chart:
    form = _CHART.fullmatch(value)
    if form is None or form["kind"] not in get_args(ChartKind):
        raise _malformed(path, line, "a chart is written 'bars|lines x=COLUMN y=COLUMN,COLUMN'")
    return Chart(form["kind"], form["x"], tuple(form["y"].split(",")))  # type: ignore[arg-type]


def _years(
    path: Path,
    line: int,
    value: str,
    tables: tuple[str, ...],
    parameters: Mapping[str, Parameter],
) -> tuple[str, str, str]:
    form = _COLUMN.fullmatch(value)
    if form is None:
        raise _malformed(path, line, "years are written 'SCHEMA.TABLE.COLUMN'")
    if (table := f"{form[1]}.{form[2]}") not in tables:
        raise _malformed(path, line, f"years names {table}, which is not one of its tables")
    if "year" not in parameters or parameters["year"].kind != "integer":
        raise _malformed(path, line, "years requires an integer parameter year")
    return form[1], form[2], form[3]


def _statement(path: Path, text: str, parameters: Mapping[str, Parameter]) -> str:
    """Return the statement below the header, after checking its parameters."""
    above = sum(1 for _ in _lines(text))
    body = "\n".join(text.split("\n")[above:])
    # Same length and lines as the body, but without quoted text and comments.
    code = _QUOTED.sub(lambda quoted: re.sub(r"[^\n]", " ", quoted[0]), body).rstrip()
    if not code.strip(" \n;"):
        raise _malformed(path, above + 1, "has no statement")
    if ";" in code[:-1]:
        line = above + 1 + code[: code.index(";")].count("\n")
        raise _malformed(path, line, "there is text after the statement")
    # psycopg2 would only fail at the first request, and without a line.
    for sign in re.finditer(r"%(?:%|\((\w+)\)s)?", body):
        line = above + 1 + body[: sign.start()].count("\n")
        if sign[0] == "%":
            raise _malformed(path, line, "a percent sign is written %%")
        if sign[1] and sign[1] not in parameters:
            raise _malformed(path, line, f"the parameter {sign[1]} is not declared")
    for name in parameters:
        if f"%({name})s" not in body:
            raise _malformed(path, above, f"the parameter {name} is not used")
    return body[: len(code)].rstrip(";").strip()


def _malformed(path: Path, line: int, problem: str) -> SqlFileError:
    return SqlFileError(f"sql/metrics/{path.name}:{line}: {problem}", _HINT)
