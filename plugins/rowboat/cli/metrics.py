"""The command `metric`."""

import json
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from rowboat.cli.terminal import command, main
from rowboat.csvfile.writer import csv_text
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.metrics.definitions import Metric, all_metrics, find_metric
from rowboat.metrics.figures import MetricFigures, begin_moment, compute_figures
from rowboat.metrics.parameters import Parameter
from rowboat.rendering.elements import plain_text, table_of


@command(main, "metric")
@click.argument("name", required=False)
@click.option("--year", help="Value of the parameter year.")
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    help="Value of any other parameter; may be repeated.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table",
    show_default=True, help="Output format.",
)  # fmt: skip
def metric_(name: str | None, year: str | None, given: tuple[str, ...], form: str) -> Any:
    """Show a metric; without a name, list all metrics and their parameters."""
    if name is None:
        return [each.document() for each in all_metrics().values()], _list(), True
    wanted = find_metric(name)
    values = wanted.judge(_parts(given) | ({"year": year} if year is not None else {}))
    with connections.session("loader") as connection, transaction(connection) as cursor:
        found = compute_figures(cursor, wanted, values, begin_moment(cursor, wanted))
    document = found.document()
    if form == "csv":
        return document, csv_text(found.result.columns, found.result.rows).encode(), True
    if form == "json":
        return document, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n", True
    return document, _table(found), True


def _parts(given: tuple[str, ...]) -> dict[str, str]:
    parts = [each.partition("=") for each in given]
    if not all(equals for _, equals, _ in parts):
        raise click.UsageError("write --set NAME=VALUE")
    return {name: value for name, _, value in parts}


def _list() -> RenderableType:
    return Group(*map(_described, all_metrics().values()))


def _described(each: Metric) -> Text:
    lines = [f"{each.name}: {each.title}", f"  {each.about}"]
    return Text("\n".join(lines + [f"  {_taken(parameter)}" for parameter in each.parameters]))


def _taken(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" (default: {parameter.default})"
    return f"{parameter.name}: {parameter.help}{default}"


def _table(found: MetricFigures) -> RenderableType:
    rows, columns = found.result.rows, found.result.columns
    table = table_of()
    for at, name in enumerate(columns):
        is_text = any(isinstance(row[at], str) for row in rows)
        table.add_column(plain_text(name), justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*("" if value is None else plain_text(str(value)) for value in row))
    left_out = ", ".join(f"{name} {rows:,}" for name, rows in found.left_out.items())
    about = f"as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC; refused rows left out: {left_out}"
    return Group(table, Text(about, style="dim"))
