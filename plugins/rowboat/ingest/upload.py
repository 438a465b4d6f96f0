"""Takes files into raw_data: nobody sees one before it is whole."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rowboat.catalog.tables import Catalog, Table
from rowboat.errors import FileExists, FileRefused, Unwritable, reason, remedy
from rowboat.ingest import discovery

_ENDINGS = (".csv", ".csv.gz")
_LONGEST = 150  # characters; what stands before and behind it must fit as well
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Received:
    """A file that lies in raw_data now."""

    file: str
    bytes: int
    sha256: str


def table_for_upload(given: str, catalog: Catalog) -> Table:
    """Return the table that a name leads to; raises FileRefused where it leads to none."""
    last = _last(given)
    found, problem = discovery.match_table(last, catalog)
    if found is None:
        raise FileRefused(f"{last} {problem}", "choose the table that it is for")
    return found


def name_for_upload(given: str, table: Table, catalog: Catalog) -> str:
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
        found, _ = discovery.match_table(name, catalog)
        if found and found.full_name == table.full_name and not _UNSAFE.search(name):
            return name
    raise FileRefused(
        f"no plain name leads to {table.full_name}",
        "put the file into a folder of that name in raw_data by hand",
    )


class UploadInProgress:
    """A file on its way: what is written to it is counted and hashed."""

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
        """Take away what has no name yet."""
        self._incoming.leave()

    def _check(self) -> None:
        if not self.bytes:
            raise FileRefused(f"{self.name} is empty", "send the file as the body")
        packed = self._head.startswith(_GZIP)
        if packed != self.name.lower().endswith(".gz"):
            raise FileRefused(
                f"{self.name} is {'' if packed else 'not '}packed by gzip",
                "let its name end in .csv.gz where it is packed, else in .csv",
            )


@contextmanager
def open_upload(name: str, overwrite: bool = False) -> Iterator[UploadInProgress]:
    """Open a file that is written aside; without `keep` nothing of it stays.

    Raises FileExists or Unwritable.
    """
    arrival = UploadInProgress(name, overwrite)
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
    except FileExistsError:
        raise FileExists(
            f"{name} is there already", "give it another name, or say ?overwrite=true"
        ) from None
    except OSError as error:
        raise Unwritable(
            f"{name} cannot be written into raw_data: {reason(error)}",
            remedy(error, "make room and give the API the right to write there"),
        ) from error
