"""Opening a file at its position, and cutting its text into chunks."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowboat.csvfile.text import FileText
from rowboat.ingest.file_source import cut_text, open_at_position
from rowboat.ingest.position import Position
from rowboat.settings import settings
from tests.support.tables import column, table

BOATS = table(column("id"), column("name"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Chunks of 64 bytes."""
    monkeypatch.setenv("ROWBOAT_CHUNK_BYTES", "64")
    settings.cache_clear()
    yield 64
    settings.cache_clear()


def whole_lines(pending: bytes, at_end: bool) -> tuple[bytes, int]:
    consumed = len(pending) if at_end else pending.rfind(b"\n") + 1
    return pending[:consumed], consumed


def pieces(path: Path) -> list[bytes]:
    with FileText(path) as text:
        return list(cut_text(text, whole_lines))


@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        (b"", []),
        (b"\n", [1]),
        (b"1,a", [3]),
        (b"1,abcdef\n" * 7, [63]),
        (b"1,abcde\n" * 8, [64]),
        (b"1,abcde\n" * 8 + b"2", [64, 1]),
        (b"1,abcdef\n" * 20, [63, 63, 54]),
        (b"x" * 200 + b"\n" + b"y\n" * 20, [241]),
    ],
    ids=["empty", "newline", "no newline", "fits", "exact", "rest", "several", "longer than one"],
)
@pytest.mark.usefixtures("small_chunks")
def test_pieces_are_the_whole_text(path: Path, content: bytes, sizes: list[int]) -> None:
    path.write_bytes(content)
    found = pieces(path)
    assert b"".join(found) == content
    assert [len(piece) for piece in found] == sizes


@pytest.mark.usefixtures("small_chunks")
def test_unfinished_line_of_a_growing_file_is_left(path: Path) -> None:
    path.write_bytes(b"1,a\n2,")
    with FileText(path) as text:
        with path.open("ab") as file:
            file.write(b"b\n")
        assert list(cut_text(text, whole_lines)) == [b"1,a\n"]


def position(
    content: bytes, state: str = "loaded", unchanged: int = 0, unloaded_from: str | None = None
) -> Position:
    """Return the position of a file of which this content is loaded."""
    now = datetime(2024, 2, 29, tzinfo=UTC)
    return Position(
        id=1,
        file_name="file.csv",
        table_name="s.boats",
        state=state,
        file_size=len(content),
        file_version="1",
        version=1,
        dialect=None,
        loaded_bytes=len(content),
        loaded_lines=content.count(b"\n"),
        pass_bytes=0,
        prefix_sha256=hashlib.sha256(content).hexdigest(),
        last_id=None,
        read=0,
        inserted=0,
        updated=0,
        unchanged=unchanged,
        rejected=0,
        discarded=0,
        vanished=0,
        error=None,
        actor="tester",
        run=None,
        first_seen_at=now,
        started_at=now,
        finished_at=now,
        unloaded_from=unloaded_from,
    )


@pytest.mark.parametrize(
    ("before", "content", "rewritten", "is_tail", "rest"),
    [
        (None, b"1,a\n", False, False, b"1,a\n"),
        (position(b"", "failed"), b"1,a\n", False, False, b"1,a\n"),
        (position(b"1,a\n"), b"1,a\n2,b\n", False, True, b"2,b\n"),
        (position(b"1,a"), b"1,a\n2,b\n", False, True, b"\n2,b\n"),
        (position(b"1,a"), b"1,a", False, True, b""),
        (position(b"1,a"), b"1,ab\n", True, False, b"1,ab\n"),
        (position(b"1,a\n"), b"1,b\n2,b\n", True, False, b"1,b\n2,b\n"),
        (position(b"1,a\n2,b\n"), b"1,a\n", True, False, b"1,a\n"),
        (position(b"1,a\n", "loading"), b"1,a\n2,b\n", False, False, b"2,b\n"),
        (position(b"1,a\n", "loading", 1), b"1,a\n2,b\n", True, False, b"1,a\n2,b\n"),
        (position(b"1,a\n", "unloaded", 1, "loaded"), b"1,a\n", False, True, b""),
        (position(b"1,a\n", "unloaded", 0, "loaded"), b"1,a\n2,b\n", True, False, b"1,a\n2,b\n"),
        (position(b"1,a\n", "failed", 1, "loaded"), b"1,a\n", False, True, b""),
    ],
    ids=[
        "new", "nothing loaded", "appended", "newline appended", "unchanged", "line continued",
        "changed", "shortened", "interrupted", "interrupted after equal rows",
        "unloaded", "unloaded and appended", "unloaded, then failed in between",
    ],
)  # fmt: skip
def test_a_file_is_opened_at_its_position(
    path: Path, before: Position | None, content: bytes, rewritten: bool, is_tail: bool, rest: bytes
) -> None:
    path.write_bytes(content)
    opened = open_at_position(path, before, BOATS)
    with opened.text as text:
        assert (opened.rewritten, opened.is_tail) == (rewritten, is_tail)
        assert (opened.prefix.size, text.read(99)) == (len(content) - len(rest), rest)
