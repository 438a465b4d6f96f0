"""The outline of the catalog as a file, for readers that must not query the database each time.

Airflow reads its DAG files every few seconds, and again for each task; their tasks and forms are
made from this outline.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rowboat.catalog.tables import Catalog
from rowboat.settings import settings

_FRESH = 60.0  # seconds


@dataclass(frozen=True)
class Outline:
    """A table and its parents, by full name; a ring of foreign keys is opened at one table."""

    table: str
    parents: tuple[str, ...]


def outline_path() -> Path:
    """Return the path of the file, HOME/catalog.json."""
    return settings().home / "catalog.json"


def outline_is_fresh() -> bool:
    """Return whether the file was written within the last minute."""
    try:
        return time.time() - outline_path().stat().st_mtime < _FRESH
    except FileNotFoundError:
        return False


def write_outline(catalog: Catalog) -> None:
    """Write the outline, parents first; a reader sees the old file or the new one."""
    depths = catalog.depths
    outline = [
        Outline(
            table.full_name,
            tuple(
                sorted(
                    name
                    for name in catalog.parents(table)
                    if depths[name] < depths[table.full_name]
                )
            ),
        )
        for table in catalog.in_order()
    ]
    settings().home.mkdir(parents=True, exist_ok=True)
    # written aside and renamed, under a name of this process: several may write at once
    aside = outline_path().with_suffix(f".{os.getpid()}.new")
    aside.write_text(json.dumps([asdict(each) for each in outline], indent=2) + "\n")
    aside.replace(outline_path())


def read_outline() -> list[Outline]:
    """Read the outline, parents first; empty before the first migration."""
    try:
        known = json.loads(outline_path().read_text())
    except FileNotFoundError:
        return []
    return [Outline(each["table"], tuple(each["parents"])) for each in known]
