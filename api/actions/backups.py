"""What the API and the console both do with backups: start one, list those visible."""

from collections.abc import Sequence
from dataclasses import replace

from flask import g

from api.shared import forms
from api.shared.airflow import start
from api.shared.context import reading, the_table
from rowboat.backup.sets import Set

DAG = "backup"


class BackupForm(forms.Form):
    """Which tables to back up (none named: all), and whether the set stays whatever its age."""

    tables: list[str] | None = None
    pin: bool = False


def start_backup(order: BackupForm) -> str:
    """Start a run that takes a set, for a limited key one of its own tables; return its id."""
    wanted = order.tables or sorted(g.caller.tables or ())
    with reading() as cursor:
        names = [the_table(cursor, each).full_name for each in wanted]
    return start(DAG, tables=names or None, pin=order.pin)


def visible_sets(found: Sequence[Set]) -> list[Set]:
    """Return the sets with what a limited key may know of them: its own tables."""
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
