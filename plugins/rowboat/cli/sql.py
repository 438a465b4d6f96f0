"""The commands that show SQL as it is run, whole."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from rowboat.backup.recovery.shown_sql import restore_statements
from rowboat.catalog.tables import Catalog, Table, read_catalog
from rowboat.cli.terminal import command, main
from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.database.recording import Recorded
from rowboat.door.shown_sql import judge_statements, merge_statements


@main.group("sql")
def sql_() -> None:
    """Show the SQL that is run for a table, without running it."""


@command(sql_, "judge")
@click.argument("table")
def judge_(table: str) -> Any:
    """Show the statements that stage and judge rows of a table."""
    return _shown(table, judge_statements)


@command(sql_, "merge")
@click.argument("table")
def merge_(table: str) -> Any:
    """Show the statements that merge judged rows into a table, and quarantine the others."""
    return _shown(table, merge_statements)


@command(sql_, "restore")
@click.argument("table")
def restore_(table: str) -> Any:
    """Show the statements that replace the rows of a table by those of a backup."""
    return _shown(table, restore_statements)


def _shown(name: str, build: Callable[[Connection, Catalog, Table], Sequence[Recorded]]) -> Any:
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = read_catalog(cursor)
        found = build(connection, catalog, catalog.table(name))
    return [asdict(each) for each in found], text_of(found).encode(), True


def text_of(statements: Sequence[Recorded]) -> str:
    """Return statements as a script, each under its name in sql/queries."""
    return "\n".join(f"-- {each.name}\n{each.text};\n" for each in statements)
