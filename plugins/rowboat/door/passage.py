"""The one door: stages, judges, merges, quarantines and reports, in the caller's transaction.

CSV files, HTTP batches, AVRO backups and rows from the quarantine all pass through here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any, Literal

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door import judge, merge, quarantine, stage
from rowboat.door.context import Judged, OnKnown, Terms
from rowboat.door.merge import Merged
from rowboat.door.stage import Cargo
from rowboat.door.staged_columns import Origin, Sql, StagedColumns
from rowboat.errors import BrokenPromise

Source = Literal["file", "retry", "api", "backup"]


@dataclass
class Report:
    """The counts of one or more passages: read = inserted + updated + unchanged + rejected."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def __add__(self, other: "Report") -> "Report":
        mine, theirs = asdict(self), asdict(other)
        return Report(**{name: mine[name] + theirs[name] for name in mine})

    def check(self) -> None:
        """Raise BrokenPromise unless the counts add up."""
        if self.read != self.inserted + self.updated + self.unchanged + self.rejected:
            raise BrokenPromise(f"the counts of a load do not add up: {self}")

    def __str__(self) -> str:
        return (
            f"read {self.read:,}, inserted {self.inserted:,}, updated {self.updated:,}, "
            f"unchanged {self.unchanged:,}, rejected {self.rejected:,}"
        )


@dataclass
class Passage:
    """Where a cargo comes from and who brings it; recorded with the report.

    `first_line` to `last_line` (from 1) and `first_byte` to `last_byte` are a piece of a file.
    `on_known` decides what happens to rows whose key the table has; with `displaces` these may be
    deleted and inserted anew. `on_trial` leaves sequences alone, as no rollback resets them.

    The door updates three fields for the next cargo of the same source: `own`, the transactions in
    which it has written so far; `seen_until`, the greatest key of rows that it found equal;
    `overtaken`, the number of rows that stay as they are because they were changed from elsewhere
    since an earlier version of the source had brought them.
    """

    source: Source
    source_name: str
    actor: str
    run: str | None = None
    version: int | None = None
    first_line: int | None = None
    last_line: int | None = None
    first_byte: int | None = None
    last_byte: int | None = None
    own: list[str] = field(default_factory=list)
    seen_until: float | None = None
    overtaken: int = 0
    on_known: OnKnown = "update"
    displaces: bool = False
    on_trial: bool = False


def open_door(
    cursor: Cursor, table: Table, columns: tuple[str, ...], typed: frozenset[str] = frozenset()
) -> None:
    """Prepare the session for cargoes of these columns."""
    stage.build_stage(cursor, table, columns, typed)


def pass_through(
    cursor: Cursor, table: Table, cargo: Cargo, passage: Passage
) -> tuple[Report, int | None]:
    """Pass a cargo through the door within the caller's transaction.

    Returns the report, and the greatest id if the key is one integer. Raises BrokenPromise if the
    counts do not add up, and RowRefused; the caller's rollback undoes everything.
    """
    report, merged = let_in(cursor, cargo, examine(cursor, table, cargo, passage), passage)
    return report, merged.last_id


def examine(cursor: Cursor, table: Table, cargo: Cargo, passage: Passage) -> Judged:
    """Stage and judge a cargo; the verdicts are in a table beside the stage."""
    stage.fill_stage(cursor, table, cargo)
    judged = judge.judge_cargo(
        cursor, terms_of(table, cargo, passage), staged_columns_of(table, cargo, passage)
    )
    if cargo.reasons:
        stage.drop_repeated_verdicts(cursor)
    return judged


def terms_of(
    table: Table,
    cargo: Cargo,
    passage: Passage,
    gone: Sql | None = None,
    parents: Mapping[str, Sql] | None = None,
    replaces: bool = False,
) -> Terms:
    """Return the terms on which a cargo may enter; `Terms` describes what a restore adds."""
    return Terms(
        table,
        _origin(passage),
        cargo.staged,
        own=tuple(passage.own),
        on_known=passage.on_known,
        keys=cargo.keys,
        rejected_ids=cargo.rejected_ids,
        judged_alone=isinstance(cargo.content, stage.Staged),
        rewritten=(passage.version or 1) > 1,
        arrived=cargo.arrived,
        seen_until=passage.seen_until,
        gone=gone,
        parents=dict(parents or {}),
        replaces=replaces,
        displaces=replaces or (passage.displaces and len(cargo.columns) == len(table.stored)),
    )


def staged_columns_of(table: Table, cargo: Cargo, passage: Passage) -> StagedColumns:
    """Return the columns of a cargo before any of its cells is judged."""
    return StagedColumns.of_cargo(table, cargo, _origin(passage))


def _origin(passage: Passage) -> Origin:
    if passage.version is not None:  # rows from the quarantine too, if a file brought them
        return "file"
    return "backup" if passage.source == "backup" else "request"


def foresee(cursor: Cursor, cargo: Cargo, judged: Judged) -> Report:
    """Return what letting a judged cargo in would do; nothing is changed."""
    different, same = merge.count_matched(cursor, judged)
    updated = 0 if judged.terms.on_known == "leave" else different
    rejected = judged.refused + len(cargo.refused)
    inserted = cargo.staged - judged.refused - different - same
    return Report(cargo.read, inserted, updated, different + same - updated, rejected)


def let_in(
    cursor: Cursor, cargo: Cargo, judged: Judged, passage: Passage, leaving: Sql | None = None
) -> tuple[Report, Merged]:
    """Merge what the judge let through, quarantine the rest, report.

    `leaving` deletes rows of the table, in the statement that writes the others.
    """
    table = judged.terms.table
    with merge.telling_own_rules(judged):
        merged = merge.merge_rows(cursor, judged, leaving)
        # at the commit an error could not be told from a race; tables of a restore need each other
        if table.has_deferred and judged.terms.origin != "backup":
            cursor.execute(query("merge.check_now"))
    judged = merged.judged
    if merged.inserted and not passage.on_trial:
        merge.advance_sequences(cursor, judged)
    rejected = judged.refused + len(cargo.refused)
    unchanged = merged.unchanged + judged.rows.equal
    report = Report(cargo.read, merged.inserted, merged.updated, unchanged, rejected)
    report.check()
    # recorded before the rejects, which refer to the load; its xmin is that of the merged rows
    load_id, xid = _record(cursor, table, passage, report)
    if merged.updated:
        merge.record_overwritten(cursor, judged, load_id)
    if cargo.arrived is not None:
        passage.overtaken += merge.count_overtaken(cursor, judged)
    if rejected or cargo.rejected_ids is not None:
        quarantine.keep_rejected(cursor, cargo, judged, _facts(load_id, table, passage))
    # what this cargo wrote or found equal makes the same key in the next one a duplicate
    passage.own = sorted({*passage.own, xid})
    if unchanged:
        keys = judged.rows.keys
        greatest = inf if keys is None or keys.greatest is None else keys.greatest
        passage.seen_until = max(greatest, passage.seen_until or greatest)
    return report, merged


def _record(cursor: Cursor, table: Table, passage: Passage, report: Report) -> tuple[int, str]:
    facts = asdict(passage) | asdict(report) | {"table": table.full_name}
    cursor.execute(query("door.record"), facts)
    load_id, xid = fetch_one(cursor)
    return load_id, xid


def _facts(load_id: int, table: Table, passage: Passage) -> dict[str, Any]:
    return {
        "load_id": load_id,
        "table": table.full_name,
        "source": passage.source,
        "source_name": passage.source_name,
        "version": passage.version,
    }
