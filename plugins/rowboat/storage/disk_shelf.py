"""A shelf on this machine's disk: sets are written aside, synced and renamed.

Links are not followed, because their targets may vanish unnoticed.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from rowboat.errors import BackupRefused
from rowboat.storage.disk import DiskFile, DiskFolder, sync_folder
from rowboat.storage.interfaces import MANIFEST, PINNED

_ASIDE, _GONE = ".part", ".gone"  # sets that are being written or deleted


class DiskShelf:
    """A folder of sets."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Return the names of the sets, oldest first."""
        if not self._path.is_dir():
            return []
        return sorted(each.name for each in self._path.iterdir() if _is_set(each))

    def opened(self, name: str, file: str) -> DiskFile:
        """Open a file of a set; raises BackupRefused for a link or anything that is not a file."""
        self._size(name, file)
        return DiskFile(self._path / name / file)

    def sizes(self, name: str, files: list[str]) -> dict[str, int]:
        """Return file → bytes; raises as `opened`, or FileNotFoundError if one is missing."""
        return {file: self._size(name, file) for file in files}

    def taken(self, name: str) -> bool:
        """Return whether the name of a set is taken."""
        return os.path.lexists(self._path / name)

    def time(self, name: str) -> datetime:
        """Return when a set was written, by the time of its folder."""
        return datetime.fromtimestamp((self._path / name).stat().st_mtime, UTC)

    @contextmanager
    def aside(self, name: str) -> Iterator["DiskAside"]:
        """Write a set aside; it is deleted if the block fails."""
        where = self._path / f".{name}{_ASIDE}"
        where.mkdir(parents=True, mode=0o750)
        try:
            yield DiskAside(where, self._path / name)
        except BaseException:
            shutil.rmtree(where, ignore_errors=True)
            raise

    def pin(self, name: str, pinned: bool) -> None:
        """Protect a set from retention, or end that."""
        if pinned:
            (self._path / name / PINNED).touch(0o640)
        else:
            (self._path / name / PINNED).unlink(missing_ok=True)

    def is_pinned(self, name: str) -> bool:
        """Return whether a set is pinned."""
        return (self._path / name / PINNED).exists()

    def remove(self, name: str) -> None:
        """Delete a set: rename it first, so that no reader finds half of it."""
        gone = self._path / f".{name}{_GONE}"
        (self._path / name).rename(gone)
        shutil.rmtree(gone)

    def clean(self) -> list[str]:
        """Delete what killed writers left, and return the names."""
        found = [*self._path.iterdir()] if self._path.is_dir() else []
        ours = [each for each in found if each.is_dir() and not each.is_symlink()]
        left = [
            each for each in ours if each.name.startswith(".") and each.suffix in (_ASIDE, _GONE)
        ]
        for each in left:
            shutil.rmtree(each)
        return sorted(each.name for each in left)

    def look(self) -> str:
        """Return that the folder can be used, or the one in which the first backup creates it."""
        whole = self._path.absolute()
        there = next(each for each in (whole, *whole.parents) if each.exists())
        return DiskFolder(there).look("ROWBOAT_BACKUPS")

    def _size(self, name: str, file: str) -> int:
        found = (self._path / name / file).lstat()
        if not stat.S_ISREG(found.st_mode):
            raise BackupRefused("is no file of the set's own")
        return found.st_size


class DiskAside:
    """A set in a hidden folder, which is renamed when the set is published."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self._target = path, target

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Write a file, synced to disk when the block ends."""
        where = self.path / name
        with where.open("xb") as file:
            where.chmod(0o640)
            yield file
            file.flush()
            os.fsync(file.fileno())

    def publish(self, manifest: bytes, pinned: bool) -> None:
        """Write the manifest, sync the folder and rename it; undone if this cannot be synced."""
        if pinned:
            (self.path / PINNED).touch(0o640)
        with self.file(MANIFEST) as file:
            file.write(manifest)
        sync_folder(self.path)
        self.path.rename(self._target)
        try:
            sync_folder(self._target.parent)
        except OSError:
            self._target.rename(self.path)
            raise


def _is_set(where: Path) -> bool:
    if where.name.startswith(".") or where.is_symlink():
        return False
    try:
        return (where / MANIFEST).is_file()
    except PermissionError:
        return True  # reading the set will raise the reason
