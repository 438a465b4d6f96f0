"""Metrics as charts and tables: all of them for one year, or one with all its rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from urllib.parse import urlencode

import structlog
from flask import Blueprint, render_template, request, url_for
from markupsafe import Markup

from api.actions.metrics import Answer, answer_figures, keep_answer, visible_metric, visible_metrics
from api.shared.access import scope
from api.shared.problems import Problem, problem_of
from rowboat.errors import ConnectionLost, ParameterRefused, RowboatError
from rowboat.metrics import charts
from rowboat.metrics.definitions import Metric
from rowboat.metrics.figures import MetricFigures, Result, Values, years_with_rows
from rowboat.metrics.parameters import Parameter, Value

log = structlog.get_logger()
blueprint = Blueprint("metrics", __name__)
_FEW, _MOST = 15, 5000  # rows of a metric shown on the page of all metrics, and on its own


@dataclass(frozen=True)
class MetricField:
    """A parameter in a form; `value` is None if nothing was entered or it was refused."""

    parameter: Parameter
    text: str
    choices: list[int]
    value: Value | None = None
    error: str | None = None


class DrawnFacts(NamedTuple):
    """What a page shows about figures besides chart and table."""

    as_of: datetime
    left_out: dict[str, int]
    has_chart: bool


@dataclass(frozen=True)
class Section:
    """A metric on a page: its parameters, and its figures or the reason why there are none."""

    metric: Metric
    fields: list[MetricField]
    figures: Markup | None = None
    facts: DrawnFacts | None = None
    problem: Problem | None = None

    @property
    def values(self) -> Values:
        """Parameter name → value, of the fields that have one."""
        return {each.parameter.name: each.value for each in self.fields if each.value is not None}

    @property
    def address(self) -> str:
        """The address of its own page."""
        return _address("console.metrics.one", self.metric, self.values)

    @property
    def files(self) -> list[tuple[str, str]]:
        """Its downloads: format and address in the API."""
        forms: dict[str, Values] = {"CSV": {"format": "csv", "safe": "true"}}
        forms["XLSX"] = {"format": "xlsx"}
        if self.facts and self.facts.has_chart:
            forms["PNG"] = {"format": "png"}
        return [
            (name, _address("metrics.one_metric", self.metric, self.values | form))
            for name, form in forms.items()
        ]


@blueprint.get("/", endpoint="all")
@scope("read")
def every_metric() -> str:
    """Show all metrics that the caller may see, for one year."""
    seen = visible_metrics()
    known = sorted({year for each in seen for year in _years(each)}, reverse=True)
    of_year = [each for metric in seen for each in metric.parameters if each.name == "year"]
    picker = _field(of_year[0], known, request.args.getlist("year")) if of_year else None
    given = {"year": [picker.text]} if picker else {}
    sections = [_section(each, known, given, _FEW) for each in seen]
    return render_template("metrics.html", picker=picker, sections=sections)


@blueprint.get("/metric/<name>")
@scope("read")
def one(name: str) -> str:
    """Show a metric with all its rows."""
    wanted = visible_metric(name)
    section = _section(wanted, _years(wanted), request.args.to_dict(flat=False), _MOST)
    return render_template("metrics_one.html", section=section)


def _years(wanted: Metric) -> list[int]:
    """Return the years for which a metric has rows.

    Returns none if they cannot be found, for example because its file names a wrong column: the
    metric may work all the same.
    """
    try:
        body, _ = keep_answer(
            wanted,
            ("years",),
            lambda cursor, _: years_with_rows(cursor, wanted),
            lambda found: (json.dumps(found).encode(), None),
        )
    except ConnectionLost:
        raise
    except RowboatError as error:
        log.warning("the years of a metric cannot be listed", metric=wanted.name, cause=error.fact)
        return []
    found: list[int] = json.loads(body)
    return found


def _section(
    wanted: Metric, known: list[int], given: Mapping[str, list[str]], most: int
) -> Section:
    fields = [
        _field(each, known if each.name == "year" else [], given.get(each.name, []))
        for each in wanted.parameters
    ]
    asked = Section(wanted, fields)
    if len(asked.values) < len(fields):
        return asked
    try:
        body, facts = answer_figures(
            wanted, asked.values, ("page", most), partial(_drawn, most=most)
        )
    except ConnectionLost:
        raise
    except RowboatError as error:
        return replace(asked, problem=problem_of(error))
    return replace(asked, figures=Markup(body.decode()), facts=facts)  # noqa: S704


def _field(parameter: Parameter, choices: list[int], given: list[str]) -> MetricField:
    """Return a parameter with its value from the address; an empty field counts only for texts."""
    sent = [each for each in given if each or parameter.kind == "text"]
    text = sent[0] if sent else _first(parameter, choices)
    if text is None:
        return MetricField(parameter, "", choices)
    if len(sent) > 1:
        return MetricField(parameter, text, choices, error=f"{parameter.name} is given twice")
    try:
        return MetricField(parameter, text, choices, parameter.judge(text))
    except ParameterRefused as refused:
        return MetricField(parameter, text, choices, error=refused.fact)


def _first(parameter: Parameter, choices: list[int]) -> str | None:
    """Return the initial value of a parameter: its default, or the latest year with rows."""
    if choices and parameter.default not in choices:
        return str(choices[0])
    return None if parameter.default is None else str(parameter.default)


def _drawn(found: MetricFigures, most: int) -> Answer:
    """Return chart and table as HTML, with at most `most` rows."""
    drawing = None if found.chart_lacks else charts.chart_svg(found)
    result = found.result
    text = render_template(
        "metrics_figures.html",
        metric=found.metric,
        lacks=found.chart_lacks,
        chart=drawing and Markup(drawing),  # noqa: S704
        columns=[(name, _is_number(result, at)) for at, name in enumerate(result.columns)],
        rows=result.rows[:most],
        count=len(result.rows),
        address=_address("console.metrics.one", found.metric, found.values),
        most=_MOST,
    )
    return text.encode(), DrawnFacts(found.as_of, found.left_out, drawing is not None)


def _address(endpoint: str, wanted: Metric, values: Values) -> str:
    query = urlencode(values)
    return url_for(endpoint, name=wanted.name) + (f"?{query}" if query else "")


def _is_number(result: Result, at: int) -> bool:
    """Return whether a column contains only numbers, so that it is right-aligned."""
    kinds = {type(row[at]) for row in result.rows if row[at] is not None}
    return kinds <= {int, float, Decimal}
