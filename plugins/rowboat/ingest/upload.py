"""Receives files into raw_data, where each appears only once it is complete."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import FileExists, FileRefused, Unwritable, reason, remedy
from rowboat.ingest import discovery

_ENDINGS = (".csv", ".csv.gz")
_LONGEST = 150  # characters; most systems allow 255 bytes, table name and endings included
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Received:
    """A file that is in raw_data now; `bytes` is its size."""

    file: str
    bytes: int
    sha256: str


def table_for_upload(given: str, catalog: Catalog) -> Table:
    """Return the table that a file name belongs to; raises FileRefused if there is none."""
    last = _last(given)
    found, problem = discovery.match_table(last, catalog)
    if found is None:
        raise FileRefused(f"{last} {problem}", "choose the table that it is for")
    return found


def name_for_upload(given: str, table: Table, catalog: Catalog) -> str:
    """Return a safe name that belongs to the table: no path, not hidden, only plain characters.

    Raises FileRefused if there is no such name.
    """
    plain = _UNSAFE.sub("-", _last(given)).lstrip(".-")
    if not plain.lower().endswith(_ENDINGS):
        raise FileRefused(
            f"the name {plain or '(nothing)'} does not end in {' or '.join(_ENDINGS)}",
            "give the file such a name",
        )
    if len(plain) > _LONGEST:
        raise FileRefused(
            f"the name has {len(plain):,} characters, more than {_LONGEST}", "shorten it"
        )
    for name in (plain, f"{table.name}-{plain}", f"{table.full_name}-{plain}"):
        found, _ = discovery.match_table(name, catalog)
        if found and found.full_name == table.full_name and not _UNSAFE.search(name):
            return name
    raise FileRefused(
        f"no name of plain characters belongs to {table.full_name}",
        "put the file into a folder of that name in raw_data yourself",
    )


class UploadInProgress:
    """A file that is being received; the bytes written are counted and hashed."""

    def __init__(self, name: str, overwrite: bool) -> None:
        self.name, self.bytes = name, 0
        self._hash, self._head = hashlib.sha256(), b""
        with _worded(name):
            self._incoming = discovery.open_raw_data().arriving(name, overwrite)

    def write(self, data: bytes) -> int:
        """Add bytes; raises Unwritable."""
        self._hash.update(data)
        self.bytes += len(data)
        if len(self._head) < len(_GZIP):
            self._head += data[: len(_GZIP)]
        with _worded(self.name):
            return self._incoming.write(data)

    def keep(self) -> Received:
        """Give the file its name; raises FileRefused, FileExists or Unwritable."""
        self._check()
        with _worded(self.name):
            self._incoming.keep()
        return Received(self.name, self.bytes, self._hash.hexdigest())

    def leave(self) -> None:
        """Remove the file, unless it has been kept."""
        self._incoming.leave()

    def _check(self) -> None:
        if not self.bytes:
            raise FileRefused(f"{self.name} is empty", "send the file's content as the body")
        packed = self._head.startswith(_GZIP)
        if packed != self.name.lower().endswith(".gz"):
            raise FileRefused(
                f"{self.name} is {'' if packed else 'not '}packed by gzip",
                "let its name end in .csv.gz if it is packed, else in .csv",
            )


@contextmanager
def open_upload(name: str, overwrite: bool = False) -> Iterator[UploadInProgress]:
    """Open a file that is written aside; it is removed at the end unless `keep` was called.

    Raises FileExists or Unwritable.
    """
    arrival = UploadInProgress(name, overwrite)
    try:
        yield arrival
    finally:
        arrival.leave()


def _last(given: str) -> str:
    """Return a name without the folders before it, in the notation of Unix or Windows."""
    return re.split(r"[/\\]", given)[-1]


@contextmanager
def _worded(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise FileExists(
            f"{name} is there already", "give it another name, or add ?overwrite=true"
        ) from None
    except OSError as error:
        raise Unwritable(
            f"{name} cannot be written into raw_data: {reason(error)}",
            remedy(error, "make room and give the API the right to write there"),
        ) from error
