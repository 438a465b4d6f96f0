"""Random files: whatever their bytes and names, they are read or refused with a sentence."""

import io
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowboat.backup.avro.container import Reader
from rowboat.catalog.tables import Catalog, Table
from rowboat.csvfile.dialect import BYTE_ORDER_MARK, Dialect
from rowboat.csvfile.recognise import DELIMITERS, recognise_dialect
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import find_border, split_records
from rowboat.errors import BackupRefused, FileRefused, RowboatError, SqlFileError
from rowboat.ingest import discovery, upload
from rowboat.metrics import definitions
from rowboat.storage.disk import DiskFolder
from rowboat.storage.file_names import is_left_out
from tests.conftest import ROOT
from tests.support.bounded import child
from tests.support.containers import head, long
from tests.support.fuzzing import fuzzed
from tests.support.tables import column, table

__all__ = ["child"]  # a fixture

BOATS = table(column("id", not_null=True), column("na,me", not_null=True), column("Crew"))
COLUMNS = ("id", "na,me", "Crew")


def tried(work: Callable[..., Any], *given_: Any) -> Any:
    """Return the result, or the error that is raised instead."""
    try:
        return work(*given_)
    except RowboatError as error:
        return error


# Bytes of a CSV file

pieces = st.sampled_from([
    *(each.encode() for each in DELIMITERS), b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", b"\xff",
    b"\xc3", b"\xa9", b"id", b"na,me", b"ID", b'"na,me"', b"crew", b"mast", b"1", b"-7.5", b" ",
    b"a", BYTE_ORDER_MARK, "é".encode(), "\u2028".encode(), b"\x85", b"\x1c",
])  # fmt: skip
contents = st.lists(pieces | st.binary(max_size=4), max_size=40).map(b"".join)


@fuzzed(300)
@given(contents)
@example(b"\xef\xbb\xbf")
@example(b"\r\n\xef\xbb\xbfid\n")
def test_any_bytes_have_a_dialect_or_a_sentence(sample: bytes) -> None:
    found = tried(recognise_dialect, sample, BOATS)
    if isinstance(found, FileRefused):
        assert found.hint
        return
    assert found.delimiter in DELIMITERS
    assert found.newline in ("\n", "\r")
    assert len(set(found.columns)) == len(found.columns)
    assert set(found.columns) <= set(COLUMNS)
    assert found.header is not None or found.columns == COLUMNS
    assert 0 <= found.start <= len(sample)
    lines = sample[: found.start].count(found.newline.encode())
    assert lines >= found.lines_above + (found.header or "").count(found.newline)
    records = tried(split_records, sample[found.start :], found, True)
    if isinstance(records, FileRefused):
        assert found.delimiter == "\t"
        return
    assert records.consumed == len(sample) - found.start
    for index in range(len(records)):
        assert index in records.refused or set(records.fields(index)) == set(found.columns)


cells = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=6)


@fuzzed(150)
@given(
    st.permutations(COLUMNS), st.sampled_from(DELIMITERS), st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.tuples(st.integers(0, 99).map(str), cells, cells), min_size=1, max_size=5),
    st.booleans(),
)  # fmt: skip
def test_what_is_well_written_is_recognised(
    order: list[str], delimiter: str, newline: str, rows: list[tuple[str, ...]], marked: bool
) -> None:
    """A header in any order, all cells quoted: each cell is read back in its column."""
    lines = [order, *([dict(zip(COLUMNS, row, strict=True))[name] for name in order]
                      for row in rows)]  # fmt: skip
    written = (['"' + cell.replace('"', '""') + '"' for cell in line] for line in lines)
    text = "".join(delimiter.join(line) + newline for line in written).encode()
    sample = BYTE_ORDER_MARK * marked + text
    found = recognise_dialect(sample, BOATS)
    assert (found.delimiter, found.fields) == (delimiter, tuple(order))
    records = split_records(sample[found.start :], found, at_end=True)
    assert records.headers == 0
    assert [tuple(records.fields(n)[name] for name in COLUMNS) for n in range(len(rows))] == rows


tight = st.lists(
    st.sampled_from([b"1", b",", b";", b'"', b"\n", b"\r\n", b"\r", b"x", b"\0", b"\xff"]),
    max_size=24,
).map(b"".join)


def story(found: Records, lines: int) -> list[Any]:
    return [
        (lines + int(found.lines[n]), found.raw(n), found.refused.get(n, []))
        for n in range(len(found))
    ]


@fuzzed(300)
@given(
    contents | tight | tight, st.sampled_from(",;"), st.sampled_from(["\n", "\r"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
)  # fmt: skip
@example(b'1"\n"\n"', ",", "\n", [1])  # a stray quote, then one that closes a chunk later
def test_chunks_of_any_sizes_give_the_same_records(
    text: bytes, delimiter: str, newline: str, sizes: list[int]
) -> None:
    """Read as a load does: the rest of a chunk begins the next one."""
    form = Dialect(delimiter, newline, COLUMNS)
    whole, found, lines, ahead, at = split_records(text, form, at_end=True), [], 0, b"", 0
    while at < len(text) or ahead:
        size = sizes[at % len(sizes)]
        ahead, at = ahead + text[at : at + size], at + size
        records = split_records(ahead, form, at_end=at >= len(text))
        assert find_border(ahead, form, at_end=at >= len(text)) == records.consumed
        found += story(records, lines)
        lines, ahead = lines + records.newlines, ahead[records.consumed :]
    assert found == story(whole, 0)
    assert lines == whole.newlines


# Backups

GOLDEN = sorted((ROOT / "tests/golden").glob("*/*/*.avro"))
CONTENTS = [path.read_bytes() for path in GOLDEN]
TABLES = [f"hired_employees.{path.stem}" for path in GOLDEN]
numbers = st.sampled_from([0, -1, 1, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63)]).map(long)


@st.composite
def harmed(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a real file with bytes changed, removed, inserted or moved."""
    number = draw(st.integers(0, len(CONTENTS) - 1))
    content = bytearray(CONTENTS[number])
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(content)))
        end = begin + draw(st.sampled_from([0, 0, 1, 1, 2, 8, 100, len(content)]))
        other = draw(st.integers(0, len(CONTENTS[0])))
        content[begin:end] = draw(
            st.binary(max_size=4) | numbers | st.just(CONTENTS[0][other : other + 64])
        )
    return TABLES[number], bytes(content)


def outcome(name: str, content: bytes) -> str:
    """Read a file to its last value; return the error that refuses it, or its number of rows."""
    try:
        reader, rows = Reader(io.BytesIO(content), len(content)), 0
        schema = reader.schema(name)
        for part in reader.rows(schema):
            rows += len(part)
            for field in schema.by_column:
                part.cells(field)
    except BackupRefused as error:
        return error.fact
    return str(rows)


def test_the_files_are_whole_before() -> None:
    assert len(GOLDEN) >= 3
    assert all(outcome(*each).isdecimal() for each in zip(TABLES, CONTENTS, strict=True))


@fuzzed(400)
@given(harmed())
def test_a_harmed_backup_is_read_or_refused(
    child: ProcessPoolExecutor, file: tuple[str, bytes]
) -> None:
    """In a process of 256 MiB, and within a minute: no other error, and no endless loop."""
    said = child.submit(outcome, *file).result(60)
    assert said.isdecimal() or re.match(r"(is|has|ends|grows|\w+ holds) ", said), said


jsons = st.recursive(
    st.sampled_from([None, True, 0, -1, 2**70, 1.5, "", "int", "\0", "\ud800", "a" * 99]),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "name", "fields", "items", "symbols", "precision", "scale", "base", "postgres"]
    ), each, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all parts of a document."""
    below = document.items() if isinstance(document, dict) else enumerate(document)
    return [path] + [
        each
        for name, part in (below if isinstance(document, dict | list) else ())
        for each in places(part, (*path, name))
    ]


def declared(content: bytes) -> Any:
    return json.loads(Reader(io.BytesIO(content), len(content)).header.text("avro.schema"))


@fuzzed(300)
@given(st.sampled_from([*zip(TABLES, map(declared, CONTENTS), strict=True)]), st.data())
def test_a_harmed_schema_is_read_or_refused(of: tuple[str, Any], data: st.DataObject) -> None:
    schema = json.loads(json.dumps(of[1]))
    *way, last = data.draw(st.sampled_from(places(schema)[1:]))
    part = schema
    for name in way:
        part = part[name]
    part[last] = data.draw(jsons)
    said = outcome(of[0], head(json.dumps(schema)))
    assert said == "0" or re.match("has ", said), said


# Names

CATALOG = Catalog(tuple(
    Table(schema, name, None, False, (column("id"),), None, (), (), ())
    for schema, name in [("s", "boats"), ("s", "boat crews"), ("t", "boats"), ("s", "Jobs%")]
))  # fmt: skip
named = st.lists(
    st.sampled_from(["boats", "BOATS", "boat crews", "s", "t", ".", "..", "/", "\\", "-", "_", " ",
                     ".csv", ".CSV", ".gz", ".part", "~", "\0", "\n", "\x1b[2J", "%", "é", "\ud800",
                     "\u202e", "a" * 150, "con", "$(x)", "`x`", ";", "*", "../../etc/passwd"])
    | st.text(max_size=4),
    max_size=8,
).map("".join)  # fmt: skip


@fuzzed(400)
@given(named, st.sampled_from(CATALOG.tables))
@example("../../boats.csv", CATALOG.tables[0])
def test_a_name_is_safe_and_leads_to_its_table_or_is_refused(given_: str, to: Table) -> None:
    name = tried(upload.name_for_upload, given_, to, CATALOG)
    if isinstance(name, FileRefused):
        return
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.csv(\.gz)?", name, re.IGNORECASE)
    assert len(name) <= 255
    assert discovery.match_table(name, CATALOG) == (to, None)


@fuzzed(150)
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4))
@example([b"boats\xff.csv", b"boats\n.csv"])
def test_a_folder_with_any_names_is_listed(
    tmp_path_factory: pytest.TempPathFactory, names: list[bytes]
) -> None:
    """Every file that is not left out is listed, by a name that can be written anywhere."""
    place = tmp_path_factory.mktemp("names")
    kept = set()
    for each in names:
        name = each.replace(b"\0", b"0").replace(b"/", b"_")
        if name not in (b".", b".."):
            Path(os.fsdecode(os.fsencode(place) + b"/" + name)).touch()
            kept.add(name)
    seen = list(DiskFolder(place).entries())
    left_out = {name for name in kept if is_left_out(os.fsdecode(name))}
    assert len(seen) == len(kept - left_out)
    for found in seen:
        found.name.encode()
        assert found.problem or found.name.isprintable()


# The head of a metric's file

words = st.sampled_from([
    "-- title: T", "-- about: A", "-- tables: a.b", "-- param: year integer 1..9 = 2 | Y",
    "-- param: ", "-- chart: bars x=a y=b", "-- years: a.b.c", "--   more", "--", "-- x: y",
    "select 1", "select %(year)s", ";", "%", "%%", "'", '"', "$$", "/*", "*/", "\n", "\r", "\0",
    "| H", "text", "date", "1..", "..9", "= ", "\u2028", "é", "\udc80",
])  # fmt: skip
heads = st.lists(words | st.text(max_size=5), max_size=12).flatmap(
    lambda parts: st.sampled_from(["\n", " ", ""]).map(lambda between: between.join(parts))
)
HEAD = "-- title: T\n-- about: A\n-- tables: a.b\n"


@fuzzed(400)
@given(st.sampled_from(["", HEAD]), heads)
def test_a_metric_is_read_or_its_line_is_named(
    tmp_path_factory: pytest.TempPathFactory, begin: str, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.sql"
    path.write_bytes((begin + text).encode("utf-8", "surrogatepass"))
    found = tried(definitions.read_metric, path)
    if isinstance(found, SqlFileError):
        assert re.match(r"sql/metrics/any\.sql:\d+: ", found.fact)
        return
    assert found.title
    assert found.tables
    names = [each.name for each in found.parameters]
    assert set(re.findall(r"%\((\w+)\)s", found.statement)) <= set(names)
    if all(each.default is not None for each in found.parameters):
        assert set(found.judge({})) == set(names)
