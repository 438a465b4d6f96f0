"""The interfaces of storage, which `disk` and `s3` modules implement; `opening` chooses.

Failures are raised as OSError with a sentence as its strerror, and possibly a `hint`.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rowboat.address import Address

MANIFEST = "manifest.json"
PINNED = "pinned"  # an empty file in the set: a pin must outlive the database


class OpenedFile(io.BufferedReader):
    """A file opened for reading; `size` in bytes and `version` are as of the opening.

    The version is a text that changes whenever the file does: its modification time in nanoseconds,
    or the ETag of an object.
    """

    size: int
    version: str

    def still(self) -> bool:
        """Return whether the file is unchanged since it was opened."""
        return True


@dataclass(frozen=True)
class StoredFile:
    """An entry of a folder: `name` is relative to it; `problem` says why it is not a file.

    If it cannot be read at all, `remedy` says what to do; if it is missing, `version` is empty.
    """

    name: str
    path: Address
    size: int
    version: str
    problem: str | None = None
    remedy: str | None = None


class Sink(Protocol):
    """A file that is being written."""

    def write(self, data: bytes, /) -> int:
        """Append bytes and return their number."""


class Incoming(Sink, Protocol):
    """A file that is being received, invisible until it is kept."""

    def keep(self) -> None:
        """Give the file its name; raises FileExistsError if it must not replace an older one."""

    def leave(self) -> None:
        """Remove the file, unless it has been kept."""


class Folder(Protocol):
    """A folder of files that others write."""

    settle: float  # seconds for which a file must not change before it is read
    poll: float  # seconds between two listings

    def entries(self) -> Iterator[StoredFile]:
        """Yield all entries but those left out, also folders that cannot be read.

        Raises FileRefused if the folder itself cannot be read.
        """

    def entry(self, path: Address) -> StoredFile:
        """Return the entry of a file that the user named, even if there is no such file."""

    def name(self, given: str) -> str:
        """Return the name in ingest_status of a file given by a name, a path or a URL."""

    def arriving(self, name: str, overwrite: bool) -> Incoming:
        """Begin to receive a file; raises FileExistsError."""

    def look(self, setting: str) -> str:
        """Return a sentence that says it can be used; raises FileRefused if it cannot."""


class Aside(Protocol):
    """A set that is being written, invisible until it is published."""

    def file(self, name: str) -> AbstractContextManager[Sink]:
        """Write a file that is stored durably when the block ends."""

    def publish(self, manifest: bytes, pinned: bool) -> None:
        """Write the manifest, which makes the set visible and complete."""


class Shelf(Protocol):
    """A folder of sets; a folder without a manifest is not a set."""

    def names(self) -> list[str]:
        """Return the names of the sets, oldest first."""

    def opened(self, name: str, file: str) -> OpenedFile:
        """Open a file of a set; raises BackupRefused for a link or anything that is not a file."""

    def sizes(self, name: str, files: list[str]) -> dict[str, int]:
        """Return file → bytes; raises as `opened`, or FileNotFoundError if one is missing."""

    def taken(self, name: str) -> bool:
        """Return whether the name of a set is taken."""

    def time(self, name: str) -> datetime:
        """Return when a set was written, according to the storage."""

    def aside(self, name: str) -> AbstractContextManager[Aside]:
        """Write a set aside; it is deleted if the block fails."""

    def pin(self, name: str, pinned: bool) -> None:
        """Protect a set from retention, or end that."""

    def is_pinned(self, name: str) -> bool:
        """Return whether a set is pinned."""

    def remove(self, name: str) -> None:
        """Delete a set; readers see all of it or nothing."""

    def clean(self) -> list[str]:
        """Delete what killed writers left, and return the names."""

    def look(self) -> str:
        """Return a sentence that it can be used; raises ShelfUnusable or FileRefused if not."""
