"""Cuts a large file into parts at record borders, and stages a part."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import find_border
from rowboat.csvfile.text import PACKED_MAGIC, FileText
from rowboat.database.connections import Connection, Cursor, transaction
from rowboat.database.statements import query
from rowboat.door import judge, stage
from rowboat.door.passage import Passage, open_door, staged_columns_of
from rowboat.errors import FileChanged
from rowboat.ingest import position
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.file_source import cut_text, open_at_position, stageable_cargo
from rowboat.ingest.large_files.parts import (
    Chunk,
    Part,
    StagedPart,
    opened_unchanged,
    read_exactly,
    table_digest,
)
from rowboat.settings import settings
from rowboat.storage import opening
from rowboat.storage.interfaces import OpenedFile

_MOST = 500  # parts per file: by default Airflow maps a task at most 1,024 times


def is_large_file(cursor: Cursor, found: FoundFile) -> bool:
    """Return whether enough of a file is not loaded yet to be worth cutting."""
    least = 2 * settings().part_bytes
    if found.size < least:
        return False
    before = position.read_position(cursor, found.name)
    return before is None or found.size - before.loaded_bytes >= least


def divide_file(connection: Connection, found: FoundFile) -> list[Part]:
    """Cut the rest of a file, after its position, into parts.

    There are none for packed files and UTF-16, which can only be read from the beginning. Raises
    FileRefused for a file that no load could read either.
    """
    assert found.table is not None
    opening.wait_until_settled(found.path)
    with opened_unchanged(found, found.size, found.version) as file:
        if read_exactly(file, 0, 4).startswith(PACKED_MAGIC):
            return []
    with transaction(connection) as cursor:
        before = position.read_position(cursor, found.name)
    opened = open_at_position(found.path, before, found.table)
    with opened.text as text:
        dialect = opened.begin()
        if text.encoding != "utf-8":
            return []
        first = opened.prefix.size
        borders = [first, *_borders(text, first, dialect)]
        # A file that grew while it was cut may end within a record, perhaps in a quoted field.
        if not text.still() or borders[-1] != text.size:
            raise FileChanged("it is still being written")
    return [
        Part(found.name, text.size, text.version, dialect, first, last)
        for first, last in pairwise(borders)
    ]


def _borders(text: FileText, at: int, dialect: Dialect) -> Iterator[int]:
    """Yield where the parts of a text end, of which `at` bytes have been read."""
    least = max(settings().part_bytes, (text.size - at) // _MOST)
    begun = at

    def cut(pending: bytes, at_end: bool) -> tuple[int, int]:
        consumed = find_border(pending, dialect, at_end)
        return consumed, consumed

    for consumed in cut_text(text, cut):
        if at - begun >= least:
            yield at
            begun = at
        at += consumed
    if at > begun:
        yield at


def stage_part(connection: Connection, found: FoundFile, part: Part) -> StagedPart:
    """Stage a part in one transaction, replacing an older one; no row enters the file's table.

    Raises FileChanged if the file is no longer the one that was cut.
    """
    assert found.table is not None
    made = StagedPart(part, table_digest(found.table))
    with (
        transaction(connection) as cursor,
        opened_unchanged(found, part.size, part.version) as file,
    ):
        # a retried task may start while the one that was given up is still at work
        cursor.execute(query("parts.alone"), {"name": part.table.strings[-1]})
        columns = stage.declare_columns(stage.stage_columns(found.table, part.dialect.columns))
        cursor.execute(query("parts.make", part=part.table, columns=columns))
        open_door(cursor, found.table, part.dialect.columns)
        for records in _records(file, part):
            made.chunks.append(_stage(cursor, found.table, made, records))
        facts = sql.Literal(made.to_json())
        cursor.execute(query("parts.seal", part=part.table, facts=facts))
    return made


def _records(file: OpenedFile, part: Part) -> Iterator[Records]:
    """Yield the chunks of a part. If one ends within a record, it is cut again with more bytes.

    Unlike `cut_text`, this starts each chunk at its own byte of the file, so that a load can repeat
    the cut of a single chunk (`WaitingChunk.cargo`), and looks beyond the end of the part: what
    follows may decide where a record with stray quotes ends.
    """
    size, at = settings().chunk_bytes, part.first
    while at < part.last:
        reach = min(size, part.last - at)
        while not (records := part.records(at, read_exactly(file, at, reach))).consumed:
            reach = min(reach + size, part.size - at)
        yield records
        at += records.consumed


def _stage(cursor: Cursor, table: Table, made: StagedPart, records: Records) -> Chunk:
    """Add a chunk to a part's table, each row with the verdicts that need no other row."""
    cargo, blanks = stageable_cargo(records, table)
    stage.fill_stage(cursor, table, cargo)
    passage = Passage("file", made.part.file, "", version=1)
    judge.judge_rows_alone(cursor, staged_columns_of(table, cargo, passage))
    cells = sql.SQL(", ").join(name for name, _ in stage.stage_columns(table, cargo.columns))
    cursor.execute(query("parts.add", part=made.part.table, cells=cells), {"before": made.staged})
    text = memoryview(records.text)[: records.consumed]
    return Chunk(
        size=records.consumed,
        reach=len(records.text),
        newlines=records.newlines,
        staged=cargo.staged,
        refused=len(records.refused),
        sha256=hashlib.sha256(text).hexdigest(),
        plain=sorted(cargo.plain),
        odd=sorted(cargo.odd),
        headers=records.headers,
        blanks=blanks,
    )
