"""A run of loads: who asked for it and how, and what became of each file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from rowboat.door.passage import Report

Progress = Callable[[str, int, int], None]


@dataclass
class Run:
    """Who loads, how, and how to stop it between two chunks.

    `progress` is told (file, bytes done, bytes in all) after each chunk.
    """

    actor: str
    run: str | None = None
    dry_run: bool = False
    checksum: bool = False
    progress: Progress = lambda *_: None
    stop: Event = field(default_factory=Event)

    @property
    def who(self) -> dict[str, Any]:
        """The columns that name the run in ingest_status."""
        return {"actor": self.actor, "run": self.run}


@dataclass
class FileReport:
    """What became of one file in one run.

    `vanished` are keys that an earlier version of the file brought and this one no longer has, the
    first hundred; `vanished_count` counts all.
    """

    file: str
    table: str | None
    state: str
    report: Report = field(default_factory=Report)
    error: str | None = None
    hint: str | None = None
    vanished: list[str] = field(default_factory=list)
    vanished_count: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        head = f"{self.file} → {self.table or 'no table'}: {self.state}"
        if self.state == "loaded":
            head += f", {self.report} in {self.seconds:.2f} s"
        if self.error:
            head += f": {self.error}"
        if self.vanished_count:
            head += f"; {self.vanished_count:,} rows of its earlier version are no longer in it"
        return head

    def to_json(self) -> dict[str, Any]:
        """Return the report as the command line, Airflow and the API give it."""
        return {
            "file": self.file,
            "table": self.table,
            "state": self.state,
            **vars(self.report),
            "vanished": self.vanished_count,
            "vanished_keys": self.vanished,
            "error": self.error,
            "hint": self.hint,
        }


def total_of(reports: Sequence[FileReport]) -> Report:
    """Add up the counts of all files."""
    return sum((each.report for each in reports), Report())


def reports_to_json(reports: Sequence[FileReport]) -> dict[str, Any]:
    """Return the reports of one run, and their totals, as `rowboat ingest --json` prints them."""
    return {
        "files": [each.to_json() for each in reports],
        "totals": vars(total_of(reports)),
    }
