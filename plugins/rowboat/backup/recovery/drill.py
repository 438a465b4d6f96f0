"""The drill: restores a set into a scratch schema, as every restore does, and compares digests.

The scratch schema is the temporary one of the session, so Postgres drops its tables even if the
process is killed.
"""

import time
from dataclasses import dataclass, field, replace

from psycopg2 import sql

from rowboat.backup import sets
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder, TableRestore
from rowboat.backup.verify import Progress
from rowboat.catalog.tables import Catalog, Table, read_catalog
from rowboat.database.connections import Connection, Cursor, transaction
from rowboat.database.statements import query

_SCHEMA = "pg_temp"


@dataclass
class Drilled:
    """A set that was restored on trial: `tables` is table → rows, `findings` say what failed."""

    set: str
    tables: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything in the set could be restored."""
        return not self.findings


def run_drill(
    connection: Connection,
    actor: str,
    name: str | None = None,
    progress: Progress = lambda *_: None,
) -> Drilled:
    """Restore a set (default: the newest verified) on trial, and record that it succeeded.

    Raises UnknownSet, BackupRefused.
    """
    start = time.monotonic()
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        found = sets.find_set(cursor, name) if name else sets.newest_whole(cursor, catalog)
    done = Drilled(found.name)
    with transaction(connection, keep=False) as cursor:
        scratches = _scratches(cursor, catalog, found.tables)
        for number, (table, scratch) in enumerate(scratches.items()):
            source = source_of_set(found.name, table, progress)
            order = RestoreOrder(
                {table: source}, "replace", actor, on_trial=True, progress=progress
            )
            step = TableRestore(scratch, source, order, number)
            step.prepare(cursor)
            judged = step.judge(cursor, {})
            step.foresee(cursor, judged)
            report = step.let_in(cursor, judged)
            if report.rejected:
                why = "; ".join(each["example"] for each in step.plan.reasons)
                done.findings.append(f"{table}: {report.rejected:,} rows break a rule: {why}")
            step.check(cursor, report)
            done.tables[table] = report.inserted
    done.findings += [f"{table} is no longer in the database"
                      for table in found.tables if table not in done.tables]  # fmt: skip
    if done.ok:
        with transaction(connection) as cursor:
            cursor.execute(query("backup.drilled"), {"set": found.name})
    done.seconds = time.monotonic() - start
    return done


def _scratches(cursor: Cursor, catalog: Catalog, wanted: dict[str, int]) -> dict[str, Table]:
    """Create an empty copy of each table, parents first; foreign keys refer to the copies."""
    tables = [table for table in catalog.in_order() if table.full_name in wanted]
    names = {table.full_name: f"rowboat_scratch_{n}" for n, table in enumerate(tables)}
    scratches = {}
    for table in tables:
        name = names[table.full_name]
        scratch = sql.Identifier(_SCHEMA, name)
        cursor.execute(query("drill.scratch", scratch=scratch, table=table.identifier))
        scratches[table.full_name] = replace(
            table,
            schema=_SCHEMA,
            name=name,
            foreign_keys=tuple(
                replace(key, parent_schema=_SCHEMA, parent_name=names[key.parent])
                for key in table.foreign_keys
                if key.parent in names
            ),
        )
    return scratches
