"""The shelf: a folder of sets, each with a file for every table and a manifest.

A set is written aside, synced and renamed, so that a set with a name is whole. The manifest tells
all that is needed to read the set where the database is gone; it ends with a checksum of its own.
Links are not followed: what lies elsewhere can go without a word.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias
from urllib.parse import quote

from pydantic import TypeAdapter

from rowboat import avro
from rowboat.avro import Schema
from rowboat.container import FORMAT
from rowboat.errors import BackupRefused, ShelfUnusable, UnknownSet
from rowboat.settings import settings

Purpose: TypeAlias = Literal["backup", "safety"]

MANIFEST = "manifest.json"
_PINNED = "pinned"  # an empty file: the record may be lost, the pin must not
_MOST_MANIFEST = 64 * 2**20  # bytes
_MOST_STEM = 200  # characters of a file's name; file systems take 255
_ASIDE, _GONE = ".part", ".gone"  # a set that is written, a set that is taken away


@dataclass(frozen=True)
class Copy:
    """One table of a set: its file, what it holds, and how to prove it."""

    table: str
    file: str
    rows: int
    bytes: int
    sha256: str
    digest: str
    last_id: int | None
    schema_hash: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What a set holds; `snapshot` are the transactions that it has seen (pg_snapshot)."""

    set: str
    purpose: Purpose
    taken_at: str
    snapshot: str
    tool: str
    server: str
    codec: str
    tables: tuple[Copy, ...]
    format: str = FORMAT

    def copy(self, table: str) -> Copy:
        """Return the copy of a table; raises UnknownSet where the set has none."""
        for each in self.tables:
            if each.table == table:
                return each
        raise UnknownSet(f"the set {self.set} has no {table}")

    @property
    def taken(self) -> datetime:
        """When the set was taken."""
        return datetime.fromisoformat(self.taken_at)

    @property
    def is_sound(self) -> bool:
        """Tell whether its values can be true; its checksum only tells that nothing fell over."""
        tables, files = {each.table for each in self.tables}, {each.file for each in self.tables}
        numbers = [n for copy in self.tables for n in (copy.rows, copy.bytes, copy.last_id or 0)]
        return (
            self.taken.utcoffset() == timedelta()
            and 1970 <= self.taken.year < 9999
            and 0 < len(tables) == len(files) == len(self.tables)
            and all(_is_name(file) and file not in (MANIFEST, _PINNED) for file in files)
            and all(-(2**63) <= number < 2**63 for number in numbers)
            and all(copy.rows >= 0 and copy.bytes >= 0 for copy in self.tables)
        )

    def to_bytes(self) -> bytes:
        """Return the manifest's only spelling."""
        return _spelled(asdict(self))


_MANIFEST_TYPE = TypeAdapter(Manifest)


def folder() -> Path:
    """The shelf's folder."""
    return settings().backups


def names() -> list[str]:
    """Return the names of the sets, oldest first."""
    try:
        if not folder().is_dir():
            return []
        return sorted(each.name for each in folder().iterdir() if _is_set(each))
    except OSError as error:
        raise ShelfUnusable(f"{folder()} cannot be read: {error.strerror}") from error


def path(name: str, file: str = "") -> Path:
    """Return the path of a set or of one of its files; raises UnknownSet for a strange name."""
    for part in (name, file or MANIFEST):
        if not _is_name(part):
            raise UnknownSet(f"{part!r} is no name on the shelf")
    return folder() / name / file


def size(name: str, file: str) -> int:
    """Return a file's size in bytes; raises BackupRefused, or OSError where it cannot be read."""
    found = path(name, file).lstat()
    if not stat.S_ISREG(found.st_mode):
        raise BackupRefused("is no file of the set's own")
    return found.st_size


def read(name: str) -> Manifest:
    """Read a set's manifest; raises UnknownSet, or BackupRefused for a damaged one."""
    try:
        if size(name, MANIFEST) > _MOST_MANIFEST:
            raise BackupRefused(f"the manifest of {name} is too large")
        raw = path(name, MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownSet(f"there is no set {name} in {folder()}") from None
    except OSError as error:
        raise BackupRefused(f"the manifest of {name} cannot be read: {error.strerror}") from error
    manifest = _parsed(raw)
    if isinstance(manifest, str):
        raise BackupRefused(
            f"the set {name} has format {manifest}, this version reads {FORMAT}",
            "use the version of Rowboat that wrote it",
        )
    if manifest is None or manifest.set != name:
        raise BackupRefused(f"the manifest of {name} is damaged")
    return manifest


def file_names(tables: list[str]) -> dict[str, str]:
    """Return table → file; the schema is left out where no other table has the name.

    No file system takes two of them for one, or one for too long.
    """
    short = [table.rpartition(".")[2] or table for table in tables]
    stems = [
        quote(name if short.count(name) == 1 else table, safe="")
        for table, name in zip(tables, short, strict=True)
    ]
    folded = [stem.lower() for stem in stems]
    found = {}
    for table, stem in zip(tables, stems, strict=True):
        if len(stem) > _MOST_STEM or folded.count(stem.lower()) > 1:
            stem = f"{stem[:_MOST_STEM]}-{hashlib.sha256(table.encode()).hexdigest()[:16]}"
        found[table] = ("%2E" + stem[1:] if stem.startswith(".") else stem) + ".avro"
    return found


def new_name(taken: datetime, known: Collection[str] = ()) -> str:
    """Return a name for a set that none has, on the shelf or known, in the order of time."""
    name = first = f"{taken:%Y%m%dT%H%M%SZ}"
    number = 1
    while name in known or os.path.lexists(path(name)):
        number += 1
        name = f"{first}-{number:03}"
    return name


@contextmanager
def aside(name: str) -> Iterator[Path]:
    """Give a folder to write a set into; it goes away when the block fails."""
    where = folder() / f".{name}{_ASIDE}"
    with _usable():
        where.mkdir(parents=True, mode=0o750)
        try:
            yield where
        except BaseException:
            shutil.rmtree(where, ignore_errors=True)
            raise


@contextmanager
def synced(where: Path) -> Iterator[BinaryIO]:
    """Write a file that survives a loss of power."""
    with where.open("xb") as file:
        where.chmod(0o640)
        yield file
        file.flush()
        os.fsync(file.fileno())


def publish(aside_: Path, manifest: Manifest, pinned: bool = False) -> None:
    """Write the manifest and give the set its name: from here on it is there, and whole."""
    if pinned:
        (aside_ / _PINNED).touch(0o640)
    with synced(aside_ / MANIFEST) as file:
        file.write(manifest.to_bytes())
    _sync_folder(aside_)
    aside_.rename(path(manifest.set))
    try:
        _sync_folder(folder())
    except OSError:
        path(manifest.set).rename(aside_)
        raise


def pin(name: str, pinned: bool) -> None:
    """Mark a set as one that stays, or no longer."""
    with _usable():
        if pinned:
            path(name, _PINNED).touch(0o640)
        else:
            path(name, _PINNED).unlink(missing_ok=True)


def is_pinned(name: str) -> bool:
    """Tell whether a set is marked as one that stays."""
    return path(name, _PINNED).exists()


def remove(name: str) -> None:
    """Take a set off the shelf: its name first, so that no reader finds half of it."""
    with _usable():
        gone = folder() / f".{name}{_GONE}"
        path(name).rename(gone)
        shutil.rmtree(gone)


def clean() -> list[str]:
    """Remove what killed processes left behind; the caller is the only writer of the shelf."""
    with _usable():
        found = [*folder().iterdir()] if folder().is_dir() else []
        ours = [each for each in found if each.is_dir() and not each.is_symlink()]
        left = [
            each for each in ours if each.name.startswith(".") and each.suffix in (_ASIDE, _GONE)
        ]
        for each in left:
            shutil.rmtree(each)
    return sorted(each.name for each in left)


def schema_of(copy: Copy) -> Schema:
    """Return the schema of a copy; raises BackupRefused for one that Rowboat does not write."""
    return avro.read(copy.schema, copy.table)


def _spelled(content: dict[str, Any]) -> bytes:
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps(content | {"sha256": checksum}, indent=2) + "\n").encode()


def _parsed(raw: bytes) -> Manifest | str | None:
    """Return a manifest, only the format of one that is of another, or None for a damaged one."""
    try:
        content = json.loads(raw)
        del content["sha256"]
        if _spelled(content) != raw or b"\\u0000" in raw:
            return None
        if content["format"] != FORMAT:
            return str(content["format"])
        manifest = _MANIFEST_TYPE.validate_json(raw, strict=True)
        return manifest if manifest.to_bytes() == raw and manifest.is_sound else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_name(part: str) -> bool:
    return bool(part) and not part.startswith(".") and not {"/", "\0"} & set(part)


def _is_set(where: Path) -> bool:
    if where.name.startswith(".") or where.is_symlink():
        return False
    try:
        return (where / MANIFEST).is_file()
    except PermissionError:
        return True  # reading it tells why


def _sync_folder(where: Path) -> None:
    descriptor = os.open(where, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShelfUnusable(f"{folder()} cannot be written: {error.strerror or error}") from error
