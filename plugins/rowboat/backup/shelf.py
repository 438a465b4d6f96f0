"""The shelf: a folder of sets, each with a file for every table and a manifest.

A set is written aside and appears under its name all at once, so a set that has its name is
complete. The manifest contains everything that is needed to read the set without the database, and
its own checksum.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from pydantic import TypeAdapter

from rowboat.address import Address
from rowboat.backup.avro.container import FORMAT
from rowboat.backup.avro.schema import Schema, read_schema
from rowboat.errors import BackupRefused, ShelfUnusable, UnknownSet, remedy
from rowboat.settings import settings
from rowboat.storage import interfaces, opening
from rowboat.storage.interfaces import MANIFEST, PINNED, Aside, OpenedFile

Purpose: TypeAlias = Literal["backup", "safety"]

_MOST_MANIFEST = 64 * 2**20  # bytes
_MOST_STEM = 200  # characters of a file name; file systems allow 255 bytes


@dataclass(frozen=True)
class Copy:
    """One table of a set: its file, contents and digests."""

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
    """The contents of a set; `snapshot` are the transactions that it has seen (pg_snapshot)."""

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
        """Return the copy of a table; raises UnknownSet if the set has none."""
        for each in self.tables:
            if each.table == table:
                return each
        raise UnknownSet(f"the set {self.set} has no {table}")

    @property
    def taken(self) -> datetime:
        """The time at which the set was taken."""
        return datetime.fromisoformat(self.taken_at)

    @property
    def is_sound(self) -> bool:
        """Whether the values are possible; a checksum can be computed for any values."""
        tables, files = {each.table for each in self.tables}, {each.file for each in self.tables}
        numbers = [n for copy in self.tables for n in (copy.rows, copy.bytes, copy.last_id or 0)]
        return (
            self.taken.utcoffset() == timedelta()
            and 1970 <= self.taken.year < 9999
            and 0 < len(tables) == len(files) == len(self.tables)
            and all(_is_name(file) and file not in (MANIFEST, PINNED) for file in files)
            and all(-(2**63) <= number < 2**63 for number in numbers)
            and all(copy.rows >= 0 and copy.bytes >= 0 for copy in self.tables)
        )

    def to_bytes(self) -> bytes:
        """Return the only form in which the manifest is written."""
        return _spelled(asdict(self))


_MANIFEST_TYPE = TypeAdapter(Manifest)


def shelf_folder() -> Address:
    """Return the folder of the shelf."""
    return settings().backups


def set_names() -> list[str]:
    """Return the names of the sets, oldest first."""
    try:
        return _shelf().names()
    except OSError as error:
        raise ShelfUnusable(
            f"{shelf_folder()} cannot be read: {error.strerror}", remedy(error, ShelfUnusable.hint)
        ) from error


def set_path(name: str, file: str = "") -> Address:
    """Return the address of a set or one of its files; raises UnknownSet for an unsafe name."""
    for part in (name, file or MANIFEST):
        if not _is_name(part):
            raise UnknownSet(f"{part!r} cannot be the name of a set or file")
    where = shelf_folder() / name
    return where / file if file else where


def open_set_file(name: str, file: str) -> OpenedFile:
    """Open a file of a set; raises BackupRefused, or OSError if it cannot be read."""
    set_path(name, file)
    return _shelf().opened(name, file)


def file_sizes(name: str, files: list[str]) -> dict[str, int]:
    """Return file → bytes; raises BackupRefused, or OSError if they cannot be read."""
    return _shelf().sizes(name, files)


def written_at(name: str) -> datetime:
    """Return when a set was written, according to the storage; raises OSError."""
    return _shelf().time(name)


def read_manifest(name: str) -> Manifest:
    """Read a set's manifest; raises UnknownSet, or BackupRefused for a damaged one."""
    try:
        with open_set_file(name, MANIFEST) as file:
            if file.size > _MOST_MANIFEST:
                raise BackupRefused(f"the manifest of {name} is too large")
            raw = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownSet(f"there is no set {name} in {shelf_folder()}") from None
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
    """Return table → file name, without the schema if no other table has the name.

    The names differ in more than case, and are not too long for any file system.
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


def new_set_name(taken: datetime, known: Collection[str] = ()) -> str:
    """Return a new name for a set, from its time; `known` are names that are not available."""
    name = first = f"{taken:%Y%m%dT%H%M%SZ}"
    number = 1
    while name in known or _taken(name):
        number += 1
        name = f"{first}-{number:03}"
    return name


@contextmanager
def set_in_progress(name: str) -> Iterator[Aside]:
    """Yield a place into which a set is written; it is removed if the block fails."""
    with _usable(), _shelf().aside(name) as where:
        yield where


def publish_set(where: Aside, manifest: Manifest, pinned: bool = False) -> None:
    """Write the manifest and give the set its name, with which it is complete."""
    where.publish(manifest.to_bytes(), pinned)


def mark_pinned(name: str, pinned: bool) -> None:
    """Mark a set on the shelf as pinned, or remove the mark."""
    set_path(name)
    with _usable():
        _shelf().pin(name, pinned)


def is_pinned(name: str) -> bool:
    """Return whether a set is marked as pinned."""
    with _usable():
        return _shelf().is_pinned(name)


def remove_set(name: str) -> None:
    """Remove a set from the shelf, for readers all at once."""
    set_path(name)
    with _usable():
        _shelf().remove(name)


def clean_shelf() -> list[str]:
    """Remove what killed processes have left; the caller must be the only writer of the shelf."""
    with _usable():
        return _shelf().clean()


def schema_of_copy(copy: Copy) -> Schema:
    """Return the schema of a copy; raises BackupRefused unless Rowboat would write it."""
    return read_schema(copy.schema, copy.table)


def _spelled(content: dict[str, Any]) -> bytes:
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps(content | {"sha256": checksum}, indent=2) + "\n").encode()


def _parsed(raw: bytes) -> Manifest | str | None:
    """Return a manifest, its format if this version cannot read it, or None if it is damaged."""
    try:
        content = json.loads(raw)
        del content["sha256"]
        # Written again it must be the same bytes, checksum included: nothing can be ambiguous.
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


def _taken(name: str) -> bool:
    with _usable():
        return _shelf().taken(name)


def _shelf() -> interfaces.Shelf:
    return opening.open_shelf(shelf_folder())


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShelfUnusable(
            f"{shelf_folder()} cannot be written: {error.strerror or error}",
            remedy(error, ShelfUnusable.hint),
        ) from error
