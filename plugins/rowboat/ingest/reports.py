"""A run of loads: who started it, how, and what happened to each file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from rowboat.door.passage import Report

MOST_REASONS = 5  # kinds of them that are shown
Progress = Callable[[str, int, int], None]


@dataclass
class Run:
    """Who loads and how; setting `stop` ends the run after the current chunk.

    `checksum` also reads files that seem unchanged, `again` also loads rows that were loaded.

    `progress` is called with (file, bytes done, bytes in all) after each chunk.
    """

    actor: str
    run: str | None = None
    dry_run: bool = False
    checksum: bool = False
    again: bool = False
    progress: Progress = lambda *_: None
    stop: Event = field(default_factory=Event)

    @property
    def who(self) -> dict[str, Any]:
        """The columns that name the run in ingest_status."""
        return {"actor": self.actor, "run": self.run}


@dataclass
class FileReport:
    """What happened to one file in one run.

    `vanished` are the first hundred keys that an earlier version of the file had and this one no
    longer has; `vanished_count` is the number of all. `notes` tell what was left out of the file,
    and how its columns were found; `reasons` sum up why rows were refused. `refused` counts such
    rows of a file that had failed before, most of which were read then.
    """

    file: str
    table: str | None
    state: str
    report: Report = field(default_factory=Report)
    error: str | None = None
    hint: str | None = None
    vanished: list[str] = field(default_factory=list)
    vanished_count: int = 0
    notes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        head = f"{self.file} → {self.table or 'no table'}: {self.outcome}"
        if self.state == "loaded":
            head += f", {self.report} in {self.seconds:.2f} s"
        if self.error:
            head += f": {self.error}"
        if self.vanished_count:
            head += f"; {self.vanished_count:,} rows of its earlier version are no longer in it"
        # an error over refused rows has their reasons in it
        return "; ".join([head, *self.notes, *([] if self.error else self.shown_reasons)])

    @property
    def outcome(self) -> str:
        """The state, and how many rows were refused of a file that is loaded."""
        return told_state(self.state, max(self.refused, self.report.rejected))

    @property
    def shown_reasons(self) -> list[str]:
        """The first reasons, and how many more kinds there are."""
        rest = len(self.reasons) - MOST_REASONS
        return self.reasons[:MOST_REASONS] + (
            [f"{rest:,} more kinds of reasons"] if rest > 0 else []
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as the command line, Airflow and the API show it."""
        return {
            "file": self.file,
            "table": self.table,
            "state": self.state,
            **vars(self.report),
            "vanished": self.vanished_count,
            "vanished_keys": self.vanished,
            "notes": self.notes,
            "reasons": self.reasons,
            "error": self.error,
            "hint": self.hint,
        }


def told_state(state: str, rejected: int) -> str:
    """Return a file's state as it is shown: green words must not stand over refused rows."""
    return f"loaded with {rejected:,} refused" if state == "loaded" and rejected else state


def total_of(reports: Sequence[FileReport]) -> Report:
    """Return the sum of the counts of all files."""
    return sum((each.report for each in reports), Report())


def reports_to_json(reports: Sequence[FileReport]) -> dict[str, Any]:
    """Return the reports of one run, and their totals, as `rowboat ingest --json` prints them."""
    return {
        "files": [each.to_json() for each in reports],
        "totals": vars(total_of(reports)),
    }
