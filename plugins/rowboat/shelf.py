"""The shelf: a folder of sets, each with a file for every table and a manifest.

A set is written aside, synced and renamed, so that a set with a name is whole. The manifest tells
all that is needed to read the set where the database is gone; it ends with a checksum of its own.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from rowboat import avro
from rowboat.avro import Schema
from rowboat.container import FORMAT
from rowboat.errors import BackupRefused, ShelfUnusable, UnknownSet
from rowboat.settings import settings

MANIFEST = "manifest.json"
_MOST_MANIFEST = 64 * 2**20  # bytes
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
    purpose: str
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

    def to_bytes(self) -> bytes:
        """Return the manifest's only spelling."""
        content = asdict(self)
        checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return (json.dumps(content | {"sha256": checksum}, indent=2) + "\n").encode()


def folder() -> Path:
    """The shelf's folder."""
    return settings().backups


def names() -> list[str]:
    """Return the names of the sets, oldest first."""
    if not folder().is_dir():
        return []
    found = [each.name for each in folder().iterdir() if (each / MANIFEST).is_file()]
    return sorted(name for name in found if not name.startswith("."))


def path(name: str, file: str = "") -> Path:
    """Return the path of a set or of one of its files; raises UnknownSet for a strange name."""
    for part in (name, file):
        if part.startswith(".") or "/" in part or "\0" in part or not name:
            raise UnknownSet(f"{part!r} is no name on the shelf")
    return folder() / name / file


def read(name: str) -> Manifest:
    """Read a set's manifest; raises UnknownSet, or BackupRefused for a damaged one."""
    where = path(name, MANIFEST)
    if not where.is_file():
        raise UnknownSet(f"there is no set {name} in {folder()}")
    if where.stat().st_size > _MOST_MANIFEST:
        raise BackupRefused(f"the manifest of {name} is too large")
    raw = where.read_bytes()
    try:
        content = json.loads(raw)
        content.pop("sha256")
        tables = tuple(Copy(**each) for each in content.pop("tables"))
        manifest = Manifest(**content, tables=tables)
        whole = manifest.to_bytes() == raw
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole or manifest.set != name:
        raise BackupRefused(f"the manifest of {name} is damaged")
    if manifest.format != FORMAT:
        raise BackupRefused(
            f"the set {name} has format {manifest.format}, this version reads {FORMAT}",
            "use the version of Rowboat that wrote it",
        )
    return manifest


def file_names(tables: list[str]) -> dict[str, str]:
    """Return table → file; the schema is left out where no other table has the name."""
    short = [table.rpartition(".")[2] for table in tables]
    return {
        table: quote(name if short.count(name) == 1 else table, safe="") + ".avro"
        for table, name in zip(tables, short, strict=True)
    }


def new_name(taken: datetime) -> str:
    """Return a name for a set that no other has, in the order of time."""
    name = f"{taken:%Y%m%dT%H%M%SZ}"
    number = 1
    while path(name if number == 1 else f"{name}-{number:03}").exists():
        number += 1
    return name if number == 1 else f"{name}-{number:03}"


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


def publish(aside_: Path, manifest: Manifest) -> None:
    """Write the manifest and give the set its name: from here on it is there, and whole."""
    with synced(aside_ / MANIFEST) as file:
        file.write(manifest.to_bytes())
    _sync_folder(aside_)
    aside_.rename(path(manifest.set))
    _sync_folder(folder())


def remove(name: str) -> None:
    """Take a set off the shelf: its name first, so that no reader finds half of it."""
    with _usable():
        gone = folder() / f".{name}{_GONE}"
        path(name).rename(gone)
        shutil.rmtree(gone)


def clean() -> list[str]:
    """Remove what killed processes left behind; the caller is the only writer of the shelf."""
    left = [*folder().glob(f".*{_ASIDE}"), *folder().glob(f".*{_GONE}")]
    with _usable():
        for each in left:
            shutil.rmtree(each)
    return [each.name for each in left]


def schema_of(copy: Copy) -> Schema:
    """Return the schema of a copy; raises BackupRefused for one that Rowboat does not write."""
    return avro.read(copy.schema, copy.table)


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
        raise ShelfUnusable(f"{folder()} cannot be written: {error.strerror}") from error
