"""Backups, for the API and the console: start one, filter the sets that the caller may see."""

from collections.abc import Sequence
from dataclasses import replace

from flask import g

from api.shared import forms
from api.shared.airflow import start_run
from api.shared.context import reading, the_table
from rowboat.backup.sets import Set

DAG = "backup"


class BackupForm(forms.Form):
    """The tables to back up (default: all), and whether to pin the set against expiry."""

    tables: list[str] | None = None
    pin: bool = False


def start_backup(order: BackupForm) -> str:
    """Start a run that takes a backup and return the run's ID.

    The default for a key limited to some tables is these tables. Raises UnknownTable, Forbidden.
    """
    wanted = order.tables or sorted(g.caller.tables or ())
    with reading() as cursor:
        names = [the_table(cursor, each).full_name for each in wanted]
    return start_run(DAG, tables=names or None, pin=order.pin)


def visible_sets(found: Sequence[Set]) -> list[Set]:
    """Return the sets that the caller may see, each reduced to the tables that the key allows.

    A suspicion is reworded, since it may name other tables.
    """
    if g.caller.tables is None:
        return list(found)
    cut = [
        replace(
            each,
            tables={table: rows for table, rows in each.tables.items() if g.caller.sees(table)},
            suspicion=each.suspicion and "one of its tables looks wrong",
        )
        for each in found
    ]
    return [each for each in cut if each.tables]
