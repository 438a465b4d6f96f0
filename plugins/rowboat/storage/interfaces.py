"""What a place of files must be able to do; `disk` and `bucket` do it, `storage` chooses.

Whatever fails there is an OSError whose strerror is a sentence; it may have a `hint` too.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rowboat.address import Address

MANIFEST = "manifest.json"
PINNED = "pinned"  # an empty file: the record may be lost, the pin must not


class OpenedFile(io.BufferedReader):
    """A file opened for reading: `size` in bytes and `version` are those of that moment.

    The version is a text that changes whenever the file does: its time in nanoseconds, or the ETag
    of an object.
    """

    size: int
    version: str

    def still(self) -> bool:
        """Tell whether it has not grown since it was opened."""
        return True


@dataclass(frozen=True)
class StoredFile:
    """What lies in a folder: `name` is relative to it; `problem` tells why it is no file."""

    name: str
    path: Address
    size: int
    version: str
    problem: str | None = None


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Add bytes."""


class Incoming(Sink, Protocol):
    """A file on its way, which nobody sees before it is kept."""

    def keep(self) -> None:
        """Give it its name; raises FileExistsError where it is taken and may not be."""

    def leave(self) -> None:
        """Take away what has not been kept."""


class Folder(Protocol):
    """A folder of files that others write."""

    settle: float  # seconds for which a file must be still
    poll: float  # seconds between two looks

    def entries(self) -> Iterator[StoredFile]:
        """List all that lies there, hidden and unfinished files left out; raises FileRefused."""

    def entry(self, path: Address) -> StoredFile:
        """Look at one file that the user named; raises FileRefused where it is not there."""

    def name(self, given: str) -> str:
        """Return the name that a file has in ingest_status, for a name, a path or a URL."""

    def arriving(self, name: str, overwrite: bool) -> Incoming:
        """Begin to take a file; raises FileExistsError."""

    def look(self, setting: str) -> str:
        """Tell that it can be used; raises FileRefused where it cannot."""


class Aside(Protocol):
    """A set that is written, which nobody sees before it is published."""

    def file(self, name: str) -> AbstractContextManager[Sink]:
        """Write a file that is safe when the block ends."""

    def publish(self, manifest: bytes, pinned: bool) -> None:
        """Write the manifest: from here on the set is there, and whole."""


class Shelf(Protocol):
    """A folder of sets: each has files and a manifest, and without that it is none."""

    def names(self) -> list[str]:
        """Return the names of the sets, oldest first."""

    def opened(self, name: str, file: str) -> OpenedFile:
        """Open a set's file; raises BackupRefused for what is no file of the set's own."""

    def sizes(self, name: str, files: list[str]) -> dict[str, int]:
        """Return file → bytes; raises as `opened`, or FileNotFoundError where one is missing."""

    def taken(self, name: str) -> bool:
        """Tell whether something has the name of a set."""

    def time(self, name: str) -> datetime:
        """Return when a set was written, by its place."""

    def aside(self, name: str) -> AbstractContextManager[Aside]:
        """Write a set aside; it goes away when the block fails."""

    def pin(self, name: str, pinned: bool) -> None:
        """Mark a set as one that stays, or no longer."""

    def is_pinned(self, name: str) -> bool:
        """Tell whether a set is marked so."""

    def remove(self, name: str) -> None:
        """Take a set away, at once for those who read."""

    def clean(self) -> list[str]:
        """Take away what killed writers left, and name it."""

    def look(self) -> str:
        """Tell that it can be used; raises ShelfUnusable or FileRefused where it cannot."""
