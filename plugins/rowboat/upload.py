"""Takes files into raw_data: written aside, where ingest does not look, synced, then named."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rowboat import folder
from rowboat.catalog import Catalog, Table
from rowboat.errors import FileExists, FileRefused, RowboatError, Unwritable
from rowboat.settings import settings

_ENDINGS = (".csv", ".csv.gz")
_LONGEST = 150  # characters; what stands before and behind it must fit as well
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_GZIP = b"\x1f\x8b"
_ASIDE = ".upload-"
_STALE = 86_400  # seconds after which what a killed process left is taken away


@dataclass(frozen=True)
class Received:
    """A file that lies in raw_data now."""

    file: str
    bytes: int
    sha256: str


def table_for(given: str, catalog: Catalog) -> Table:
    """Return the table that a name leads to; raises FileRefused where it leads to none."""
    last = _last(given)
    found, problem = folder.match(last, catalog)
    if found is None:
        raise FileRefused(f"{last} {problem}", "choose the table that it is for")
    return found


def name_for(given: str, table: Table, catalog: Catalog) -> str:
    """Make a safe name that leads to the table: no path, not hidden, of plain characters.

    Raises FileRefused where that cannot be.
    """
    plain = _UNSAFE.sub("-", _last(given)).lstrip(".-")
    if not plain.lower().endswith(_ENDINGS):
        raise FileRefused(
            f"the name {plain or '(nothing)'} does not end in {' or '.join(_ENDINGS)}",
            "name the file so",
        )
    if len(plain) > _LONGEST:
        raise FileRefused(
            f"the name has {len(plain):,} characters, more than {_LONGEST}", "shorten it"
        )
    for name in (plain, f"{table.name}-{plain}", f"{table.full_name}-{plain}"):
        found, _ = folder.match(name, catalog)
        if found and found.full_name == table.full_name and not _UNSAFE.search(name):
            return name
    raise FileRefused(
        f"no plain name leads to {table.full_name}",
        "put the file into a folder of that name in raw_data by hand",
    )


class Arrival:
    """A file on its way: what is written to it is counted and hashed."""

    def __init__(self, name: str, overwrite: bool) -> None:
        self.name, self.bytes = name, 0
        self._overwrite, self._hash, self._head = overwrite, hashlib.sha256(), b""
        self._folder = settings().raw_data
        self._target = self._folder / name
        self._aside = self._folder / f"{_ASIDE}{secrets.token_hex(8)}"
        if not overwrite and self._target.exists():
            raise self._exists()
        with _worded(name):
            _tidy(self._folder)
            self._file = self._aside.open("xb")

    def write(self, data: bytes) -> int:
        """Add bytes; raises Unwritable."""
        self._hash.update(data)
        self.bytes += len(data)
        if len(self._head) < len(_GZIP):
            self._head += data[: len(_GZIP)]
        with _worded(self.name):
            return self._file.write(data)

    def keep(self) -> Received:
        """Give the file its name; raises FileRefused, FileExists or Unwritable."""
        self._check()
        with _worded(self.name):
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._overwrite:
                self._aside.replace(self._target)
            else:
                try:
                    self._target.hardlink_to(self._aside)  # which fails where a name is taken
                except FileExistsError:
                    raise self._exists() from None
            _sync(self._folder)
        return Received(self.name, self.bytes, self._hash.hexdigest())

    def leave(self) -> None:
        """Take away what has no name yet."""
        with suppress(OSError):
            self._file.close()
        self._aside.unlink(missing_ok=True)

    def _check(self) -> None:
        if not self.bytes:
            raise FileRefused(f"{self.name} is empty", "send the file as the body")
        packed = self._head.startswith(_GZIP)
        if packed != self.name.lower().endswith(".gz"):
            raise FileRefused(
                f"{self.name} is {'' if packed else 'not '}packed by gzip",
                "let its name end in .csv.gz where it is packed, else in .csv",
            )

    def _exists(self) -> RowboatError:
        return FileExists(
            f"{self.name} is there already", "give it another name, or say ?overwrite=true"
        )


@contextmanager
def arriving(name: str, overwrite: bool = False) -> Iterator[Arrival]:
    """Open a file that is written aside; without `keep` nothing of it stays.

    Raises FileExists or Unwritable.
    """
    arrival = Arrival(name, overwrite)
    try:
        yield arrival
    finally:
        arrival.leave()


def _last(given: str) -> str:
    """Return a name without the folders before it, of whatever system."""
    return re.split(r"[/\\]", given)[-1]


@contextmanager
def _worded(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unwritable(
            f"{name} cannot be written into raw_data: {reason}",
            "make room and give the API the right to write there",
        ) from None


def _tidy(where: Path) -> None:
    """Take away what processes that were killed have left."""
    for path in where.glob(f"{_ASIDE}*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _STALE:
                path.unlink()


def _sync(where: Path) -> None:
    descriptor = os.open(where, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
